"""What counts as "as expected"."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from monitor.model import FINAL, Liveness
from runners.drills.faults import FAULTS
from runners.drills.script import Script, script_from
from runners.drills.table import DRILLS, Drill, Step, Then
from runners.drills.timeline import Look, Timeline

STALL = Drill(
    name="stall",
    about="a stall, then a recovery",
    expect=(
        Step(verdict=Liveness.TRAINING),
        Step(verdict=Liveness.SUSPECT),
        Step(verdict=Liveness.STALLED, signature="stopped", says="stopped", then=Then.CONTINUE),
        Step(verdict=Liveness.FINISHED),
    ),
)
FINE = Drill(
    name="fine",
    about="nothing is wrong",
    expect=(Step(verdict=Liveness.TRAINING), Step(verdict=Liveness.FINISHED)),
    healthy=True,
)


def look(verdict: Liveness, reason: str = "", **changes: Any) -> Look:
    return Look(**{"real_s": 1.0, "verdict": verdict, "reason": reason} | changes)


STALLED = look(Liveness.STALLED, "it is stopped", signature="stopped", limit_s=60.0, silent_s=61.0)
TRAINING, FINISHED = look(Liveness.TRAINING), look(Liveness.FINISHED)
SUSPECT = look(Liveness.SUSPECT, "no progress")


@pytest.mark.parametrize(
    ("drill", "looks", "problem"),
    [
        pytest.param(STALL, [TRAINING, SUSPECT, STALLED, TRAINING, FINISHED], None, id="all of it"),
        pytest.param(
            STALL,
            [TRAINING, look(Liveness.SAVING), SUSPECT, STALLED, FINISHED],
            None,
            id="calm verdicts in between",
        ),
        pytest.param(
            STALL, [TRAINING, SUSPECT, TRAINING, FINISHED], "stalled", id="the stall was missed"
        ),
        pytest.param(
            FINE,
            [look(Liveness.TRAINING, flags=("memory-warn",), memory_of_others=True), FINISHED],
            None,
            id="a neighbour takes memory while all is well",
        ),
        pytest.param(
            FINE,
            [look(Liveness.TRAINING, flags=("memory-warn",)), FINISHED],
            "memory-warn",
            id="its own memory casts a doubt",
        ),
        pytest.param(
            STALL,
            [TRAINING, SUSPECT, dataclasses.replace(STALLED, reason="it spins"), FINISHED],
            "'stopped'",
            id="called, but for another reason",
        ),
        pytest.param(
            STALL,
            [TRAINING, SUSPECT, dataclasses.replace(STALLED, signature="spinning"), FINISHED],
            "stopped",
            id="called, but with another signature",
        ),
        pytest.param(
            STALL,
            [TRAINING, SUSPECT, dataclasses.replace(STALLED, silent_s=90.0), FINISHED],
            "came late",
            id="called long after its limit",
        ),
        pytest.param(
            STALL, [TRAINING, STALLED, FINISHED], "suspect was never seen", id="no doubt before it"
        ),
        pytest.param(FINE, [TRAINING, FINISHED], None, id="a healthy run"),
        pytest.param(FINE, [], "training was never seen", id="nothing was seen"),
        pytest.param(
            FINE, [TRAINING, SUSPECT, TRAINING, FINISHED], "suspect was not", id="a needless doubt"
        ),
        pytest.param(
            FINE,
            [TRAINING, look(Liveness.TRAINING, flags=("log-stuck",)), FINISHED],
            "log-stuck was not",
            id="a needless flag",
        ),
        pytest.param(
            FINE,
            [
                TRAINING,
                look(Liveness.LOST, "the trainer has ended; the keeper has not recorded how yet"),
                FINISHED,
            ],
            None,
            id="between the end and its record",
        ),
        pytest.param(
            FINE, [TRAINING, look(Liveness.LOST, "nobody lives"), FINISHED], "lost was", id="lost"
        ),
    ],
)
def test_what_is_not_as_expected_is_told(
    drill: Drill, looks: list[Look], problem: str | None
) -> None:
    timeline = Timeline(drill)
    for each in looks:
        timeline.add(each)
    problems = timeline.verdict(None)
    assert (problem is None) == (not problems)
    assert problem is None or problem in problems[0]


def test_one_spell_is_one_line_and_one_problem() -> None:
    timeline = Timeline(FINE)
    for each in [TRAINING, SUSPECT, SUSPECT, SUSPECT, TRAINING, FINISHED]:
        timeline.add(each)
    assert [line.verdict for line in timeline.lines] == [
        "training",
        "suspect",
        "training",
        "finished",
    ]
    assert len(timeline.verdict(None)) == 1


def test_a_step_is_brought_once_and_in_order() -> None:
    timeline = Timeline(STALL)
    assert timeline.add(STALLED) is None, "nothing was trained yet"
    brought = [timeline.add(each) for each in (TRAINING, TRAINING, SUSPECT, STALLED, STALLED)]
    assert [step.verdict if step else None for step in brought] == [
        "training",
        None,
        "suspect",
        "stalled",
        None,
    ]


@pytest.mark.parametrize(
    ("wakes", "woken", "problem"),
    [
        pytest.param(True, ["stalled"], None, id="woken in need"),
        pytest.param(True, [], "nobody would", id="left asleep in need"),
        pytest.param(True, None, None, id="a recording tells nothing of it"),
        pytest.param(False, [], None, id="left asleep"),
        pytest.param(False, ["stalled"], "would have been woken: stalled", id="woken for nothing"),
    ],
)
def test_who_is_woken_is_a_part_of_it(
    wakes: bool, woken: list[str] | None, problem: str | None
) -> None:
    timeline = Timeline(dataclasses.replace(FINE, wakes=wakes))
    for each in (TRAINING, FINISHED):
        timeline.add(each)
    assert [problem in each for each in timeline.verdict(woken)] == ([True] if problem else [])


@pytest.mark.parametrize("drill", [pytest.param(each, id=name) for name, each in DRILLS.items()])
def test_every_drill_can_be_told_to_its_trainer(drill: Drill) -> None:
    script = Script(**drill.trainer)
    assert script_from(dataclasses.asdict(script)) == script
    assert {name for _, name in script.faults} <= FAULTS.keys()
    assert all(at < script.iterations for at, _ in script.faults)
    assert drill.expect[-1].verdict in FINAL
    assert not drill.healthy or drill.expect[-1].verdict is Liveness.FINISHED
