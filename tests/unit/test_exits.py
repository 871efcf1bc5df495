"""judge_end(): each row is one way in which a stage can end."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import Status
from monitor.requests import MEMORY_GUARD
from runners.engines.base import Exit
from runners.exits import StageEnd, judge_end
from runners.requests import Action, Request


@pytest.mark.parametrize(
    ("end", "status", "cause"),
    [
        pytest.param(
            {"exit": Exit(code=0), "result": {"outcome": "finished"}}, None, None, id="finished"
        ),
        pytest.param(
            {"exit": Exit(), "result": {"outcome": "finished"}},
            None,
            None,
            id="finished while no keeper watched",
        ),
        pytest.param(
            {"exit": Exit(signal=signal.SIGSEGV), "result": {"outcome": "finished"}},
            None,
            None,
            id="crashed after its last act",
        ),
        pytest.param(
            {
                "exit": Exit(code=0),
                "result": {"outcome": "stopped", "iteration": 9},
                "saved_iteration": 9,
                "asked": Request(Action.STOP_AND_SAVE),
            },
            Status.STOPPED,
            "stopped by the user in stage train, saved at iteration 9",
            id="stopped and saved",
        ),
        pytest.param(
            {
                "exit": Exit(code=0),
                "result": {"outcome": "stopped", "iteration": 9},
                "saved_iteration": 5,
                "asked": Request(Action.STOP),
            },
            Status.STOPPED,
            "stopped by the user in stage train at iteration 9, last checkpoint at iteration 5",
            id="stopped without saving",
        ),
        pytest.param(
            {"exit": Exit(code=0), "result": {"outcome": "stopped"}},
            Status.STOPPED,
            "stopped by a signal from outside in stage train",
            id="SIGTERM from someone else",
        ),
        pytest.param(
            {"exit": Exit(code=1), "result": {"outcome": "failed", "cause": "disk full: /x"}},
            Status.FAILED,
            "stage train: disk full: /x",
            id="the payload names the cause",
        ),
        pytest.param(
            {"exit": Exit(code=1), "result": {"outcome": "failed", "cause": 7}},
            Status.FAILED,
            "stage train: the trainer gave no cause",
            id="a cause that is none",
        ),
        pytest.param(
            {"exit": Exit(code=3), "result": None, "last_error": "ImportError: no torch"},
            Status.FAILED,
            "stage train: exited with code 3: ImportError: no torch",
            id="exit code and the log's last error",
        ),
        pytest.param(
            {"exit": Exit(code=0), "result": None},
            Status.FAILED,
            "stage train: exited with code 0 but never said that it had finished",
            id="exit zero but dead",
        ),
        pytest.param(
            {"exit": Exit(), "result": None},
            Status.FAILED,
            "stage train: exit status unknown: its keeper had died and it left no result",
            id="nobody saw the end",
        ),
        pytest.param(
            {"exit": Exit(signal=9), "result": None},
            Status.FAILED,
            "stage train: killed by SIGKILL",
            id="killed",
        ),
        pytest.param(
            {"exit": Exit(signal=9), "result": None, "oom_kills": 1},
            Status.FAILED,
            "the kernel ran out of memory",
            id="killed for want of memory",
        ),
        pytest.param(
            {"exit": Exit(signal=9), "result": None, "asked": Request(Action.KILL), "oom_kills": 1},
            Status.STOPPED,
            "killed by the user in stage train",
            id="killed by the user while memory was short",
        ),
        pytest.param(
            {
                "exit": Exit(signal=9),
                "result": None,
                "asked": Request(Action.KILL, MEMORY_GUARD, "memory has reached its limit"),
            },
            Status.STOPPED,
            "killed by the memory guard in stage train: memory has reached its limit",
            id="killed by the memory guard",
        ),
        pytest.param(
            {
                "exit": Exit(code=0),
                "result": {"outcome": "stopped", "iteration": 70},
                "asked": Request(Action.STOP_AND_SAVE, MEMORY_GUARD, "only 15 GiB are free"),
                "saved_iteration": 70,
            },
            Status.STOPPED,
            "stopped by the memory guard in stage train, saved at iteration 70: only 15 GiB",
            id="saved and stopped by the memory guard",
        ),
        pytest.param(
            {"exit": Exit(signal=9), "result": None, "asked": Request(Action.STOP)},
            Status.STOPPED,
            "it did not answer and was killed",
            id="a stop that had to be forced",
        ),
        pytest.param(
            {"exit": Exit(signal=15), "result": None, "asked": Request(Action.STOP_AND_SAVE)},
            Status.STOPPED,
            "killed by SIGTERM",
            id="stopped before it could listen",
        ),
        pytest.param(
            {"exit": Exit(signal=11), "result": None, "asked": Request(Action.STOP_AND_SAVE)},
            Status.FAILED,
            "killed by SIGSEGV",
            id="crashed while stopping",
        ),
        pytest.param(
            {"exit": Exit(signal=250), "result": None},
            Status.FAILED,
            "killed by signal 250",
            id="a signal without a name",
        ),
    ],
)
def test_judge_end(end: dict, status: Status | None, cause: str | None) -> None:
    outcome = judge_end(StageEnd(stage="train", **end))
    assert outcome.status is status
    if cause is None:
        assert outcome.cause is None
    else:
        assert cause in (outcome.cause or "")


ends = st.builds(
    StageEnd,
    stage=st.just("train"),
    exit=st.builds(
        Exit, code=st.none() | st.integers(0, 255), signal=st.none() | st.integers(1, 64)
    ),
    result=st.none()
    | st.fixed_dictionaries({"outcome": st.sampled_from(["finished", "stopped", "failed", None])}),
    asked=st.none() | st.builds(Request, st.sampled_from(list(Action))),
    oom_kills=st.integers(0, 3),
)


@given(ends)
def test_only_the_trainers_own_word_makes_a_stage_done(end: StageEnd) -> None:
    outcome = judge_end(end)
    said = end.result is not None and end.result["outcome"] == "finished"
    assert (outcome.status is None) == said
    assert said or outcome.cause
