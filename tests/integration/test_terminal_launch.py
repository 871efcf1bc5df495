"""From the form to the end of a run, in a real terminal; and what a terminal does to a screen."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CLI, RECIPE, Lanewatch, read, state, trained, until
from terminals import Terminal

from monitor.rundir import RunDir
from runners.choices import remember_launch


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    assert shutil.which("tmux"), "install tmux: the terminal UI is tested in one"
    made = Terminal(tmp_path / "tmux", 120, 40)
    yield made
    made.close()


def remember(root: Path, iterations: int, save_interval: int) -> None:
    """As if the demo had been launched before with these."""
    root.mkdir(parents=True, exist_ok=True)
    settings = (f"train.iterations={iterations}", f"train.save_interval={save_interval}")
    words = ["--lane=reference", "--engine=local", *(f"--set={each}" for each in settings)]
    remember_launch(root, ["launch", str(RECIPE), *words])


def the_run(root: Path) -> RunDir:
    """The only run there is, once it is there."""
    found = until(lambda: sorted(root.glob("reference-*/run.json")), "a run")
    return RunDir(found[0].parent)


def test_a_run_is_launched_stopped_resumed_and_seen_to_its_end(
    lanewatch: Lanewatch, terminal: Terminal
) -> None:
    remember(lanewatch.root, iterations=60, save_interval=20)
    terminal.run()
    terminal.shows("No runs yet")
    terminal.type("n")
    terminal.shows("before the launch", "train.iterations=60", "safe")
    terminal.type("L")
    terminal.shows("When memory reaches its limit?")
    terminal.type("Down", "Enter")
    run = the_run(lanewatch.root)
    until(lambda: trained(run) >= 3, "three iterations")
    assert read(run.run_json)["recipe"]["memory"]["at_limit"] == "save-and-stop"
    trainer = read(run.heartbeat)["pid"]
    os.kill(trainer, signal.SIGSTOP)  # it is not at its end before it is asked to stop
    terminal.shows("training")
    terminal.type("s")
    terminal.shows("without saving")
    terminal.type("y")
    until(lambda: "stop" in run.events.read_text(), "the keeper was asked")
    os.kill(trainer, signal.SIGCONT)
    lanewatch("wait", run.root.name, code=1)
    saved = int(run.tracker.read_text())
    assert 3 <= saved < 60

    terminal.shows("stopped")
    terminal.escape()
    terminal.shows("R resume")
    terminal.type("R")
    terminal.shows("resume it")
    terminal.type("y")
    until(lambda: state(run).get("attempt") == 2, "the second attempt")
    terminal.shows("finished")
    lanewatch("wait", run.root.name)
    assert int(run.tracker.read_text()) == 60
    terminal.type("q")
    terminal.shows("left with 0")
    assert "Traceback" not in terminal.screen()


def test_a_refused_launch_says_why_and_nothing_is_left(
    lanewatch: Lanewatch, terminal: Terminal
) -> None:
    remember(lanewatch.root, iterations=10, save_interval=50)
    terminal.run()
    terminal.shows("No runs yet")
    terminal.type("n")
    terminal.shows("✗ train.save_interval: 50 is more than")
    terminal.type("L")
    terminal.shows("When memory reaches its limit?")
    terminal.type("Enter")
    terminal.shows("✗ not launched: train.save_interval: 50")
    assert not list(lanewatch.root.glob("reference-*"))
    terminal.escape()
    terminal.type("q")
    terminal.shows("left with 0")


def test_ctrl_z_and_fg_and_a_storm_of_sizes(lanewatch: Lanewatch, terminal: Terminal) -> None:
    lanewatch.root.mkdir(parents=True)
    terminal.run()
    terminal.shows("No runs yet")
    terminal.type("C-z")
    terminal.shows("Stopped")
    terminal.command("echo in the $((40 + 2)) shell")
    terminal.shows("in the 42 shell")
    terminal.command("fg; echo came back with $?")
    terminal.shows("No runs yet", "memory")
    terminal.scrawl("\x1b[3;5Ha message to all")
    terminal.shows("a message to all")
    terminal.type("C-l")
    terminal.lacks("message")
    terminal.shows("No runs yet", "memory")
    for number in range(40):
        terminal.resize(20 + 7 * (number % 19), 6 + number % 31)
    terminal.resize(120, 40)
    terminal.shows("No runs yet", "ctrl+p more")
    terminal.type("?")
    terminal.shows("everywhere")
    terminal.escape()
    terminal.type("q")
    terminal.shows("came back with 0")
    assert "Traceback" not in terminal.screen()


def test_a_tmux_session_is_joined_again_from_a_smaller_terminal(
    lanewatch: Lanewatch, terminal: Terminal, tmp_path: Path
) -> None:
    lanewatch.root.mkdir(parents=True)
    session = f"TMUX= tmux -S {tmp_path}/inner -f /dev/null"
    terminal.command(f"{session} new-session '{' '.join(CLI)}; echo left with $?; exec sh'")
    terminal.shows("No runs yet", "memory")
    terminal.close()  # the connection in which tmux was looked at is gone
    again = Terminal(tmp_path / "again", 60, 16)
    try:
        again.command(f"{session} attach")
        again.shows("No runs yet", "? help")
        again.type("q")
        again.shows("left with 0")
    finally:
        again.close()
        subprocess.run(["tmux", "-S", str(tmp_path / "inner"), "kill-server"], check=False)
