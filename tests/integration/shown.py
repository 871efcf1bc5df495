"""What an app shows: a state is posted to it, and its screen in front is read as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

from tui.app import LanewatchApp
from tui.messages import Sampled
from tui.widgets.line_view import LineView

MakeApp = Callable[..., LanewatchApp]


def text_of(app: LanewatchApp, kind: type[LineView]) -> str:
    """What a widget of the screen in front shows."""
    return "\n".join(app.screen.query_one(kind).plain())


def screen_text(app: LanewatchApp) -> str:
    """What all widgets of the screen in front show."""
    return "\n".join(line for view in app.screen.query(LineView) for line in view.plain())


async def show(pilot: Pilot[None], snapshot: Any) -> None:
    """Post a state and let it be drawn."""
    pilot.app.post_message(Sampled(snapshot))
    await pilot.pause()
    await pilot.pause()
