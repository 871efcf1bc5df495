"""Who belongs to a run and whether they live: watcher, keeper, the foreign trainer."""

from __future__ import annotations

from monitor.life import keeper_alive
from monitor.probes.clock import Now
from monitor.probes.process import is_alive
from monitor.status_model import ForeignView, KeeperView, WatcherView
from monitor.target import WatchTarget
from monitor.watch_state import WatchState, age_of


def watcher_view(target: WatchTarget, state: WatchState | None, now: Now) -> WatcherView:
    """The watcher, by its own last word, else as the run's files name it."""
    process = state.process if state else target.watcher
    if process is None:
        return WatcherView()
    newest = target.watcher
    if newest is not None and newest != process and not is_alive(process) and is_alive(newest):
        return WatcherView(pid=newest.pid, alive=True)  # it has not said its first word yet
    return WatcherView(
        pid=process.pid,
        alive=is_alive(process),
        age_s=age_of(state, now.boot_id, now.monotonic_s) if state else None,
    )


def foreign_view(target: WatchTarget) -> ForeignView | None:
    """What was found of a trainer that lanewatch did not start; None for a run of its own."""
    if not target.foreign:
        return None
    known = target.checkpoints != target.run_dir.checkpoints
    return ForeignView(
        pid=target.process.pid if target.process else None,
        container=target.container,
        log=str(target.log) if target.log else None,
        checkpoints=str(target.checkpoints) if known else None,
        warnings=target.warnings,
    )


def keeper_view(target: WatchTarget) -> KeeperView:
    """The keeper; nobody for a foreign run, which has none."""
    if target.foreign:
        return KeeperView()
    pid = target.keeper.pid if target.keeper else None
    if target.final:
        return KeeperView(pid=pid, alive=target.keeper is not None and is_alive(target.keeper))
    return KeeperView(pid=pid, alive=keeper_alive(target))
