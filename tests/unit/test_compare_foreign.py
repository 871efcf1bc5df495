"""A run that lanewatch did not start, in a comparison: what its command line says, and no more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compared import make_run

from monitor.events import append_event
from monitor.probes.clock import Now
from monitor.rundir import RunDir
from runners.compare.foreign import told_by_command
from runners.compare.judge import Comparable, comparable, differences
from runners.compare.read import read_facts
from runners.compare.table import compare


def foreign(root: Path, name: str, command: str | None, **about: Any) -> RunDir:
    """A run whose folder says what an attach would."""
    run = make_run(root, name)
    info = {"kind": "foreign", "command": command, "recipe": {}, "lane": "unsloth", **about}
    run.run_json.write_text(json.dumps(info))
    return run


@pytest.mark.parametrize(
    ("command", "told"),
    [
        pytest.param(
            "python t.py --learning_rate 2e-4 --per_device_train_batch_size=4 --lora-alpha 32",
            {"train.lr": 2e-4, "train.micro_batch": 4, "lora.alpha": 32},
            id="flags",
        ),
        pytest.param("python t.py learning_rate=1e-4", {"train.lr": 1e-4}, id="hydra"),
        pytest.param(
            "python t.py --lr_scheduler_type cosine --max_seq_length 2048",
            {"train.schedule": "cosine", "model.sequence_length": 2048},
            id="words and lengths",
        ),
        pytest.param("python t.py --warmup_steps 5 --bf16 true", {}, id="in other units"),
        pytest.param("python t.py --learning_rate --save_steps", {}, id="without a value"),
        pytest.param("python t.py --learning_rate high", {}, id="no number"),
        pytest.param('sh -c "cd x; --max_steps 5', {"train.iterations": 5}, id="an open quote"),
        pytest.param("python t.py --dataset rows.jsonl", {}, id="where its rows lie"),
        pytest.param("", {}, id="nothing"),
    ],
)
def test_what_a_command_line_says(command: str, told: dict[str, Any]) -> None:
    assert told_by_command({"command": command}) == told


@pytest.mark.parametrize("command", [None, 3, ["a"]])
def test_what_an_attach_found_counts_and_strange_content_does_not(command: Any) -> None:
    info = {"command": command, "iterations": 625, "save_interval": "often"}
    assert told_by_command(info) == {"train.iterations": 625}


def test_what_both_name_is_compared_and_the_rest_is_said_to_be_unknown(tmp_path: Path) -> None:
    kept = read_facts(make_run(tmp_path, "a"))
    other = foreign(tmp_path, "b", "python t.py --learning_rate 2e-4", iterations=100)
    found = differences([kept, read_facts(other)])
    assert {each.what: each.values for each in found if each.what == "train.lr"} == {
        "train.lr": (1e-4, 2e-4)
    }
    rest = next(each for each in found if each.what == "the rest of the recipe")
    assert rest.values == ("known", "its command names lr and iterations")
    assert comparable(found) is Comparable.NO
    assert compare([kept, read_facts(other)]).sentence.startswith("no: train.lr differs")


def test_alike_as_far_as_they_tell_is_not_known_to_be_fair(tmp_path: Path) -> None:
    kept = read_facts(make_run(tmp_path, "a"))
    same = read_facts(foreign(tmp_path, "b", "python t.py --learning_rate 1e-4"))
    assert compare([kept, same]).sentence.startswith("not known: the rest of the recipe")
    silent = read_facts(foreign(tmp_path, "c", "python t.py"))
    assert compare([kept, silent]).sentence.startswith("not known: recipe")


def test_what_the_watcher_saw_is_a_figure_and_what_nobody_counted_is_none(tmp_path: Path) -> None:
    run = foreign(tmp_path, "a", "python t.py")
    run.metrics.unlink()
    assert read_facts(run).figure("saves") is None
    now = Now(wall_s=1.0, monotonic_s=1.0, boot_id="b")
    for at in (20, 40, 40):
        append_event(run.events, "checkpoint", f"checkpoint {at} is whole", "w", now, iteration=at)
    append_event(run.events, "checkpoint", "a checkpoint is in the way", "w", now)
    assert read_facts(run).figure("saves") == 2


def test_each_run_has_its_place_in_what_differs_a_foreign_one_too(tmp_path: Path) -> None:
    """Else nobody can tell which of three runs the two that are named are."""
    whole = read_facts(make_run(tmp_path, "a"))
    other = read_facts(foreign(tmp_path, "b", "python t.py"))
    smoke = replace(read_facts(make_run(tmp_path, "c")), kind="smoke")
    kinds = {each.what: each.values for each in differences([whole, other, smoke])}
    assert kinds["kind of run"] == ("full", None, "smoke")
    assert "kind of run" not in {each.what for each in differences([whole, other])}
