"""What was alerted of a run, as `status` shows it: from what the watcher's parts remember."""

from __future__ import annotations

from dataclasses import replace

from monitor.ack import AckWatch
from monitor.codec import decode
from monitor.status_model import AlertsView
from monitor.target import WatchTarget
from monitor.watch_state import WatchState


def alerts_view(state: WatchState | None, target: WatchTarget) -> AlertsView:
    """What the watcher's parts remember, and that it is lost itself."""
    if state is None and not target.watcher_lost:
        return AlertsView()
    parts = state.parts if state is not None else {}
    try:
        view = decode(AlertsView, parts.get("alerts") or {})
    except ValueError:
        view = AlertsView()
    seen = parts["alerts"].get("ack") if view.pending else None
    if view.pending and AckWatch(target.run_dir, seen).is_new():  # the watcher may be gone
        view = replace(view, pending=(), acked=(*view.acked, *view.pending))
    failing = dict(view.channels_failing)
    deadman = parts.get("deadman")
    if isinstance(deadman, dict) and isinstance(deadman.get("failing"), str):
        failing["deadman"] = deadman["failing"]
    pending = (*view.pending, "watcher-lost") if target.watcher_lost else view.pending
    return replace(view, pending=pending, channels_failing=failing)
