"""All keys, grouped, and what each verdict means."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.widgets.help_text import HelpText
from tui.widgets.key_bar import KeyBar


class HelpScreen(ModalScreen[None]):
    """Closed by the keys that one would try."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter", "dismiss", show=False),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("g,home", "scroll(-999)", show=False),
        Binding("G,end", "scroll(999)", show=False),
    ]

    def compose(self) -> ComposeResult:
        yield HelpText(id="help")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one(KeyBar).keys = (("esc", "close"), ("j k", "scroll"))

    def action_scroll(self, rows: int) -> None:
        self.query_one(HelpText).scroll_lines(rows)
