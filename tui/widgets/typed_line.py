"""A line that is typed into: what edits it counts when pressed, not after what came behind it."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from tui.glyphs import UNICODE
from tui.lines import cut_words

EDITS = ("delete_", "cursor_", "home", "end", "submit")


class TypedLine(Input):
    """Over SSH several keys come in one piece.

    Textual 8.2 inserts letters at once, but carries out every other key once it has gone up through
    all the screen: ctrl+u would delete what was typed after it, too, and enter take that along.

    After enter the line is closed, or whoever does not take it calls `go_on`.
    """

    def __init__(self, hint: str, *, id: str) -> None:
        super().__init__(placeholder=hint, id=id, compact=True)
        self._hint = hint
        self.cursor_blink = False
        self._behind: list[events.Key] | None = None
        """What has come behind enter; None before that."""
        self.leavable = False
        """Who takes what was entered needs a while for it, and esc does not wait behind enter."""

    def on_resize(self, event: events.Resize) -> None:
        """Textual would cut the hint within a word."""
        glyphs = getattr(self.app, "glyphs", UNICODE)
        self.placeholder = cut_words(self._hint, event.size.width, glyphs.ellipsis)

    async def _on_key(self, event: events.Key) -> None:
        if self._behind is not None:
            if self.leavable and event.key == "escape":
                return
            event.stop()
            event.prevent_default()
            self._behind.append(event)
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if binding.action.startswith(EDITS):
                event.stop()
                event.prevent_default()
                await self.run_action(binding.action)
                return

    async def action_submit(self) -> None:
        self._behind = []
        await super().action_submit()

    def on_unmount(self) -> None:
        self.go_on()

    def go_on(self) -> None:
        """What came behind enter is for whoever has the keyboard now, this line or another."""
        behind, self._behind, self.leavable = self._behind, None, False
        for each in behind or ():
            self.app.post_message(events.Key(each.key, each.character))
