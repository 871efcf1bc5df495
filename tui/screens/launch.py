"""Launch a run: choices, what they would meet, the command that they are, and the launch."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.clipboard import copy
from tui.launching.form import (
    AFTER,
    BESIDE,
    NOW,
    SMOKE_ITERATIONS,
    WITH_DEVICE,
    Field,
    Form,
    command,
    words,
)
from tui.launching.values import Choice, Looked
from tui.lines import clean
from tui.messages import ActionDone
from tui.screens.base import StateScreen
from tui.state import Snapshot, is_over
from tui.widgets.command_view import CommandView
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.launch_checks import LaunchChecks
from tui.widgets.launch_form import LaunchForm
from tui.widgets.pick_list import AS_NOW
from tui.widgets.title_text import TitleText

if TYPE_CHECKING:
    from textual.timer import Timer

    from tui.launching.desk import LaunchDesk

KEYS: Keys = (
    ("L", "launch"),
    ("enter", "change"),
    ("esc", "back"),
    ("S", "smoke first"),
    ("c", "copy command"),
    ("x", "reset"),
    ("left right", "next choice"),
)
LOOK_AFTER_S = 0.3
"""Choices in quick succession are looked at once."""
WIDE, TALL, SHORT = 110, 30, 20
COMMAND_ROWS = ((SHORT, 1, 2), (TALL, 2, 5), (10_000, 3, 9))
"""(below so many rows, rows that the command line has, and may take)."""
LANES = ("reference", "unsloth", "nemo")
ENGINES = ("local", "docker")
AT_LIMIT = (
    Choice(value="notify", title="notify", note="tell, do nothing"),
    Choice(value="save-and-stop", title="save and stop", note="while there is time to save"),
    Choice(
        value="stop-now",
        title="stop now",
        note="or that, and at the limit without saving",
        detail="At the limit it is stopped at once: what came after the last checkpoint is lost.",
    ),
)


class LookedAt(Message):
    """A step of looking at what the form says."""

    def __init__(self, form: Form, looked: Looked) -> None:
        super().__init__()
        self.form, self.looked = form, looked


@dataclass(frozen=True, slots=True)
class Launched:
    """The launch succeeded (a run's id) or was refused (a sentence)."""

    run: str | None
    told: tuple[str, ...]


class LaunchScreen(StateScreen):
    """Begins with what was launched last, so that the same again is two keys."""

    HELP = "launch"
    CSS_PATH = "launch.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("L", "launch", "launch it", show=False),
        Binding("S", "smoke", "launch a smoke run, and this behind it", show=False),
        Binding("c", "copy", "copy the command line", show=False),
        Binding("enter", "change", "change the field under the cursor", show=False),
        Binding("right,l,space", "cycle(1)", "its next choice", show=False),
        Binding("left,h", "cycle(-1)", "its choice before", show=False),
        Binding("x,backspace,delete", "reset", "back to what the recipe says", show=False),
        Binding("pagedown,ctrl+d", "scroll_checks(1)", "more of the checks", show=False),
        Binding("pageup,ctrl+u", "scroll_checks(-1)", "back in the checks", show=False),
        Binding("g,home", "move(-99)", "to the first field", show=False),
        Binding("G,end", "move(99)", "to the last field", show=False),
        Binding("escape", "back", "leave the form", show=False),
        Binding("j,down,tab", "move(1)", show=False),
        Binding("k,up,shift+tab", "move(-1)", show=False),
    ]

    def __init__(self, desk: LaunchDesk) -> None:
        super().__init__()
        self._desk = desk
        self._runs: tuple[str, ...] = ()
        self._gpus: tuple[tuple[str, str], ...] = ()
        self._launching = False
        self._refusal = ""
        """Why this form was not launched: a look at it that ends later does not take that back."""
        self.form_view = LaunchForm(id="form")
        # From the start: a key may come before the screen is there; L launches what stands here.
        self.form_view.set_reactive(LaunchForm.form, desk.first_form())
        self.checks = LaunchChecks(id="checks")
        self.command = CommandView(id="command")
        self.keys = KeyBar(id="keys")
        self._soon: Timer | None = None

    def compose(self) -> ComposeResult:
        yield TitleText("launch", id="title")
        yield self.form_view
        yield self.checks
        yield self.command
        yield self.keys

    def on_mount(self) -> None:
        self.keys.keys = KEYS
        self._change(self.form)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE, "-wide")
        self.set_class(event.size.height < TALL, "-low")
        self.set_class(event.size.height < SHORT, "-short")
        self._fit()

    @property
    def form(self) -> Form:
        """The choices as they stand."""
        return self.form_view.form

    def show_state(self, snapshot: Snapshot) -> None:
        live = [each for each in snapshot.runs if not is_over(each)]
        self._runs = tuple(each.name or each.run for each in live)
        gpus = snapshot.machine.gpus if snapshot.machine else ()
        self.form_view.gpus = ", ".join(gpu.name for gpu in gpus)
        self._gpus = tuple((str(gpu.index), gpu.name) for gpu in gpus)

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_move(self, rows: int) -> None:
        last = len(Field) - 1
        self.form_view.cursor = min(max(0, self.form_view.cursor + rows), last)

    def action_scroll_checks(self, pages: int) -> None:
        self.checks.scroll_pages(pages)

    def action_cycle(self, steps: int) -> None:
        """The next of few choices; a field with many has its picker."""
        field = self.form_view.field
        few = self._devices() if field is Field.DEVICE else self._few(field)
        choices = [each.value for each in few]
        if not choices:
            self.action_change()
            return
        now = self.form.value(field) or ""
        at = choices.index(now) if now in choices else -1 if steps > 0 else 0
        self._change(self.form.with_value(field, choices[(at + steps) % len(choices)]))

    def action_reset(self) -> None:
        self._change(self.form.with_value(self.form_view.field, None))

    def action_change(self) -> None:
        """Open the picker of the field under the cursor."""
        from tui.screens.pick import PickScreen

        field = self.form_view.field

        def chosen(value: str | None) -> None:
            if value is not None:
                self._change(self.form.with_value(field, _whole(field, value)))

        few = self._few(field)
        many = field in (Field.RECIPE, Field.DATA, Field.MODEL)
        now = self.form.value(field) or self.form_view.looked.says.get(field)
        self.app.push_screen(
            PickScreen(
                f"{field.value}",
                few or self._suggested(field),
                find=(lambda: self._desk.choices(field, now)) if many else None,
                free=not few,
                hint=HINTS.get(field, "type a part of it"),
                none="None is known here: type one.",
                now=now,
            ),
            chosen,
        )

    def action_copy(self) -> None:
        self.app.notify(copy(self.app, self.command.command, "the command"))

    def action_launch(self) -> None:
        self._once_the_limit_is_known(self._launch)

    def action_smoke(self) -> None:
        self._once_the_limit_is_known(self._launch_smoke)

    def on_click(self, event: events.Click) -> None:
        """A click moves to a field, a second one changes it; one on the command copies that."""
        if event.widget is self.command:
            self.action_copy()
        if event.widget is not self.form_view:
            return
        field = self.form_view.field_at(event.y)
        if field is None:
            return
        if field is self.form_view.field:
            self.action_change()
        else:
            self.form_view.cursor = tuple(Field).index(field)

    def on_mouse_scroll_down(self) -> None:
        self.checks.scroll_lines(3)

    def on_mouse_scroll_up(self) -> None:
        self.checks.scroll_lines(-3)

    def _few(self, field: Field) -> tuple[Choice, ...]:
        if field is Field.LANE:
            return tuple(Choice(value=each, title=each) for each in LANES)
        if field is Field.ENGINE:
            return tuple(Choice(value=each, title=each) for each in ENGINES)
        if field is Field.AT_LIMIT:
            return AT_LIMIT
        if field is Field.START:
            after = [f"{AFTER}{each}" for each in self._runs]
            return tuple(Choice(value=each, title=each) for each in (NOW, *after, BESIDE))
        return ()

    def _devices(self) -> tuple[Choice, ...]:
        """Where it can train; the numbers of this machine's GPUs, and room for another one's."""
        cards = tuple(
            Choice(value=number, title=f"GPU {number}", note=name) for number, name in self._gpus
        )
        if self.form.lane not in WITH_DEVICE:
            first = Choice(value="", title="the first GPU", note=f"{self.form.lane} needs one")
            return (first, *cards)
        return (
            Choice(value="auto", title="auto", note=self.form_view.gpus or "none is here"),
            Choice(value="cpu", title="cpu", note="no GPU"),
            Choice(value="cuda", title="cuda", note="a GPU, or it fails"),
            *cards,
        )

    def _suggested(self, field: Field) -> tuple[Choice, ...]:
        if field is Field.DEVICE:
            return self._devices()
        said = self.form_view.looked.says.get(field)
        return (Choice(value=said, title=said, note=AS_NOW),) if said else ()

    def _change(self, form: Form) -> None:
        self._refusal = ""  # it was of another launch
        self.form_view.form = form
        self.command.command = command(words(form))
        self._fit()
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(LOOK_AFTER_S, self._look)  # one that has rung rings no more

    def _look(self) -> None:
        form = self.form
        self._desk.look_at(form, lambda looked: self.post_message(LookedAt(form, looked)))

    @on(LookedAt)
    def _show_looked(self, message: LookedAt) -> None:
        if message.form == self.form:
            self.form_view.looked = _refused(message.looked, self._refusal)
            self.checks.looked = message.looked
            self._fit()

    def _fit(self) -> None:
        """Errors and the command need rows; the checks take what is left."""
        width = self.form_view.size.width
        if width:
            self.form_view.styles.height = self.form_view.rows_needed(width)
            rows = self.size.height
            least, most = next(each[1:] for each in COMMAND_ROWS if rows < each[0])
            needed = max(least, self.command.rows_needed(self.size.width - 2, most))
            self.command.styles.height = needed
            self.styles.grid_rows = f"2 1fr {needed + 1} 1"

    def _once_the_limit_is_known(self, go_on: object) -> None:
        from tui.screens.pick import PickScreen

        assert callable(go_on)
        if self._launching:
            return
        if self.form.at_limit is not None:
            go_on()
            return

        def answered(value: str | None) -> None:
            if value is not None:
                self.do(lambda: self._remember(value))
                self._change(self.form.with_value(Field.AT_LIMIT, value))
                go_on()

        title = "When memory reaches its limit? Asked once; `memory limit` changes it."
        self.app.push_screen(PickScreen(title, AT_LIMIT), answered)

    def _remember(self, value: str) -> None:
        try:
            self._desk.remember_at_limit(value)
        except Exception as error:  # noqa: BLE001 - the answer holds for this launch all the same
            self.lanewatch.post_message(ActionDone(f"ui.at_limit is not kept: {error}"))

    def _launch(self) -> None:
        self._begin()
        said = words(self.form)
        self.do(lambda: self._start(said))

    def _launch_smoke(self) -> None:
        self._begin()
        form = self.form
        self.do(lambda: self._start(words(form, smoke=SMOKE_ITERATIONS), then=form))

    def _begin(self) -> None:
        self._launching, self._refusal = True, ""
        self.keys.trouble = "launching"

    def _start(self, said: list[str], then: Form | None = None) -> None:
        """Launch; with *then*, launch that behind it as well."""
        told: list[str] = []
        run: str | None = None
        try:
            run = self._desk.start(said, told.append)
            if then is not None:
                self._desk.start(words(then, after=run), told.append)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told.append(str(error))
            if run is not None:
                told[-1] = f"the smoke run was launched, the whole was not: {error}"
        message = Launched(run, tuple(told))
        summary = " ".join((f"{run} was launched.", *told[-1:])) if run else told[-1]
        self.answer(lambda: self._show_launched(message), summary)

    def _show_launched(self, message: Launched) -> None:
        self._launching = False
        self.keys.trouble = self._trouble
        if message.run is None:
            reason = clean(" ".join(message.told[-1].split()))
            self._refusal = reason.removeprefix("not launched: ")
            self.form_view.looked = _refused(self.form_view.looked, self._refusal)
            self._fit()
            return
        for each in message.told:
            self.app.notify(clean(each), markup=False)
        self.lanewatch.show_launched(message.run)


