"""The log screen: every key of it, on real files that a thread of its own reads."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from shown import MakeApp, screen_text, show
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input
from waiting import settled

from tui.log_search import Search
from tui.screens.board import BoardScreen
from tui.screens.help import HelpScreen
from tui.screens.log import COPIED_LINES, LogScreen

RUN = "nemo-20260521-101112-3fa2"
NOW = 1_779_370_200.0


def lines_of(count: int) -> str:
    return "".join(
        f"[2026-05-21 11:{n // 60:02d}:{n % 60:02d}] INFO step={n} loss={2 - n / 500:.3f}\n"
        for n in range(count)
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The train log of a run below the app's root: 300 lines, a warning, an error, a bar."""
    path = tmp_path / RUN / "logs" / "train.log"
    path.parent.mkdir(parents=True)
    path.write_text(
        lines_of(200)
        + "WARNING: the loss is NaN\n"
        + lines_of(98)
        + "Traceback (most recent call last):\n\x1b[31mValueError: [b]bad[/b]\x1b[0m\n"
    )
    os.utime(path, (NOW - 12 * 60, NOW - 12 * 60))
    return path


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def shown(screen: LogScreen) -> list[str]:
    return [row for row in screen.view.plain() if row]


Opened = Callable[..., AbstractAsyncContextManager[tuple[Pilot[None], LogScreen]]]


@pytest.fixture
def opened(make_app: MakeApp, snap_of: Any, training: Any) -> Opened:
    """Opens the log in an app of its own and waits until it is drawn."""

    @asynccontextmanager
    async def opens(width: int = 80) -> AsyncIterator[tuple[Pilot[None], LogScreen]]:
        app = make_app()
        async with app.run_test(size=(width, 24)) as pilot:
            await show(pilot, snap_of(training))
            app.open_log(RUN)
            await settled(pilot, lambda: isinstance(app.screen, LogScreen))
            screen = app.screen
            assert isinstance(screen, LogScreen)
            await settled(pilot, lambda: bool(screen.page.path))
            yield pilot, screen

    return opens


