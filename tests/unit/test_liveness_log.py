"""When a silent log is `log-stuck`, and when its trainer merely has nothing to say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from observed import ALIVE, LEARNT, beat, seen

from monitor.limits import limits_from
from monitor.liveness import judge
from monitor.model import (
    Checkpoint,
    CheckpointReading,
    History,
    Liveness,
    LogProgress,
    LogReading,
    PipeReader,
    PipeReading,
    Verdict,
)

LIMITS = limits_from({})
UNHEARD = replace(LEARNT, log_cadence_s=None, log_growths=1, log_gap_iterations=0)
"""The log's first lines were heard, and nothing after them."""
LOG = LogReading(path="train.log", size_bytes=500, modified_wall=0.0)
TRACKED = CheckpointReading(
    tracker=280,
    checkpoints=(Checkpoint(iteration=280, complete=True, size_bytes=9, modified_wall=9000.0),),
)
UNTRACKED = replace(TRACKED, tracker=None)


def of_a_lane(unsaid: int, silent_s: float, **changes: Any) -> Verdict:
    """A run of ours of which *unsaid* iterations are proven while its log is silent."""
    history = replace(UNHEARD, iterations_since_log=unsaid)
    ages = {"log_s": silent_s, "progress_s": 4.0}
    return judge(seen(**{"ages": ages, "history": history} | changes), LIMITS)


def of_a_foreign(unsaid: int, silent_s: float, **changes: Any) -> Verdict:
    history = History(
        iteration=280, iteration_source="tracker", saved=280, iterations_since_log=unsaid,
        log_growths=1, checkpoint_gap_s=3600.0,
    )  # fmt: skip
    ages = {"log_s": silent_s, "progress_s": 60.0, "iteration_s": 60.0}
    values: dict[str, Any] = {
        "foreign": True,
        "status": None,
        "stage": None,
        "heartbeat": None,
        "history": history,
        "ages": ages,
        "checkpoints": TRACKED,
        "log": LOG,
        "total": 4000,
    }
    return judge(seen(**values | changes), LIMITS)


@pytest.mark.parametrize(
    ("verdict", "stuck"),
    [
        pytest.param(of_a_lane(110, 700), True, id="a lane says a line each iteration"),
        pytest.param(of_a_lane(60, 700), False, id="a line each 50 iterations would do"),
        pytest.param(of_a_lane(200, 100), False, id="not in the first minutes"),
        pytest.param(of_a_foreign(210, 7000), True, id="Megatron: a line each 100"),
        pytest.param(of_a_foreign(150, 7000), False, id="it may speak at the next 100"),
        pytest.param(
            of_a_foreign(900, 7000, checkpoints=UNTRACKED), False, id="Trainer: a line each 500"
        ),
        pytest.param(
            of_a_foreign(1010, 7000, checkpoints=UNTRACKED), True, id="twice as many of them"
        ),
        pytest.param(
            of_a_foreign(320, 7000, checkpoints=UNTRACKED, total=625),
            True,
            id="half of the run without a word",
        ),
        pytest.param(of_a_lane(200, 9000, log=None), False, id="there is no log to speak of"),
    ],
)
def test_a_log_that_is_stuck_from_the_start(verdict: Verdict, stuck: bool) -> None:
    assert (verdict.liveness is Liveness.LOG_STUCK) is stuck, verdict.reason


def held(*readers: PipeReader, **changes: Any) -> dict[str, Any]:
    pipe = PipeReading(descriptor=1, readers=readers, **changes)
    return {"process": replace(ALIVE, pids=(7,), pipe=pipe)}


TEE = PipeReader(pid=9, name="tee", state="T")


@pytest.mark.parametrize(
    ("holder", "stuck", "words"),
    [
        pytest.param(held(TEE), True, "`kill -CONT 9`", id="a stopped reader"),
        pytest.param(held(writer_blocked=True), True, "that run WILL stop", id="a full pipe"),
        pytest.param(
            held(PipeReader(pid=9, name="docker", state="T"), through_container=True),
            True,
            "docker (pid 9, state T), which is stopped",
            id="a stopped docker exec",
        ),
        pytest.param(
            held(PipeReader(pid=9, name="docker", state="S"), through_container=True),
            False,
            "",
            id="a client that may be well",
        ),
        pytest.param(
            held(PipeReader(pid=9, name="grep", state="S")), False, "", id="a filter holds lines"
        ),
        pytest.param(
            held(PipeReader(pid=9, name="tee", state="S", terminal="/dev/pts/3")),
            True,
            "held in its write to the terminal /dev/pts/3",
            id="a reader whose terminal takes nothing",
        ),
    ],
)
def test_a_holder_that_is_seen_needs_no_cadence(
    holder: dict[str, Any], stuck: bool, words: str
) -> None:
    for verdict in (of_a_lane(2, 45, **holder), of_a_foreign(70, 45, **holder)):
        assert (verdict.liveness is Liveness.LOG_STUCK) is stuck, verdict.reason
        assert words in verdict.reason