HINTS = {
    Field.RECIPE: "type a part of it, or a path",
    Field.DATA: "type a part of it, or a path",
    Field.MODEL: "type a part of it, a folder, or owner/name on the hub",
    Field.DEVICE: "or the number of one GPU, as nvidia-smi counts",
    Field.ITERATIONS: "a number, or auto",
    Field.SAVE: "a number of iterations",
    Field.NAME: "letters, digits, '.', '_' and '-'",
}


def _refused(looked: Looked, reason: str) -> Looked:
    """With *reason* the launch was refused: beside the field whose problem it is, if that was seen.

    What is still looked up when the refusal comes does not wipe it out.
    """
    if not reason:
        return looked
    seen = [each for each in looked.problems if each[0] is not None]
    place = next((place for place, said in seen if said in reason), None)
    others = [each for each in seen if place is None or each[0] is not place]
    return replace(looked, problems=(*others, (place, f"not launched: {reason}")))


def _whole(field: Field, value: str) -> str:
    """A path as it holds from anywhere; a recipe may be left out."""
    if field in (Field.RECIPE, Field.DATA) and value:
        from monitor.errors import MonitorError
        from monitor.rundir import expanded

        with contextlib.suppress(MonitorError, OSError):  # what is wrong with it is told beside it
            return str(expanded(value).absolute())
    return value
