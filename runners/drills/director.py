"""Direct one drill: make its run, look on as a reader, carry out what follows, clear all away.

The rule: the director only reads what a watcher writes for anyone, and only does what a person
could do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.events import read_events
from monitor.memory_model import MemoryLevel, MemoryVerdict, is_of_others
from monitor.model import FINAL, Verdict
from monitor.probes.process import is_alive
from monitor.rundir import RunDir
from monitor.target import process_id
from monitor.watch_state import WatchState, read_watch
from runners.drills.casts import Cast, ForeignCast, KeptCast
from runners.drills.diagnosed import Diagnosed, Examiner
from runners.drills.notes import read_notes
from runners.drills.table import Drill, Then
from runners.drills.timeline import Look, Timeline
from runners.errors import RunnerError
from runners.runs import has_left

LOOK_S = 0.04
HELD_S = 0.5
"""For so long a verdict stays before what follows is done: it is to be recorded, and to be read."""
PATIENCE_S = 900.0
"""Judged seconds that any drill may take ..."""
GRACE_S = 45.0
"""... and seconds of this machine's for starting and ending processes."""
END_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One line for whoever looks on."""

    real_s: float
    text: str
    look: Look | None = None
    """None: not a verdict, but what really happens."""
    expected: bool = False


Show = Callable[[Shown], None]


class Director:
    """Directs one rehearsal in a root folder of its own."""

    def __init__(
        self, drill: Drill, root: Path, rate: float, show: Show, *, diagnose: bool = False
    ) -> None:
        self._drill = drill
        self._diagnose = diagnose
        self._examiner = Examiner()
        self.diagnoses: list[Diagnosed] = []
        self._rate = rate
        self._show = show
        self.began_s = time.monotonic()
        self._noted = 0
        self._due: tuple[float, Then] | None = None
        self._seen: tuple[int, float] | None = None
        self._made_room = False
        self.timeline = Timeline(drill)
        self.lines: list[Shown] = []
        self.cast: Cast = (ForeignCast if drill.foreign else KeptCast)(drill, root, rate)

    @property
    def run(self) -> RunDir:
        """The run that is watched."""
        return self.cast.run

    def direct(self) -> list[str]:
        """Run the drill to its end; return what was not as expected."""
        self.cast.start()
        deadline = self.began_s + PATIENCE_S / self._rate + GRACE_S
        while not self._finished():
            self._look()
            if time.monotonic() > deadline:
                return [*self.timeline.verdict(None), "the drill did not end in its time"]
            time.sleep(LOOK_S)
        return [*self.timeline.verdict(self._woken()), *self._misnamed()]

    def close(self) -> None:
        """End whatever still lives of the run. The folder is its owner's to remove."""
        self._examiner.close()
        with contextlib.suppress(RunnerError, OSError):
            self.cast.kill()
        deadline = time.monotonic() + END_S
        while (living := list(self.cast.living())) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        has_left(self.run, END_S)
        for note in read_notes(self.cast.place):
            if "group" in note:
                _remove_group(Path(str(note["group"])))

    def _look(self) -> None:
        self._tell_notes()
        self._make_room()
        state = read_watch(self.run.watch).value
        if state is not None and self._seen != (state.pid, state.monotonic_s):
            self._seen = (state.pid, state.monotonic_s)
            self._take(_look_of(state, self._now()))
        if self._examiner.busy:
            return
        if (found := self._examiner.take()) is not None:
            self.diagnoses.append(found)
            self._tell(f"diagnosed as {found.cause} ({found.confidence}): {found.sentence}")
        if self._due is not None and time.monotonic() >= self._due[0]:
            action, self._due = self._due[1], None
            self._do(action)

    def _take(self, look: Look) -> None:
        before = len(self.timeline.lines)
        brought = self.timeline.add(look)
        if len(self.timeline.lines) > before:
            self._tell(look.reason, look, brought is not None)
        if brought is not None and brought.cause is not None and self._diagnose:
            self._examiner.begin(self.run, brought)
        if brought is not None and brought.then is not None:
            self._due = (time.monotonic() + HELD_S, brought.then)

    def _finished(self) -> bool:
        """Nothing more is to come: the watcher has recorded the end, and no one is to resume it."""
        if self._due is not None or self._examiner.busy or not self.cast.over():
            return False
        self._look()
        return self._due is None and not self._examiner.busy

    def _do(self, action: Then) -> None:
        if action is Then.KILL:
            self._tell("someone kills the trainer")
            self.cast.kill()
        elif action is Then.CONTINUE:
            self._continue()
        else:
            self._tell("the run is resumed, as `lanewatch resume` does")
            self.cast.resume()

    def _continue(self) -> None:
        for note in read_notes(self.cast.place):
            process = process_id(note.get("stopped"))
            if process is not None and is_alive(process):
                self._tell("someone continues it (SIGCONT)")
                os.kill(process.pid, signal.SIGCONT)

    def _make_room(self) -> None:
        """On the full disk no verdict can be written: the trainer's own last act is the sign."""
        if self._made_room or not self.run.result.exists():
            return
        for note in read_notes(self.cast.place):
            if "ballast" in note:
                self._made_room = True
                self._tell("the trainer gave up; someone makes room on the disk")
                Path(str(note["ballast"])).unlink(missing_ok=True)

    def _tell_notes(self) -> None:
        notes = read_notes(self.cast.place)
        for note in notes[self._noted :]:
            at = float(note.get("real_s", 0.0)) - self.began_s
            self._tell(str(note.get("text")), real_s=at)
        self._noted = len(notes)

    def _tell(
        self,
        text: str,
        look: Look | None = None,
        expected: bool = False,
        real_s: float | None = None,
    ) -> None:
        at = self._now() if real_s is None or not 0 <= real_s <= self._now() else real_s
        line = Shown(real_s=at, text=text, look=look, expected=expected)
        self.lines.append(line)
        self._show(line)

    def _now(self) -> float:
        return time.monotonic() - self.began_s

    def _misnamed(self) -> list[str]:
        """What the diagnoses did not say as they had to."""
        if not self._diagnose:
            return []
        if len(self.diagnoses) < sum(step.cause is not None for step in self._drill.expect):
            return ["a diagnosis gave no answer"]
        return [each.problem for each in self.diagnoses if each.problem is not None]

    def _woken(self) -> list[str]:
        return [
            event.text
            for event in read_events(self.run.events)
            if event.kind == "alert" and event.fields.get("severity") == "wake"
        ]


def _look_of(state: WatchState, real_s: float) -> Look:
    verdict, memory = state.verdict, state.memory_verdict
    tight = memory is not None and memory.level is not MemoryLevel.OK
    return Look(
        real_s=real_s,
        verdict=verdict.liveness,
        reason=f"{verdict.reason}; {memory.reason}" if memory and tight else verdict.reason,
        flags=(*verdict.flags, *([f"memory-{memory.level}"] if memory and tight else [])),
        memory_of_others=memory is not None and _is_of_others(memory, verdict),
        signature=str(verdict.signature) if verdict.signature else None,
        iteration=verdict.iteration,
        limit_s=verdict.limit_s,
        silent_s=state.ages.progress_s,
    )


def _is_of_others(memory: MemoryVerdict, verdict: Verdict) -> bool:
    """A trainer that has ended holds nothing: what climbs then, is not its own."""
    ended = verdict.liveness in FINAL and memory.run_bytes is None
    return ended or is_of_others(memory.run_share)


def _remove_group(group: Path) -> None:
    with contextlib.suppress(OSError):
        group.rmdir()
