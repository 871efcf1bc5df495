"""The application: wires the sampler to the screen in front. It decides nothing about runs.

It reads the disk and the machine and writes nothing; a run does not notice whether it is there.
What changes a run (`stop`) is a callable that the command line hands in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import App
from textual.binding import Binding, BindingType

from tui.glyphs import choose_glyphs
from tui.lines import clean
from tui.messages import Sampled, SampleFailed
from tui.openings import OPENING_KEYS, Openings
from tui.sampler import Sampler
from tui.screens.base import StateScreen
from tui.screens.board import BoardScreen
from tui.state import Snapshot, is_over

if TYPE_CHECKING:
    from textual.screen import Screen

    from monitor.status_model import RunStatus

StopRun = Callable[[str, bool], None]
"""(run id, save a checkpoint first). Raises with a sentence for the person when it cannot."""

HERE = Path(__file__).parent

DRAW_FIRST_S = 0.05
"""From mounting to the first paint it takes about 20 ms here."""

SILENT_S = 10.0
"""A tick takes milliseconds; after so long without one, the disk does not answer."""


class LanewatchApp(Openings, App[None]):
    """The board, and one run's screen on top of it."""

    # The default screen gets no CSS_PATH of its own loaded (Textual 8.2), so it is named here.
    CSS_PATH: ClassVar = [HERE / "app.tcss", HERE / "screens" / "board.tcss"]
    TITLE = "lanewatch"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit", show=False),
        Binding("question_mark", "help", "help", show=False),
        *OPENING_KEYS,
    ]

    def __init__(
        self,
        root: Path,
        run: str | None = None,
        read_only: bool = False,
        *,
        stop: StopRun | None = None,
        sampling: bool = True,
    ) -> None:
        """Watch the runs below *root*, beginning with *run* (a full id) if one is named.

        Without *stop*, or with *read_only*, nothing can be changed from here. With *sampling* off
        the app shows only the messages that are posted to it.
        """
        # Textual takes an empty NO_COLOR as set; no-color.org says that it is not.
        if os.environ.get("NO_COLOR") == "":
            del os.environ["NO_COLOR"]
        super().__init__()
        self.animation_level = "none"
        self.glyphs = choose_glyphs(os.environ)
        self.root = root
        self.read_only = read_only
        self.snapshot: Snapshot | None = None
        self._first_run = run
        self._stop = stop
        self._sampler = (
            Sampler(
                root,
                emit=lambda snapshot: self.post_message(Sampled(snapshot)),
                fail=lambda problem: self.post_message(SampleFailed(problem)),
            )
            if sampling
            else None
        )

    def get_default_screen(self) -> Screen[None]:
        return BoardScreen(id="_default")

    @property
    def can_stop(self) -> bool:
        """True when a run may be stopped from here."""
        return self._stop is not None and not self.read_only

    def may_stop(self, status: RunStatus | None) -> bool:
        """True when this run may be stopped from here; a foreign one is not ours to stop."""
        ours = status is not None and status.foreign is None
        return self.can_stop and ours and status is not None and not is_over(status)

    def on_mount(self) -> None:
        if self._first_run is not None:
            self.open_run(self._first_run)
        if self._sampler is not None:
            # Draw first: reading competes with drawing for the interpreter.
            self.set_timer(DRAW_FIRST_S, self._sampler.start)
            self.set_interval(SILENT_S / 2, self._check_sampler)

    def on_unmount(self) -> None:
        if self._sampler is not None:
            self._sampler.stop()

    def open_run(self, run: str) -> None:
        """Show one run's screen on top of the board."""
        from tui.screens.run import RunScreen

        if self._sampler is not None:
            self._sampler.open(run)
        self.push_screen(RunScreen(run))

    def close_run(self) -> None:
        """Go back to the board."""
        if self._sampler is not None:
            self._sampler.open(None)
        self.pop_screen()

    def ask_to_stop(self, status: RunStatus) -> None:
        """Ask how to stop a run, and have it done."""
        from tui.screens.confirm_stop import Choice, ConfirmStopScreen

        if not self.can_stop:
            self._say("This view is read-only: runs cannot be stopped from here.")
            return
        if status.foreign is not None:
            self._say("lanewatch did not start this run: end it where it was started.")
            return

        def chosen(choice: Choice | None) -> None:
            if choice is not None and choice is not Choice.CANCEL:
                self._stop_run(status.run, save=choice is Choice.SAVE)

        self.push_screen(ConfirmStopScreen(status), chosen)

    def action_help(self) -> None:
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        from rich.text import Text

        farewell = self.farewell()
        self.exit(message=Text(farewell) if farewell else None)

    def action_help_quit(self) -> None:
        """ctrl+c reaches no run and does not quit either: say what does."""
        self._say("q quits lanewatch. Runs go on either way.")

    def farewell(self) -> str | None:
        """What to say on the way out: that the live runs go on without this window."""
        live = [run.run for run in self.snapshot.runs if not is_over(run)] if self.snapshot else []
        if not live:
            return None
        if len(live) == 1:
            return f"{live[0]} goes on; come back with: lanewatch {live[0]}"
        return f"{len(live)} runs go on; come back with: lanewatch"

    @on(Sampled)
    def _show_state(self, message: Sampled) -> None:
        before, self.snapshot = self.snapshot, message.snapshot
        self._tell_alerts(before, message.snapshot)
        screen = self.screen
        if isinstance(screen, StateScreen) and screen.is_mounted:
            screen.show_state(message.snapshot)

    def _tell_alerts(self, before: Snapshot | None, after: Snapshot) -> None:
        """Ring the terminal at an alert that is new, also where nobody looks at this window."""
        if before is None or before.runs is after.runs or self._driver is None:
            return
        from tui.alert_notice import arrived, sequences

        text = sequences(
            arrived(before, after),
            term=os.environ.get("TERM", ""),
            osc=os.environ.get("LANEWATCH_ALERTS_OSC") or "auto",
            bell=os.environ.get("LANEWATCH_ALERTS_BELL") != "off",
        )
        if text and not self.is_headless:
            # Through Textual's own writer, as its `bell` does: it never cuts into a frame.
            self._driver.write(text)

    @on(SampleFailed)
    def _report_failure(self, message: SampleFailed) -> None:
        self._say(message.problem)

    def _check_sampler(self) -> None:
        silent_s = self._sampler.silent_s if self._sampler is not None else 0.0
        text = ""
        if silent_s > SILENT_S:
            text = f"Nothing could be read for {silent_s:.0f} s: the disk does not answer."
        for screen in self.screen_stack:
            if isinstance(screen, StateScreen):
                screen.show_trouble(text)

    @work(thread=True, exclusive=True, group="stop", exit_on_error=False)
    def _stop_run(self, run: str, *, save: bool) -> None:
        assert self._stop is not None
        try:
            self._stop(run, save)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(SampleFailed(f"{run} was not stopped: {error}"))

    def _say(self, text: str) -> None:
        # Never as markup: the text may hold a path or an exception with brackets in it.
        self.notify(clean(text), markup=False)
