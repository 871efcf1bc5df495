"""Limits: defaults until learnt, five times the largest afterwards, never under a floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.limits import Limit, limit_for, limits_from
from monitor.model import History

FRESH = History()


@pytest.mark.parametrize(
    ("stage", "phase", "history", "limit"),
    [
        pytest.param("merge", None, FRESH, Limit("stage", 1800), id="a stage without iterations"),
        pytest.param("train", None, FRESH, Limit("start", 1800), id="no heartbeat yet"),
        pytest.param("train", "loading", FRESH, Limit("start", 1800), id="loading"),
        pytest.param(
            "train", "first_iteration", FRESH, Limit("first_iteration", 1800), id="compiling"
        ),
        pytest.param("train", "iteration", FRESH, Limit("iteration", 600), id="nothing learnt"),
        pytest.param(
            "train",
            "iteration",
            History(step_max_s=30.0, step_count=4),
            Limit("iteration", 600),
            id="four short iterations keep the default",
        ),
        pytest.param(
            "train",
            "iteration",
            History(step_max_s=90.0, step_count=4),
            Limit("iteration", 900),
            id="four long iterations give ten times the largest",
        ),
        pytest.param(
            "train",
            "iteration",
            History(step_max_s=90.0, step_count=5),
            Limit("iteration", 450, learnt=True),
            id="five iterations teach five times the largest",
        ),
        pytest.param(
            "train",
            "iteration",
            History(step_max_s=1.0, step_count=50),
            Limit("iteration", 60, learnt=True),
            id="fast iterations stop at the floor",
        ),
        pytest.param(
            "train", "saving", FRESH, Limit("first_save", 1800), id="the first save of a process"
        ),
        pytest.param(
            "train",
            "saving",
            History(save_max_s=400.0, save_count=9, saves_this_process=0),
            Limit("first_save", 1800),
            id="a resumed process saves for the first time again",
        ),
        pytest.param(
            "train",
            "saving",
            History(save_max_s=40.0, save_count=1, saves_this_process=1),
            Limit("save", 900),
            id="one later save teaches nothing",
        ),
        pytest.param(
            "train",
            "stopping",
            History(save_max_s=40.0, save_count=2, saves_this_process=3),
            Limit("save", 200, learnt=True),
            id="two later saves teach",
        ),
        pytest.param(
            "train",
            "evaluating",
            History(eval_max_s=10.0, eval_count=2),
            Limit("eval", 120, learnt=True),
            id="evaluation has its own floor",
        ),
    ],
)
def test_the_limit_of(stage: str, phase: str | None, history: History, limit: Limit) -> None:
    assert limit_for(stage, phase, history, limits_from({})) == limit


def test_a_recipe_overrides_defaults_and_floors() -> None:
    config = limits_from({"iteration_default_s": 7, "iteration_floor_s": 2.5})
    assert limit_for("train", "iteration", FRESH, config).seconds == 7
    learnt = History(step_max_s=0.1, step_count=9)
    assert limit_for("train", "iteration", learnt, config).seconds == 2.5


@pytest.mark.parametrize(
    ("history", "seconds"),
    [
        pytest.param(FRESH, 9000, id="no interval seen yet"),
        pytest.param(History(step_max_s=30.0, step_count=4), 9000, id="shorter ones seen"),
        pytest.param(History(step_max_s=30.0, step_count=5), 150, id="until this run has taught"),
    ],
)
def test_the_trainers_own_word_on_its_last_iteration_counts(
    history: History, seconds: float
) -> None:
    limit = limit_for("train", "iteration", history, limits_from({}), step_s=900.0)
    assert limit.seconds == seconds


@pytest.mark.parametrize("value", [-1, 0, "soon", None, True, float("nan")])
def test_an_override_that_is_no_duration_is_left_out(value: object) -> None:
    assert limits_from({"save_default_s": value, "nonsense": 3}) == limits_from({})


def test_an_earlier_run_teaches_until_this_one_has_learnt() -> None:
    config = limits_from({}, seeds={"first_iteration": 200.0, "iteration": 50.0})
    assert limit_for("train", "first_iteration", FRESH, config) == Limit(
        "first_iteration", 1000, learnt=True
    )
    own = History(step_max_s=20.0, step_count=5)
    assert limit_for("train", "iteration", own, config).seconds == 100


@given(
    largest=st.floats(0, 1e6),
    count=st.integers(0, 100),
    phase=st.sampled_from(["loading", "first_iteration", "iteration", "saving", "evaluating"]),
)
def test_a_longer_interval_never_shortens_a_limit(largest: float, count: int, phase: str) -> None:
    def limit(seconds: float) -> float:
        history = History(step_max_s=seconds, step_count=count)
        return limit_for("train", phase, history, limits_from({})).seconds

    assert limit(largest) <= limit(largest * 2)
