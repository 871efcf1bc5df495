"""The comparison on a screen: marked on the board, drawn over each other, every key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compared import make_run
from shown import MakeApp, screen_text, show
from textual import events
from textual.pilot import Pilot
from textual.widgets._toast import Toast
from waiting import settled

from monitor.rundir import RunDir
from tui.screens.board import BoardScreen
from tui.screens.compare import Compared, CompareScreen
from tui.screens.help import HelpScreen
from tui.widgets.compare_view import CompareTable, CompareVerdict, Overlay

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]


@pytest.fixture
def pair(tmp_path: Path) -> list[RunDir]:
    """Two runs that differ by their learning rate, lane and warmth."""
    one = make_run(tmp_path, "p65")
    return [one, make_run(tmp_path, "night", lane="unsloth", step_s=24.0, train__lr=2e-4)]


async def opened(pilot: Pilot[None], runs: list[RunDir]) -> CompareScreen:
    pilot.app.open_compare([each.root.name for each in runs])  # type: ignore[attr-defined]
    await settled(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
    screen = pilot.app.screen
    assert isinstance(screen, CompareScreen)
    await settled(pilot, lambda: screen.comparison or "gone" in screen.verdict.note)
    return screen


async def test_the_verdict_the_curves_and_the_table(make_app: MakeApp, pair: list[RunDir]) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, pair)
        text = screen_text(app)
        assert "comparable? no: train.lr differs; mind image" in " ".join(text.split())
        assert "A p65 (nemo)" in text
        assert "s/iteration, median" in text
        assert "-6.00 (-19.4 %)" in text
        assert len([each for each in app.screen.query(Overlay) if each.display]) == 2


async def test_every_run_is_named_by_its_letter_however_narrow_the_terminal(
    make_app: MakeApp, tmp_path: Path
) -> None:
    runs = [make_run(tmp_path, f"a-long-night-{at}") for at in range(6)]
    app = make_app()
    async with app.run_test(size=(200, 24)) as pilot:
        screen = await opened(pilot, runs)
        for width, lanes in ((200, True), (120, False), (50, False)):
            await pilot.resize_terminal(width, 24)
            names = screen.verdict.plain()[0]
            assert [each for each in names.split() if len(each) == 1] == list("ABCDEF"), width
            assert ("(nemo)" in names) is lanes


async def test_what_was_read_of_another_order_of_the_runs_is_late_and_passed_over(
    make_app: MakeApp, pair: list[RunDir]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, pair)
        shown = screen.comparison
        screen.post_message(Compared(screen.runs[::-1], None, "too late"))
        screen.post_message(Compared(screen.runs, shown))
        await pilot.pause()
        assert screen.comparison is shown
        assert "too late" not in screen.verdict.note
        screen.post_message(Compared(screen.runs, None, "in time"))
        await settled(pilot, lambda: "in time" in screen.verdict.note)


async def test_every_key(make_app: MakeApp, pair: list[RunDir]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, pair)
        graph, table = screen.pictures[0], screen.table

        def title() -> str:
            return graph.plain()[0]

        assert title().startswith("loss")
        assert "to iteration 100" in title()
        await pilot.press("x")
        assert "to 49m" in title()
        await pilot.press("x", "2")
        assert title().startswith("s/iteration")
        await pilot.press("3")
        assert title().startswith("memory")
        await pilot.press("tab")
        assert title().startswith("loss")
        await pilot.press("3", "1")
        assert title().startswith("loss")
        first = table.plain()
        await pilot.press("j")
        assert table.plain()[0] == first[1]
        await pilot.press("k")
        assert table.plain() == first
        await pilot.press("down", "up", "pagedown")
        assert table.plain() != first
        await pilot.press("pageup")
        assert table.plain() == first
        for there, back in (("space", "g"), ("ctrl+d", "ctrl+u"), ("G", "home"), ("end", "g")):
            await pilot.press(there)
            assert table.plain() != first
            await pilot.press(back)
            assert table.plain() == first
        await pilot.press("right")
        assert table.plain() != first
        await pilot.press("left")
        assert table.plain() == first
        await pilot.press("c")
        assert app.clipboard.startswith("**Comparable?** no: train.lr differs")
        app.copy_to_clipboard("")
        await pilot.press("y")
        assert "| A | p65 |" in app.clipboard
        await pilot.press("b")
        await settled(pilot, lambda: screen.comparison and screen.comparison.runs[0].name != "p65")
        assert "A night" in screen_text(app)
        await pilot.press("question_mark")
        await settled(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape", "escape")
        await settled(pilot, lambda: isinstance(app.screen, BoardScreen))


async def test_the_letters_stay_above_their_figures_and_what_is_below_is_counted(
    make_app: MakeApp, pair: list[RunDir]
) -> None:
    app = make_app()
    async with app.run_test(size=(50, 18)) as pilot:
        table = (await opened(pilot, pair)).table
        rows = {row.split("  ")[0] for row in every(table)}
        seen = set(table.plain())
        assert f"{len(every(table)) - table.size.height + 1} more lines: j" == table.plain()[-1]
        for _ in range(len(rows)):
            await pilot.press("j")
            seen |= set(table.plain())
            at = [number for number, row in enumerate(table.plain()) if row.split() == ["A", "B"]]
            assert len(at) == 1
        assert at == [0]
        assert rows <= {row.split("  ")[0] for row in seen}, "no row is hidden for good"
        assert "more lines" not in table.plain()[-1]
        await pilot.press("right")
        assert table.plain()[0].split() == ["B", "B", "-", "A"]
        await pilot.press("right")
        assert table.plain()[0].split() == ["B", "-", "A"]


def every(table: CompareTable) -> list[str]:
    lines = table.all_lines(table.size.width)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


async def test_the_mouse(make_app: MakeApp, pair: list[RunDir]) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, pair)
        await pilot.click(Overlay)
        assert screen.pictures[0].picture == 1
        await pilot.click(CompareVerdict)
        assert screen.pictures[0].by_wall
        first = screen.table.plain()
        at = (screen.table, 1, 1)
        screen.table.post_message(events.MouseScrollDown(*at, 0, 1, 0, False, False, False))
        await settled(pilot, lambda: screen.table.plain() != first)
        screen.table.post_message(events.MouseScrollUp(*at, 0, -1, 0, False, False, False))
        await settled(pilot, lambda: screen.table.plain() == first)


async def test_marking_on_the_board(
    make_app: MakeApp, snap_of: Any, states: dict[str, Any]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(states["training"], states["failed"], states["finished"]))
        await pilot.press("c")
        assert isinstance(app.screen, BoardScreen)
        await pilot.press("space", "j", "space", "j", "space", "space")
        marks = [row[:2] for row in app.screen.table.plain()[1:4]]
        assert [each[1] for each in marks] == ["+", "+", " "]
        await pilot.press("c")
        await settled(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert isinstance(app.screen, CompareScreen)
        assert app.screen.runs == [states["training"].run, states["failed"].run]
        await settled(pilot, lambda: "is gone" in screen_text(app))


async def test_a_screen_of_six_runs_keeps_its_words_whole(
    make_app: MakeApp, tmp_path: Path
) -> None:
    runs = [make_run(tmp_path, f"run-{at}", step_s=20.0 + at) for at in range(6)]
    app = make_app()
    async with app.run_test(size=(50, 18)) as pilot:
        screen = await opened(pilot, runs)
        assert "comparable? yes" in screen_text(app)
        widths = {len(row) for row in screen.query_one(CompareTable).plain()}
        assert max(widths) <= 48


async def test_runs_that_are_marked_beyond_six_are_not_left_out_in_silence(
    make_app: MakeApp, tmp_path: Path
) -> None:
    runs = [make_run(tmp_path, f"run-{at}") for at in range(8)]
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot, runs)
        await settled(pilot, lambda: app.screen.query(Toast))
        said = str(app.screen.query_one(Toast).render())
        assert "holds 6 runs, 2 more are marked" in " ".join(said.split())


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 18)])
async def test_every_run_is_named_at_any_width(
    make_app: MakeApp, tmp_path: Path, size: tuple[int, int]
) -> None:
    runs = [make_run(tmp_path, "", step_s=20.0 + at) for at in range(4)]
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, runs)
        named = screen_text(app).splitlines()[0]
        assert [each for each in "ABCD" if f"{each} " in named] == list("ABCD")


def shows(runs: list[RunDir], *keys: str) -> Any:
    async def run_before(pilot: Pilot[None]) -> None:
        await opened(pilot, runs)
        await pilot.press(*keys)
        await pilot.pause()

    return run_before


@pytest.mark.parametrize("size", SIZES)
def test_unfair(snap_compare: Any, make_app: MakeApp, pair: list[RunDir], size: Any) -> None:
    assert snap_compare(make_app(), run_before=shows(pair), terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
def test_fair_by_time_and_scrolled(
    snap_compare: Any, make_app: MakeApp, tmp_path: Path, size: Any
) -> None:
    runs = [
        make_run(tmp_path, "p65"),
        make_run(tmp_path, "night", lane="unsloth", step_s=24.0, attempt=2, temperature_c=81.0),
        make_run(tmp_path, "smoke", lane="unsloth", iterations=60, status="stopped"),
    ]
    shown = shows(runs, "x", "pagedown", "g", "j")
    assert snap_compare(make_app(), run_before=shown, terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
def test_gone(snap_compare: Any, make_app: MakeApp, tmp_path: Path, size: Any) -> None:
    gone = [RunDir(tmp_path / "nemo-20260521-101112-3fa2"), RunDir(tmp_path / "x")]
    assert snap_compare(make_app(), run_before=shows(gone), terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
def test_foreign_beside_ours(
    snap_compare: Any, make_app: MakeApp, tmp_path: Path, size: Any
) -> None:
    runs = [make_run(tmp_path, "p65"), make_run(tmp_path, "by-hand", ids=None, parameters=None)]
    command = "python sft.py --learning_rate 2e-4 --per_device_train_batch_size 4"
    about = {"kind": "foreign", "name": "by-hand", "command": command, "iterations": 100}
    runs[1].run_json.write_text(json.dumps(about))
    assert snap_compare(make_app(), run_before=shows(runs), terminal_size=size)


async def test_a_mark_on_a_run_whose_folder_is_gone_is_no_mark(
    make_app: MakeApp, snap_of: Any, states: dict[str, Any]
) -> None:
    """It stands on no board any more, so nobody could take it back."""
    ours, gone, other = (states[each] for each in ("training", "failed", "finished"))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(ours, gone, other))
        await pilot.press("space", "j", "space")
        assert app.marked_runs == [ours.run, gone.run]
        await show(pilot, snap_of(ours, other))
        await pilot.press("G", "c")
        await settled(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert isinstance(app.screen, CompareScreen)
        assert app.screen.runs == [ours.run, other.run]


async def test_that_nothing_newer_can_be_read_is_said_beside_what_was(
    make_app: MakeApp, pair: list[RunDir]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, pair)
        verdict = screen_text(app)
        gone = pair[1].root.rename(pair[1].root.with_name(".away"))
        await pilot.press("b")
        await settled(pilot, lambda: "is gone" in screen_text(app))
        assert "A p65" in screen_text(app)
        gone.rename(pair[1].root)
        await pilot.press("b")
        await settled(pilot, lambda: "is gone" not in screen_text(app))
        assert screen_text(app) == verdict
