"""Projection of a whole run from a smoke run."""

from __future__ import annotations

import pytest

from monitor.pace import PAD
from runners.projection import SmokeResult, project, relative_error


def test_the_articles_night() -> None:
    """28.0 s/iteration for 625 iterations: 17,500 s projected, 20,280 s in truth."""
    smoke = SmokeResult(step_s=28.0)
    projection = project(smoke, iterations=625, save_interval=70)
    assert projection.naive_s == 17_500
    assert projection.saves == 9
    assert projection.save_aware_s is None
    assert relative_error(projection.naive_s, 20_280) == pytest.approx(-0.137, abs=0.001)
    assert relative_error(projection.padded_s, 20_280) == pytest.approx(0.001, abs=0.001)


def test_the_first_save_is_counted_apart() -> None:
    smoke = SmokeResult(step_s=1.0, first_save_s=50.0, later_save_s=2.0)
    projection = project(smoke, iterations=100, save_interval=30)
    assert projection.saves == 4
    assert projection.save_aware_s == 100 + 50 + 3 * 2


def test_evaluations_are_counted_but_not_projected() -> None:
    smoke = SmokeResult(step_s=1.0)
    projection = project(smoke, iterations=100, save_interval=30, eval_interval=40)
    assert (projection.evals, projection.naive_s) == (2, 100.0)


def test_the_article_padded_by_what_it_saw_in_both_lanes() -> None:
    assert pytest.approx(20_280 / 17_500, abs=0.01) == PAD
    assert pytest.approx(27_265 / (6.5 * 3600), abs=0.01) == PAD


def test_one_save_stands_for_all_when_no_other_was_seen() -> None:
    projection = project(SmokeResult(step_s=1.0, first_save_s=5.0), iterations=10, save_interval=5)
    assert projection.save_aware_s == 20.0


@pytest.mark.parametrize(("projected", "actual"), [(None, 1.0), (1.0, None), (1.0, 0.0)])
def test_an_error_needs_both_figures(projected: float | None, actual: float | None) -> None:
    assert relative_error(projected, actual) is None
