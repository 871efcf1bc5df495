"""What the board says of itself: that its list is narrowed, and which keys are there at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, show, text_of
from waiting import settled

from monitor.status_model import RunStatus
from tui.widgets.run_card import RunCard
from tui.widgets.run_table import RunTable


@pytest.mark.parametrize(("columns", "said"), [(50, "1 of 3"), (80, "run 1 of 3 /beta")])
async def test_a_list_that_is_narrowed_says_so(
    make_app: MakeApp,
    snap_of: Any,
    training: RunStatus,
    states: dict[str, RunStatus],
    columns: int,
    said: str,
) -> None:
    """A run that needs somebody may be among those that are left out."""
    beta = replace(states["stalled"], run="b-run", name="beta")
    app = make_app()
    async with app.run_test(size=(columns, 24)) as pilot:
        await show(pilot, snap_of(training, beta, states["finished"]))
        table = app.screen.query_one(RunTable)
        assert " of 3" not in table.plain()[0]
        await pilot.press("slash", *"beta", "enter")
        await settled(pilot, lambda: len(table.visible_runs) == 1)
        assert said in table.plain()[0]
        widths = {len(row.rstrip()) <= columns - 2 for row in table.plain()}
        assert widths == {True}
        await pilot.press("escape", "l")
        await settled(pilot, lambda: "2 of 3" in table.plain()[0])
        assert (" live" in table.plain()[0]) == (columns == 80)
        await pilot.press("escape")
        await settled(pilot, lambda: " of 3" not in table.plain()[0])


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_view_in_which_nothing_is_changed_names_no_key_that_would(
    make_app: MakeApp, snap_of: Any, states: Any, read_only: bool
) -> None:
    app = make_app(read_only=read_only)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of())
        assert ("n launches one from here" in " ".join(text_of(app, RunCard).split())) != read_only
        await show(pilot, snap_of(states["failed"]))
        card = " ".join(text_of(app, RunCard).split())
        assert "mend the cause, then resume" in card
        assert ("(R)" in card) != read_only
