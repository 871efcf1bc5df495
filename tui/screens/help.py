"""All keys, grouped, and what each verdict means."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.widgets.help_text import HelpText
from tui.widgets.key_bar import KeyBar
from tui.widgets.typed_line import TypedLine


class HelpScreen(ModalScreen[None]):
    """Closed by the keys that one would try."""

    CSS_PATH = "help.tcss"
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("question_mark,enter,q", "dismiss", show=False),
        Binding("slash", "search", show=False),
        Binding("pagedown,ctrl+d,space", "scroll(10)", show=False),
        Binding("pageup,ctrl+u", "scroll(-10)", show=False),
        Binding("j,down", "scroll(1)", show=False),
        Binding("k,up", "scroll(-1)", show=False),
        Binding("g,home", "scroll(-999)", show=False),
        Binding("G,end", "scroll(999)", show=False),
    ]

    def __init__(self, group: str = "", *, read_only: bool = False) -> None:
        """*group*: the heading of the screen one comes from; its keys stand first."""
        super().__init__()
        self._group, self._read_only = group, read_only

    def compose(self) -> ComposeResult:
        yield HelpText(id="help")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one(HelpText).begin_with(self._group, read_only=self._read_only)
        self.query_one(KeyBar).keys = (("esc", "close"), ("/", "search"), ("j k", "scroll"))

    def action_search(self) -> None:
        """Show only what holds the words that are typed."""
        if self.query("#prompt"):
            return
        prompt = TypedLine("a key, a word of what it does", id="prompt")
        self.mount(prompt)
        prompt.focus()

    def action_back(self) -> None:
        """First the search goes, then the page."""
        if self.query_one(HelpText).filter_text or self.query("#prompt"):
            self._close_prompt()
            self.query_one(HelpText).filter_text = ""
        else:
            self.dismiss()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one(HelpText).filter_text = event.value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close_prompt()

    def on_mouse_scroll_down(self) -> None:
        self.action_scroll(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_scroll(-3)

    def _close_prompt(self) -> None:
        self.query("#prompt").remove()
        self.set_focus(None)

    def action_scroll(self, rows: int) -> None:
        self.query_one(HelpText).scroll_lines(rows)
