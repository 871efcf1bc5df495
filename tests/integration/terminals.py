"""A real terminal for the tests: a tmux server of its own, typed into and read."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from conftest import CLI, PATIENCE_S


class Terminal:
    """A tmux server of its own with one window."""

    def __init__(self, socket: Path, columns: int, lines: int) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        size = ["-x", str(columns), "-y", str(lines)]
        self._call("new-session", "-d", *size, "sh")

    def _call(self, *words: str) -> str:
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._call("send-keys", *keys)

    def escape(self) -> None:
        """Press escape alone: a key right before or after it would be taken for alt + key."""
        time.sleep(0.5)
        self.type("Escape")
        time.sleep(0.5)

    def run(self, *words: str) -> None:
        """Start lanewatch in the window."""
        self.command(" ".join([*CLI, *words, "; echo left with $?"]))

    def command(self, line: str) -> None:
        """Type a line into the shell."""
        self.type(line, "Enter")

    def drag(self, text: str) -> None:
        """Select *text*, which stands there, with the mouse."""
        rows = enumerate(self.screen().splitlines(), 1)
        y, x = next((y, row.index(text) + 1) for y, row in rows if text in row)
        last = x + len(text) - 1
        for report in (f"0;{x};{y}M", f"32;{last};{y}M", f"0;{last};{y}m"):
            self.type("-l", f"\x1b[<{report}")

    def screen(self) -> str:
        """What stands there now."""
        return self._call("capture-pane", "-p")

    def shows(self, *texts: str) -> str:
        """Wait until all of *texts* are on the screen."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"{texts} not on the screen:\n{self.screen()}")

    def copied(self) -> str:
        """What was copied last in this tmux."""
        return self._call("show-buffer") if self._call("list-buffers") else ""

    def lacks(self, text: str) -> None:
        """Wait until *text* is on the screen no more."""
        end = time.monotonic() + PATIENCE_S
        while text in self.screen():
            assert time.monotonic() < end, f"{text} is still on the screen:\n{self.screen()}"
            time.sleep(0.1)

    def scrawl(self, text: str) -> None:
        """Write to the terminal past the program that runs in it, as `wall` and kernels do."""
        Path(self._call("display-message", "-p", "#{pane_tty}").strip()).write_text(text)

    def resize(self, columns: int, lines: int) -> None:
        self._call("resize-window", "-x", str(columns), "-y", str(lines))

    def close(self) -> None:
        """Close the terminal as a lost connection does."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)
