"""Logs that are no text, or a line without end: on the log's screen, at the foot of a run's."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compared import make_run
from rich.cells import cell_len
from shown import MakeApp, screen_text, show
from waiting import settled

from tui.app import LanewatchApp
from tui.glyphs import UNICODE
from tui.log_pager import LogPage
from tui.log_text import Row
from tui.screens.log import LogScreen, LogShown
from tui.screens.run import RunScreen
from tui.widgets.log_tail import LogTail
from tui.widgets.log_view import LogTitle
from tui.widgets.typed_line import TypedLine

WIDE = "損失 loss=1.25 漢字漢字 🚀 e\u0301nd"


def write(path: Path, kind: str) -> None:
    """Make the log of that kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "200 MB in a line":
        with path.open("wb") as file:
            file.truncate(200 << 20)  # NULs, which take no room on the disk
            file.seek(0, os.SEEK_END)
            file.write(b"the end")
    else:
        raw = {"binary": bytes(range(256)) * 400, "wide": f"{WIDE}\n".encode() * 300}
        path.write_bytes(raw.get(kind, b""))


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("nothing", ""),
        ("binary", ""),
        ("200 MB in a line", "the end"),
        ("wide", "🚀"),
    ],
)
async def test_a_log_of_any_kind_is_shown_and_searched(
    make_app: MakeApp, snap_of: Any, tmp_path: Path, kind: str, last: str
) -> None:
    run = make_run(tmp_path, "a")
    write(run.log("train"), kind)
    app = make_app()
    async with app.run_test(size=(60, 20)) as pilot:
        await show(pilot, snap_of())
        app.open_log(run.root.name)
        await settled(pilot, lambda: isinstance(app.screen, LogScreen) and app.screen.page.path)
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await settled(pilot, lambda: kind == "nothing" or bool(screen.page.rows))
        await pilot.press("w")
        await settled(pilot, lambda: screen.page.wrap)
        drawn = screen.view.plain()
        assert all(each.isprintable() and cell_len(each) <= 60 for each in drawn)
        assert last in "".join(drawn)
        await pilot.press("slash", *"no such thing", "enter")
        await settled(pilot, lambda: screen.page.notice or screen.page.problem)
        await pilot.press("g", "G", "k", "escape")
        assert app.is_running


async def test_a_match_between_wide_characters_is_marked_where_it_stands(
    make_app: MakeApp, snap_of: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, "a")
    write(run.log("train"), "wide")
    app = make_app()
    async with app.run_test(size=(60, 20)) as pilot:
        await show(pilot, snap_of())
        app.open_log(run.root.name)
        await settled(pilot, lambda: isinstance(app.screen, LogScreen) and app.screen.page.rows)
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await pilot.press("slash", *"漢字漢", "enter")
        await settled(pilot, lambda: screen.page.hit is not None and len(screen.page.spans) > 9)
        marked = [
            text for row in screen.view._shown for text, tone in row if "match" in tone and text
        ]
        assert marked
        assert set(marked) == {"漢字漢"}


@pytest.mark.parametrize("kind", ["nothing", "binary", "200 MB in a line", "wide"])
async def test_the_foot_of_a_runs_screen_shows_any_log(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path / "runs", "a")
    write(run.log("train"), kind)
    app = LanewatchApp(tmp_path / "runs", run=run.root.name)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot and app.snapshot.detail)
        await pilot.press("5")
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await settled(pilot, lambda: isinstance(screen.tab.log_tail, LogTail))
        tail = screen.tab.log_tail
        assert tail is not None
        await settled(pilot, lambda: "train.log" in tail.plain()[0])
        await pilot.press("slash", *"漢字", "enter", "n", "g", "G")
        drawn = tail.plain()
        assert all(each.isprintable() and cell_len(each) <= 80 for each in drawn)
        assert ("no match" in drawn[0]) is (kind != "wide")
        assert ("written nothing" in drawn[1]) is (kind == "nothing")
        assert ("the end" in drawn[1]) is (kind == "200 MB in a line")


async def test_levels_are_told_apart_at_the_foot_as_on_the_logs_own_screen(
    make_app: MakeApp, snap_of: Any, training: Any, details: Any
) -> None:
    lines = ("INFO step=1", "WARNING: the loss is NaN", "ValueError: bad", "x=1")
    app = make_app(run=training.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training, detail=details(training, lines)))
        await pilot.press("5")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, RunScreen)
        tail = screen.tab.log_tail
        assert tail is not None
        assert [row[0][1] for row in tail._shown[1:5]] == ["", "warn", "bad", ""]
        await pilot.press("slash", *"error:", "enter")
        assert [span for span in tail._shown[3] if span[0]] == [
            ("Value", "bad"),
            ("Error:", "match"),
            (" bad", "bad"),
        ]


