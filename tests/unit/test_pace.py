"""Projections: when training ends. What is simulated is learnt from by the watcher's own code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from paced import Night, Outcome, looked_at, outcomes, some_night
from watching import BOOT, beat

from monitor.facts import Facts
from monitor.history import Learnt, history_of, learn
from monitor.model import Checkpoint, History, Phase, Spread
from monitor.pace import (
    EVALUATION,
    PAD,
    SAVE,
    Course,
    Measured,
    Projection,
    pace_between,
    project,
    remaining_evals,
    remaining_saves,
    save_interval_of,
)

STEADY = Spread(mean_s=2.0, deviation_s=0.2, count=20)
LEARNT = History(
    step_median_s=2.0,
    step_low_s=1.8,
    step_high_s=2.2,
    step_recent_s=2.0,
    step_count=20,
    step=STEADY,
    step_now=STEADY,
    saves_this_process=1,
    first_save_s=60.0,
    save=Spread(mean_s=10.0, deviation_s=1.0, count=4),
    evaluation=Spread(mean_s=30.0, deviation_s=1.0, count=4),
)


def course(iteration: int | None = 50, total: int | None = 100, **changes: Any) -> Course:
    return Course(iteration=iteration, total=total, **{"save_interval": 20} | changes)


def projected(where: Course, history: History = LEARNT, **measured: Any) -> Projection:
    projection = project(where, history, Measured(**measured))
    assert projection is not None
    return projection


@pytest.mark.parametrize(
    ("where", "history", "seconds"),
    [
        pytest.param(course(), LEARNT, 50 * 2 + 3 * 10, id="iterations and saves"),
        pytest.param(course(eval_interval=25), LEARNT, 100 + 30 + 2 * 30, id="and evaluations"),
        pytest.param(
            course(80),
            replace(LEARNT, saves_this_process=0),
            20 * 2 + 60,
            id="a resumed process pays for its first save again",
        ),
        pytest.param(
            course(40, phase=Phase.SAVING, since_s=4.0), LEARNT, 120 + 3 * 10 + 6, id="in a save"
        ),
        pytest.param(
            course(40, phase=Phase.SAVING, since_s=99.0), LEARNT, 120 + 30, id="in a long save"
        ),
        pytest.param(
            course(20, phase=Phase.SAVING, since_s=20.0),
            replace(LEARNT, saves_this_process=0),
            160 + 40 + 4 * 10,
            id="in the first save",
        ),
        pytest.param(
            course(40, phase=Phase.EVALUATING, since_s=10.0, eval_interval=40),
            LEARNT,
            120 + 20 + 30 + 4 * 10,
            id="in an evaluation that a save follows",
        ),
        pytest.param(
            course(100, phase=Phase.SAVING, since_s=3.0), LEARNT, 7, id="in the last save"
        ),
        pytest.param(course(since_s=1.5), LEARNT, 130 - 1.5, id="an iteration under way"),
        pytest.param(course(since_s=900.0), LEARNT, 130 - 2, id="a stall takes nothing off"),
        pytest.param(
            course(60, error=20, since_s=30.0), LEARNT, 80 + 20 - 30, id="long since a checkpoint"
        ),
        pytest.param(course(101, since_s=9.0), LEARNT, 0, id="past its total"),
    ],
)
def test_what_is_left(where: Course, history: History, seconds: float) -> None:
    assert projected(where, history).seconds == pytest.approx(seconds)


def test_the_trainers_own_figures_of_its_saves_and_evaluations_win() -> None:
    where = course(80, save_interval=10, eval_interval=10)
    projection = projected(where, saves_s=(50.0, 1.0, 3.0), evals_s=(5.0,))
    assert projection.seconds == pytest.approx(20 * 2 + 2 * 2 + 2 * 5)


def test_what_was_never_seen_is_named_and_allowed_for() -> None:
    unseen = replace(LEARNT, saves_this_process=0, first_save_s=None, save=None, evaluation=None)
    projection = projected(course(eval_interval=25), unseen)
    assert projection.unknown == (EVALUATION, SAVE)
    assert projection.seconds == pytest.approx(100)
    assert projection.high_s > 100 * PAD
    assert projected(course(100), unseen).unknown == ()


def test_after_a_first_save_alone_a_later_one_may_cost_all_of_it_or_nothing() -> None:
    once = replace(LEARNT, save=None)
    projection = projected(course(), once)
    assert projection.unknown == ()
    assert projection.low_s < 100
    assert projection.high_s > 100 + 3 * 60


@pytest.mark.parametrize(
    ("where", "history"),
    [
        pytest.param(course(None), LEARNT, id="no iteration yet"),
        pytest.param(course(total=None), LEARNT, id="no total"),
        pytest.param(course(), History(), id="no pace"),
        pytest.param(course(), History(step=STEADY, step_count=2), id="two iterations"),
    ],
)
def test_no_projection_without(where: Course, history: History) -> None:
    assert project(where, history) is None


def test_the_range_shrinks_with_what_is_left() -> None:
    widths = [
        each.high_s - each.low_s
        for each in (projected(course(done, 1000)) for done in (100, 500, 900, 990))
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 5 * widths[-1]


@pytest.mark.parametrize(
    ("iteration", "total", "interval", "saves"),
    [
        pytest.param(0, 625, 70, 9, id="eight regular ones and the last"),
        pytest.param(70, 140, 70, 1, id="the last is a regular one"),
        pytest.param(141, 150, 70, 1, id="only the last"),
        pytest.param(10, 100, None, 1, id="no interval known"),
        pytest.param(100, 100, 70, 0, id="done"),
    ],
)
def test_saves_to_come(iteration: int, total: int, interval: int | None, saves: int) -> None:
    assert remaining_saves(iteration, total, interval) == saves


@pytest.mark.parametrize(
    ("iteration", "interval", "evals"),
    [
        pytest.param(0, 30, 3, id="the end is no reason for one"),
        pytest.param(90, 30, 0, id="all done"),
        pytest.param(59, 30, 2, id="one due now"),
        pytest.param(0, None, 0, id="none"),
    ],
)
def test_evaluations_to_come(iteration: int, interval: int | None, evals: int) -> None:
    assert remaining_evals(iteration, 100, interval) == evals


@pytest.mark.parametrize(
    ("saved", "interval"),
    [
        pytest.param([385, 455, 525, 600], 70, id="the article's night"),
        pytest.param([70, 140, 150, 210, 280], 70, id="one was asked for in between"),
        pytest.param([70], None, id="one tells nothing"),
        pytest.param([], None, id="none"),
    ],
)
def test_the_save_interval_of_a_foreign_run(saved: list[int], interval: int | None) -> None:
    assert save_interval_of(saved) == interval


def checkpoints(*saved: tuple[int, float]) -> list[Checkpoint]:
    return [
        Checkpoint(iteration=each, complete=True, size_bytes=1, modified_wall=wall)
        for each, wall in saved
    ]


@pytest.mark.parametrize(
    ("saved", "pace_s"),
    [
        pytest.param([(10, 100.0), (20, 200.0), (30, 300.0)], 10.0, id="even"),
        pytest.param([(10, 0.0), (20, 100.0), (30, 200.0), (40, 9e4)], 10.0, id="stopped once"),
        pytest.param([(10, 100.0), (20, 200.0)], None, id="one gap"),
        pytest.param([(10, 300.0), (20, 200.0), (30, 400.0)], None, id="a clock set back"),
    ],
)
def test_the_pace_that_checkpoints_tell(saved: Any, pace_s: float | None) -> None:
    spread = pace_between(checkpoints(*saved))
    assert (spread and spread.mean_s) == pace_s


def test_a_foreign_run_goes_by_its_log_or_by_its_checkpoints() -> None:
    where, gaps = course(save_interval=50), Spread(mean_s=3.0, deviation_s=0.1, count=3)
    assert projected(where, History(), log_step_s=2.0).seconds == pytest.approx(100)
    assert projected(where, History(), log_step_s=2.0).unknown == (SAVE,)
    by_checkpoints = projected(where, History(), between_saves=gaps)
    assert by_checkpoints.seconds == pytest.approx(150)
    assert by_checkpoints.unknown == ()


class Training:
    """Iterations, one after another, learnt from as a watcher does that misses none."""

    def __init__(self) -> None:
        self.now, self.learnt = 100.0, Learnt()

    def go(self, iterations: range, step_s: float, attempt: int = 1) -> Projection:
        """Return what is projected after *iterations* for 1000 of them."""
        for done in iterations:
            self.now += step_s
            seen = Facts(
                boot_id=BOOT,
                monotonic_s=self.now,
                attempt=attempt,
                heartbeat=beat(self.now, done=done, attempt=attempt, pid=attempt),
            )
            self.learnt = learn(self.learnt, seen, when=looked_at(self.now))
        where = course(iterations[-1], 1000, save_interval=None)
        return projected(where, history_of(self.learnt))


def test_a_resumed_run_projects_what_is_left_at_its_own_pace() -> None:
    """Elapsed time over iterations done, a known mistake of others, says 5 s instead of 9 min."""
    training = Training()
    training.go(range(1, 300), step_s=2.0)
    training.now += 4 * 3600
    resumed = training.go(range(280, 290), step_s=2.0, attempt=2)
    assert resumed.low_s <= 711 * 2.0 <= resumed.high_s
    assert resumed.seconds == pytest.approx(711 * 2.0, rel=0.01)


def test_a_run_that_was_resumed_before_its_watch_began_projects_as_well() -> None:
    resumed = Training().go(range(900, 912), step_s=2.0)
    assert resumed.seconds == pytest.approx(89 * 2.0, rel=0.01)


def test_a_new_pace_is_followed_with_a_wide_range_until_it_has_lasted() -> None:
    training = Training()
    before = training.go(range(1, 300), step_s=20.0)
    assert before.seconds == pytest.approx(701 * 20, rel=0.01)
    fresh = training.go(range(300, 304), step_s=200.0)
    assert fresh.seconds == pytest.approx(697 * 200, rel=0.05)
    assert fresh.low_s < 697 * 50
    lasting = training.go(range(304, 340), step_s=200.0)
    assert lasting.seconds == pytest.approx(661 * 200, rel=0.05)
    assert lasting.low_s > 661 * 150
    back = training.go(range(340, 345), step_s=20.0)
    assert back.low_s <= 656 * 20 <= back.high_s
    assert back.seconds < 656 * 60


SHARES = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def nights() -> list[tuple[Night, list[Outcome]]]:
    made = [some_night(seed) for seed in range(150)]
    return [(night, list(outcomes(night, SHARES))) for night in made]


@pytest.mark.parametrize("place", range(3), ids=["at 10 %", "at 50 %", "at 90 %"])
def test_the_range_holds_the_true_end(
    nights: list[tuple[Night, list[Outcome]]], place: int
) -> None:
    held = [outcome[place].held for _, outcome in nights]
    assert sum(held) >= 0.8 * len(held)


def test_counting_saves_beats_the_naive_projection_where_saves_are_dear(
    nights: list[tuple[Night, list[Outcome]]],
) -> None:
    dear = [outcome[1] for night, outcome in nights if night.save_share > 0.1]
    assert len(dear) > 20
    aware = [abs(each.projected.seconds - each.left_s) for each in dear if each.projected]
    naive = [abs(each.naive_s - each.left_s) for each in dear]
    closer = sum(ours < theirs for ours, theirs in zip(aware, naive, strict=True))
    assert closer >= 0.9 * len(dear)
