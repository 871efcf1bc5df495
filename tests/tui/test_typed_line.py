"""Keys that come in one piece, as over SSH: each counts when it was pressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desks import FakeDesk
from launch_form import DOWN_TO, opened, picker_of
from shown import MakeApp, show
from textual import events
from textual.app import App
from waiting import settled

from tui.launching.form import Field
from tui.screens.board import BoardScreen
from tui.screens.help import HelpScreen
from tui.widgets.typed_line import TypedLine

UNDO = "\x15"
NAMES = {
    UNDO: "ctrl+u",
    "\x7f": "backspace",
    "\r": "enter",
    "\x01": "ctrl+a",
    "/": "slash",
    "?": "question_mark",
}


def type_at_once(app: App[Any], text: str) -> None:
    """As the driver hands over what was read together."""
    for each in text:
        app.post_message(events.Key(NAMES.get(each, each), each))


@pytest.mark.parametrize(
    ("typed", "stands"),
    [
        pytest.param(f"wrong{UNDO}night", "night", id="begun-anew"),
        pytest.param("nigg\x7fht", "night", id="a-letter-taken-back"),
        pytest.param("ight\x01n", "night", id="put-before"),
    ],
)
async def test_what_edits_a_line_counts_when_it_was_pressed(
    make_app: MakeApp, snap_of: Any, states: Any, typed: str, stands: str
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(states["training"]))
        await pilot.press("slash")
        type_at_once(app, typed)
        line = app.screen.query_one(TypedLine)
        await settled(pilot, lambda: line.value == stands)


async def test_what_is_typed_behind_enter_is_for_the_screen(
    make_app: MakeApp, snap_of: Any, states: Any
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(states["training"], states["finished"]))
        board = app.screen
        assert isinstance(board, BoardScreen)
        type_at_once(app, "/nothing of the kind\r?")
        await settled(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert board.table.filter_text == "nothing of the kind"


async def test_a_line_that_is_not_taken_is_typed_on(
    make_app: MakeApp, tmp_path: Path, snap_of: Any, states: Any
) -> None:
    run = states["training"].run
    (tmp_path / run / "logs").mkdir(parents=True)
    (tmp_path / run / "logs" / "train.log").write_text("loss=1.5\n")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(states["training"]))
        await pilot.press("t", "slash")
        line = app.screen.query_one(TypedLine)
        type_at_once(app, "loss=(\r1)")  # no regular expression yet
        await settled(pilot, lambda: line.value == "loss=(1)")


async def test_a_number_that_is_typed_anew_in_a_picker(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.ITERATIONS], "enter")
        await pilot.pause()
        picker_of(app)
        type_at_once(app, f"400{UNDO}60\r")
        await settled(pilot, lambda: app.screen is screen)
        assert screen.form.iterations == "60"


async def test_a_picker_in_which_nothing_fits_is_typed_on(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.LANE], "enter")
        await pilot.pause()
        picker_of(app)
        type_at_once(app, f"no such\r{UNDO}unsl\r")
        await settled(pilot, lambda: app.screen is screen)
        assert screen.form.lane == "unsloth"


async def test_a_hint_is_not_cut_within_a_word(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app()
    async with app.run_test(size=(30, 18)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("slash")
        await pilot.pause()
        line = app.screen.query_one(TypedLine)
        assert line.placeholder == "filter by run, name, lane…"
        await pilot.resize_terminal(60, 18)
        await pilot.pause()
        assert line.placeholder == BoardScreen.PROMPT_HINT
