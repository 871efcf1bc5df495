"""When a whole night ends, by what a heartbeat, a log or checkpoints alone tell of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from night import CHECKPOINTS, HEARTBEAT, LOG, Night, frames

from monitor.observe import eta_of
from monitor.pace import Projection
from monitor.replay import Look, Replay
from monitor.rundir import RunDir
from monitor.target import WatchTarget


def _looks(night: Night) -> list[Look]:
    replay = Replay()
    return [look for frame in frames(night) for look in replay.take(frame)]


def _projected(night: Night, look: Look) -> Projection:
    target = WatchTarget(
        run_dir=RunDir(Path("/r")),
        run="r",
        foreign=night.foreign,
        total=night.total,
        checkpoints=Path("/r/checkpoints"),
        # Of a foreign run nobody says how often it saves; its checkpoints do.
        save_interval=None if night.foreign else night.save_interval,
    )
    projection = eta_of(target, look.judged.observation, look.verdict)
    assert projection is not None
    return projection


@pytest.mark.parametrize("mode", [HEARTBEAT, LOG, CHECKPOINTS])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_articles_night_with_dear_saves(mode: str, share: float) -> None:
    """32.4 s an iteration, nine saves: its end, seen from the middle and from near the end."""
    night = Night(
        seed=3, mode=mode, iterations=625, save_interval=70, save_s=300.0, ends=True, keep_last=99
    )
    looks = _looks(night)
    end_s = looks[-1].at_s
    look = next(each for each in looks if each.at_s >= share * end_s)
    left_s = end_s - look.at_s
    projection = _projected(night, look)
    assert projection.low_s <= left_s <= projection.high_s
    assert projection.seconds == pytest.approx(left_s, rel=0.15, abs=600)


def test_a_log_that_falls_silent_leaves_the_pace_that_it_told() -> None:
    """The article's trap: the log stops at 116, the checkpoints go on."""
    night = Night(
        seed=4, mode=LOG, iterations=625, save_interval=70, save_s=30.0, ends=True, log_stops_at=117
    )
    looks = _looks(night)
    end_s = looks[-1].at_s
    look = next(each for each in looks if each.at_s >= 0.8 * end_s)
    projection = _projected(night, look)
    assert projection.low_s <= end_s - look.at_s <= projection.high_s
