"""Wait for the end of another run: `launch --after RUN`.

The rule: it waits for an end, whatever the end is. A run that nobody keeps any more and that has
not ended is waited for a while, since the service may bring it back, and then taken for ended. A
run whose folder is gone has ended. One that ended in the queue leaves its place to whoever waited
for it: the run ahead of it is still on the box. A run that was begun beside it meanwhile is waited
for as well. The memory is waited for afterwards (`memory_wait`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from monitor.files import read_json
from monitor.model import FINAL
from monitor.rundir import RunDir
from monitor.status import read_status
from runners.attach.foreign import is_foreign
from runners.runs import read_status_word, someone_lives

POLL_S = 0.5
LEFT_ALONE_S = 90.0
"""Keeper, watcher and service bring each other back within a minute."""


def awaited(info: Mapping[str, Any]) -> str | None:
    """The run that run.json names as the one before; None where the run waits for none."""
    after = info.get("after")
    return after if isinstance(after, str) and after else None


class Turn:
    """One wait for one run."""

    def __init__(
        self, run: RunDir, clock: Callable[[], float] = time.monotonic, left_s: float | None = None
    ) -> None:
        self._run, self._clock = run, clock
        self._left_s = LEFT_ALONE_S if left_s is None else left_s
        self._alone_since: float | None = None
        self.ahead: str | None = None
        """The run that this one waited for, to the last we know; None once it had its turn."""

    def over(self) -> str | None:
        """How the run ended, in words; None while it goes on."""
        run = self._run
        if not run.root.is_dir():
            return "its folder was deleted"
        self.ahead = _ahead(run)
        if is_foreign(run):
            seen = read_status(run.root)
            return f"it {seen.verdict}" if seen.verdict in FINAL else None
        status = read_status_word(run)
        if status is not None and status.final:
            return f"it {status}"
        if someone_lives(run):
            self._alone_since = None
            return None
        now = self._clock()
        if self._alone_since is None:
            self._alone_since = now
        alone = now - self._alone_since >= self._left_s
        return "nobody keeps it any more" if alone else None


def _ahead(run: RunDir) -> str | None:
    queue = (read_json(run.state).value or {}).get("queue")
    if not isinstance(queue, dict) or queue.get("over") is not False:
        return None
    return awaited(queue)


def await_turn(
    run: RunDir,
    after: str,
    say: Callable[[str, str], None],
    interrupted: Callable[[], bool],
    moved_up: Callable[[str], None],
    beside: Callable[[set[str]], str | None] = lambda _: None,
) -> None:
    """Return once the run *after*, of the same root as *run*, is over or *interrupted* is true.

    *moved_up* is told of the next run to wait for where one ahead left the queue before its turn,
    or where *beside*, asked once the box should be free, names a run that is none of those known.
    """
    say("note", f"queued: waits for the end of {after}")
    seen = {run.root.name, after}
    turn = _turn(run, after)
    while not interrupted():
        if (how := turn.over()) is None:
            time.sleep(POLL_S)
        elif (ahead := turn.ahead) is not None and ahead not in seen:
            say("note", f"{after} left the queue ({how}): waits for the end of {ahead}")
            after, turn = ahead, _turn(run, ahead)
            seen.add(after)
            moved_up(after)
        elif (other := beside(seen)) is not None:
            say("note", f"{after} is over ({how}), but {other} is on the box: waits for its end")
            after, turn = other, _turn(run, other)
            seen.add(after)
            moved_up(after)
        else:
            say("note", f"its turn: {after} is over ({how})")
            return


def _turn(run: RunDir, after: str) -> Turn:
    return Turn(RunDir(run.root.parent / Path(after).name))
