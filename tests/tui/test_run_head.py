"""What stands above every tab of a run: verdict, what to do first, progress, last checkpoint."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_states import full_detail, run_in
from shown import MakeApp, show, text_of

from tui.remedies import first_remedy
from tui.screens.run import TABS, RunScreen
from tui.screens.run_layout import plan_head
from tui.widgets.key_bar import KeyBar
from tui.widgets.progress_view import ProgressView
from tui.widgets.remedy_view import RemedyView
from tui.widgets.verdict_view import VerdictView

PARTS = (VerdictView, RemedyView, ProgressView)
TO_DO = ["memory", "stalled", "failed", "log-stuck"]


@pytest.mark.parametrize("size", [(50, 18), (50, 23), (80, 18), (80, 24), (120, 40)])
@pytest.mark.parametrize("state", TO_DO)
async def test_what_to_do_first_is_said_on_every_tab(
    make_app: MakeApp, snap_of: Any, states: Any, details: Any, state: str, size: tuple[int, int]
) -> None:
    status = run_in(state, states)
    assert status is not None
    remedy = first_remedy(status)
    assert remedy is not None
    app = make_app(run=status.run, stop=lambda *_: None, act=lambda *_: "")
    async with app.run_test(size=size) as pilot:
        await show(pilot, snap_of(status, detail=full_detail(status, details(status))))
        screen = app.screen
        assert isinstance(screen, RunScreen)
        for at, name in enumerate(TABS, 1):
            await pilot.press(str(at))
            await pilot.pause()
            assert status.verdict.value in text_of(app, VerdictView), name
            said = " ".join(text_of(app, RemedyView).removeprefix("do: ").split())
            assert said == remedy, name
            progress = text_of(app, ProgressView)
            assert "241/625" in progress, name
            assert "checkpoint 210" in progress, name
            bottom = [app.screen.query_one(kind).region.bottom for kind in PARTS]
            assert bottom == sorted(bottom), name
            assert bottom[-1] < app.screen.query_one(KeyBar).region.y == size[1] - 1, name
            assert screen.tab.region.height >= 5, f"{name} has room left"


@pytest.mark.parametrize("state", ["training", "finished"])
async def test_where_nothing_is_to_be_done_the_tab_has_the_rows(
    make_app: MakeApp, snap_of: Any, states: Any, state: str
) -> None:
    status = states[state]
    app = make_app(run=status.run)
    async with app.run_test(size=(50, 18)) as pilot:
        await show(pilot, snap_of(status, opened=status))
        for at in range(1, len(TABS) + 1):
            await pilot.press(str(at))
            assert not app.screen.query_one(RemedyView).display


@given(st.integers(18, 60), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_from_18_rows_on_nothing_above_the_tab_is_pushed_out(
    height: int, verdict: int, remedy: int, overview: bool
) -> None:
    head = plan_head(height, verdict_rows=verdict, remedy_rows=remedy, overview=overview)
    assert head.verdict >= 2
    assert head.remedy == min(remedy, 2)
    assert head.progress >= 2
    assert head.tabs == 1
    assert head.body >= 6
