"""`lanewatch diagnose` on real runs that hang, as root and as an ordinary user."""

from __future__ import annotations

import inspect
import os
import time
from typing import Any

import pytest
from hanging import diagnosed, environment, hanging, until, users

from monitor.diagnosis.answer import recorded_sentence
from monitor.diagnosis.pyspy import find_pyspy
from monitor.diagnosis.record import diagnose as diagnosed_here
from monitor.events import Event, read_events
from monitor.rundir import RunDir
from monitor.target import read_target
from runners.diagnosis import diagnose
from runners.drills import faults
from tui.remedy_acts import carry_out

pytestmark = pytest.mark.timeout(180)

LOCKED = {"faults": ((12, "forbid_ptrace"), (13, "deadlock"))}
AS_ORDINARY = users()[-1]


def test_pyspy_is_installed_with_us() -> None:
    assert find_pyspy() is not None


@pytest.mark.parametrize("uid", users())
@pytest.mark.parametrize(
    ("drill", "cause", "confidence", "function", "line"),
    [
        pytest.param("deadlock", "deadlock", "likely", faults.deadlock, "with theirs:", id="lock"),
        pytest.param("spin", "spinning", "likely", faults.spin, "trainer.model.descend", id="spin"),
        pytest.param("sigstop", "stopped", "sure", None, None, id="stopped"),
        pytest.param("blocked-pipe", "blocked-pipe", "sure", None, None, id="pipe"),
    ],
)
def test_the_cause_is_named(
    uid: int,
    drill: str,
    cause: str,
    confidence: str,
    function: Any,
    line: str | None,
) -> None:
    with hanging(drill, uid) as run:
        until(run, "stalled")
        said = diagnosed(run, uid)
        kept = recorded_sentence(run, 1)
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == (cause, confidence), said
    assert kept is not None, "it is kept for the keeper, by the watcher's own or by this one"
    assert found["remedies"]
    assert said["facts"]["seconds"] < 15
    if function is not None:
        assert f"faults.py:{_line_of(function, line)}" in found["sentence"], found
    if drill == "blocked-pipe":
        assert "which is stopped" in found["sentence"]
        assert found["remedies"][0]["loses"] == "nothing"
        assert found["remedies"][0]["do"].startswith("kill -CONT")
        assert found["remedies"][0]["commands"] == [found["remedies"][0]["do"].split()]


@pytest.mark.parametrize("uid", users())
def test_a_healthy_run_is_called_healthy_and_is_not_harmed(uid: int) -> None:
    slow = {"iterations": 4000, "faults": ()}
    with hanging("deadlock", uid, slow) as run:
        until(run, "training")
        said = diagnosed(run, uid)
        log = run.log("train").read_text()
        until(run, "training")
    assert said["conclusion"]["cause"] == "healthy", said
    assert said["conclusion"]["confidence"] == "sure"
    assert "most recent call first" not in log, "a run that gets on is sent no signal"
    assert said["facts"]["samples"] >= 5


def test_a_trainer_that_lanewatch_did_not_start() -> None:
    with hanging("attached-blocked-pipe", os.geteuid()) as run:
        until(run, "stalled")
        said = diagnosed(run, os.geteuid())
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("blocked-pipe", "sure"), said
    assert "its main thread is in say (" in found["sentence"]
    assert found["remedies"][0]["do"].startswith("kill -CONT")
    assert not any("lanewatch kill" in each["do"] for each in found["remedies"])


def test_the_alert_and_its_event_say_why() -> None:
    with hanging("deadlock", os.geteuid()) as run:
        until(run, "stalled")
        deadline = time.monotonic() + 60
        while not (alerts := told(run)) and time.monotonic() < deadline:
            time.sleep(0.2)
        asked_s = time.monotonic()
        hook = diagnose(run)
        waited_s = time.monotonic() - asked_s
    assert len(alerts) == 1, "an alert that waits is not sent twice"
    said = str(alerts[0].fields["diagnosis"])
    assert "deadlock" in said
    assert f"faults.py:{_line_of(faults.deadlock, 'with theirs:')}" in said
    assert said in alerts[0].text
    assert hook == said, "the keeper reads what the watcher had found"
    assert waited_s < 5


def told(run: RunDir) -> list[Event]:
    return [each for each in read_events(run.events) if each.kind == "alert"]


def test_a_trainer_that_forbids_ptrace_tells_by_itself() -> None:
    with hanging("deadlock", AS_ORDINARY, LOCKED) as run:
        until(run, "stalled")
        said = diagnosed(run, AS_ORDINARY)
    assert said["facts"]["source"] == "faulthandler", said
    assert said["conclusion"]["cause"] == "deadlock"
    assert said["conclusion"]["confidence"] == "unsure", "the kernel's word is missing"
    assert said["conclusion"]["decides"]
    at = _line_of(faults.deadlock, "with theirs:")
    assert f"faults.py:{at}" in said["conclusion"]["sentence"]
    assert "PR_SET_DUMPABLE" in said["facts"]["missing"][0]
    assert "root" in said["facts"]["missing"][0]


def test_the_class_of_a_spin_is_named_where_nobody_may_look() -> None:
    spin = {"faults": ((12, "forbid_ptrace"), (13, "spin"))}
    with hanging("spin", AS_ORDINARY, spin) as run:
        until(run, "stalled")
        said = diagnosed(run, AS_ORDINARY)
    assert said["conclusion"]["cause"] == "spinning", said
    assert said["facts"]["source"] != "py-spy"


def test_its_last_remedy_kills_and_goes_on_from_the_checkpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with hanging("deadlock", os.geteuid()) as run:
        for name, value in environment(run.root.parent).items():
            monkeypatch.setenv(name, value)
        until(run, "stalled")
        remedy = diagnosed_here(run).conclusion.remedies[-1]
        assert carry_out(remedy, run.root.parent).startswith("done: lanewatch kill")
        until(run, "finished")
        assert read_target(run.root).attempt == 2
    assert "checkpoint 8" in remedy.loses


def _line_of(function: Any, text: str | None) -> int:
    """The last line of *function* that holds *text*."""
    lines, first = inspect.getsourcelines(function)
    return first + max(number for number, each in enumerate(lines) if text and text in each)