async def test_the_log_opens_at_its_end_and_follows(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        await settled(pilot, lambda: bool(shown(screen)))
        assert shown(screen)[-1] == "ValueError: [b]bad[/b]"
        assert "last line 12m ago" in screen_text(screen.app)
        assert "following" in screen_text(screen.app)
        with log.open("a") as file:
            file.write("one more\n 10%|#\r 20%|##")
        await settled(pilot, lambda: shown(screen)[-1] == " 20%|##")
        assert "one more" in shown(screen)


async def test_moving_as_in_less(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        room = screen.view.size.height

        async def press(key: str, expected: str, *, row: int = 0) -> None:
            await pilot.press(key)
            await settled(pilot, lambda: bool(shown(screen)) and expected in shown(screen)[row])

        await press("g", "step=0 ")
        assert not screen.page.follow
        assert "held" in screen_text(screen.app)
        await press("j", "step=1 ")
        await press("down", "step=2 ")
        await press("enter", "step=3 ")
        await press("k", "step=2 ")
        await press("up", "step=1 ")
        await press("pagedown", f"step={room} ")
        await press("pageup", "step=1 ")
        await press("space", f"step={room} ")
        await press("b", "step=1 ")
        await press("ctrl+f", f"step={room} ")
        await press("ctrl+b", "step=1 ")
        half = (room - 1) // 2
        await press("d", f"step={1 + half} ")
        await press("u", "step=1 ")
        await press("ctrl+d", f"step={1 + half} ")
        await press("ctrl+u", "step=1 ")
        await press("home", "step=0 ")
        await press("right", lines_of(1)[39:44])
        await press("left", "step=0 ")
        await press("G", "ValueError", row=-1)
        assert screen.page.follow
        await pilot.press("F")
        await settled(pilot, lambda: not screen.page.follow)
        with log.open("a") as file:
            file.write("unseen\n")
        await settled(pilot, lambda: screen.page.below > 0)
        assert "unseen" not in "\n".join(shown(screen))
        await press("f", "unseen", row=-1)
        await press("less_than_sign", "step=0 ")
        await press("greater_than_sign", "unseen", row=-1)
        await press("g", "step=0 ")
        await press("end", "unseen", row=-1)


async def test_searching_down_and_up_and_round(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        await pilot.press("g")
        await pilot.press("slash", *"step=4[12]", "enter")
        await settled(pilot, lambda: any("step=41 " in row for row in shown(screen)))
        first = screen.page.hit
        await settled(pilot, lambda: bool(screen.page.spans))
        await pilot.press("n")
        await settled(pilot, lambda: screen.page.hit not in (first, None))
        await pilot.press("N")
        await settled(pilot, lambda: screen.page.hit == first)
        await pilot.press("N")
        await settled(pilot, lambda: "round, from the end" in screen.page.notice)
        await pilot.press("n")
        await settled(pilot, lambda: screen.page.hit == first)
        await pilot.press("question_mark", *"warn", "enter")
        await settled(pilot, lambda: any("WARNING" in row for row in shown(screen)))
        assert screen.page.pattern == "warn"
        await pilot.press("slash", *"Warn", "enter")
        await settled(pilot, lambda: screen.page.notice == "no match for Warn")
        await pilot.press("escape")
        await settled(pilot, lambda: screen.page.pattern == "")
        await pilot.press("slash", *"nan", "enter", "slash", "enter")
        await settled(pilot, lambda: screen.page.pattern == "nan" and screen.page.hit is not None)


async def test_a_match_takes_no_colour_of_its_line(opened: Opened, log: Path) -> None:
    _write(log, "10:00 INFO lost 1\nINFO loss=2\nWARNING lost 3\nERROR lost\nat a lost place\n")
    async with opened() as (pilot, screen):
        await pilot.press("slash", *"los[st]", "enter")
        await settled(pilot, lambda: len(screen.page.spans) == 5)
        await settled(pilot, lambda: screen.page.hit == 0)
        rows = [
            [(text, tone) for text, tone in row if text.strip()] for row in screen.view._shown[:5]
        ]
        found = [("10:00 ", "strong"), ("INFO", "accent"), ("lost", "match"), (" 1", "strong")]
        assert rows[0] == found
        assert rows[1] == [("INFO", "accent"), ("loss", "match"), ("=2", "")]
        assert rows[2] == [("WARNING ", "warn"), ("lost", "match"), (" 3", "warn")]
        assert rows[3] == [("ERROR ", "bad"), ("lost", "match")]
        assert rows[4] == [("at a ", ""), ("lost", "match"), (" place", "")]
        await pilot.press("slash", *"INFO", "enter")
        await settled(pilot, lambda: ("INFO", "match") in screen.view._shown[0])


async def test_a_search_that_is_typed_in_one_piece(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        await pilot.press("G")
        for key, character in (
            ("question_mark", "?"),
            *((each, each) for each in "warning"),
            ("enter", "\r"),
        ):
            screen.app.post_message(events.Key(key, character))
        await settled(pilot, lambda: screen.page.hit is not None)
        assert screen.page.pattern == "warning"
        assert not screen.prompting


async def test_a_bad_pattern_is_one_sentence_and_the_prompt_stays(
    opened: Opened, log: Path
) -> None:
    async with opened() as (pilot, screen):
        await pilot.press("slash", *"(step", "enter")
        await pilot.pause()
        assert screen.prompting
        assert "not a regular expression: missing )" in screen_text(screen.app)
        await pilot.press(")")
        await pilot.pause()
        assert "not a regular" not in screen_text(screen.app)
        await pilot.press("enter")
        await settled(pilot, lambda: screen.page.pattern == "(step)")


async def test_a_pattern_without_end_blocks_nobody_and_is_given_up(
    opened: Opened, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log.open("a") as file:
        file.write("a" * 60 + "!\n")
    async with opened() as (pilot, screen):
        await pilot.press("question_mark", *"(a+)+$", "enter")
        await settled(pilot, lambda: "searching" in screen.page.searching)
        await pilot.press("g")
        await settled(pilot, lambda: "step=0 " in shown(screen)[0])
        await settled(pilot, lambda: "put it more simply" in screen.page.notice)
        assert screen.page.pattern == ""


async def test_only_matching_lines(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        await pilot.press("ampersand", *"step=5.? ", "enter")
        await settled(pilot, lambda: all("step=5" in row for row in shown(screen)))
        await settled(pilot, lambda: len(shown(screen)) == 21)
        assert "only step=5.? " in screen_text(screen.app)
        with log.open("a") as file:
            file.write("step=57 at last\nstep=61 not this\n")
        await settled(pilot, lambda: "at last" in shown(screen)[-1])
        await pilot.press("question_mark", *"loss", "enter")
        await settled(pilot, lambda: screen.page.hit is not None)
        assert len(shown(screen)) >= 21
        await pilot.press("escape", "escape")
        await settled(pilot, lambda: screen.page.only == "")
        await pilot.press("G")
        await settled(pilot, lambda: "not this" in shown(screen)[-1])
        await pilot.press("ampersand", *"nowhere", "enter")
        await settled(pilot, lambda: shown(screen) == ["no line matches"])


async def test_wrapping_shows_the_whole_of_a_long_line(opened: Opened, log: Path) -> None:
    with log.open("a") as file:
        file.write("begin " + "x" * 150 + " end\n")
    async with opened() as (pilot, screen):
        await settled(pilot, lambda: shown(screen)[-1].endswith("…"))
        await pilot.press("w")
        await settled(pilot, lambda: shown(screen)[-1].endswith(" end"))
        assert screen.page.wrap
        await pilot.press("k")
        await settled(pilot, lambda: not shown(screen)[-1].endswith(" end"))
        await pilot.press("w")
        await settled(pilot, lambda: not screen.page.wrap)


async def test_other_logs_of_the_run(opened: Opened, log: Path) -> None:
    log.with_name("pull.log").write_text("pulled\n")
    log.with_name("keeper.log").write_text("kept\n")
    (log.parents[1] / "state.json").write_text('{"stage": "train"}')
    async with opened() as (pilot, screen):
        assert screen.page.path.endswith("train.log")
        await pilot.press("right_square_bracket")
        await settled(pilot, lambda: shown(screen) == ["kept"])
        await pilot.press("left_square_bracket", "left_square_bracket")
        await settled(pilot, lambda: shown(screen) == ["pulled"])
        assert "pull.log" in screen_text(screen.app)


async def test_copying_by_key_and_mouse(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        await settled(pilot, lambda: bool(shown(screen)))
        await pilot.press("c")
        await settled(pilot, lambda: screen.app.clipboard.endswith("ValueError: [b]bad[/b]"))
        assert screen.app.clipboard.count("\n") == screen.view.size.height - 1
        assert "\x1b" not in screen.app.clipboard
        await pilot.click("#log", offset=(3, 2))
        await pilot.click("#log", offset=(3, 4), shift=True)
        await pilot.press("y")
        await settled(pilot, lambda: screen.app.clipboard.count("\n") == 2)
        assert screen.app.clipboard.splitlines()[0] == shown(screen)[2]
        await pilot.press("escape")
        assert screen.view.marked is None
        await pilot.click("#status", offset=(2, 0))
        await settled(pilot, lambda: not screen.page.follow)


async def test_what_is_too_much_to_copy_is_said(opened: Opened, log: Path) -> None:
    with log.open("a") as file:
        file.write("more\n" * COPIED_LINES)
    async with opened() as (pilot, screen):
        await settled(pilot, lambda: bool(shown(screen)))
        screen.view.marked = (0, screen.page.rows[-1].line)
        await pilot.press("c")
        await settled(pilot, lambda: screen.app.clipboard.count("\n") == COPIED_LINES - 1)
        told = [each.message for each in screen.app._notifications]
        assert any("the first 500 lines of more" in each for each in told), told


async def test_saving_what_is_shown(opened: Opened, log: Path, tmp_path: Path) -> None:
    target = tmp_path / "kept.txt"
    async with opened(120) as (pilot, screen):
        for expected in ("301 lines in", "was not written: File exists"):
            await pilot.press("s")
            prompt = screen.query_one("#prompt", Input)
            assert prompt.value == f"~/{RUN}-train.log"
            prompt.value = str(target)
            await pilot.press("enter")
            await settled(pilot, lambda expected=expected: expected in screen.page.notice)
        assert target.read_text().endswith("ValueError: [b]bad[/b]\n")
        assert target.stat().st_mode & 0o777 == 0o600


async def test_saving_is_told_while_it_lasts_and_taken_back_by_escape(
    opened: Opened, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Search, "save", lambda *_: 0)  # it never comes to an end
    async with opened(120) as (pilot, screen):
        await pilot.press("s")
        screen.query_one("#prompt", Input).value = str(tmp_path / "kept.txt")
        await pilot.press("enter")
        await settled(pilot, lambda: f"saving to {tmp_path}" in screen_text(screen.app))
        await pilot.press("g")
        await settled(pilot, lambda: "step=0 " in shown(screen)[0])
        assert f"saving to {tmp_path}" in screen_text(screen.app)
        await pilot.press("escape")
        await settled(pilot, lambda: "saving was ended" in screen_text(screen.app))
        assert screen.is_current
        assert not (tmp_path / "kept.txt").exists()


async def test_the_wheel_scrolls(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        await pilot.press("g")
        await settled(pilot, lambda: "step=0 " in shown(screen)[0])
        down = events.MouseScrollDown(screen.view, 1, 1, 0, 1, 0, False, False, False)
        screen.view.post_message(down)
        await settled(pilot, lambda: "step=3 " in shown(screen)[0])
        up = events.MouseScrollUp(screen.view, 1, 1, 0, -1, 0, False, False, False)
        screen.view.post_message(up)
        await settled(pilot, lambda: "step=0 " in shown(screen)[0])


async def test_a_log_that_is_replaced_cut_short_or_deleted(opened: Opened, log: Path) -> None:
    async with opened() as (pilot, screen):
        os.rename(log, f"{log}.1")  # noqa: PTH104
        await settled(pilot, lambda: "was deleted" in screen.page.problem)
        assert "ValueError" in "\n".join(shown(screen))
        _write(log, "anew\nand on\n")
        await settled(pilot, lambda: shown(screen) == ["anew", "and on"])
        assert "was replaced" in screen.page.notice
        os.truncate(log, 5)
        await settled(pilot, lambda: shown(screen) == ["anew"])
        assert "cut short" in screen.page.notice


async def test_a_run_without_a_log_says_so_and_shows_it_once_there_is_one(
    opened: Opened, tmp_path: Path
) -> None:
    async with opened() as (pilot, screen):
        await settled(pilot, lambda: "folder is gone" in screen.page.problem)
        (tmp_path / RUN / "logs").mkdir(parents=True)
        await settled(pilot, lambda: "has no log" in screen.page.problem)
        (tmp_path / RUN / "logs" / "train.log").write_text("first\n")
        await settled(pilot, lambda: shown(screen) == ["first"])


async def test_help_by_h_and_back_by_escape(
    make_app: MakeApp, snap_of: Any, training: Any, log: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training))
        await pilot.press("t")
        await settled(pilot, lambda: isinstance(app.screen, LogScreen))
        await pilot.press("t")
        assert len(app.screen_stack) == 2
        await pilot.press("h")
        await settled(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape")
        await pilot.press("slash", "escape", "escape")
        await settled(pilot, lambda: isinstance(app.screen, BoardScreen))
