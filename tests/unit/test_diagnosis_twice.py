"""A state in which whoever is well may be met for a moment counts only where it is seen twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from traced import first_look

from monitor.diagnosis.look import _seen_twice
from monitor.model import Liveness, Observation


def observed(trace: str) -> Observation:
    return first_look(trace, Liveness.STALLED).judged.observation


def with_process(seen: Observation, **changes: Any) -> Observation:
    assert seen.process is not None
    return replace(seen, process=replace(seen.process, **changes))


@pytest.mark.parametrize(
    ("trace", "signature", "let_go"),
    [
        pytest.param(
            "blocked-io-heartbeat", "blocked-io", {"state": "S", "wchan": None}, id="a disk"
        ),
        pytest.param(
            "blocked-pipe-heartbeat",
            "blocked-pipe",
            {"state": "S", "wchan": None, "pipe": None},
            id="a pipe whose reader is slow",
        ),
        pytest.param("dead-save-worker", "save-worker-dead", {"zombies": ()}, id="a child"),
    ],
)
def test_what_lasts_is_told_and_what_was_met_for_a_moment_is_not(
    trace: str, signature: str, let_go: dict[str, Any]
) -> None:
    held = observed(trace)
    assert _seen_twice(held, lambda: held)[0].signature == signature
    later = with_process(held, **let_go)
    assert _seen_twice(held, lambda: later)[0].signature != signature


def test_a_child_that_its_parent_waits_for_a_moment_later_is_no_dead_worker() -> None:
    seen = with_process(observed("deadlock-heartbeat"), zombies=("python", "python", "git"))
    assert _seen_twice(seen, lambda: seen)[1] == ("python", "python", "git")
    later = with_process(seen, zombies=("python", "sh"))
    assert _seen_twice(seen, lambda: later)[1] == ("python",)


def test_nobody_looks_twice_where_nothing_is_to_be_seen_again() -> None:
    def again() -> Observation:
        raise AssertionError("it costs time")

    assert _seen_twice(observed("deadlock-heartbeat"), again)[1] == ()
