"""One run under watch: each tick it looks, judges, records and says its word.

The one rule: each part of a tick may fail alone, is counted, and is tried again.
"""

from __future__ import annotations

import functools
import threading
from pathlib import Path

from monitor.ages import AgeState, continued
from monitor.attempts import Attempts
from monitor.flight_log import last_words
from monitor.keeper_guard import KeeperGuard
from monitor.last_word import Beside, Done, LastWord
from monitor.memory_watch import MemoryWatch
from monitor.metrics import Metrics, MetricsFollower
from monitor.model import Observation, Verdict
from monitor.observe import Observer, eta_of
from monitor.pace import Measured
from monitor.parts import Tick, make_parts
from monitor.probes.clock import Now, read_now
from monitor.probes.gpu import GpuSampler
from monitor.probes.standing_files import StandingFiles
from monitor.probes.watch_folder import CheckpointWatch
from monitor.recorder import Recorder
from monitor.rundir import RunDir
from monitor.seeds import SeedSearch
from monitor.store import TelemetryStore, sample_of
from monitor.target import TargetReader, WatchTarget
from monitor.trace_recorder import TraceRecorder
from monitor.watch_fold import take_look
from monitor.words import duration

GAP_NOTE_S = 10.0
"""A longer silence of the watcher itself is an event."""


