"""on_failure = "resume-once": what a keeper does by itself after a stall or a failure of machine.

The rule: once a run, from a whole checkpoint, never into memory that has not come back, and never
without saying so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from monitor.memory_model import MemoryLevel
from monitor.model import Stage, Status
from monitor.rundir import RunDir
from monitor.stall import clear_stall, read_stall
from monitor.watch_state import read_watch
from runners.diagnosis import diagnose
from runners.exits import Outcome, StageEnd
from runners.keeper_state import KeeperState
from runners.mending import mendable

logger = logging.getLogger(__name__)

STALLED = "it had stalled"


class Recovery:
    """Decides for one run whether its keeper may go on by itself."""

    def __init__(
        self, run: RunDir, info: Mapping[str, Any], say: Callable[[str, str], None]
    ) -> None:
        self._run, self._say = run, say
        table = info["recipe"].get("run")
        self._wanted = isinstance(table, dict) and table.get("on_failure") == "resume-once"
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
        memory = word.memory_verdict
        short = memory is not None and memory.level.rank >= MemoryLevel.HIGH.rank
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

    def after_restart(self, stage: str, cause: str) -> str | None:
        """Why going on may help after a restart of the machine: not if it ran out of memory."""
        return cause if stage == Stage.TRAIN and not any(self._at_its_end()) else None

    def prepare(self) -> None:
        """Look at what is left before it goes."""
        if self._stalled is None:
            self._diagnose()
        clear_stall(self._run)
        self._stalled = None

    def _diagnose(self) -> None:
        found = diagnose(self._run)
        if found is not None:
            self._say("note", f"diagnosis: {found}")
