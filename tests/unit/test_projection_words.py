"""A smoke run's projections and their errors in words; summary.json may be anybody's."""

from __future__ import annotations

from typing import Any

import pytest

from tui.projections import projection_lines

PROJECTION = {
    "iterations": 625,
    "saves": 9,
    "evals": 0,
    "naive_s": 17_500.0,
    "padded_s": 20_300.0,
    "save_aware_s": 20_280.0,
    "peak_memory_bytes": 48 << 30,
}
ERRORS = {
    "naive": -0.137,
    "padded": 0.001,
    "save_aware": -0.0004,
    "actual_s": 20_280.0,
    "smoke_run": "nemo-1",
}


@pytest.mark.parametrize(
    ("summary", "lines"),
    [
        pytest.param(
            {"projection": PROJECTION},
            [
                "the whole training, 625 iterations and 9 saves: 4h 51m naive, 5h 38m x 1.16, "
                "5h 38m by steps and saves",
                "peak memory 48.0 GiB",
            ],
            id="a smoke run",
        ),
        pytest.param(
            {"projection": PROJECTION | {"save_aware_s": None, "evals": 8}},
            [
                "the whole training, 625 iterations and 9 saves: 4h 51m naive, 5h 38m x 1.16, "
                "save cost unknown, without its 8 evaluations",
                "peak memory 48.0 GiB",
            ],
            id="a smoke run that saw no save",
        ),
        pytest.param(
            {"projection": None, "projection_errors": ERRORS},
            [
                "smoke run nemo-1 was off by: naive -13.7 %, x 1.16 +0.1 %, by steps and saves "
                "-0.0 % of the 5h 38m that training took"
            ],
            id="a finished run",
        ),
        pytest.param(
            {"projection_errors": ERRORS | {"evals_s": 1800.0}},
            [
                "smoke run nemo-1 was off by: naive -13.7 %, x 1.16 +0.1 %, by steps and saves "
                "-0.0 % of the 5h 38m that training took, 30m of them for evaluations, which it "
                "left out"
            ],
            id="a finished run that evaluated",
        ),
        pytest.param(
            {"projection_errors": ERRORS | {"save_aware": None, "actual_s": "x", "smoke_run": 7}},
            [
                "its smoke run was off by: naive -13.7 %, x 1.16 +0.1 %, save cost unknown",
            ],
            id="figures of wrong types",
        ),
        pytest.param(
            {"projection_errors": {"naive": float("nan"), "padded": 1e400, "actual_s": 10**400}},
            ["its smoke run was off by: naive unknown, x 1.16 unknown, save cost unknown"],
            id="figures of no world",
        ),
        pytest.param({"projection_errors": None}, [], id="no smoke run"),
        pytest.param({"projection": [], "projection_errors": "no"}, [], id="foreign content"),
        pytest.param({}, [], id="nothing"),
    ],
)
def test_words(summary: dict[str, Any], lines: list[str]) -> None:
    assert list(projection_lines(summary)) == lines
