"""Every drill, for real: the trainer misbehaves, the watcher that users get judges it."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from conftest import Lanewatch, until
from rehearsing import CLI, Outcome, Stage, environment, leftovers, processes, rehearse

from runners.drills import faults
from runners.drills.table import DRILLS
from tui.cli.main import run

HEALTHY = [name for name, drill in DRILLS.items() if drill.healthy]
DOUBT = {"suspect", "stalled", "lost", "failed", "log-stuck", "nan-loss", "disk-low"}


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """All drills that will be asked for begin at once, as far as the machine bears it."""
    stage = Stage(tmp_path_factory.mktemp("drills"))
    if "PYTEST_XDIST_WORKER" not in os.environ:  # there each worker takes a part of the tests
        for item in request.session.items:
            if item.path == request.path and "outcome" in item.fixturenames:
                stage.start(item.callspec.params["name"])
    yield stage
    stage.close()


@pytest.fixture
def outcome(stage: Stage, name: str) -> Outcome:
    future: Future[Outcome] = stage.start(name)
    return future.result()


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in DRILLS])
def test_the_watcher_says_what_it_should(outcome: Outcome, name: str) -> None:
    assert outcome.code == 0, outcome.told
    assert outcome.said["as_expected"] is True, outcome.told
    assert outcome.left == []


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in HEALTHY])
def test_a_healthy_run_is_never_doubted(outcome: Outcome, name: str) -> None:
    assert not DOUBT & set(outcome.verdicts()), outcome.told


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in DRILLS])
def test_a_diagnosis_names_the_cause(outcome: Outcome, name: str) -> None:
    """One cell of the confusion matrix; nothing else than its label, and never a sure mistake."""
    if outcome.said["replayed"]:
        assert outcome.said["diagnoses"] == [], "nobody can look into a recording"
        return
    found = outcome.diagnosed()
    assert found["naming"] == "named", outcome.told
    assert found["seconds"] < 15
    if name in BLAMED:
        function, text = BLAMED[name]
        assert f"drills/faults.py:{_line_of(function, text)}" in found["sentence"]


BLAMED = {
    "deadlock": (faults.deadlock, "with theirs:"),
    "spin": (faults.spin, "trainer.model.descend"),
    "crash": (faults.crash, "raise RuntimeError"),
}


def _line_of(function: Callable[..., None], text: str) -> int:
    """The last line of *function* that holds *text*."""
    lines, first = inspect.getsourcelines(function)
    return first + max(number for number, each in enumerate(lines) if text in each)


@pytest.mark.parametrize("name", [pytest.param("sigstop", id="sigstop")])
def test_the_stall_is_called_at_its_limit_and_the_recovery_after_it(
    outcome: Outcome, name: str
) -> None:
    stalled = next(each for each in outcome.said["timeline"] if each.get("verdict") == "stalled")
    assert stalled["limit_s"] < stalled["silent_s"]
    after = outcome.said["timeline"][outcome.said["timeline"].index(stalled) :]
    assert [each["verdict"] for each in after if each.get("expected")][-1] == "finished"


@pytest.mark.parametrize(
    ("name", "signal_number"),
    [
        pytest.param("sigstop", signal.SIGINT, id="ctrl-C while the trainer is stopped"),
        pytest.param("spin", signal.SIGTERM, id="SIGTERM while it spins"),
        pytest.param("disk-full", signal.SIGINT, id="ctrl-C on a disk of its own"),
    ],
)
def test_an_interrupted_drill_leaves_nothing(
    tmp_path: Path, name: str, signal_number: signal.Signals
) -> None:
    drill = subprocess.Popen(
        [*CLI, name], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert drill.stdout is not None
    awaited = "  - " if name != "disk-full" else "training"
    for line in drill.stdout:
        if awaited in line:
            break
    assert processes(tmp_path)
    drill.send_signal(signal_number)
    drill.communicate(timeout=60)
    assert drill.returncode == 130
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "awaited"),
    [
        pytest.param("sigstop", "stopped (SIGSTOP)", id="while the trainer is stopped"),
        pytest.param("disk-full", "training", id="on a disk of its own"),
    ],
)
def test_a_killed_director_leaves_nothing_either(tmp_path: Path, name: str, awaited: str) -> None:
    drill = subprocess.Popen(
        [*CLI, name], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert drill.stdout is not None
    next(line for line in drill.stdout if awaited in line)
    drill.kill()
    drill.communicate(timeout=60)
    until(lambda: not leftovers(tmp_path), "the guardian has cleared all away")


def test_a_kept_drill_is_a_run_like_any_other(lanewatch: Lanewatch, tmp_path: Path) -> None:
    outcome = rehearse("crash", tmp_path, "--keep")
    assert outcome.left == []
    status = lanewatch.json("status", outcome.said["run"])
    assert (status["lane"], status["verdict"]) == ("drill", "failed")
    assert "shapes cannot be multiplied" in status["cause"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=name) for name, drill in DRILLS.items() if drill.needs]
)
def test_without_the_rights_a_recording_is_judged_and_that_is_said(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tui.cli.drill.may_rehearse", lambda drill: False)
    assert run(["drill", name]) == 0
    told = capsys.readouterr().out
    assert "a recording of the drill is judged instead" in told
    assert told.splitlines()[-1] == "as expected"


def test_without_a_name_the_drills_are_listed(lanewatch: Lanewatch) -> None:
    lines = lanewatch("drill").splitlines()
    assert [line.split()[0] for line in lines] == list(DRILLS)
    assert [each["drill"] for each in lanewatch.json("drill")] == list(DRILLS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("deadlok",), "did you mean deadlock?", id="a name mistyped"),
        pytest.param(("spin", "--speed", "0"), "--speed", id="no speed at all"),
        pytest.param(("spin", "--speed", "nan"), "--speed", id="a speed that is no number"),
    ],
)
def test_a_wrong_drill_is_refused_in_a_sentence(
    lanewatch: Lanewatch, words: tuple[str, ...], said: str
) -> None:
    assert said in lanewatch("drill", *words, code=2)
