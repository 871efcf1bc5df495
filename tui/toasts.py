"""How many of its notices stand on the screen at once: a mixin of the app.

The rule: they never cover what they are about. A sentence is there once, however often its key is
pressed, and the older ones make room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App
    from textual.notifications import Notify

    Base = App[None]
else:
    Base = object

ROWS_EACH = 8
"""One for so many rows of the screen: with its margin one takes about half of them."""


class Toasts(Base):
    """Takes back what a new notice repeats or has no room beside."""

    def _on_notify(self, event: Notify) -> None:
        """Before Textual's own handler of this name, which comes after it and adds the new one."""
        said = event.notification.message
        older = [each for each in self._notifications if each.message != said]
        beside = max(1, self.size.height // ROWS_EACH) - 1
        kept = older[len(older) - beside :] if len(older) > beside else older
        for each in [each for each in self._notifications if each not in kept]:
            del self._notifications[each]
