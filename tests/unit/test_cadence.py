"""Rule 3: a run without a heartbeat is judged by when its next checkpoint is due."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from foreign_observed import PACED, SAVED, folder, silent, verdict_of
from observed import ALIVE

from monitor.model import (
    History,
    Liveness,
    LogProgress,
    LogReading,
)

STOPPED = replace(ALIVE, state="T", pids=(7,))
PIPED = replace(ALIVE, wchan="anon_pipe_write")


@pytest.mark.parametrize(
    ("changes", "liveness", "words"),
    [
        pytest.param(
            {"ages": silent(20)},
            Liveness.TRAINING,
            "by the log 20 s ago; a checkpoint comes every 35 min, the next is due in 35 min",
            id="the log advances",
        ),
        pytest.param(
            {"ages": silent(200)},
            Liveness.SUSPECT,
            "the log is silent, a checkpoint comes every 35 min",
            id="log silence alone is at most suspect",
        ),
        pytest.param(
            {"ages": silent(4040)}, Liveness.SUSPECT, "overdue", id="overdue, within the save limit"
        ),
        pytest.param(
            {"ages": silent(4060, cpu_s=100.0)},
            Liveness.STALLED,
            "no progress for 68 min, iteration 140 to 210 of 625; a checkpoint comes every 35 min, "
            "the next is 33 min overdue",
            id="overdue by half a cadence and the save limit",
        ),
        pytest.param(
            {"ages": silent(4060, cpu_s=100.0), "history": replace(PACED, iteration=200)},
            Liveness.STALLED,
            "overdue",
            id="the log told of more iterations than the checkpoint",
        ),
        pytest.param(
            {"ages": silent(2290, cpu_s=100.0), "history": replace(PACED, iteration=200)},
            Liveness.STALLED,
            "iteration 200 to 210",
            id="then the next one was due sooner",
        ),
        pytest.param(
            {"ages": silent(2390), "history": SAVED},
            Liveness.TRAINING,
            "the next is overdue by 5 min",
            id="checkpoints only: a little late",
        ),
        pytest.param(
            {"ages": silent(2430), "history": SAVED}, Liveness.SUSPECT, "overdue", id="late"
        ),
        pytest.param(
            {"ages": silent(4060, cpu_s=100.0), "history": SAVED},
            Liveness.STALLED,
            "overdue",
            id="too late",
        ),
        pytest.param(
            {"ages": silent(7640), "history": SAVED},
            Liveness.SUSPECT,
            "so only time can tell: give it a heartbeat or a log",
            id="too late, but it uses the CPU: it may have slowed down",
        ),
        pytest.param(
            {"ages": silent(29000), "history": SAVED},
            Liveness.SUSPECT,
            "overdue",
            id="twelve times as slow as it ever was",
        ),
        pytest.param(
            {"ages": silent(40000), "history": SAVED},
            Liveness.STALLED,
            "overdue",
            id="too late for that as well",
        ),
        pytest.param(
            {"ages": silent(13000, writing_s=5.0), "history": SAVED},
            Liveness.SUSPECT,
            "overdue",
            id="a checkpoint that grows is no stall",
        ),
        pytest.param(
            {"ages": silent(9000), "process": None},
            Liveness.SUSPECT,
            "cannot be seen",
            id="who is not seen to live is never stalled",
        ),
        pytest.param(
            {"ages": silent(90000), "saves_visible": False},
            Liveness.SUSPECT,
            "no cadence known yet",
            id="no folder to see a checkpoint in",
        ),
        pytest.param(
            {"ages": silent(90000), "history": replace(PACED, iteration=250)},
            Liveness.SUSPECT,
            "are they written elsewhere?",
            id="checkpoints do not come where they are looked for",
        ),
        pytest.param(
            {"ages": silent(90000), "history": replace(PACED, pace_count=9)},
            Liveness.SUSPECT,
            "no cadence known yet",
            id="nine iterations are no pace",
        ),
        pytest.param(
            {"ages": {"progress_s": None, "stage_s": 1700}, "history": History()}
            | {"checkpoints": None},
            Liveness.STARTING,
            "no iteration is seen yet",
            id="nothing has been seen, and that is no trouble",
        ),
        pytest.param(
            {"ages": silent(1900, excluded_s=1900), "history": History(), "process": STOPPED},
            Liveness.STALLED,
            "`kill -CONT 7` lets it go on",
            id="a stopped process needs no cadence",
        ),
        pytest.param(
            {"ages": silent(200, excluded_s=180), "process": STOPPED},
            Liveness.STALLED,
            "stopped",
            id="stopped for longer than five iterations",
        ),
        pytest.param(
            {"ages": silent(200, excluded_s=140), "process": PIPED},
            Liveness.SUSPECT,
            "a pipe that nobody reads",
            id="blocked in a pipe, not for long",
        ),
        pytest.param(
            {"ages": silent(200, excluded_s=160), "process": PIPED},
            Liveness.STALLED,
            "a pipe that nobody reads",
            id="blocked in a pipe",
        ),
        pytest.param(
            {"ages": silent(20, excluded_s=700), "process": replace(ALIVE, state="D")},
            Liveness.TRAINING,
            "iteration 140",
            id="in state D, yet it advances",
        ),
        pytest.param(
            {"ages": silent(610, cpu_s=610, written_s=610), "history": History()},
            Liveness.STALLED,
            "nothing at all is used",
            id="ten minutes without any activity",
        ),
        pytest.param(
            {
                "ages": silent(1500, log_s=400, hint_s=400, log_iteration_s=1500),
                "log_progress": LogProgress(iteration=140, phase="evaluating"),
            },
            Liveness.TRAINING,
            "evaluation began 7 min ago",
            id="the log says that it evaluates",
        ),
        pytest.param(
            {
                "ages": silent(100, checkpoint_s=2, hint_s=100),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SAVING,
            "saving for 2 min",
            id="a folder grows",
        ),
        pytest.param(
            {
                "ages": silent(600, checkpoint_s=2, writing_s=2, hint_s=600),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SAVING,
            "saving for 10 min",
            id="for ten minutes",
        ),
        pytest.param(
            {
                "ages": silent(3300, checkpoint_s=2, writing_s=2, hint_s=1200),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SAVING,
            "saving for 20 min",
            id="the next checkpoint is overdue, because it is being written",
        ),
        pytest.param(
            {
                "ages": silent(400, hint_s=390),
                "log_progress": LogProgress(iteration=140, phase="saving"),
                "saves_visible": False,
                "checkpoints": None,
            },
            Liveness.SAVING,
            "saving for 6 min",
            id="the log says that it saves, where no folder is known",
        ),
        pytest.param(
            {
                "ages": silent(1200, checkpoint_s=100, writing_s=1100, hint_s=1200),
                "checkpoints": folder(70, 140, writing_bytes=5),
            },
            Liveness.SUSPECT,
            "the log is silent",
            id="its folder is touched, and has not grown for long",
        ),
        pytest.param(
            {"ages": silent(1700), "history": replace(PACED, iteration=625, saved=625)},
            Liveness.TRAINING,
            "every iteration is done",
            id="no checkpoint is to come",
        ),
        pytest.param(
            {"ages": silent(5000), "own_power_w": 400.0}
            | {"history": replace(PACED, power_median_w=500.0)},
            Liveness.SUSPECT,
            "as much power as when it trains",
            id="a GPU of its own at full power",
        ),
        pytest.param(
            {"ages": silent(30, log_s=1900, log_iteration_s=1900)}
            | {"history": replace(PACED, iteration=210, iteration_source="tracker", saved=210)}
            | {"log": LogReading(path="l", size_bytes=9, modified_wall=0.0)}
            | {"checkpoints": folder(140, 210)},
            Liveness.TRAINING,
            "iteration 210 to 211",
            id="the log is late by less than its own gap",
        ),
    ],
)
def test_the_verdict_without_a_heartbeat(
    changes: dict[str, Any], liveness: Liveness, words: str
) -> None:
    verdict = verdict_of(**changes)
    assert verdict.liveness is liveness, verdict.reason
    assert words in verdict.reason
