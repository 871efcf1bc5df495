"""Pick one of several things: type a part of it, or move to it. Used wherever there is a choice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.launching.values import Choice
from tui.widgets.key_bar import KeyBar, Keys
from tui.widgets.pick_list import PickDetail, PickList
from tui.widgets.title_text import TitleText
from tui.widgets.typed_line import TypedLine

KEYS: Keys = (("enter", "take it"), ("esc", "leave it"), ("up down", "move"), ("type", "narrow"))
SHORT_ROWS, TINY_ROWS = 22, 14


@dataclass
class Found(Message):
    """Choices arrive from a thread; they are many and come in order."""

    choices: tuple[Choice, ...]
    done: bool
    problem: str = ""


class PickScreen(ModalScreen[str]):
    """Answers with the value picked; None when it was left.

    *free*: what is typed may be taken as it is. *find* is called on a thread.
    """

    CSS_PATH = "pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("down,ctrl+n", "move(1)", show=False, priority=True),
        Binding("up,ctrl+p", "move(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: tuple[Choice, ...] = (),
        *,
        find: Callable[[], Iterator[Choice]] | None = None,
        free: bool = False,
        hint: str = "type a part of it",
        now: str | None = None,
        none: str = "Nothing fits.",
    ) -> None:
        super().__init__()
        self._title, self._find, self._hint, self._now = title, find, hint, now
        self.list = PickList(choices, free=free, busy=find is not None, none=none, id="list")
        self._detail = PickDetail(id="detail")
        self.typed_ahead: list[events.Key] = []
        """What came before there was a line to type it into; the app puts it here."""

    def compose(self) -> ComposeResult:
        yield TitleText(self._title, id="title")
        yield TypedLine(self._hint, id="typed")
        yield self.list
        yield self._detail
        keys = KeyBar(id="keys")
        keys.keys = KEYS
        yield keys

    def on_mount(self) -> None:
        self.set_class(bool(getattr(self.app, "is_plain", False)), "-plain")
        if self._now is not None:
            self.list.select(self._now)
        self._show_detail()
        box = self.query_one("#typed", Input)
        box.focus()
        for each in self.typed_ahead:
            each.set_sender(box)
            box.post_message(each)
        if self._find is not None:
            threading.Thread(target=self._search, name="pick", daemon=True).start()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < SHORT_ROWS, "-short")
        self.set_class(event.size.height < TINY_ROWS, "-tiny")

    def _search(self) -> None:
        assert self._find is not None
        try:
            for each in self._find():
                if not self.is_attached:
                    return
                self.post_message(Found((each,), done=False))
        except Exception as error:  # noqa: BLE001 - the thread's rim: it is said, the rest stays
            self.post_message(Found((), done=True, problem=str(error)))
            return
        self.post_message(Found((), done=True))

    @on(Found)
    def _add(self, message: Found) -> None:
        self.list.add(message.choices, done=message.done)
        self.list.problem = message.problem
        if self._now is not None and not self.list.moved:
            self.list.select(self._now)
        self._show_detail()

    @on(Input.Changed)
    def _narrow(self, event: Input.Changed) -> None:
        event.stop()
        self.list.narrow(event.value)
        self._show_detail()

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        event.stop()
        chosen = self.list.selected
        if chosen is not None:
            self.dismiss(chosen.value)
        else:
            self.query_one("#typed", TypedLine).go_on()

    def on_click(self, event: events.Click) -> None:
        """The mouse picks at once: esc takes it back."""
        if event.widget is self.list and self.list.select_row(event.y):
            chosen = self.list.selected
            if chosen is not None:
                self.dismiss(chosen.value)

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, rows: int) -> None:
        self.list.move(rows)
        self._show_detail()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.list.size.height - 1))

    def _show_detail(self) -> None:
        chosen = self.list.selected
        self._detail.text = chosen.detail if chosen else ""
