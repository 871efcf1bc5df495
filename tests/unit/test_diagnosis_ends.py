"""What a diagnosis says of a run that is over, or that gets on and is not well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from stalled_facts import STALLED

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.tracebacks import place_of, traceback_of
from monitor.diagnosis.values import (
    Cause,
    Confidence,
    DiagnosisFacts,
    Frame,
    Known,
    Told,
)

FAILED = replace(STALLED, alive=False, liveness="failed", reason="it failed", signature=None)
STOPPED = replace(FAILED, liveness="stopped")
GETS_ON = replace(STALLED, liveness="training", signature=None, advanced=True)
FRAMES = (
    Frame("cat", "/venv/lib/python3.12/site-packages/torch/functional.py", 5),
    Frame("step", "/a/train.py", 10),
)


def failed(cause: str, **changes: Any) -> DiagnosisFacts:
    return replace(FAILED, told=Told(cause=f"stage train: {cause}", **changes))


@pytest.mark.parametrize(
    ("facts", "cause", "confidence", "says"),
    [
        pytest.param(
            failed("RuntimeError: shapes", raised="RuntimeError: shapes", frames=FRAMES),
            Cause.CRASHED,
            Confidence.SURE,
            "at step (a/train.py:10): RuntimeError: shapes",
            id="an exception, at the user's own line",
        ),
        pytest.param(
            failed("disk full: No space left on device while writing /r/x"),
            Cause.DISK_FULL,
            Confidence.SURE,
            "/r/x",
            id="disk full",
        ),
        pytest.param(
            failed("killed by SIGKILL: the kernel ran out of memory (it killed 1 processes)"),
            Cause.OUT_OF_MEMORY,
            Confidence.SURE,
            "kernel",
            id="killed by the kernel",
        ),
        pytest.param(
            failed("killed by SIGKILL", pruned=16),
            Cause.KILLED,
            Confidence.LIKELY,
            "checkpoint 16 is gone as well",
            id="killed by somebody",
        ),
        pytest.param(
            failed("killed by SIGSEGV"), Cause.CRASHED, Confidence.LIKELY, "native", id="native"
        ),
        pytest.param(
            failed("exited with code 0 but never said that it had finished"),
            Cause.SILENT_END,
            Confidence.LIKELY,
            "script",
            id="a script that ends well whatever happens",
        ),
        pytest.param(
            failed("exit status unknown: its keeper had died and it left no result"),
            Cause.ENDED,
            Confidence.UNSURE,
            "unknown",
            id="nobody saw it end",
        ),
        pytest.param(
            failed("exited with code 3; see its log"),
            Cause.CRASHED,
            Confidence.LIKELY,
            "code 3",
            id="an exit code alone",
        ),
        pytest.param(
            replace(FAILED, reason="the machine was restarted while the run was under way"),
            Cause.RESTARTED,
            Confidence.SURE,
            "restarted",
            id="the machine went down",
        ),
        pytest.param(
            replace(STOPPED, reason="stopped by the memory guard in stage train"),
            Cause.MEMORY_LIMIT,
            Confidence.SURE,
            "memory guard",
            id="the memory guard",
        ),
        pytest.param(
            replace(STOPPED, reason="killed by the user in stage train"),
            Cause.ON_REQUEST,
            Confidence.SURE,
            "the user",
            id="a person",
        ),
        pytest.param(
            replace(FAILED, liveness="finished", told=Told(flags=("nan-loss",))),
            Cause.LOSS,
            Confidence.SURE,
            "nan-loss",
            id="finished, for nothing",
        ),
        pytest.param(
            replace(FAILED, liveness="finished"), Cause.ENDED, Confidence.SURE, "ended", id="fine"
        ),
        pytest.param(
            replace(GETS_ON, liveness="saving", told=Told(flags=("log-stuck",), holder="cat")),
            Cause.LOG_STUCK,
            Confidence.LIKELY,
            "cat",
            id="a stuck log while it saves",
        ),
        pytest.param(
            replace(GETS_ON, told=Told(memory="3 GiB to the limit")),
            Cause.MEMORY_LIMIT,
            Confidence.LIKELY,
            "3 GiB",
            id="memory climbs",
        ),
        pytest.param(
            replace(GETS_ON, told=Told(flags=("disk-low",))),
            Cause.DISK_LOW,
            Confidence.LIKELY,
            "disk",
            id="the disk will be full",
        ),
        pytest.param(
            replace(STALLED, told=Told(flags=("nan-loss",), memory="tight")),
            Cause.WAITS_FOR_LOCK,
            Confidence.UNSURE,
            "waits",
            id="what does not explain a hang is not its cause",
        ),
    ],
)
def test_a_conclusion(
    facts: DiagnosisFacts, cause: Cause, confidence: Confidence, says: str
) -> None:
    found = conclude(facts)
    assert (found.cause, found.confidence) == (cause, confidence), found
    assert says in found.sentence
    assert (found.decides is not None) or found.confidence is not Confidence.UNSURE


def test_a_known_problem_comes_with_its_remedy_before_going_on() -> None:
    known = Known(name="torchao-old", seen="x", explanation="old", remedy="uninstall it")
    found = conclude(failed("ImportError: torchao", known=(known,)))
    assert found.known == (known,)
    assert found.remedies[0].do == "uninstall it"
    assert found.remedies[-1].commands == (("lanewatch", "resume", "r"),)
    assert "from iteration 8" in found.remedies[-1].do


def test_the_remedies_of_a_hang_are_in_order_of_what_they_lose() -> None:
    suspect = replace(STALLED, liveness="suspect", signature=None)
    steps = [each.do for each in conclude(suspect).remedies]
    assert steps == [
        "wait",
        "lanewatch stop r --save",
        "lanewatch kill r, then lanewatch resume r",
    ]
    kill = conclude(suspect).remedies[-1]
    assert kill.commands == (("lanewatch", "kill", "r"), ("lanewatch", "resume", "r"))
    assert "checkpoint 8: 10 min" in kill.loses
    hung = replace(suspect, work_s=120.0)
    assert "checkpoint 8: 2 min" in conclude(hung).remedies[-1].loses, "the hang itself is no work"


def test_the_last_traceback_is_read_and_the_users_own_line_is_to_blame() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/a/old.py", line 1, in old',
        "ValueError: earlier",
        "iteration 3/40",
        "Traceback (most recent call last):",
        '  File "/runs/r/payload/contract.py", line 294, in run_stage',
        "    fields = dict(main(contract))",
        "             ^^^^^^^^^^^^^^",
        '  File "/a/train.py", line 10, in step',
        "    torch.cat(x)",
        '  File "/venv/lib/python3.12/site-packages/torch/functional.py", line 5, in cat',
        "RuntimeError: shapes [1] do not fit",
        "lanewatch: said its last word",
    )
    raised, frames = traceback_of(lines)
    assert raised == "RuntimeError: shapes [1] do not fit"
    assert frames[0].function == "cat"
    assert place_of(frames) == Frame("step", "/a/train.py", 10)
    assert traceback_of(("nothing of it",)) == (None, ())
    assert traceback_of(lines[:2]) == (None, ()), "cut off: nobody knows what was raised"
    assert place_of(()) is None
