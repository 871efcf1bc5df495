"""`lanewatch [RUN]`: the terminal UI."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.rundir import RunDir, runs_root
from runners.errors import RunnerError
from tui.cli import exits

if TYPE_CHECKING:
    import argparse

    from tui.actions import Action
    from tui.early_frame import EarlyFrame
    from tui.launching.attach_desk import AttachDesk
    from tui.launching.desk import LaunchDesk
    from tui.launching.settings_desk import SettingsDesk


def screen_command(options: argparse.Namespace) -> int:
    """Show the board, or one run's screen."""
    root = runs_root()
    run = _named(root, options.run) if options.run else None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RunnerError("the screen needs a terminal; `lanewatch runs` and `status` do not")
    return show_screen(root, run, read_only=options.readonly)


def _named(root: Path, part: str) -> str:
    if "/" not in part and (root / part / "run.json").is_file():
        return part  # its whole id: what else there is need not be looked at
    from runners.runs import find_run

    return find_run(root, part).root.name


def show_screen(root: Path, run: str | None, *, read_only: bool) -> int:
    """Run the app until it is quit and return its exit code. Runs go on."""
    # What is loaded for the first frame stays: to look through it for garbage would delay the frame
    # by a tenth. The app enables the collector again as soon as it has drawn.
    gc.disable()
    theme = os.environ.get("LANEWATCH_THEME") or "dark"  # `apply_config` has put it there
    early = _early_frame(root / run, theme) if run is not None else None
    try:
        return _run_app(root, run, early, theme=theme, read_only=read_only)
    finally:
        if early is not None:
            early.leave()


def _early_frame(folder: Path, theme: str) -> EarlyFrame | None:
    """Write the verdict that stands recorded; over a slow line it is read before the app draws."""
    from monitor.early_word import read_early_word
    from monitor.probes.clock import read_now

    word = read_early_word(folder, read_now())
    if word is None or sys.__stderr__ is None:
        return None
    from tui.early_frame import EarlyFrame
    from tui.themes import glyphs_of

    # Textual draws on this stream, too.
    return EarlyFrame.draw(folder.name, word, glyphs_of(theme, os.environ), sys.__stderr__)


def _run_app(
    root: Path, run: str | None, early: EarlyFrame | None, *, theme: str, read_only: bool
) -> int:
    from tui.app import LanewatchApp

    for fixed_size in ("COLUMNS", "LINES"):
        # Exported by some shells and scripts; Textual would believe them for ever, whatever the
        # terminal's size becomes.
        os.environ.pop(fixed_size, None)

    def stop(run_id: str, save: bool) -> None:
        # Loaded when it is asked for: launching is half of the package, and drawing comes first.
        from tui.cli.acting import ask_to_stop

        ask_to_stop(RunDir(root / run_id), save=save)

    def act(run_id: str, action: Action) -> str:
        from tui.cli.screen_actions import act_on

        return act_on(RunDir(root / run_id), action)

    def launch() -> LaunchDesk:
        from tui.launching.desk import LaunchDesk

        return LaunchDesk(root)

    def attach() -> AttachDesk:
        from tui.launching.attach_desk import AttachDesk

        return AttachDesk(root)

    def settings() -> SettingsDesk:
        from tui.launching.settings_desk import SettingsDesk

        return SettingsDesk()

    app = LanewatchApp(
        root=root,
        run=run,
        read_only=read_only,
        stop=stop,
        act=act,
        launch=launch,
        attach=attach,
        settings=settings,
        theme=theme,
        early=early,
    )
    app.run()
    return app.return_code or exits.OK
