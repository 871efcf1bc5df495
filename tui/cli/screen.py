"""`lanewatch [RUN]`: the terminal UI."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from monitor.rundir import RunDir, runs_root
from runners.errors import RunnerError
from runners.runs import find_run
from tui.cli import exits
from tui.cli.acting import ask_to_stop


def screen_command(options: argparse.Namespace) -> int:
    """Show the board, or one run's screen."""
    root = runs_root()
    run = find_run(root, options.run).root.name if options.run else None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RunnerError("the screen needs a terminal; `lanewatch runs` and `status` do not")
    show_screen(root, run, read_only=options.readonly)
    return exits.OK


def show_screen(root: Path, run: str | None, *, read_only: bool) -> None:
    """Run the app until it is quit. Runs go on."""
    from tui.app import LanewatchApp

    for fixed_size in ("COLUMNS", "LINES"):
        # Exported by some shells and scripts; Textual would believe them for ever, whatever the
        # terminal's size becomes.
        os.environ.pop(fixed_size, None)

    def stop(run_id: str, save: bool) -> None:
        ask_to_stop(RunDir(root / run_id), save=save)

    LanewatchApp(root=root, run=run, read_only=read_only, stop=stop).run()
