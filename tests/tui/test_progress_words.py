"""What the progress of a run says of its end and its memory, at every width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from monitor.model import FINAL, Liveness
from monitor.status_model import RunStatus
from tui.checkpoint_timeline import sentences
from tui.cli.show import status_lines
from tui.glyphs import UNICODE
from tui.lines import joined
from tui.memory_bar import memory_forecast
from tui.notices import memory_sentence
from tui.run_order import ORDERS
from tui.state import RunDetail
from tui.widgets.progress_view import ProgressView
from tui.widgets.run_columns import columns_for

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
            "   ▲ memory high 101.0/110 GiB, at its limit in 8m   ",
            id="a forecast",
        ),
        pytest.param(
            {"used": 110.4, "level": "limit", "minutes_to_limit": 0.0},
            "   ■ memory at its limit, 110.4/110 GiB   ",
            id="reached",
        ),
        pytest.param(
            {"used": 108.5, "level": "limit", "minutes_to_limit": 3.0},
            "   ■ memory at its limit, 108.5/110 GiB   ",
            id="still at its limit",
        ),
        pytest.param(
            {"used": 110, "level": "high", "minutes_to_limit": 0.0},
            "   ■ memory at its limit, 110.0/110 GiB   ",
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
    reached = held(111, "limit", minutes_to_limit=0.0)
    assert "▲ memory high, at its limit in 8m" in rows(rising, 60)[1]
    assert rows(rising, PHONE)[1].endswith("   ▲ memory high")
    assert rows(reached, PHONE)[1].endswith("   ■ memory at its limit")


def test_a_limit_that_is_reached_has_no_time_to_it(held: Any) -> None:
    reached = held(111, "ok", minutes_to_limit=0.0)
    assert memory_sentence(reached.memory) == "111.0 of 110 GiB, at its limit"
    assert memory_forecast([reached]) == "at the limit"
    assert memory_forecast([held(111, "limit", minutes_to_limit=0.0)]) == ""


END = "3h 27m left (3h 21m to 3h 36m)"


@pytest.mark.parametrize(
    ("width", "says", "bar"),
    [
        pytest.param(WIDE, f"241/625     39 %  {END}, ends 16:57", 60, id="wide"),
        pytest.param(SMALL, f"241/625     39 %  {END}, ends 16:57", 15, id="80 columns"),
        pytest.param(67, f"241/625     39 %  {END}, ends 16:57", 0, id="no bar"),
        pytest.param(59, f"241/625     39 %  {END}", 0, id="no clock"),
        pytest.param(PHONE, f"241/625     39 %  {END}", 0, id="50 columns"),
        pytest.param(47, "241/625     39 %  3h 21m to 3h 36m left", 0, id="the range alone"),
        pytest.param(38, "241/625    3h 21m to 3h 36m left", 0, id="no percent"),
        pytest.param(31, "241/625     39 %  3h 27m left", 0, id="no range"),
        pytest.param(20, "241/625     39 %", 0, id="no end"),
    ],
)
def test_the_range_of_the_end_is_the_last_to_go(
    rows: Any, training: RunStatus, width: int, says: str, bar: int
) -> None:
    shown = rows(training, width)[0]
    assert shown.rstrip("█░ ") == says
    assert shown.count("█") + shown.count("░") == bar


@pytest.mark.parametrize("width", range(20, 161, 7))
def test_what_an_end_does_not_count_goes_after_the_clock(
    rows: Any, training: RunStatus, width: int
) -> None:
    assert training.eta is not None
    status = replace(training, eta=replace(training.eta, unknown=("save cost", "evaluations")))
    shown = rows(status, width)[0]
    parts = ["left", " to ", "save cost and evaluations unknown", "ends 16:57", "█"]
    there = [each in shown for each in parts]
    assert there == sorted(there, reverse=True)
    assert len(shown) <= width


def test_the_range_stays_beside_an_iteration_that_is_not_exact(
    rows: Any, training: RunStatus
) -> None:
    status = replace(training, iteration=replace(training.iteration, error=70))
    assert rows(status, PHONE)[0] == "241/625 (+70 at most)  3h 21m to 3h 36m left"


@pytest.mark.parametrize("verdict", list(Liveness))
def test_only_a_run_that_gets_on_has_an_end(
    rows: Any, training: RunStatus, verdict: Liveness
) -> None:
    status = replace(training, verdict=verdict)
    gets_on = verdict not in FINAL | {Liveness.STALLED, Liveness.SUSPECT, Liveness.LOST}
    left = next(each for each in columns_for(160) if each.title == "left")
    by_end = next(each for each in ORDERS if each.column == "left")
    assert by_end.key is not None
    said = {
        "screen": f"{END}, ends 16:57" in rows(status, WIDE)[0],
        "column": left.cell(status, NOW, UNICODE)[0] == "3h 27m",
        "order": by_end.key(status) is not None,
        "status": any("ends in" in each for each in status_lines(status)),
        "timeline": ("next at 280, in 21m", "")
        in sentences(status, RunDetail(run="r", save_interval=70), ()),
    }
    assert set(said.values()) == {gets_on}, said


def test_what_is_over_says_when_at_every_width(rows: Any, states: Any) -> None:
    assert "ended 2d ago after 1m 30s" in rows(states["finished"], PHONE)[0]
    assert rows(states["finished"], 34)[0].endswith("ended 2d ago")


def test_the_stages_are_told_by_glyph_and_word(rows: Any, training: RunStatus) -> None:
    stages = (*training.stages[:3], replace(training.stages[3], status="failed", wall_s=61.0))
    said = rows(replace(training, stages=stages), WIDE)[-1]
    assert said == "» pull skipped   ✓ prepare 41s   ✓ import 9m   ✗ train failed 1m 1s"