@pytest.mark.parametrize(
    ("unsaid", "silent_s"),
    [pytest.param(0, 300, id="nothing is proven"), pytest.param(5, 20, id="not yet silent")],
)
def test_a_stopped_reader_alone_is_no_stuck_log(unsaid: int, silent_s: float) -> None:
    assert of_a_lane(unsaid, silent_s, **held(TEE)).liveness is Liveness.TRAINING


def test_a_log_that_was_read_late_proves_nothing_past_its_own_silence() -> None:
    history = History(iteration=280, iteration_source="log", iterations_since_log=1, log_growths=9)
    found = of_a_foreign(1, 45, history=history, **held(TEE))
    assert found.liveness is Liveness.TRAINING, found.reason


def test_a_stopped_reader_seen_since_the_watch_began_is_told_by_the_next_checkpoint() -> None:
    ages = {"log_s": None, "progress_s": 60.0, "iteration_s": 60.0}
    assert of_a_foreign(70, 0, ages=ages, **held(TEE)).liveness is Liveness.LOG_STUCK


@pytest.mark.parametrize("phase", ["loading", "first_iteration"])
def test_a_log_that_speaks_of_compiling_does_not_hide_a_proven_iteration(phase: str) -> None:
    said = LogProgress(phase=phase)
    noisy = {"log_s": 3.0, "progress_s": 90.0, "iteration_s": 90.0, "hint_s": 2000.0}
    found = of_a_foreign(70, 0, log_progress=said, ages=noisy)
    assert found.liveness is Liveness.TRAINING, found.reason
    assert "iteration 280" in found.reason


def test_a_checkpoint_younger_than_the_logs_last_word_is_not_hidden_either() -> None:
    """Nothing has moved since the watch began; the files' own times say which came last."""
    said, ages = LogProgress(phase="first_iteration"), {"log_s": None, "progress_s": None}
    found = of_a_foreign(0, 0, log_progress=said, ages=ages)
    assert found.liveness is Liveness.TRAINING, found.reason
    assert "iteration 280" in found.reason


def test_a_checkpoint_of_an_earlier_run_is_named_while_the_first_iteration_lasts() -> None:
    said, ages = LogProgress(phase="first_iteration"), {"log_s": None, "progress_s": None}
    young = replace(LOG, modified_wall=9900.0)
    found = of_a_foreign(0, 0, log_progress=said, ages=ages, log=young)
    assert found.liveness is Liveness.STARTING
    assert "iteration 280" in found.reason
    resumed = of_a_lane(0, 5, heartbeat=beat("first_iteration", done=140), checkpoints=TRACKED)
    assert resumed.liveness is Liveness.STARTING
    assert "iteration 140" in resumed.reason


@pytest.mark.parametrize(
    ("every", "stuck"),
    [
        pytest.param(1, True, id="a line each iteration"),
        pytest.param(100, False, id="the next line is not due for 100"),
        pytest.param(None, False, id="one line alone tells no pace"),
    ],
)
def test_a_log_that_is_quiet_by_design_was_not_stuck_before_the_watch(
    every: int | None, stuck: bool
) -> None:
    found = of_a_foreign(
        0,
        0,
        ages={"progress_s": None, "log_s": None},
        log_progress=LogProgress(iteration=220, every=every),
    )
    assert (found.liveness is Liveness.LOG_STUCK) is stuck


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param(LogProgress(iteration=280), "its file is gone: moved or deleted", id="gone"),
        pytest.param(None, "none", id="never there"),
    ],
)
def test_a_log_that_was_taken_away_is_told_from_none(said: LogProgress | None, shown: str) -> None:
    verdict = of_a_foreign(0, 30.0, log=None, log_progress=said)
    assert [each.detail for each in verdict.evidence if each.signal == "log"] == [shown]
