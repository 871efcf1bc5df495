"""The terminal UI in a real terminal (tmux), through a real run; killing it harms nothing."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CLI, Lanewatch, state, trained, until


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
        self.type(" ".join([*CLI, *words, "; echo left with $?"]), "Enter")

    def screen(self) -> str:
        """What stands there now."""
        return self._call("capture-pane", "-p")

    def shows(self, *texts: str) -> str:
        """Wait until all of *texts* are on the screen."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            time.sleep(0.1)
        raise AssertionError(f"{texts} not on the screen:\n{self.screen()}")

    def resize(self, columns: int, lines: int) -> None:
        self._call("resize-window", "-x", str(columns), "-y", str(lines))

    def close(self) -> None:
        """Close the terminal as a lost connection does."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    assert shutil.which("tmux"), "install tmux: the terminal UI is tested in one"
    made = Terminal(tmp_path / "tmux", 120, 40)
    yield made
    made.close()


def test_a_run_is_watched_stopped_and_found_again(lanewatch: Lanewatch, terminal: Terminal) -> None:
    run = lanewatch.launch("--name=night", iterations=3000, save_interval=20)
    terminal.run()
    terminal.shows("night", "memory")
    terminal.type("Enter")
    until(lambda: trained(run) >= 21, "a checkpoint")
    terminal.shows("training", "evidence", "heartbeat", "loss")
    terminal.type("?")
    terminal.shows("everywhere")
    terminal.escape()
    terminal.shows("evidence", "esc board")
    terminal.type("/")
    terminal.type("iteration", "Enter")
    terminal.escape()
    terminal.shows("training", "evidence")
    for columns, lines in ((40, 10), (80, 24), (50, 18), (200, 60), (120, 40)):
        terminal.resize(columns, lines)
        terminal.type("s")
        terminal.shows("then stop")
        terminal.escape()
    terminal.shows("training", "reference on local")  # what only a wide screen has room for

    terminal.type("s")
    terminal.shows("without saving")
    terminal.type("s")
    lanewatch("wait", run.root.name, code=1)
    terminal.shows("stopped")
    assert lanewatch.json("status", "night")["cause"].startswith("stopped by the user")
    terminal.type("q")
    terminal.shows("left with 0")
    assert "Traceback" not in terminal.screen()


def test_closing_the_terminal_under_the_screen_harms_nothing(
    lanewatch: Lanewatch, terminal: Terminal, tmp_path: Path
) -> None:
    run = lanewatch.launch("--name=night", iterations=3000, save_interval=500)
    terminal.run("night")
    until(lambda: trained(run) >= 2, "two iterations")
    terminal.shows("training")
    keeper = state(run)["keeper"]["pid"]
    terminal.close()
    before = trained(run)
    until(lambda: trained(run) > before + 2, "training goes on")
    assert state(run)["keeper"]["pid"] == keeper
    again = Terminal(tmp_path / "again", 40, 10)
    try:
        again.run("night", "--readonly")
        again.shows("training")
        again.type("s")  # read-only: nothing is asked, nothing happens
        time.sleep(0.5)
        assert "training" in again.screen()
    finally:
        again.close()
    lanewatch("kill", "night")
    lanewatch("wait", "night", code=1)
