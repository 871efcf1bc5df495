"""The bottom line: whole keys, and where the others are."""

from __future__ import annotations

from typing import Any

import pytest
from run_states import full_detail
from shown import MakeApp, show, text_of

from monitor.status_model import RunStatus
from tui.screens.help import HelpScreen
from tui.screens.pick import PickScreen
from tui.widgets.key_bar import KeyBar, Keys

KEYS: Keys = (("esc", "board"), ("1-7", "tabs"), ("d", "diagnose"), ("ctrl+p", "commands"))
ALL = "esc board  1-7 tabs  d diagnose  ctrl+p commands"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        pytest.param(len(ALL), ALL, id="all of them"),
        pytest.param(len(ALL) - 1, "esc board  1-7 tabs  d diagnose  ctrl+p more", id="not all"),
        pytest.param(43, "esc board  1-7 tabs  ctrl+p more", id="a column too few"),
        pytest.param(32, "esc board  1-7 tabs  ctrl+p more", id="just two"),
        pytest.param(22, "esc board  ctrl+p more", id="just one"),
        pytest.param(21, "1-7 tabs  ctrl+p more", id="a shorter one"),
        pytest.param(19, "ctrl+p more", id="none but where they are"),
        pytest.param(10, "esc board", id="not even that"),
        pytest.param(4, "", id="nothing"),
    ],
)
async def test_what_does_not_fit_is_left_out_whole_and_found_by_ctrl_p(
    make_app: MakeApp, width: int, shown: str
) -> None:
    async with make_app().run_test(size=(width, 10)) as pilot:
        bar = KeyBar()
        await pilot.app.screen.mount(bar)
        bar.keys = KEYS
        (spans,) = bar.lines(width, 1)
        assert "".join(text for text, _ in spans) == shown


@pytest.mark.parametrize("width", range(20, 200, 7))
async def test_no_word_of_the_line_is_clipped_at_any_width(
    make_app: MakeApp, snap_of: Any, training: RunStatus, details: Any, width: int
) -> None:
    app = make_app(run=training.run, stop=lambda *_: None, act=lambda *_: "")
    async with app.run_test(size=(width, 24)) as pilot:
        await show(pilot, snap_of(training, detail=full_detail(training, details(training))))
        bar = app.screen.query_one(KeyBar)
        (said,) = bar.plain()
        pairs = [f"{key} {action}" for key, action in bar.keys]
        *whole, last = said.split("  ")
        assert {*whole} <= {*pairs}
        assert last == (pairs[-1] if len(said) == len("  ".join(pairs)) else "ctrl+p more")


async def test_the_way_to_the_others_can_be_clicked(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(50, 18)) as pilot:
        await show(pilot, snap_of(training))
        at = text_of(app, KeyBar).index("more")
        await pilot.click(KeyBar, offset=(at, 0))
        await pilot.pause()
        assert isinstance(app.screen, PickScreen)
        assert "more" not in text_of(app, KeyBar), "here ctrl+p is a step upwards"


async def test_where_there_are_no_commands_by_name_none_are_promised(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app()
    async with app.run_test(size=(24, 18)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert text_of(app, KeyBar) == "esc close  / search"
