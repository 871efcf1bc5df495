"""The terminal UI in a real terminal (tmux), through a real run; killing it harms nothing."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CLI, Lanewatch, state, trained, until
from terminals import Terminal


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
    terminal.type("y")
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


def test_a_terminal_that_is_gone_without_a_signal_ends_the_screen() -> None:
    ours, theirs = pty.openpty()
    # No controlling terminal, as under nohup: nothing is sent when the other end is closed.
    screen = subprocess.Popen(CLI, stdin=theirs, stdout=theirs, stderr=theirs, process_group=0)
    os.close(theirs)
    try:
        until(lambda: b"lanewatch" in os.read(ours, 65536), "it is drawn")
        os.close(ours)
        until(lambda: screen.poll() is not None, "it ends")
        assert screen.returncode == 129
    finally:
        screen.kill()
        screen.wait()


def test_what_is_copied_inside_tmux_can_be_pasted_there(
    lanewatch: Lanewatch, terminal: Terminal
) -> None:
    """Its defaults take a clipboard from no program's OSC 52."""
    lanewatch.root.mkdir(parents=True, exist_ok=True)
    terminal.run()
    terminal.shows("No runs yet")
    terminal.type("n")
    terminal.shows("lanewatch launch")
    terminal.type("c")
    terminal.shows("Copied the command for tmux")
    until(lambda: terminal.copied().startswith("lanewatch launch"), "it is in tmux's buffer")
    terminal.escape()
    terminal.shows("No runs yet")
    terminal.drag("launches one")
    terminal.type("C-c")
    terminal.shows("Copied 12 characters for tmux")
    until(lambda: terminal.copied() == "launches one", "what was selected is there, too")
