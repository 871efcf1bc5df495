"""What stands before the first frame: as little as it needs; it is the screen, not a blank one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tui.cli.main import _for_the_screen
from tui.cli.names import COMMANDS
from tui.cli.parser import build_parser

DRAWN = """
import asyncio, json, sys
from pathlib import Path
from tui.cli import main, screen
from textual._compositor import Compositor
from tui.app import LanewatchApp

async def first_frame(run):
    app = LanewatchApp(Path("/nowhere"), run=run, sampling=False)
    frames = []
    def display(screen, update):
        if update is not None and not frames:
            frames.append(update.render_segments(app.console))
            loaded = sorted(sys.modules)
            app.exit()
            print(json.dumps([frames[0], loaded]))
    app._display = display
    async with app.run_test(size=(120, 40)):
        pass

asyncio.run(first_frame(json.loads(sys.argv[1])))
"""
LATER = {
    *("argparse", "tomllib", "sqlite3", "pydantic", "docker"),
    *("monitor.model", "monitor.status_model", "runners.recipe", "tui.snapshot", "tui.detail"),
    *("tui.widgets.graph", "tui.widgets.log_tail", "tui.screens.run_series", "tui.log_text"),
}


def first_frame(run: str | None) -> tuple[str, set[str]]:
    """What is sent first, and the modules that are loaded by then; in a process of its own."""
    argv = [sys.executable, "-c", DRAWN, json.dumps(run)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, cwd=root)
    sent, loaded = json.loads(done.stdout)
    return sent, set(loaded)


@pytest.mark.parametrize(
    ("run", "word"),
    [pytest.param("r-1", "evidence", id="run"), pytest.param(None, "verdict", id="board")],
)
def test_the_first_frame_says_what_the_screen_is_and_loads_nothing_for_later(
    run: str | None, word: str
) -> None:
    sent, loaded = first_frame(run)
    assert word in sent
    assert "Reading the run" in sent
    assert loaded & LATER == set()


@pytest.mark.parametrize(
    "words",
    [[], ["r-1"], ["--readonly"], ["r-1", "--readonly"], ["--readonly", "a b"], [""]],
    ids=" ".join,
)
def test_the_words_of_the_screen_mean_the_same_without_the_parser(words: list[str]) -> None:
    quick = _for_the_screen(words)
    assert quick is not None
    assert vars(quick) | {"version": None} == vars(build_parser(board=True).parse_args(words))


@pytest.mark.parametrize("words", [["--help"], ["-x"], ["a", "b"], ["--", "a"], ["--readonly=1"]])
def test_other_words_are_the_parser_s(words: list[str]) -> None:
    assert _for_the_screen(words) is None


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_no_run(command: str) -> None:
    assert _for_the_screen([command]) is None