class Watch:
    """What one watcher knows of one run, from look to look."""

    def __init__(
        self, run_dir: Path, tick_s: float, pause_s: float, look_now: threading.Event
    ) -> None:
        self.attempt = Attempts()
        self._dir = RunDir(run_dir)
        self._tick_s = tick_s
        self._reader = TargetReader(run_dir)
        self._target = self._reader.read()
        self._gpus = GpuSampler(pause_s)
        self._files = StandingFiles()
        self._observer = Observer(self._target, self._gpus, self._files.read)
        self._folder = CheckpointWatch(self._target.checkpoints, look_now)
        self._store = TelemetryStore(self._dir.telemetry)
        self._trace = TraceRecorder(self._dir.trace, tick_s)
        self._metrics = MetricsFollower(self._dir.metrics, keep=0)
        self._costs: tuple[Metrics, int, Measured] | None = None
        self._word = LastWord(self._dir.watch, tick_s)
        self._restore(look_now, read_now())

    def start(self) -> None:
        """Begin what works beside the looks."""
        self._gpus.start()
        self._store.start()
        self.attempt("events", self._folder.start)

    def close(self) -> None:
        """The watch ends."""
        for part in self._parts:
            self.attempt(part.name, part.close)
        self._folder.stop()
        self._files.close()
        self._memory.close()
        self._gpus.stop()
        self._store.close()

    @property
    def final(self) -> bool:
        """The run is over, as the last look saw it."""
        return self._word.final

    @property
    def settled(self) -> bool:
        """No event waits to be written."""
        return self._recorder.settled

    @property
    def urgent(self) -> bool:
        """The next look cannot wait."""
        return self._memory.urgent

    def farewell(self, text: str) -> None:
        """Leave everything to the next watcher, and record why this one ends."""
        self.attempt("watch.json", self._word.flush)
        self._recorder.say("note", text, read_now())

    def _restore(self, look_now: threading.Event, now: Now) -> None:
        """Continue where the last watcher stopped."""
        last, problem = self._word.value, self._word.problem
        self._state = AgeState()
        try:
            self._state = continued(last.marks) if last else self._state
        except ValueError as error:
            problem = f"{self._dir.watch.name} is not usable: {error}"
        self._memory = MemoryWatch(self._dir, look_now, last.memory if last else None)
        self._seeds = SeedSearch(last.seeds if last else None, now.monotonic_s)
        self._guard = KeeperGuard(
            last.keeper_starts if last and last.boot_id == now.boot_id else ()
        )
        self._recorder = Recorder(
            self._dir.events,
            last.recorded if last else None,
            last.recorded_wall if last else None,
        )
        self._last_words = last_words(self._target, now.boot_id)
        self._parts = make_parts(self._dir, self._recorder.say, last.parts if last else {})
        self.attempt("sweep", self._word.sweep)
        if problem:
            self._recorder.say("note", f"{problem}: the watch begins afresh", now)
        elif last is None:
            self._recorder.say("note", "the watcher started", now)
        else:
            silent = self._word.age_s(now)
            unseen = "" if silent is None else f"; nobody looked for {duration(silent)}"
            self._recorder.say("note", f"the watcher started again{unseen}", now)
        if self._last_words and not self._target.final:
            self._recorder.say("note", f"the machine went down: {self._last_words}", now)

    def tick(self) -> None:
        """Look once, and do everything that follows from it."""
        now = read_now()
        target = self._target = self._reader.read()
        facts, problems = self._observer.look(target, now)
        self.attempt("metrics", self._metrics.read)
        self._note_gap(now)
        self.attempt("seeds", lambda: self._seeds.search(target, facts.machine, now.monotonic_s))
        limits = self._seeds.limits(target)
        before = self._state
        judged = take_look(
            before,
            facts,
            target.subject,
            tick_s=self._tick_s,
            limits=limits,
            unreadable=problems,
            last_sample_wall=self._word.before_restart(now),
            last_words=self._last_words,
        )
        self._state, observation, verdict = judged.state, judged.observation, judged.verdict
        ages = (before, self._state)
        self.attempt("trace", lambda: self._trace.note(target, facts, limits, ages, problems, now))
        self.attempt(
            "memory", lambda: self._memory.look(target, observation, self._seeds.found, now)
        )
        beside = Beside(
            seeds=self._seeds.found,
            memory=self._memory.verdict,
            marks=self._memory.marks,
            eta=eta_of(target, observation, verdict, self._measured(target.attempt)),
        )
        word = self._word.say(target, judged, beside, now)
        self.attempt("telemetry", lambda: self._record_sample(observation, verdict, now))
        self.attempt("events", lambda: self._record_events(target, observation, verdict, now))
        tick = Tick(
            target=target,
            observation=observation,
            verdict=verdict,
            word=word,
            limits=limits,
            now=now,
            memory=self._memory.verdict,
            keeper_lost=self._guard.given_up,
        )
        for part in self._parts:
            self.attempt(part.name, functools.partial(part.tick, tick))
        self.attempt("keeper", lambda: self._guard_keeper(target, now))
        self._folder.follow(target.checkpoints)
        self.attempt("rescan", self._folder.rescan)
        self.attempt("watch.json", self._write)

    def note_checkpoints(self) -> None:
        """Record finished checkpoints between two looks."""
        reading = self._observer.checkpoints(self._target).read().value
        self._recorder.note_checkpoints(reading, read_now())

    def _note_gap(self, now: Now) -> None:
        """The watcher's own silence is an event, too."""
        silent = None if self._state.restored else self._word.age_s(now)
        if silent is not None and silent > max(GAP_NOTE_S, 3 * self._tick_s):
            text = f"nobody looked for {duration(silent)}: the watcher got no time to run"
            self._recorder.say("note", text, now)

    def _measured(self, attempt: int) -> Measured:
        """What this attempt's saves and evaluations cost, by the trainer's own clock."""
        known = self._metrics.metrics
        if self._costs is not None and self._costs[0] is known and self._costs[1] == attempt:
            return self._costs[2]
        evals = [each.eval_s for each in known.evals if each.attempt == attempt]
        measured = Measured(
            saves_s=tuple(save.save_s for save in known.saves if save.attempt == attempt),
            evals_s=tuple(each for each in evals if each is not None and each >= 0),
        )
        self._costs = (known, attempt, measured)
        return measured

    def _record_sample(self, observation: Observation, verdict: Verdict, now: Now) -> None:
        self._store.record(sample_of(observation, verdict, now))
        for note in self._store.take_notes():
            self._recorder.say("note", note, now)

    def _record_events(
        self, target: WatchTarget, observation: Observation, verdict: Verdict, now: Now
    ) -> None:
        self._recorder.flush()
        self._recorder.note_target(target, now)
        self._recorder.note_checkpoints(observation.checkpoints, now)
        problems = (self._store.problem, self._folder.problem, self._trace.problem)
        own = [each for each in problems if each]
        self._recorder.note_sources([*observation.unreadable, *own], now)
        self._recorder.note_verdict(verdict, now)

    def _guard_keeper(self, target: WatchTarget, now: Now) -> None:
        for text in self._guard.check(target, now):
            self._recorder.say("action", text, now)

    def _write(self) -> None:
        done = Done(
            recorded=self._recorder.recorded,
            recorded_wall=self._recorder.recorded_wall,
            keeper_starts=self._guard.starts,
            failures=self._counted(),
            parts={part.name: part.remembered() for part in self._parts},
        )
        self._word.write(done)

    def _counted(self) -> dict[str, int]:
        counted = dict(self.attempt.failures)
        if self._recorder.failures:
            counted["events"] = counted.get("events", 0) + self._recorder.failures
        if self._store.dropped:
            counted["samples"] = self._store.dropped
        return counted
