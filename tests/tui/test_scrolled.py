"""Scrolling stands once: what every widget whose text may not fit does alike."""

from __future__ import annotations

from typing import Any

import pytest
from shown import MakeApp, show
from textual.app import App, ComposeResult

from tui.lines import Line, line
from tui.widgets.compare_view import CompareTable
from tui.widgets.diagnosis_view import DiagnosisView
from tui.widgets.help_text import HelpText
from tui.widgets.launch_checks import LaunchChecks
from tui.widgets.scrolled_lines import Scrolled, ScrolledLines

OURS = ("scroll_lines", "scroll_pages", "jump", "lines", "top")


class Plain(Scrolled):
    count = 50

    def all_lines(self, width: int) -> list[Line]:
        return [line(str(at)) for at in range(self.count)]


class Led(Plain):
    MORE = "j"


class Headed(ScrolledLines):
    count = 50
    all_lines = Plain.all_lines  # type: ignore[assignment]


class Shows(App[None]):
    CSS = "Screen > * { height: 10; }"

    def __init__(self, view: Scrolled) -> None:
        super().__init__()
        self.view = view

    def compose(self) -> ComposeResult:
        yield self.view


@pytest.mark.parametrize("kind", [Plain, Led, Headed])
async def test_moving_is_held_within_a_text_that_grows_and_shrinks(kind: type[Plain]) -> None:
    view = kind()
    async with Shows(view).run_test(size=(30, 12)):

        def rows() -> list[str]:
            return [each for each in view.plain() if each]

        room = 10 - view.HEAD
        view.jump(to_end=True)
        assert rows()[-1] == "49"
        assert view.top == 50 - room
        view.scroll_lines(5)
        assert view.top == 50 - room
        view.scroll_pages(-1)
        assert view.top == 50 - room - (room - 1 - bool(view.MORE))
        view.jump(to_end=True)
        view.count = 20
        view.update_lines()
        assert rows()[-1] == "19"
        view.scroll_lines(-1)
        assert view.top == 20 - room - 1
        assert (rows()[-1] == "2 more lines: j") is bool(view.MORE)
        view.jump(to_end=False)
        assert rows()[view.HEAD] == "0"
        view.count = 3
        view.update_lines()
        assert len(rows()) == 3 + view.HEAD


@pytest.mark.parametrize("kind", [HelpText, LaunchChecks, CompareTable, DiagnosisView])
def test_no_widget_scrolls_in_a_way_of_its_own(kind: type[Scrolled]) -> None:
    assert issubclass(kind, Scrolled)
    assert not {*OURS} & {*vars(kind)}


@pytest.mark.parametrize("height", [18, 24, 40])
async def test_help_begins_with_the_keys_of_the_screen_it_is_opened_from(
    make_app: MakeApp, snap_of: Any, training: Any, height: int
) -> None:
    app = make_app()
    async with app.run_test(size=(100, height)) as pilot:
        await show(pilot, snap_of(training))
        await pilot.press("question_mark")
        help_text = app.screen.query_one(HelpText)
        assert help_text.plain()[0] == "board"
        await pilot.press("escape", "t", "h")
        help_text = app.screen.query_one(HelpText)
        assert help_text.plain()[0].startswith("log (t")
        assert any("this page; ? searches up" in row for row in help_text.plain())
        await pilot.press("G", "g")
        assert help_text.plain()[0].startswith("log (t")
