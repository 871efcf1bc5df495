"""A launch is examined step by step: a check is told early only if nothing can change it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examined import DOCKER, GIB, SPARK, check, facts, launch, recipe

from monitor.readings import GpuReading
from runners.doctor import examine
from runners.doctor.asking import Answers, ask_each
from runners.doctor.examine import Intended, examine_step_by_step
from runners.doctor.facts import DriverFacts
from runners.doctor.needs import NEEDS
from runners.doctor.values import Check, Level
from runners.recipe.model import Recipe

DRIVER = DriverFacts(
    version="580.1",
    gpus=tuple(
        GpuReading(
            index=index,
            name="H100",
            shares_memory=False,
            memory_total_bytes=80 * GIB,
            memory_used_bytes=used * GIB,
            process_bytes=((4711, used * GIB),),
        )
        for index, used in enumerate((70, 0))
    ),
)
GIVEN = launch()
ANSWERS: dict[str, Any] = {
    "limits": replace(SPARK.limits, inotify_instances=2),
    "session": SPARK.session,
    "driver": DRIVER,
    "holders": SPARK.holders,
    "live": (frozenset({"a"}), frozenset({1})),
    "blocks": 40_000,
    "daemons": frozenset(),
    "kernel": ("6.17", ""),
    "memory": replace(SPARK.memory, swap_total_bytes=GIB),  # type: ignore[type-var]
    "docker": replace(DOCKER, rootless=True),
    "base": GIVEN.base,
    "runs folder": GIVEN.runs,
    "cache folder": GIVEN.cache,
    "image": GIVEN.image,
    "packages": {},
}


def intended(engine: str = "docker", **tables: Any) -> Intended:
    return Intended(
        recipe=Recipe.model_validate(recipe(run={"gpu": "1"}, **tables)),
        lane="unsloth",
        engine=engine,
        image="img" if engine == "docker" else None,
    )


def steps(monkeypatch: pytest.MonkeyPatch, *late: str) -> list[tuple[Check, ...]]:
    """What is told without the answers of *late*, then with all of them."""

    def answering(*_: object) -> Iterator[Answers]:
        early = {name: value for name, value in ANSWERS.items() if name not in late}
        yield Answers(early, {}, late)
        yield Answers(dict(ANSWERS), {}, ())

    monkeypatch.setattr(examine, "ask_each", answering)
    return [found.checks for found, _ in examine_step_by_step(Path("/runs"), intended())]


@pytest.mark.parametrize("late", ANSWERS)
def test_a_check_that_is_told_never_changes_afterwards(
    monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    early, whole = steps(monkeypatch, late)
    assert early
    assert set(early) <= set(whole)
    held_back = {each.name for each in whole} - {each.name for each in early}
    assert held_back >= {each.name for each in whole if late in NEEDS.get(each.name, {late})}


def test_checks_come_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in ANSWERS if name != "base"]
    early, whole = steps(monkeypatch, *names)
    assert [each.name for each in early] == ["base"]
    assert {each.name for each in whole} >= {"docker", "driver", "gpu", "memory", "disk"}
    assert {*NEEDS} - {each.name for each in whole} == {"disk for the pull", "cache folder"}


def test_each_answer_is_told_when_it_comes() -> None:
    go = threading.Event()
    told = ask_each({"slow": go.wait, "quick": lambda: 1}, 60.0)
    assert next(told).unanswered == ("slow", "quick")
    assert (first := next(told)).unanswered == ("slow",)
    assert first.given == {"quick": 1}
    go.set()
    assert [each.unanswered for each in told] == [()]


@pytest.mark.parametrize(
    ("gpu", "driver", "level", "said"),
    [
        pytest.param("1", DRIVER, Level.OK, "GPU 1, H100", id="it is here"),
        pytest.param("2", DRIVER, Level.FAIL, "0 (H100), 1 (H100)", id="it is not"),
        pytest.param("0", DriverFacts(), Level.FAIL, "leave run.gpu out", id="no driver"),
        pytest.param("0", DriverFacts(version="580"), Level.WARN, "nvidia-smi -L", id="not read"),
    ],
)
def test_the_gpu_that_a_recipe_names(
    gpu: str, driver: DriverFacts, level: Level, said: str
) -> None:
    given = launch(recipe=recipe(run={"gpu": gpu}))
    found = check(facts(replace(SPARK, driver=driver), given=given), "gpu")
    assert found.level is level
    assert said in found.sentence


@pytest.mark.parametrize(("gpu", "level"), [("0", Level.FAIL), ("1", Level.OK), (None, Level.OK)])
def test_the_memory_of_the_named_gpu_counts(gpu: str | None, level: Level) -> None:
    machine = replace(SPARK, unified=False, driver=DRIVER)
    given = launch(recipe=recipe(run={"gpu": gpu}))
    assert check(facts(machine, given=given), "gpu memory").level is level
