"""Why one run hangs: looked at on a thread of its own; its remedies can be done from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.lines import clean
from tui.screens.base import StateScreen
from tui.state import Snapshot
from tui.widgets.diagnosis_view import WAITING, DiagnosisView, RemedyClicked
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.title_line import TitleLine

if TYPE_CHECKING:
    from monitor.diagnosis.record import Diagnosis
    from monitor.diagnosis.values import Remedy

Look = Callable[[], "Diagnosis"]
Act = Callable[["Remedy"], str]
"""Does a remedy and says what was done. Raises with a sentence for the person when it cannot."""


@dataclass
class Found(Message):
    """A diagnosis is made."""

    diagnosis: Diagnosis


@dataclass
class Done(Message):
    """A remedy was done, or could not be."""

    text: str


class DiagnosisScreen(StateScreen):
    """Leaving it stops nothing; a diagnosis that is under way ends by itself."""

    CSS_PATH = "diagnosis.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("d", "again", show=False),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("pagedown,ctrl+d,space", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
        Binding("g,home", "scroll(-99999)", show=False),
        Binding("G,end", "scroll(99999)", show=False),
        *(Binding(str(number), f"remedy({number})", show=False) for number in range(1, 10)),
    ]

    def __init__(
        self, run: str, root: Path, *, look: Look | None = None, act: Act | None = None
    ) -> None:
        """Diagnose *run* below *root*; *look* and *act* take the place of the real ones."""
        super().__init__()
        self.run, self._root = run, root
        self._look, self._act = look or self._really_look, act or self._really_act
        self._busy = False
        self.heading = TitleLine(id="title")
        self.view = DiagnosisView(id="diagnosis")
        self.keys = KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.heading
        yield self.view
        yield self.keys

    def on_mount(self) -> None:
        self.heading.run, self.heading.read_only = self.run, self.lanewatch.read_only
        self.action_again()

    def show_state(self, snapshot: Snapshot) -> None:
        self.heading.status = snapshot.status_of(self.run)

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_again(self) -> None:
        """Look anew; one look at a time."""
        if self._busy:
            return
        self._busy = True
        self.view.found, self.view.note = None, WAITING
        self._show_keys()
        self._diagnose()

    def action_scroll(self, rows: int) -> None:
        self.view.scroll_lines(rows)

    def action_page(self, pages: int) -> None:
        self.view.scroll_lines(pages * max(1, self.view.size.height - 2))

    def action_remedy(self, number: int) -> None:
        """Ask, then do the remedy of this number; some are for a person's own hands."""
        found = self.view.found
        remedies = found.conclusion.remedies if found is not None else ()
        if number > len(remedies):
            return
        remedy = remedies[number - 1]
        if not remedy.commands:
            self._say(f"This is not lanewatch's to do: {remedy.do}.")
        elif not self.lanewatch.can_stop:
            self._say("This view is read-only: nothing can be done to a run from here.")
        else:
            from tui.screens.confirm_remedy import ConfirmRemedyScreen

            def chosen(wanted: bool | None) -> None:
                if wanted:
                    self._carry_out(remedy)

            self.app.push_screen(ConfirmRemedyScreen(remedy), chosen)

    @work(thread=True, exclusive=True, group="diagnose", exit_on_error=False)
    def _diagnose(self) -> None:
        try:
            self.post_message(Found(self._look()))
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(Done(f"It could not be diagnosed: {error}"))

    @work(thread=True, exclusive=True, group="remedy", exit_on_error=False)
    def _carry_out(self, remedy: Remedy) -> None:
        try:
            self.post_message(Done(self._act(remedy)))
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(Done(f"It was not done: {error}"))

    @on(Found)
    def _show_found(self, message: Found) -> None:
        self._busy = False
        self.view.found = message.diagnosis
        self._show_keys()

    @on(RemedyClicked)
    def _choose_clicked(self, message: RemedyClicked) -> None:
        self.action_remedy(message.number)

    @on(Done)
    def _show_done(self, message: Done) -> None:
        if self._busy:
            self._busy = False
            self.view.note = message.text
            self._show_keys()
        else:
            self._say(message.text)

    def _show_keys(self) -> None:
        found = self.view.found
        keys: Keys = (("esc", "run"), ("q", "quit"), ("?", "help"))
        if found is not None:
            numbers = [
                str(number)
                for number, each in enumerate(found.conclusion.remedies, 1)
                if each.commands
            ]
            doable = numbers if self.lanewatch.can_stop else []
            keys = (
                keys[0],
                *(((" ".join(doable), "do it"),) if doable else ()),
                ("d", "look again"),
                ("j k", "scroll"),
                *keys[1:],
            )
        self.keys.keys = keys

    def _say(self, text: str) -> None:
        self.app.notify(clean(text), markup=False)

    def _really_look(self) -> Diagnosis:
        from monitor.diagnosis.record import diagnose
        from monitor.rundir import RunDir

        return diagnose(RunDir(self._root / self.run))

    def _really_act(self, remedy: Remedy) -> str:
        from tui.remedy_acts import carry_out

        return carry_out(remedy, self._root)
