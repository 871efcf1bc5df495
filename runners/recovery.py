"""on_failure = "resume-once": what a keeper does by itself after a stall or a failure of machine.

The rule: once a run, from a whole checkpoint, never into memory that has not come back, and never
without saying so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from monitor.budget import memory_limit
from monitor.model import Status
from monitor.probes.memory import read_memory
from monitor.rundir import RunDir
from monitor.stall import clear_stall, read_stall
from monitor.watch_state import read_watch
from runners.diagnosis import diagnose
from runners.exits import Outcome, StageEnd
from runners.keeper_state import KeeperState
from runners.mending import mendable

logger = logging.getLogger(__name__)

MEMORY_WAIT_S = 600.0
MEMORY_POLL_S = 1.0
BACK_SHARE = 0.8
"""Of the limit: below it a trainer finds room again."""
SHORT_SHARE = 0.95
"""Of the limit: a trainer that was killed beyond it was killed for want of memory."""

STALLED = "it had stalled"


class Recovery:
    """Decides for one run whether its keeper may go on by itself."""

    def __init__(
        self, run: RunDir, info: Mapping[str, Any], say: Callable[[str, str], None]
    ) -> None:
        self._run, self._say = run, say
        table = info["recipe"].get("run")
        self._wanted = isinstance(table, dict) and table.get("on_failure") == "resume-once"
        self._limit = info.get("memory_limit_bytes")
        self._stalled: str | None = None

    def stalled(self, state: KeeperState, checkpoint: Callable[[], int | None]) -> bool:
        """True once, when the watcher is certain of a stall and the run may be resumed for it."""
        if not self._wanted or state.resumed_by_itself or self._stalled is not None:
            return False
        reason = read_stall(self._run, state.attempt)
        if reason is None or checkpoint() is None:
            return False
        self._stalled = reason
        self._say("action", f"the run is ended to be resumed: {reason}")
        self._diagnose()
        return True

    def judge(self, end: StageEnd, outcome: Outcome) -> tuple[Outcome, str | None]:
        """The outcome in its true words, and why going on may help."""
        if outcome.status is not Status.FAILED:
            return outcome, None
        if self._stalled is not None:
            cause = f"stage {end.stage}: stalled, and was ended by its keeper: {self._stalled}"
            return Outcome(Status.FAILED, cause), STALLED
        short, diverged = self._at_its_end()
        return outcome, mendable(end, outcome, memory_short=short, diverged=diverged)

    def _at_its_end(self) -> tuple[bool, bool]:
        """Whether memory was short, and whether the loss was none, when it was last observed."""
        word = read_watch(self._run.watch).value
        if word is None:
            return False, False
        memory = word.machine.memory if word.machine else None
        limit = memory_limit(memory.total_bytes, self._limit) if memory else 0
        short = memory is not None and memory.used_bytes >= SHORT_SHARE * limit
        return short, "nan-loss" in word.verdict.flags

    def may_resume(
        self, outcome: Outcome, state: KeeperState, checkpoint: Callable[[], int | None]
    ) -> int | None:
        """The iteration to go on from, if the keeper may; None where a person must decide."""
        why = state.mendable
        if not self._wanted or outcome.status is not Status.FAILED or why is None:
            return None
        if state.resumed_by_itself:
            self._say("note", "it was resumed once already: the next step is for a person")
            return None
        iteration = checkpoint()
        if iteration is None:
            self._say("note", "there is no whole checkpoint to resume from")
        return iteration

    def prepare(self, interrupted: Callable[[], bool]) -> bool:
        """Look at what is left, and wait for memory; False where it stays short, or on a request.

        *interrupted* is called again and again meanwhile: the keeper has other duties.
        """
        if self._stalled is None:
            self._diagnose()
        clear_stall(self._run)
        self._stalled = None
        if wait_for_memory(self._limit, interrupted):
            return not interrupted()
        self._say("note", "it is not resumed: memory did not come back")
        return False

    def _diagnose(self) -> None:
        found = diagnose(self._run)
        if found is not None:
            self._say("note", f"diagnosis: {found}")


def wait_for_memory(limit_bytes: int | None, interrupted: Callable[[], bool]) -> bool:
    """Wait until the machine uses clearly less than its limit again; False if that never comes."""
    deadline = time.monotonic() + MEMORY_WAIT_S
    while (memory := read_memory().value) is not None:
        limit = memory_limit(memory.total_bytes, limit_bytes)
        if memory.used_bytes < BACK_SHARE * limit:
            return True
        if time.monotonic() > deadline or interrupted():
            return False
        time.sleep(MEMORY_POLL_S)
    return True  # not to be read here: that is no reason to leave a run where it is
