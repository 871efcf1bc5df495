"""The part of the watcher that tells of memory, and acts where the recipe allows it.

The rule: it writes what it wants into request.json, as a person's `stop` does, and the keeper
carries that out. It signals the trainer itself only where no keeper answers.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from monitor.codec import decode
from monitor.end_process import send
from monitor.life import keeper_alive
from monitor.memory_ladder import Rung, Step, at_limit_from, due
from monitor.memory_model import MemoryLevel, MemoryVerdict
from monitor.memory_view import GUARD
from monitor.requests import MEMORY_GUARD, Action, Request, ask
from monitor.rundir import RunDir

if TYPE_CHECKING:
    from monitor.parts import Say, Tick

ANSWER_S = 3.0
"""A keeper kills within a second; after so long the guard does it itself."""
LOOKS_OF_A_CLIMB = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the guard remembers; plain JSON in watch.json."""

    attempt: int = 0
    level: MemoryLevel = MemoryLevel.OK
    done: Rung = Rung.NONE
    """The furthest rung that was taken in this attempt."""
    refused: str = ""
    said: str = ""
    """The last thing that was done or not done, for those who ask."""
    said_wall: float | None = None


class MemoryGuard:
    """See `monitor.parts.Part`."""

    name = GUARD

    def __init__(self, run_dir: RunDir, say: Say, remembered: object) -> None:
        self._run = run_dir
        self._say = say
        self._memory = _restored(remembered)
        self._looks = 0
        self._asked_at: float | None = None

    def tick(self, tick: Tick) -> None:
        """Tell of a new level, and take the rung of the ladder that is due."""
        memory, target = tick.memory, tick.target
        if self._memory.attempt != target.attempt:
            self._memory = Memory(attempt=target.attempt, level=self._memory.level)
            self._asked_at = None
        if memory is None:
            return
        self._note_level(memory, tick)
        process = tick.observation.process
        if target.final or target.process is None or process is None or not process.alive:
            self._asked_at = None
            return
        self._climb(due(memory, tick.observation.history, at_limit_from(target.at_limit)), tick)
        self._insist(tick)

    def remembered(self) -> object:
        """For the next watcher: what was told and done."""
        memory = self._memory
        return {name: getattr(memory, name) for name in Memory.__dataclass_fields__}

    def close(self) -> None:
        """Nothing is open."""

    def _note_level(self, memory: MemoryVerdict, tick: Tick) -> None:
        """An event for each change; `speaks` says which watcher alerts people."""
        before = self._memory.level
        if memory.level is before:
            return
        self._memory = replace(self._memory, level=memory.level)
        calm = memory.level is MemoryLevel.OK
        reason = f"it was {before}" if calm else memory.reason
        self._say(
            "memory",
            f"memory {memory.level}: {reason}",
            tick.now,
            level=str(memory.level),
            previous=str(before),
            used_bytes=memory.used_bytes,
            limit_bytes=memory.limit_bytes,
            speaks=memory.speaks,
        )

    def _climb(self, step: Step, tick: Tick) -> None:
        if step.rung is Rung.NONE or _rank(step.rung) <= _rank(self._memory.done):
            self._looks = 0
            return
        # A level has agreed twice already; a climb that asks for a save earlier has to as well.
        self._looks += 1
        level = self._memory.level
        if level.rank < MemoryLevel.HIGH.rank and self._looks < LOOKS_OF_A_CLIMB:
            return
        if step.refused is not None:
            self._refuse(step, tick)
            return
        done = self._save(step, tick) if step.rung is Rung.SAVE else self._stop(step, tick)
        self._memory = replace(self._memory, done=step.rung)
        self._tell(f"{done}: {step.why}", tick, rung=str(step.rung))

    def _refuse(self, step: Step, tick: Tick) -> None:
        text = f"does not {_words(step.rung)}"
        if self._memory.refused == f"{step.rung}":
            return
        self._memory = replace(self._memory, refused=f"{step.rung}")
        self._tell(f"{text}: {step.refused}", tick, rung=str(step.rung), refused=True)

    def _save(self, step: Step, tick: Tick) -> str:
        if self._ask(Action.STOP_AND_SAVE, step, tick):
            return "saves and stops the run"
        assert tick.target.process is not None
        problem = send(tick.target.process, signal.SIGTERM)
        return _said("saves and stops the run (SIGTERM, no keeper answers)", problem)

    def _stop(self, step: Step, tick: Tick) -> str:
        self._asked_at = tick.now.monotonic_s
        if self._ask(Action.KILL, step, tick):
            return "stops the run at once, without saving"
        return self._kill(tick)

    def _ask(self, action: Action, step: Step, tick: Tick) -> bool:
        """Ask the keeper; False where none lives or the disk does not take the request."""
        target = tick.target
        if target.foreign or not keeper_alive(target):
            return False
        try:
            ask(self._run, Request(action, MEMORY_GUARD, step.why))
        except OSError:
            return False
        return True

    def _insist(self, tick: Tick) -> None:
        """A keeper that did not kill in time is not waited for: the machine may hang."""
        asked_at = self._asked_at
        if asked_at is None or tick.now.monotonic_s - asked_at < ANSWER_S:
            return
        self._asked_at = None
        if tick.memory is not None and tick.memory.level is MemoryLevel.LIMIT:
            self._tell(self._kill(tick), tick, rung=str(Rung.STOP))

    def _kill(self, tick: Tick) -> str:
        target = tick.target
        assert target.process is not None
        # The group of a run that we did not start may hold more than the trainer.
        problem = send(target.process, signal.SIGKILL, group=not target.foreign)
        return _said("stops the run at once (SIGKILL, no keeper answered)", problem)

    def _tell(self, text: str, tick: Tick, **fields: Any) -> None:
        said = f"the memory guard {text}"
        self._memory = replace(self._memory, said=said, said_wall=tick.now.wall_s)
        self._say("action", said, tick.now, **fields)


def _restored(remembered: object) -> Memory:
    try:
        return decode(Memory, remembered) if remembered is not None else Memory()
    except ValueError:
        return Memory()


def _rank(rung: Rung) -> int:
    return tuple(Rung).index(rung)


def _words(rung: Rung) -> str:
    return "save and stop the run" if rung is Rung.SAVE else "stop the run"


def _said(text: str, problem: str | None) -> str:
    return text if problem is None else f"could not act ({text}): {problem}"
