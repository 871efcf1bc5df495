"""One run's events and all runs' again: what counts as seen is what all of them have to tell."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from launch_form import pause_until
from shown import MakeApp, show, text_of

from tui.event_feed import EventFeed, Happening
from tui.looked import read_looked
from tui.screens.events import EventsScreen
from tui.widgets.happenings import EventRows

OLD, NEW = "nemo-20260521-101112-3fa2", "unsloth-20260521-120000-9c01"


def put(root: Path, run: str, wall_s: float) -> None:
    path = root / run / "events.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"wall_s": wall_s, "kind": "note", "text": f"of {run}"}) + "\n")


async def test_one_runs_events_alone_never_move_the_divider_back(
    make_app: MakeApp,
    snap_of: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    root = tmp_path / "runs"
    put(root, OLD, 1000.0)
    put(root, NEW, 2000.0)
    go_on, really = threading.Event(), EventFeed.read
    go_on.set()

    def read(self: EventFeed) -> tuple[Happening, ...]:
        go_on.wait(60)
        return really(self)

    monkeypatch.setattr(EventFeed, "read", read)
    app = make_app()
    app.root = root
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("v")
        screen = app.screen
        assert isinstance(screen, EventsScreen)
        await pause_until(pilot, lambda: len(screen._all) == 2)
        go_on.clear()  # from now on the disk is slow
        await pilot.press("G", "r")
        await pilot.pause()
        shown = text_of(app, EventRows)
        assert f"of {OLD}" in shown
        assert f"of {NEW}" not in shown
        await pilot.press("r", "escape")
        await pilot.pause()
        assert read_looked(root) is None
        go_on.set()
