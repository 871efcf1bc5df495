"""What the progress of a run says of its end and its memory, at every width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from monitor.status_model import RunStatus
from tui.glyphs import UNICODE
from tui.lines import joined
from tui.memory_bar import memory_forecast
from tui.notices import memory_sentence
from tui.widgets.progress_view import ProgressView

GIB = 1 << 30
NOW = 1_779_370_200.0
PHONE, SMALL, WIDE = 48, 78, 158


class View(ProgressView):
    """The widget alone, without an app that has its characters."""

    glyphs = UNICODE


@pytest.fixture
def rows() -> Callable[..., list[str]]:
    """The rows of a run's progress in so many columns."""

    def drawn(status: RunStatus, width: int) -> list[str]:
        view = View()
        view.show(status, NOW)
        return [joined(each) for each in view.lines(width, 3)]

    return drawn


@pytest.fixture
def held(training: RunStatus) -> Callable[..., RunStatus]:
    """The run with its memory so."""

    def with_memory(used: float = 61, level: str = "ok", **changes: Any) -> RunStatus:
        assert training.memory is not None
        used_bytes = round(used * GIB)
        memory = replace(training.memory, used_bytes=used_bytes, level=level, **changes)
        return replace(training, memory=memory)

    return with_memory


@pytest.mark.parametrize("level", ["warn", "high", "limit"])
@pytest.mark.parametrize("width", [PHONE, SMALL, WIDE])
def test_memory_comes_before_loss_once_it_is_not_well(
    rows: Any, held: Any, level: str, width: int
) -> None:
    facts = rows(held(105, level), width)[1]
    assert facts.startswith("checkpoint 210, 16m ago   ")
    assert "memory" in facts
    before, _, _ = facts.partition("memory")
    assert "loss" not in before
    assert "s/iteration" not in before
    assert "loss 0.8731" in rows(held(), width=SMALL)[1].partition("memory")[0]


@pytest.mark.parametrize(
    ("memory", "says"),
    [
        pytest.param({}, "memory 61.0/110 GiB   ", id="all is well"),
        pytest.param(
            {"used": 101, "level": "high", "minutes_to_limit": 8.0},
            "memory high 101.0/110 GiB, at its limit in 8m   ",
            id="a forecast",
        ),
        pytest.param(
            {"used": 110.4, "level": "limit", "minutes_to_limit": 0.0},
            "memory at its limit, 110.4/110 GiB   ",
            id="reached",
        ),
        pytest.param(
            {"used": 108.5, "level": "limit", "minutes_to_limit": 3.0},
            "memory at its limit, 108.5/110 GiB   ",
            id="still at its limit",
        ),
        pytest.param(
            {"used": 110, "level": "high", "minutes_to_limit": 0.0},
            "memory at its limit, 110.0/110 GiB   ",
            id="reached before the level says so",
        ),
    ],
)
def test_what_the_memory_is_said_to_be(
    rows: Any, held: Any, memory: dict[str, Any], says: str
) -> None:
    facts = rows(held(**memory), WIDE)[1]
    assert says in facts
    assert facts.count("limit") == says.count("limit")


def test_where_there_is_little_room_the_forecast_stays(rows: Any, held: Any) -> None:
    rising = held(101, "high", minutes_to_limit=8.0)
    assert "memory high, at its limit in 8m" in rows(rising, 60)[1]
    assert rows(rising, PHONE)[1].endswith("memory high")
    assert rows(held(111, "limit", minutes_to_limit=0.0), PHONE)[1].endswith("memory at its limit")


def test_a_limit_that_is_reached_has_no_time_to_it(held: Any) -> None:
    reached = held(111, "ok", minutes_to_limit=0.0)
    assert memory_sentence(reached.memory) == "111.0 of 110 GiB, at its limit"
    assert memory_forecast([reached]) == "at the limit"
    assert memory_forecast([held(111, "limit", minutes_to_limit=0.0)]) == ""