def test_a_log_with_a_wide_name_leaves_its_age_on_the_line() -> None:
    title = LogTitle()
    page = LogPage(path=f"/x/{'記' * 20}.log", size=2048, modified_wall=940.0)
    title.show("run", page, 1000.0, stuck=False)
    (row,) = title.lines(60, 1)
    assert sum(cell_len(text) for text, _ in row) <= 60
    assert "記" in "".join(text for text, _ in row)


def test_a_run_of_200_characters_still_says_whose_log_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LogTitle, "glyphs", UNICODE)
    title = LogTitle()
    title.show("n" * 195 + "-last", LogPage(path="/x/train.log", size=2048), 1000.0, stuck=False)
    (row,) = title.lines(80, 1)
    assert "-last" in "".join(text for text, _ in row)
    assert sum(cell_len(text) for text, _ in row) <= 80


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        pytest.param(("slash", *"abc", "enter"), "searched", id="search"),
        pytest.param(("s", "enter"), "saved", id="save"),
        pytest.param(("ampersand", *"abc", "enter"), "", id="filter"),
    ],
)
async def test_a_run_without_a_log_has_nothing_to_be_searched_or_saved(
    make_app: MakeApp, snap_of: Any, tmp_path: Path, keys: tuple[str, ...], says: str
) -> None:
    run = make_run(tmp_path, "a")
    app = make_app()
    async with app.run_test(size=(80, 20)) as pilot:
        await show(pilot, snap_of())
        app.open_log(run.root.name)
        await settled(pilot, lambda: isinstance(app.screen, LogScreen) and app.screen.page.problem)
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await pilot.press(*keys)
        await settled(pilot, lambda: says in screen.page.notice and not screen.prompting)
        assert "Error" not in screen.page.notice
        assert not screen.page.saving
        run.log("train").parent.mkdir(exist_ok=True)
        run.log("train").write_text("abc\n" * 9)
        await settled(pilot, lambda: len(screen.page.rows) == 9)


async def test_that_a_log_is_saved_is_told_on_the_log_that_is_shown_by_then(
    make_app: MakeApp, snap_of: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, "a")
    run.log("train").parent.mkdir(exist_ok=True)
    run.log("train").write_text("a line\n" * 100_000)
    run.log("merge").write_text("another\n")
    app = make_app()
    async with app.run_test(size=(80, 20)) as pilot:
        await show(pilot, snap_of())
        app.open_log(run.root.name, stage="train")
        await settled(pilot, lambda: isinstance(app.screen, LogScreen) and app.screen.page.rows)
        screen = app.screen
        assert isinstance(screen, LogScreen)
        await pilot.press("s")
        screen.query_one("#prompt", TypedLine).value = str(tmp_path / "saved.txt")
        await pilot.press("enter", "right_square_bracket")
        await settled(pilot, lambda: "100000 lines" in screen.page.notice)
        assert screen.page.path.endswith("merge.log")


@pytest.mark.parametrize("becomes", ["the next stage's log", "cut short"])
async def test_chosen_lines_are_chosen_no_more_in_another_text(
    make_app: MakeApp, snap_of: Any, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    """They are places in the file: in the next one c would copy what nobody chose."""
    monkeypatch.setattr(LogScreen, "_begin", lambda *_: None)  # no pages but these
    app = make_app()
    async with app.run_test(size=(80, 20)) as pilot:
        await show(pilot, snap_of())
        app.push_screen(screen := LogScreen("a"))
        await pilot.pause()
        rows = (Row(0, 0, "one", ""), Row(4, 0, "two", ""))
        page = LogPage(path="train.log", rows=rows, size=8)
        screen.post_message(LogShown(page))
        await settled(pilot, lambda: screen.page is page)
        screen.view.marked = (4, 4)
        longer = replace(page, size=12)
        screen.post_message(LogShown(longer))
        await settled(pilot, lambda: screen.page is longer)
        assert screen.view.marked == (4, 4)
        other = replace(page, size=4) if becomes == "cut short" else replace(longer, path="b.log")
        screen.post_message(LogShown(other))
        await settled(pilot, lambda: screen.page is other)
        assert screen.view.marked is None


async def test_without_colours_too_the_logs_screen_says_that_it_is_stuck(
    make_app: MakeApp, snap_of: Any, states: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stuck = states["log-stuck"]
    (tmp_path / stuck.run / "logs").mkdir(parents=True)
    (tmp_path / stuck.run / "logs" / "train.log").write_text("a line\n")
    app = make_app()
    async with app.run_test(size=(50, 18)) as pilot:
        await show(pilot, snap_of(stuck))
        app.open_log(stuck.run)
        await settled(pilot, lambda: "▲ log-stuck, last line" in screen_text(app))
        await show(pilot, snap_of(states["training"]))
        await settled(pilot, lambda: "log-stuck" not in screen_text(app))
