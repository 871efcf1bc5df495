"""The application: wires the sampler to the screen in front. It decides nothing about runs.

It reads the disk and the machine and writes nothing; a run does not notice whether it is there.
What changes a run (`stop`) and what starts one (`launch`) is handed in by the command line.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver

from tui.attaching import Attaching, OpenAttach
from tui.changing import ActOn, Changing, StopRun
from tui.glyphs import ASCII
from tui.hangup import is_hung_up
from tui.lines import clean
from tui.messages import ActionDone, Answered, Sampled, SampleFailed
from tui.narrow_updates import NarrowUpdates
from tui.openings import OPENING_KEYS, Openings
from tui.quiet_driver import QuietDriver
from tui.sampler import Sampler
from tui.screens.base import StateScreen
from tui.selecting import SELECTING_KEYS, Selecting
from tui.sheet import Sheet
from tui.themes import glyphs_of, textual_theme

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.early_frame import EarlyFrame
    from tui.launching.desk import LaunchDesk
    from tui.launching.settings_desk import SettingsDesk
    from tui.state import Snapshot

OpenDesk = Callable[[], "LaunchDesk"]
"""What the launch form asks; made when it is first opened, since launching loads much."""

OpenSettings = Callable[[], "SettingsDesk"]
"""What the settings screen asks, likewise."""

HERE = Path(__file__).parent

SILENT_S = 10.0
"""A tick takes milliseconds; after so long without one, the disk does not answer."""


class LanewatchApp(Openings, Attaching, Changing, Selecting, NarrowUpdates, App[None]):
    """The board, and one run's screen on top of it."""

    TITLE = "lanewatch"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit", show=False),
        Binding("question_mark", "help", "help", show=False),
        Binding("ctrl+p", "palette", "commands", show=False),
        Binding("comma", "settings", "settings", show=False),
        Binding("ctrl+z", "suspend_process", "to the shell", show=False),
        Binding("ctrl+l", "redraw", "draw the screen anew", show=False),
        *OPENING_KEYS,
        *SELECTING_KEYS,
    ]

    def __init__(
        self,
        root: Path,
        run: str | None = None,
        read_only: bool = False,
        *,
        stop: StopRun | None = None,
        act: ActOn | None = None,
        launch: OpenDesk | None = None,
        attach: OpenAttach | None = None,
        settings: OpenSettings | None = None,
        theme: str = "dark",
        early: EarlyFrame | None = None,
        sampling: bool = True,
    ) -> None:
        """Watch the runs below *root*, beginning with *run* (a full id) if one is named.

        Without *stop*, *act*, *launch* and *attach*, or with *read_only*, nothing can be changed
        from here. *early* is what the terminal shows of the run already. With *sampling* off the
        app shows only the messages that are posted to it.
        """
        # Textual takes an empty NO_COLOR as set; no-color.org says that it is not.
        if os.environ.get("NO_COLOR") == "":
            del os.environ["NO_COLOR"]
        self.sheet = Sheet()
        self.early = early
        # The default screen gets no CSS_PATH of its own loaded (Textual 8.2), so it is named here.
        first = "run" if run is not None else "board"
        super().__init__(
            # Textual's own variable goes first: `textual serve` shows the screens in a browser.
            driver_class=None if os.environ.get("TEXTUAL_DRIVER") else QuietDriver,
            css_path=[HERE / "app.tcss", HERE / "screens" / f"{first}.tcss"],
        )
        if self.no_color:
            from tui.no_colour import NoColour

            self._filters[:] = [NoColour()]
        self.animation_level = "none"
        self.theme_name = theme
        self.glyphs = glyphs_of(theme, os.environ)
        if theme != "dark":
            self.theme = textual_theme(self, theme)
        self.root = root
        self.read_only = read_only
        self.snapshot: Snapshot | None = None
        self._first_run = run
        self._stop = stop
        self._act = act
        self._launch = launch
        self._open_attach = attach
        self._open_settings = settings
        self._title = ""
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
        """The run that was named, alone: the board is made when one goes back to it."""
        if self._first_run is not None:
            from tui.screens.run import RunScreen

            word = self.early.word if self.early is not None else None
            return RunScreen(self._first_run, word, id="_default")
        from tui.screens.board import BoardScreen

        return BoardScreen(id="_default")

    def on_mount(self) -> None:
        if self._sampler is not None:
            self._sampler.open(self._first_run)
            # Draw first: reading competes with drawing for the interpreter.
            self.screen.call_after_refresh(self._begin)
            self.set_interval(SILENT_S / 2, self._check_sampler)
            self.set_interval(SILENT_S / 2, self._check_terminal)

    def _begin(self) -> None:
        """After the first frame: collect garbage again, and read."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        if self._sampler is not None:
            self._sampler.start()

    def on_unmount(self) -> None:
        if self._title and self._driver is not None and not self.is_headless:
            from tui.terminal_title import POP

            self._driver.write(POP)
        if self._sampler is not None:
            self._sampler.stop()

    def open_run(self, run: str) -> None:
        """Show one run's screen on top of the board."""
        from tui.screens.run import RunScreen

        self.read_details(run)
        self.push_screen(RunScreen(run))

    def read_details(self, run: str | None) -> None:
        """Have the details of *run* read at every tick; None: of no run."""
        if self._sampler is not None:
            self._sampler.open(run)

    def close_run(self) -> None:
        """Go back to the board, or to whatever the run was opened from."""
        self.read_details(None)
        if len(self.screen_stack) > 1:
            self.pop_screen()
            return
        from tui.screens.board import BoardScreen

        # On top of the run, which was the first screen and has nothing below it.
        self.push_screen(BoardScreen())

    @property
    def is_plain(self) -> bool:
        """True where no ground can be told from another: what covers a screen covers all."""
        return self.no_color or self.theme_name in ("mono", "ascii") or self.glyphs is ASCII

    @property
    def can_launch(self) -> bool:
        """True when a run may be launched from here."""
        return self._launch is not None and not self.read_only

    def open_launch(self) -> None:
        """Show the launch form on top of the board."""
        if self._launch is None or self.read_only:
            self.say("This view is read-only: nothing is launched from here.")
            return
        from tui.screens.launch import LaunchScreen

        self.push_screen(LaunchScreen(self._launch()))

    def show_launched(self, run: str) -> None:
        """From the form that launched it to the run; what was opened on the form goes with it."""
        from tui.screens.launch import LaunchScreen

        while not isinstance(self.screen, LaunchScreen):
            self.pop_screen()
        self.pop_screen()
        self.open_run(run)

    def set_theme(self, theme: str) -> None:
        """Put a theme in force on every screen, and keep it for the next time."""
        from tui.widgets.line_view import LineView

        self.theme_name = theme
        self.glyphs = glyphs_of(theme, os.environ)
        self.theme = textual_theme(self, theme)
        for screen in self.screen_stack:
            for view in screen.query(LineView):
                view.redraw()
        if self._open_settings is not None and not self.read_only:
            self._keep("ui.theme", theme)

    def action_settings(self) -> None:
        from tui.screens.settings import SettingsScreen

        if self.read_only:
            self.say("This view is read-only: no setting is changed from here.")
            return
        if self._open_settings is not None and not isinstance(self.screen, SettingsScreen):
            self.push_screen(SettingsScreen(self._open_settings()))

    def action_palette(self) -> None:
        """What can be done from here, by name."""
        from tui.commands import palette
        from tui.screens.commands_here import keys_of
        from tui.screens.pick import PickScreen
        from tui.themes import THEMES

        front = self.screen
        if not isinstance(front, StateScreen):
            return
        runs = self.snapshot.runs if self.snapshot else ()
        taken, idle = keys_of(front.BINDINGS), self.idle_openings()
        choices = tuple(palette(front.commands(), runs, THEMES, taken=taken, idle=idle))

        def chosen(action: str | None) -> None:
            if action is not None:
                self.call_later(self.run_action, action, front)  # when the palette has gone

        self.push_screen(PickScreen("commands", choices, hint="type a part of its name"), chosen)

    def action_theme(self, theme: str) -> None:
        self.set_theme(theme)

    def action_open(self, run: str) -> None:
        """Show another run; only one run's screen is open at a time."""
        from tui.screens.board import BoardScreen

        # A run that was named on the command line lies below the board, and stays there.
        while len(self.screen_stack) > 1 and not isinstance(self.screen, BoardScreen):
            self.pop_screen()
        self.open_run(run)

    def action_launch(self) -> None:
        self.open_launch()

    def action_help(self) -> None:
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            front = self.screen
            group = front.HELP if isinstance(front, StateScreen) else ""
            self.push_screen(HelpScreen(group, read_only=self.read_only))

    async def action_quit(self) -> None:
        from rich.text import Text

        farewell = self.farewell()
        self.exit(message=Text(farewell) if farewell else None)

    def action_help_quit(self) -> None:
        """ctrl+c reaches no run and does not quit either: say what does."""
        self.say("q quits lanewatch. Runs go on either way.")

    def farewell(self) -> str | None:
        """What to say on the way out: that the live runs go on without this window."""
        from tui.farewell import farewell

        return farewell(self.snapshot)

    @on(Sampled)
    def _show_state(self, message: Sampled) -> None:
        before, self.snapshot = self.snapshot, message.snapshot
        self._tell_alerts(before, message.snapshot)
        self._tell_title(message.snapshot)
        show = getattr(self.screen, "show_state", None)  # a question learns what is lost meanwhile
        if show is not None and self.screen.is_mounted:
            show(message.snapshot)

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

    @on(Driver.SignalResume)
    def _come_back(self) -> None:
        """After ctrl+z and fg the terminal is empty, and only changes would be sent to it."""
        self.draw_anew()
        self._title = ""

    def _tell_title(self, snapshot: Snapshot) -> None:
        """Verdict and percent in the terminal's title, written when they change."""
        from tui.terminal_title import PUSH, WITHOUT_TITLE, title_of, title_sequence

        title = title_of(snapshot, snapshot.detail.run if snapshot.detail else None)
        if title == self._title or self._driver is None or self.is_headless:
            return
        if os.environ.get("TERM", "") not in WITHOUT_TITLE:
            start = "" if self._title else PUSH
            self._driver.write(start + title_sequence(title))
        self._title = title

    @on(SampleFailed)
    def _report_failure(self, message: SampleFailed) -> None:
        self._show_trouble(message.problem)

    @on(ActionDone)
    def _tell(self, message: ActionDone) -> None:
        self.say(message.text)

    @on(Answered)
    def _take_answer(self, message: Answered) -> None:
        if message.screen in self.screen_stack:
            message.take()
        elif message.told:
            self.say(message.told)

    def _check_sampler(self) -> None:
        silent_s = self._sampler.silent_s if self._sampler is not None else 0.0
        text = self._sampler.problem if self._sampler is not None else ""
        if silent_s > SILENT_S:
            text = f"Nothing could be read for {silent_s:.0f} s: the disk does not answer."
        self._show_trouble(text)

    def _show_trouble(self, text: str) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, StateScreen):
                screen.show_trouble(clean(text))

    def _check_terminal(self) -> None:
        """A screen that nobody can see is closed; the runs do not notice."""
        stdin = sys.__stdin__
        if not self.is_headless and stdin is not None and is_hung_up(stdin.fileno()):
            self.exit(return_code=129)  # as the signal would have ended it

    @work(thread=True, group="keep", exit_on_error=False)
    def _keep(self, key: str, value: str) -> None:
        assert self._open_settings is not None
        try:
            self._open_settings().put(key, value)
        except Exception as error:  # noqa: BLE001 - it is in force all the same
            self.post_message(ActionDone(f"{key} is not kept: {error}"))

    def say(self, text: str) -> None:
        # Never as markup: the text may hold a path or an exception with brackets in it.
        self.notify(clean(text), markup=False)
