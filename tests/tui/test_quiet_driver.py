"""The thread that reads the keyboard: every key arrives, and it sleeps while none is pressed.

On a real pseudo-terminal; of the app there is only what the driver asks of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual import events
from textual.drivers.linux_driver import LinuxDriver

from tui.app import LanewatchApp
from tui.quiet_driver import AFTER_INPUT_S, QuietDriver

PATIENCE_S = 30.0


class Keyboard:
    """A driver's thread on a pseudo-terminal, and what it has handed on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.leader, self.follower = pty.openpty()
        stream = open(self.follower, closefd=False)  # noqa: SIM115 - it lives as long as the driver
        monkeypatch.setattr(sys, "__stdin__", stream)
        os.set_blocking(self.follower, True)
        tty.setraw(self.follower)
        self.keys: list[str] = []
        app: Any = SimpleNamespace(_driver=None, console=None)
        loop = asyncio.new_event_loop()
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
        self.driver = QuietDriver(app)
        monkeypatch.setattr(self.driver, "process_message", self._take)
        self.native_id = 0
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self._loop = loop

    def _read(self) -> None:
        self.native_id = threading.get_native_id()
        self.driver.run_input_thread()

    def _take(self, message: object) -> None:
        if isinstance(message, events.Key):
            self.keys.append(message.key)

    def type(self, typed: bytes) -> None:
        os.write(self.leader, typed)

    def wait(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, self.keys
            time.sleep(0.01)

    def close(self) -> None:
        self.driver.exit_event.set()
        self.thread.join(PATIENCE_S)
        for each in (self.leader, self.follower):
            with contextlib.suppress(OSError):
                os.close(each)
        self._loop.close()


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    keyboard = Keyboard(monkeypatch)
    yield keyboard
    keyboard.close()


def test_every_key_arrives_in_its_order(keyboard: Keyboard) -> None:
    keyboard.type(b"qj\x1b[A")
    keyboard.wait(lambda: len(keyboard.keys) == 3)
    keyboard.type(b"\xc3\xa4")
    keyboard.wait(lambda: len(keyboard.keys) == 4)

    assert keyboard.keys[:3] == ["q", "j", "up"]


def test_an_escape_that_stays_alone_is_one_and_a_sequence_in_two_pieces_is_no_escape(
    keyboard: Keyboard,
) -> None:
    keyboard.type(b"\x1b")
    keyboard.wait(lambda: bool(keyboard.keys))
    keyboard.type(b"\x1b[")
    keyboard.type(b"B")
    keyboard.wait(lambda: len(keyboard.keys) == 2)

    assert keyboard.keys == ["escape", "down"]


def test_bytes_that_are_no_text_do_not_end_it(keyboard: Keyboard) -> None:
    keyboard.type(b"\xff\xfe")
    keyboard.type(b"q")
    keyboard.wait(lambda: "q" in keyboard.keys)

    assert keyboard.thread.is_alive()


def test_it_sleeps_while_nothing_is_typed(keyboard: Keyboard) -> None:
    keyboard.type(b"q")
    keyboard.wait(lambda: keyboard.keys == ["q"])
    time.sleep(2 * AFTER_INPUT_S)
    before = _wakings(keyboard.native_id)
    time.sleep(1.0)

    assert _wakings(keyboard.native_id) == before


def test_it_ends_at_once_when_it_is_told(keyboard: Keyboard) -> None:
    keyboard.wait(lambda: keyboard.native_id > 0)
    keyboard.driver.exit_event.set()
    keyboard.thread.join(PATIENCE_S)

    assert not keyboard.thread.is_alive()


def test_it_ends_with_its_terminal(keyboard: Keyboard) -> None:
    keyboard.wait(lambda: keyboard.native_id > 0)
    os.close(keyboard.leader)
    keyboard.thread.join(PATIENCE_S)

    assert not keyboard.thread.is_alive()


def test_the_app_uses_it_unless_textual_is_told_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert LanewatchApp(tmp_path).driver_class is QuietDriver
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.linux_driver:LinuxDriver")
    assert LanewatchApp(tmp_path).driver_class is LinuxDriver


def _wakings(thread: int) -> int:
    text = Path(f"/proc/self/task/{thread}/status").read_text()
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
