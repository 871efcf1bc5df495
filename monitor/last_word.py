"""The watcher's last word: put together after each look and kept in watch.json.

The rule: what it says of a spell (since when, at most, in all) goes on from the word before it.
What somebody may act on is written at once; ages and figures alone, which move at every look, wait
for the next one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.frozen import replace
from monitor.memory_model import MemoryMarks, MemoryVerdict
from monitor.model import FINAL, Liveness, ProcessId
from monitor.pace import Projection
from monitor.probes.clock import Now
from monitor.probes.process import identify
from monitor.standing import phase_of
from monitor.target import WatchTarget
from monitor.watch_fold import Judged
from monitor.watch_state import WatchState, age_of, read_watch, sweep_temporaries, write_watch

FIGURES_LOOKS = 2
"""Half of what a look costs on a disk is to replace a file of which nothing but figures is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is said beside the judged look; fields as in `WatchState`."""

    seeds: Mapping[str, float] | None
    memory: MemoryVerdict | None
    marks: MemoryMarks
    eta: Projection | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was recorded and done after the word was said; fields as in `WatchState`."""

    recorded: Liveness | None
    recorded_wall: float | None
    keeper_starts: tuple[float, ...]
    failures: Mapping[str, int]
    parts: Mapping[str, Any]


class LastWord:
    """One watcher's word of one run."""

    def __init__(self, path: Path, tick_s: float) -> None:
        self._path, self._tick_s = path, tick_s
        self._written: object = None
        self._unwritten: WatchState | None = None
        self._looks = 0
        self._own = identify(os.getpid()) or ProcessId(pid=os.getpid(), boot_id="", start_ticks=0)
        read = read_watch(path)
        self.value: WatchState | None = read.value
        """The word of the last look, or of the last watcher; None before the first."""
        self.problem = read.problem
        """Why the last watcher's word is not to be used."""

    @property
    def final(self) -> bool:
        """The run is over."""
        return self.value is not None and self.value.verdict.liveness in FINAL

    def sweep(self) -> None:
        """Remove what a watcher that was killed while it wrote has left."""
        sweep_temporaries(self._path)

    def age_s(self, now: Now) -> float | None:
        """Seconds since it was said; None where nothing was said on this boot."""
        return None if self.value is None else age_of(self.value, now.boot_id, now.monotonic_s)

    def before_restart(self, now: Now) -> float | None:
        """Wall-clock time of the last word, where the machine was restarted since."""
        last = self.value
        return last.wall_s if last is not None and last.boot_id != now.boot_id else None

    def say(self, target: WatchTarget, judged: Judged, beside: Beside, now: Now) -> WatchState:
        """Put the word of one look together."""
        last, state = self.value, judged.state
        observation, verdict = judged.observation, judged.verdict
        same = last is not None and last.verdict.liveness is verdict.liveness
        process, machine = observation.process, observation.machine
        rss = process.rss_bytes if process else None
        used = machine.memory.used_bytes if machine and machine.memory else None
        phase, memory = phase_of(observation), beside.memory
        self.value = WatchState(
            run=target.run,
            pid=self._own.pid,
            start_ticks=self._own.start_ticks,
            boot_id=now.boot_id,
            monotonic_s=now.monotonic_s,
            wall_s=now.wall_s,
            tick_s=self._tick_s,
            observed_s=state.observed_s,
            gaps=state.gaps,
            gap_s=state.gap_s,
            attempt=target.attempt,
            stage=target.stage,
            phase=str(phase) if phase else None,
            verdict=verdict,
            since_wall=last.since_wall if last and same else now.wall_s,
            ages=observation.ages,
            history=observation.history,
            seeds=beside.seeds,
            machine=machine,
            eta=beside.eta,
            rss_bytes=rss,
            rss_peak_bytes=_largest(last.rss_peak_bytes if last else None, rss),
            used_peak_bytes=_largest(last.used_peak_bytes if last else None, used),
            minutes_to_limit=memory.minutes_to_limit if memory else None,
            memory_verdict=memory,
            memory=beside.marks,
            unreadable=observation.unreadable,
            log_progress=observation.log_progress,
            marks=state,
        )
        return self.value

    def write(self, done: Done) -> None:
        """Write the word, with what was done since, if it is worth it. Raises OSError."""
        if self.value is None:
            return
        self._looks += 1
        self._unwritten = word = replace(
            self.value,
            recorded=done.recorded,
            recorded_wall=done.recorded_wall,
            keeper_starts=done.keeper_starts,
            failures=done.failures,
            parts=done.parts,
        )
        said = _worth_a_write(word)
        if said != self._written or self._looks >= FIGURES_LOOKS:
            self._written = None
            self.flush()
            self._written, self._looks = said, 0

    def flush(self) -> None:
        """Write what waits. Raises OSError."""
        if self._unwritten is not None:
            write_watch(self._path, self._unwritten)
            self._unwritten = None


def _worth_a_write(word: WatchState) -> object:
    """Of a word, what is more than ages and figures."""
    verdict, memory, log = word.verdict, word.memory_verdict, word.log_progress
    return (
        (word.attempt, word.stage, word.phase, word.since_wall, word.eta is None),
        (verdict.liveness, verdict.flags, verdict.signature, verdict.iteration_source),
        (memory.level, memory.speaks, memory.holder) if memory else None,
        (log.error, log.nan, log.saved) if log else None,
        (word.ages.tracker_s is None, word.ages.checkpoint_s is None, word.seeds),
        (word.recorded, word.keeper_starts, word.unreadable, word.failures, word.parts),
    )


def _largest(*values: int | None) -> int | None:
    return max((each for each in values if each is not None), default=None)
