"""Text selected with the mouse: marked, copied by ctrl+c, and no click where it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dragging import drag
from fabricated_diagnoses import DEADLOCK
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from run_states import full_detail
from shown import MakeApp, show
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import SELECT_ALL, Selection
from waiting import settled

from monitor.status_model import RunStatus
from tui.app import LanewatchApp
from tui.screens.board import BoardScreen
from tui.screens.confirm_remedy import ConfirmRemedyScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.log import LogScreen
from tui.screens.run import RunScreen
from tui.selecting import Part, is_dragged, marked, parts_of, size_of
from tui.widgets.evidence_table import EvidenceTable
from tui.widgets.key_bar import KeyBar
from tui.widgets.line_view import LineView
from tui.widgets.log_tail import LogTail
from tui.widgets.question_view import QuestionView
from tui.widgets.remedy_view import RemedyView
from tui.widgets.run_table import RunTable
from tui.widgets.verdict_view import VerdictView


def told(app: LanewatchApp) -> list[str]:
    return [each.message for each in app._notifications]


def reversed_in(view: LineView) -> list[str]:
    """What of each row is drawn as selected."""
    rows = (view.render_line(y) for y in range(view.size.height))
    return [
        "".join(text for text, style, _ in row if style is not None and style.reverse)
        for row in rows
    ]


Opened = Callable[..., Any]


@pytest.fixture
def opened(make_app: MakeApp, snap_of: Any, details: Any) -> Opened:
    """The screen of a run that is in the state given."""

    @asynccontextmanager
    async def opens(status: RunStatus, **options: Any) -> AsyncIterator[Pilot[None]]:
        app = make_app(run=status.run, **options)
        async with app.run_test(size=(100, 40)) as pilot:
            await show(pilot, snap_of(status, detail=full_detail(status, details(status))))
            yield pilot

    return opens


async def test_what_is_selected_is_marked_and_copied(
    opened: Opened, states: dict[str, Any]
) -> None:
    async with opened(states["log-stuck"]) as pilot:
        app = pilot.app
        view = app.screen.query_one(VerdictView)
        first, second = view.plain()[:2]
        await drag(pilot, view, (2, 0), (7, 1))
        assert app.clipboard == ""
        assert reversed_in(view)[:2] == [first[2:], second[:8]]
        await pilot.press("ctrl+c")
        assert app.clipboard == f"{first[2:].rstrip()}\n{second[:8]}"
        characters = len(app.clipboard)
        assert told(app) == [
            f"Copied 2 lines ({characters} characters), where the terminal allows it."
        ]
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)
        assert not any(reversed_in(view)), "esc takes the selection back first"
        await pilot.press("ctrl+c")
        assert "q quits" in told(app)[-1]
        await pilot.press("escape")
        assert isinstance(app.screen, BoardScreen)


@pytest.mark.parametrize("kind", [VerdictView, RemedyView, EvidenceTable, LogTail])
async def test_upwards_too_and_in_each_pane(
    opened: Opened, states: dict[str, Any], kind: type[LineView]
) -> None:
    async with opened(states["stalled"]) as pilot:
        view = pilot.app.screen.query_one(kind)
        row = min(1, view.size.height - 1)
        wanted = view.plain()[row][4:13]
        await drag(pilot, view, (12, row), (4, row))
        await pilot.press("ctrl+c")
        assert pilot.app.clipboard == wanted.rstrip()


async def test_from_one_pane_to_another(opened: Opened, states: dict[str, Any]) -> None:
    async with opened(states["stalled"]) as pilot:
        app = pilot.app
        verdict, remedy = app.screen.query_one(VerdictView), app.screen.query_one(RemedyView)
        said = verdict.plain()
        await drag(pilot, verdict, (5, len(said) - 1), (20, 0), to=remedy)
        await pilot.press("ctrl+c")
        assert app.clipboard == f"{said[-1][5:].rstrip()}\n{remedy.plain()[0][:20]}"
        await drag(pilot, remedy, (0, 0), (20, 2), to=app.screen.query_one(EvidenceTable))
        await pilot.press("ctrl+c")
        assert "heartbeat" in app.clipboard
        assert "2 training" not in app.clipboard, "the row of tabs is no text"


async def test_a_screen_that_goes_on_takes_nothing_from_what_was_selected(
    opened: Opened, states: dict[str, Any], snap_of: Any
) -> None:
    status = states["log-stuck"]
    async with opened(status) as pilot:
        view = pilot.app.screen.query_one(VerdictView)
        was = view.plain()[0]
        await drag(pilot, view, (0, 0), (30, 0))
        assert reversed_in(view)[0] == was[:31]
        await show(pilot, snap_of(replace(status, verdict=states["stalled"].verdict)))
        assert view.plain()[0][:31] != was[:31], "a verdict is never held back"
        assert reversed_in(view)[0] == "", "what was not selected is not marked"
        await pilot.press("ctrl+c")
        assert pilot.app.clipboard == was[:31].rstrip()


async def test_another_tab_has_nothing_selected(opened: Opened, training: RunStatus) -> None:
    async with opened(training) as pilot:
        await drag(pilot, pilot.app.screen.query_one(EvidenceTable), (0, 1), (12, 1))
        await pilot.press("2")
        await pilot.pause()
        assert not pilot.app.screen.selections
        await pilot.press("ctrl+c")
        assert pilot.app.clipboard == ""


async def test_where_a_selection_ends_nothing_is_clicked(
    make_app: MakeApp, snap_of: Any, training: RunStatus, states: dict[str, Any]
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training, states["failed"]))
        board = app.screen
        assert isinstance(board, BoardScreen)
        table = app.screen.query_one(RunTable)
        selected, order = table.selected, table.order
        await drag(pilot, table, (2, 0), (30, 2))
        await drag(pilot, app.screen.query_one(KeyBar), (20, 0), (2, 0))
        assert (app.screen, table.selected, table.order) == (board, selected, order)
        await pilot.click(table, offset=(4, 2))
        await pilot.pause()
        assert table.selected is not selected
        assert not app.screen.selections, "a click takes the selection back"


async def test_a_hand_that_shakes_still_clicks(
    make_app: MakeApp, snap_of: Any, training: RunStatus, states: dict[str, Any]
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training, states["failed"]))
        table = app.screen.query_one(RunTable)
        before = table.selected
        await drag(pilot, table, (4, 2), (5, 2))
        assert table.selected is not before
        assert not app.screen.selections


async def test_a_second_click_opens_and_selects_nothing(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training))
        board = app.screen
        await pilot.click(RunTable, offset=(4, 1), times=2)
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)
        assert not board.selections


async def test_a_question_can_be_copied(opened: Opened, training: RunStatus) -> None:
    async with opened(training, stop=lambda *_: None) as pilot:
        await pilot.press("s")
        await pilot.pause()
        view = pilot.app.screen.query_one(QuestionView)
        asked = view.plain()[0]
        await drag(pilot, view, (0, 0), (len(asked) - 1, 0))
        await pilot.press("ctrl+c")
        assert pilot.app.clipboard == asked
        assert isinstance(pilot.app.screen, ConfirmStopScreen)


async def test_a_remedy_that_is_selected_is_not_done(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(stop=lambda *_: None)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = DiagnosisScreen(training.run, Path("/runs"), look=lambda _: DEADLOCK)
        app.push_screen(screen)
        await show(pilot, snap_of(training))
        await app.workers.wait_for_complete()
        await pilot.pause()
        remedy = next(each for each in DEADLOCK.conclusion.remedies if each.commands)
        rows = screen.view.plain()
        y = next(y for y, row in enumerate(rows) if remedy.do[:20] in row)
        x = rows[y].index(remedy.do[:20])
        await drag(pilot, screen.view, (x, y), (x + 19, y))
        await pilot.press("ctrl+c")
        assert app.clipboard == remedy.do[:20].rstrip()
        assert app.screen is screen
        await pilot.click(screen.view, offset=(x + 1, y))
        await pilot.pause()
        assert isinstance(app.screen, ConfirmRemedyScreen)


async def test_the_end_of_a_log_stays_while_it_is_selected(
    opened: Opened, training: RunStatus, details: Any, snap_of: Any
) -> None:
    def snap(lines: int) -> Any:
        log = tuple(f"line {at}" for at in range(lines))
        return snap_of(training, detail=details(training, log))

    async with opened(training) as pilot:
        await pilot.press("5")
        await show(pilot, snap(100))
        screen = pilot.app.screen
        assert isinstance(screen, RunScreen)
        tail = screen.tab.log_tail
        assert tail is not None
        before = tail.plain()
        await drag(pilot, tail, (0, 1), (6, 1))
        await show(pilot, snap(102))
        assert tail.plain()[1:] == before[1:]
        assert "2 below, esc: follow" in tail.plain()[0]
        await pilot.press("escape")
        await show(pilot, snap(102))
        assert "line 101" in tail.plain()


async def test_a_log_that_is_followed_is_held(
    make_app: MakeApp, snap_of: Any, training: RunStatus, tmp_path: Path
) -> None:
    path = tmp_path / training.run / "logs" / "train.log"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"line {at}\n" for at in range(300)))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training))
        app.open_log(training.run)
        await settled(pilot, lambda: isinstance(app.screen, LogScreen) and app.screen.page.follow)
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await settled(pilot, lambda: screen.view.plain()[0].startswith("line"))
        wanted = "\n".join(screen.view.plain()[:3])
        await drag(pilot, screen.view, (0, 0), (10, 2))
        await settled(pilot, lambda: not screen.page.follow)
        assert screen.view.marked is None, "no line was clicked"
        await pilot.press("ctrl+c")
        assert app.clipboard == wanted


WORDS = Style(color="red", reverse=True)


@given(
    st.lists(st.tuples(st.text("ab ", min_size=1, max_size=4), st.sampled_from([None, WORDS]))),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_a_mark_changes_no_text_and_turns_the_selected_part_round(
    spans: list[tuple[str, Style | None]], first: int, length: int
) -> None:
    row = "".join(text for text, _ in spans)
    part = Part(first, row[first : first + length])
    segments = [Segment(text, style) for text, style in spans]
    shown = list(marked(segments, part))

    def cells(of: list[Segment]) -> list[tuple[str, bool]]:
        return [(each, bool(style and style.reverse)) for text, style, _ in of for each in text]

    inside = range(first, first + len(part.text))
    assert cells(shown) == [
        (each, turned != (at in inside)) for at, (each, turned) in enumerate(cells(segments))
    ]


@pytest.mark.parametrize(
    ("selection", "dragged"),
    [
        pytest.param(None, False, id="none"),
        pytest.param(Selection(Offset(4, 1), Offset(6, 1)), False, id="a shake"),
        pytest.param(Selection(Offset(4, 1), Offset(7, 1)), True, id="a word"),
        pytest.param(Selection(Offset(4, 1), Offset(5, 2)), True, id="rows"),
        pytest.param(SELECT_ALL, True, id="all"),
    ],
)
def test_what_is_a_drag(selection: Selection | None, dragged: bool) -> None:
    assert is_dragged(selection) is dragged


def test_a_selection_beyond_the_rows_is_nothing() -> None:
    assert parts_of(Selection(Offset(3, 7), Offset(9, 8)), ["one", "two"]) == {}
    assert parts_of(SELECT_ALL, ["one", ""]) == {0: Part(0, "one"), 1: Part(0, "")}


def test_how_much_it_is_in_words() -> None:
    assert [size_of(each) for each in ("a", "ab", "a\nb")] == [
        "1 character",
        "2 characters",
        "2 lines (3 characters)",
    ]
