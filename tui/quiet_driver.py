"""Textual's driver for a terminal, but for the looks at a keyboard that nobody touches.

Textual 8.2 looks ten times a second whether a key was pressed or it is to stop: a tenth of all that
a quiet screen takes. Here the thread sleeps until there is something to read. This rests on
Textual's thread of that name and on its parser, which is private; a test holds it to them.
"""

from __future__ import annotations

import os
import select
import threading
import time
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from tui.early_frame import EarlyFrame

READ_BYTES = 4096
AFTER_INPUT_S = 1.0
"""So long after the last byte it is looked whether an escape key stays alone (Textual's 0.1 s)."""
LOOK_S = 0.1


class QuietDriver(LinuxDriver):
    """Reads keys and the mouse; what it writes, and when it stops, is as Textual has it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told, self._teller = os.pipe()
        os.set_blocking(self._teller, False)
        self.exit_event = _ToldEvent(self._teller)
        self._early: EarlyFrame | None = getattr(self._app, "early", None)

    def write(self, data: str) -> None:
        if self._early is None or not self._early.spares(data):
            super().write(data)

    def run_input_thread(self) -> None:
        """Hand on what is typed until the driver stops or its terminal is gone."""
        parser = XTermParser(self._debug)
        # A line that drops bits must not end the screen.
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        listen_until_s = 0.0
        while not self.exit_event.is_set():
            listens = time.monotonic() < listen_until_s
            ready, _, _ = select.select(
                [self.fileno, self._told], [], [], LOOK_S if listens else None
            )
            if self._told in ready:
                os.read(self._told, READ_BYTES)
            if self.fileno in ready:
                typed = self._read_typed()
                if typed is None:
                    return  # the app looks by itself whether its terminal is still there
                listen_until_s = time.monotonic() + AFTER_INPUT_S
                for message in parser.feed(text) if (text := decode(typed)) else ():
                    self.process_message(message)
            for message in parser.tick():
                self.process_message(message)

    def _read_typed(self) -> bytes | None:
        """What was typed; None where nobody will type any more."""
        try:
            return os.read(self.fileno, READ_BYTES) or None
        except BlockingIOError:
            return b""  # another program has made the terminal so
        except OSError:
            return None


class _ToldEvent(threading.Event):
    """An event for whose thread, asleep in `select`, a byte is written."""

    def __init__(self, teller: int) -> None:
        super().__init__()
        self._teller = teller

    def set(self) -> None:
        super().set()
        try:
            os.write(self._teller, b"\0")
        except BlockingIOError:
            return  # it has been told often enough
