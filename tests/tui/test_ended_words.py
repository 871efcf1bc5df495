"""A run that is over: its figures stand where they are known, and no word is of a live run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from shown import MakeApp, screen_text, show
from textual.widgets import Input

from monitor.model import Liveness, Status
from monitor.status_model import ForeignView, PeaksView, RunStatus
from tui.cli.show import status_lines
from tui.glyphs import UNICODE
from tui.run_order import ORDERS
from tui.screens.run import TABS
from tui.state import RunDetail
from tui.widgets.run_columns import columns_for

NOW = 1_779_370_200.0
GIB = 1 << 30
LIVE = re.compile(r"\byet\b|has not been read|unwatched|lost\b|next at|left\b(?! +)|is starting")
"""Words of what may still come."""


def bare(verdict: Liveness) -> RunStatus:
    """All that is known of it is that it is over."""
    foreign = ForeignView(pid=1) if verdict is Liveness.ENDED else None
    status = None if foreign else Status(verdict.value)
    return RunStatus(
        run="nemo-20260521-101112-3fa2",
        verdict=verdict,
        status=status,
        reason="it is over",
        foreign=foreign,
        since_wall=NOW - 7200,
        ended_wall=NOW - 7200,
        created_wall=NOW - 9000,
    )


@pytest.mark.parametrize(
    "verdict", [Liveness.FINISHED, Liveness.FAILED, Liveness.STOPPED, Liveness.ENDED]
)
async def test_no_word_of_a_live_run_stands_at_one_that_is_over(
    make_app: MakeApp, snap_of: Any, verdict: Liveness
) -> None:
    over = bare(verdict)
    assert not LIVE.search("\n".join(status_lines(over)))
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(over, detail=RunDetail(run=over.run), machine=None))
        card = "\n".join(app.screen.query_one("#reason").plain())  # type: ignore[attr-defined]
        assert "it is over" in card
        assert not LIVE.search(card)
        await pilot.press("enter")
        for number, name in enumerate(TABS, 1):
            await pilot.press(str(number))
            said = screen_text(app)
            assert "it is over" in said
            assert [(name, row) for row in said.splitlines() if LIVE.search(row)] == []
        assert not app.screen.query(Input)


def test_the_columns_of_the_board_tell_the_figures_of_a_run_that_is_over(states: Any) -> None:
    finished = states["finished"]
    said = {each.title: each.cell(finished, NOW, UNICODE)[0] for each in columns_for(160)}
    assert said["s/iter"] == "0.98"
    assert said["memory"] == "5.0 GiB"
    assert said["progress"] == "60/60"
    assert "–" not in "".join(said.values())  # noqa: RUF001


def test_the_order_by_memory_takes_the_peak_of_what_is_over(states: Any) -> None:
    order = next(each for each in ORDERS if each.column == "memory")
    runs = [bare(Liveness.FINISHED), states["finished"], states["training"], states["failed"]]
    assert [each.name or each.run for each in order.sort(runs)] == [
        states["failed"].run,
        "p65",
        "demo",
        runs[0].run,
    ]
    assert states["failed"].peaks == PeaksView(machine_bytes=64 * GIB)
