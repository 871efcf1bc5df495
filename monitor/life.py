"""Whether those who belong to a run are still there: its keeper, and the machine's own boot."""

from __future__ import annotations

from monitor import locks
from monitor.probes.process import is_alive
from monitor.subject import other_boot
from monitor.target import WatchTarget


def keeper_alive(target: WatchTarget) -> bool:
    """The keeper that state.json names lives, or another one holds the lock already."""
    if target.keeper is not None and is_alive(target.keeper):
        return True
    return bool(locks.is_held(target.run_dir.keeper_lock))


def is_kept(target: WatchTarget) -> bool:
    """Whether the one that looks after the watcher lives: the keeper, of a foreign run its guard.

    A guard that never locked anything, in a folder that cannot be written, is not missing.
    """
    if not target.foreign:
        return keeper_alive(target)
    if target.guard is not None and is_alive(target.guard):
        return True
    lock = target.run_dir.guard_lock
    return locks.is_held(lock) is not False or not lock.exists()


def someone_lives(target: WatchTarget) -> bool | None:
    """Whether a keeper or a trainer holds the run; None where the locks cannot be seen."""
    if target.keeper is not None and is_alive(target.keeper):
        return True
    held = [locks.is_held(path) for path in (target.run_dir.keeper_lock, target.run_dir.run_lock)]
    if True in held:
        return True
    return None if None in held else False


def boot_changed(target: WatchTarget, boot_id: str) -> bool:
    """The machine was started anew since the run's present stage was."""
    return other_boot(target.subject.boot_id, boot_id)
