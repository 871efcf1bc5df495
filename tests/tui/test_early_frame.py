"""What stands on the terminal before the app: what its first frame will say, in the same place."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from paper import Paper
from shown import MakeApp
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from monitor.early_word import EarlyWord
from monitor.status_model import RunStatus
from tui.cli import screen
from tui.early_frame import ALTERNATE, BACK, EarlyFrame, frame_text
from tui.glyphs import ASCII, UNICODE
from tui.quiet_driver import QuietDriver
from tui.screens.run import RunScreen
from tui.state import RunDetail

QUIET_S = 0.3
RUN = "nemo-20260521-101112-3fa2"
WORD = EarlyWord("training", "iteration 241 of 625, the last one 12 s ago", 400.0, False, 1000.0)
LONG = WORD._replace(verdict="suspect", reason="the log grows and nothing else does, " * 9)


class Screen(io.TextIOWrapper):
    """A terminal of so many columns and rows, and what was written to it."""

    def __init__(self, columns: int, rows: int) -> None:
        self.leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (rows, columns))
        super().__init__(os.fdopen(follower, "wb", buffering=0), "utf-8", write_through=True)

    def written(self) -> str:
        """All that comes until nothing does for a while: the kernel hands it on when it likes."""
        parts = []
        while select.select([self.leader], [], [], QUIET_S)[0]:
            parts.append(os.read(self.leader, 65536))
        return b"".join(parts).decode()


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Screen]:
    terminal = Screen(*getattr(request, "param", (80, 24)))
    yield terminal
    terminal.close()
    os.close(terminal.leader)


@pytest.mark.parametrize("word", [WORD, LONG, WORD._replace(over=True, verdict="failed")])
@pytest.mark.parametrize("size", [(160, 48), (80, 24), (50, 18)])
async def test_the_first_frame_has_it_in_the_same_place(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, word: EarlyWord, size: tuple[int, int]
) -> None:
    early, first = Paper(*size), Paper(*size)
    early.write(frame_text(RUN, word, *size, UNICODE))
    sent: list[str] = []

    def display(app: App[None], _screen: object, update: CompositorUpdate | None) -> None:
        if update is not None and not sent:
            sent.append(update.render_segments(app.console))

    monkeypatch.setattr(App, "_display", display)
    app = make_app(run=RUN, early=EarlyFrame(word, sys.stderr))
    async with app.run_test(size=size):
        first.write(sent[0])
    rows = [text for text in early.text() if text.strip()]
    assert len(rows) in (2, 3)
    assert word.verdict in rows[1]
    # A reason that is longer goes on in the frame, where there is room for more rows.
    ends = [text.removesuffix("…") for text in rows]
    assert [text[: len(end)] for text, end in zip(first.text(), ends, strict=False)] == ends


async def test_it_stands_until_the_run_has_been_read(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run, early=EarlyFrame(WORD, sys.stderr))
    async with app.run_test(size=(80, 24)) as pilot:
        front = app.screen
        assert isinstance(front, RunScreen)
        front.show_state(snap_of(scanned=False))
        await pilot.pause()
        assert "241 of 625" in front.verdict.plain()[0]
        front.show_state(snap_of(detail=RunDetail(run=training.run)))
        await pilot.pause()
        assert "its folder is gone" in "".join(front.verdict.plain())
        front.show_state(snap_of(training, opened=training))
        await pilot.pause()
        assert "training" in front.verdict.plain()[0]


async def test_it_is_drawn_once_and_the_app_takes_it_over(
    terminal: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = EarlyFrame.draw(RUN, WORD, UNICODE, terminal)
    assert frame is not None
    text = terminal.written()
    assert text.startswith(ALTERNATE)
    assert "● training" in text
    sent: list[str] = []
    monkeypatch.setattr(LinuxDriver, "write", lambda _driver, data: sent.append(data))
    app: Any = SimpleNamespace(early=frame)
    driver = QuietDriver(app)
    for data in (ALTERNATE, "x", ALTERNATE):  # the second one after ctrl+z
        driver.write(data)
    assert sent == ["x", ALTERNATE]
    frame.leave()
    assert terminal.written() == "", "the app leaves its screen by itself"


@pytest.mark.parametrize("terminal", [(0, 0), (12, 24), (80, 3)], indirect=True, ids=str)
def test_where_there_is_no_room_nothing_is_written(terminal: Screen) -> None:
    assert EarlyFrame.draw(RUN, WORD, UNICODE, terminal) is None
    assert terminal.written() == ""


def test_where_there_is_no_terminal_or_the_verdict_is_of_a_later_version_nothing_is_written(
    terminal: Screen, tmp_path: Path
) -> None:
    with (tmp_path / "file").open("w") as file:
        assert EarlyFrame.draw(RUN, WORD, UNICODE, file) is None
    assert EarlyFrame.draw(RUN, WORD._replace(verdict="dozing"), UNICODE, terminal) is None
    assert terminal.written() == ""
    assert (tmp_path / "file").read_text() == ""


def test_foreign_text_controls_nothing_and_a_bare_console_gets_ascii() -> None:
    text = frame_text(RUN, WORD._replace(reason="\x1b[31mred\x07 …"), 80, 24, ASCII)
    assert "\x1b[31m" not in text
    assert "\x07" not in text
    assert text.isascii()


@pytest.mark.parametrize("ends", [KeyboardInterrupt, OSError, None])
def test_whatever_comes_before_the_app_the_shell_gets_its_screen_back(
    terminal: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ends: Any
) -> None:
    def fails(*_args: object, **_more: object) -> int:
        if ends is not None:
            raise ends
        return 0

    monkeypatch.setattr(screen, "_run_app", fails)
    monkeypatch.setattr("monitor.early_word.read_early_word", lambda _folder, _now: WORD)
    monkeypatch.setattr(sys, "__stderr__", terminal)
    expected = pytest.raises(ends) if ends is not None else contextlib.nullcontext()
    with expected:
        screen.show_screen(tmp_path, RUN, read_only=False)
    text = terminal.written()
    assert "training" in text
    assert text.endswith(BACK)
    assert text.count(ALTERNATE) == 1
