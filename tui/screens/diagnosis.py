"""Why one run hangs: looked at on a thread of its own; its remedies can be done from here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.aside import aside
from tui.diagnosis_looks import (
    NATIVE_WORDS,
    How,
    find_offer,
    may_go_native,
    needs_a_container,
    take_look,
)
from tui.lines import clean
from tui.screens.base import StateScreen
from tui.screens.commands_here import Commands, without
from tui.state import Snapshot
from tui.widgets.diagnosis_view import (
    WAITING,
    WAITING_CONTAINER,
    WAITING_NATIVE,
    DiagnosisView,
    RemedyClicked,
)
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.title_line import TitleLine

if TYPE_CHECKING:
    from monitor.diagnosis.record import Diagnosis
    from monitor.diagnosis.values import Remedy
    from runners.sidecar import Offer

Look = Callable[[How], "Diagnosis"]
Find = Callable[[], "Offer | None"]
"""Which container could look into the trainer. Raises with a sentence where none can."""
Act = Callable[["Remedy"], str]
"""Does a remedy and says what was done. Raises with a sentence for the person when it cannot."""


@dataclass
class Found(Message):
    """A diagnosis is made."""

    diagnosis: Diagnosis


@dataclass
class Failed(Message):
    """No diagnosis could be made."""

    text: str


@dataclass
class Offered(Message):
    """It is known whether another container can look."""

    offer: Offer | None


@dataclass
class Done(Message):
    """A remedy was done, or could not be."""

    text: str


class DiagnosisScreen(StateScreen):
    """Leaving it stops nothing; a diagnosis that is under way ends by itself."""

    HELP = "diagnosis"
    CSS_PATH = "diagnosis.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"remedy({number})", f"remedy {number}; asks first", show=False)
            for number in range(1, 10)
        ),
        Binding("d", "again", "look again", show=False),
        Binding("n", "native", "look for native calls; asks first", show=False),
        Binding("c", "container", "let a container look; asks first", show=False),
        Binding("g,home", "scroll(-99999)", "to the top", show=False),
        Binding("G,end", "scroll(99999)", "to the end", show=False),
        Binding("escape", "back", "leave the diagnosis", show=False),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("pagedown,ctrl+d,space", "page(1)", show=False),
        Binding("pageup,ctrl+u", "page(-1)", show=False),
    ]

    def __init__(
        self,
        run: str,
        root: Path,
        *,
        look: Look | None = None,
        find: Find | None = None,
        act: Act | None = None,
    ) -> None:
        """Diagnose *run* below *root*; *look*, *find* and *act* take the place of the real ones."""
        super().__init__()
        self.run, self._root = run, root
        self._look, self._act = look or self._really_look, act or self._really_act
        self._find = find or self._really_find
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
        self._begin(How(reads_only=self.lanewatch.read_only), WAITING)

    def action_native(self) -> None:
        """Look anew and deeper, after a question, for that pauses the trainer."""
        nothing = "Native calls help only where it hangs and there are stacks to look deeper into."
        if self._may_ask(may_go_native(self.view.found), nothing):
            self._ask(NATIVE_WORDS, How(native=True), WAITING_NATIVE)

    def action_container(self) -> None:
        """Have a container look, after a question that says what would be started."""
        nothing = "A container helps only where this user may not look into a container's trainer."
        if self._may_ask(needs_a_container(self.view.found), nothing):
            self._search()

    def _may_ask(self, useful: bool, otherwise: str) -> bool:
        if self._busy:
            return False
        if not useful:
            self._say(otherwise)
        elif not self.lanewatch.can_stop:
            self._say("This view is read-only: it looks, and does nothing more.")
        else:
            return True
        return False

    def _ask(self, words: str, how: How, note: str) -> None:
        from tui.screens.confirm_look import ConfirmLookScreen

        def chosen(wanted: bool | None) -> None:
            if wanted:
                self._begin(how, note)

        self.app.push_screen(ConfirmLookScreen(words), chosen)

    def _begin(self, how: How, note: str) -> None:
        if self._busy:
            return
        self._busy = True
        self.view.found, self.view.note = None, note
        self._show_keys()
        self._diagnose(how)

    def action_scroll(self, rows: int) -> None:
        self.view.scroll_lines(rows)

    def action_page(self, pages: int) -> None:
        self.view.scroll_pages(pages)

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
                    self.do(lambda: self._carry_out(remedy))

            self.app.push_screen(ConfirmRemedyScreen(remedy), chosen)

    def _diagnose(self, how: How) -> None:
        if how.offer is None and not how.native:
            self._look_aside(how)
        else:  # to its end: a container is removed again
            self.do(lambda: self._look_on_a_thread(how))

    @work(group="diagnose", exit_on_error=False)
    async def _look_aside(self, how: How) -> None:
        await aside(lambda: self._look_on_a_thread(how))

    def _look_on_a_thread(self, how: How) -> None:
        try:
            self.post_message(Found(self._look(how)))
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(Failed(f"It could not be diagnosed: {error}"))

    @work(exclusive=True, group="offer", exit_on_error=False)
    async def _search(self) -> None:
        await aside(self._search_on_a_thread)

    def _search_on_a_thread(self) -> None:
        try:
            self.post_message(Offered(self._find()))
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(Done(f"No container can look into the trainer: {error}"))

    def _carry_out(self, remedy: Remedy) -> None:
        try:
            told = self._act(remedy)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told = f"It was not done: {error}"
        self.answer(lambda: self._show_done(Done(told)), f"{self.run}: {told}")

    @on(Found)
    def _show_found(self, message: Found) -> None:
        self._busy = False
        self.view.found = message.diagnosis
        self._show_keys()

    @on(Offered)
    def _show_offered(self, message: Offered) -> None:
        if message.offer is None:
            self._say("No container can look into the trainer, or none is needed any more.")
        elif self.app.screen is not self:
            self._say("A container can look into the trainer: c in the diagnosis asks.")
        elif not self._busy:
            self._ask(clean(message.offer.words), How(offer=message.offer), WAITING_CONTAINER)

    @on(RemedyClicked)
    def _choose_clicked(self, message: RemedyClicked) -> None:
        self.action_remedy(message.number)

    @on(Failed)
    def _show_failed(self, message: Failed) -> None:
        self._busy = False
        self.view.note = message.text
        self._show_keys()

    @on(Done)
    def _show_done(self, message: Done) -> None:
        self._say(message.text)

    def commands(self) -> Commands:
        """What was found to be of use here; of remedies those that can be done from here."""
        found = self.view.found
        more = dict(self._keys_for_more(found)) if found is not None else {}
        idle = [] if found is not None else ["again"]  # it looks already
        idle += [action for key, action in (("n", "native"), ("c", "container")) if key not in more]
        doable = self._doable()
        idle += [f"remedy({at})" for at in range(1, 10) if str(at) not in doable]
        return tuple(
            (f"do: {doable[key]}; asks first" if key in doable else words, key, action)
            for words, key, action in without(super().commands(), *idle)
        )

    def _doable(self) -> dict[str, str]:
        """What can be done from here, by its key."""
        found = self.view.found
        if found is None or not self.lanewatch.can_stop:
            return {}
        remedies = enumerate(found.conclusion.remedies, 1)
        return {str(number): each.do for number, each in remedies if each.commands}

    def _show_keys(self) -> None:
        found = self.view.found
        keys: Keys = (("esc", "run"), ("q", "quit"), ("?", "help"))
        if found is not None:
            doable = self._doable()
            keys = (
                keys[0],
                *(((" ".join(doable), "do it"),) if doable else ()),
                ("d", "look again"),
                *self._keys_for_more(found),
                ("j k", "scroll"),
                *keys[1:],
            )
        self.keys.keys = keys

    def _keys_for_more(self, found: Diagnosis) -> Iterator[tuple[str, str]]:
        if not self.lanewatch.can_stop:
            return
        if may_go_native(found):
            yield "n", "native calls"
        if needs_a_container(found):
            yield "c", "let a container look"

    def _say(self, text: str) -> None:
        self.app.notify(clean(text), markup=False)

    def _really_look(self, how: How) -> Diagnosis:
        return take_look(self._root / self.run, how)

    def _really_find(self) -> Offer | None:
        return find_offer(self._root / self.run)

    def _really_act(self, remedy: Remedy) -> str:
        from tui.remedy_acts import carry_out

        return carry_out(remedy, self._root)
