"""The process that observes one run: `python -m monitor.watcher RUN_FOLDER`.

Once a tick it looks, judges, records and writes watch.json; a change in the checkpoints folder
wakes it between ticks. The one rule: each part may fail alone, is counted, and is tried again.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from monitor import locks
from monitor.ages import AgeState, continued
from monitor.flight_log import last_words
from monitor.keeper_guard import KeeperGuard
from monitor.memory_watch import MemoryWatch
from monitor.metrics import MetricsFollower
from monitor.model import FINAL, Observation, ProcessId, Verdict
from monitor.observe import Observer, eta_of
from monitor.own_log import log_to
from monitor.pace import Measured
from monitor.parts import Tick, make_parts
from monitor.probes.clock import RATE, Now, read_now
from monitor.probes.gpu import GpuSampler
from monitor.probes.process import identify
from monitor.probes.watch_folder import CheckpointWatch
from monitor.recorder import Recorder
from monitor.rundir import RunDir
from monitor.seeds import SeedSearch
from monitor.standing import phase_of
from monitor.store import TelemetryStore, sample_of
from monitor.target import TargetReader, WatchTarget
from monitor.trace_recorder import TraceRecorder
from monitor.watch_fold import take_look
from monitor.watch_state import (
    WatchState,
    age_of,
    read_watch,
    sweep_temporaries,
    write_watch,
)
from monitor.words import duration

TICK_S = max(1.0, 0.1 * RATE)
"""By the judged clock; in a drill a look is never under a tenth of a second away from the last."""
CALM_S = 0.05
"""Least time between two looks at the checkpoints: a save makes a burst of events."""
GAP_NOTE_S = 10.0
"""A longer silence of the watcher itself is an event."""
LAST_LOOKS = 5
"""Looks after the end in which a full disk may still take the last events."""
LOG_EVERY = 600

EXIT_ENDED = 0
EXIT_REFUSED = 2

_log = logging.getLogger("lanewatch.watcher")


class Watcher:
    """Observes one run until it is over."""

    def __init__(self, run_dir: Path, tick_s: float = TICK_S) -> None:
        self._dir = RunDir(run_dir)
        self._tick_s = tick_s
        self._pause_s = tick_s / RATE
        self._folder = _identity(run_dir)
        self._reader = TargetReader(run_dir)
        self._target = self._reader.read()
        self._look_now = threading.Event()
        self._stopping = False
        self._failures: dict[str, int] = {}
        self._gpus = GpuSampler(self._pause_s)
        self._observer = Observer(self._target, self._gpus)
        self._watch = CheckpointWatch(self._target.checkpoints, self._look_now)
        self._store = TelemetryStore(self._dir.telemetry)
        self._trace = TraceRecorder(self._dir.trace, tick_s)
        self._own = identify(os.getpid()) or ProcessId(pid=os.getpid(), boot_id="", start_ticks=0)
        self._metrics = MetricsFollower(self._dir.metrics, keep=1)
        self._last_looks = 0
        self._restore(read_now())

    def run(self) -> int:
        """Look once a tick until the run is over, the folder is gone or SIGTERM comes."""
        self._gpus.start()
        self._store.start()
        self._attempt("events", self._watch.start)
        try:
            return self._loop()
        finally:
            for part in self._parts:
                self._attempt(part.name, part.close)
            self._watch.stop()
            self._memory.close()
            self._gpus.stop()
            self._store.close()

    def stop(self) -> None:
        """Ask the loop to end; safe in a signal handler."""
        self._stopping = True

    def _restore(self, now: Now) -> None:
        """Continue where the last watcher stopped."""
        read = read_watch(self._dir.watch)
        last, problem = read.value, read.problem
        self._state = AgeState()
        try:
            self._state = continued(last.marks) if last else self._state
        except ValueError as error:
            problem = f"{self._dir.watch.name} is not usable: {error}"
        self._last: WatchState | None = last
        self._memory = MemoryWatch(self._dir, self._look_now, last.memory if last else None)
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
        self._attempt("sweep", lambda: sweep_temporaries(self._dir.watch))
        if problem:
            self._recorder.say("note", f"{problem}: the watch begins afresh", now)
        elif last is None:
            self._recorder.say("note", "the watcher started", now)
        else:
            silent = age_of(last, now.boot_id, now.monotonic_s)
            unseen = "" if silent is None else f"; nobody looked for {duration(silent)}"
            self._recorder.say("note", f"the watcher started again{unseen}", now)
        if self._last_words and not self._target.final:
            self._recorder.say("note", f"the machine went down: {self._last_words}", now)

    def _loop(self) -> int:
        due = time.monotonic()
        while not self._stopping:
            if self._folder is None or _identity(self._dir.root) != self._folder:
                _say(f"{self._dir.root} is gone: the watch ends")
                return EXIT_ENDED
            self._attempt("tick", self._tick)
            if self._over():
                return EXIT_ENDED
            due = max(min(due, time.monotonic()) + self._pause_s, time.monotonic())
            self._wait(due)
        self._recorder.say("note", "the watcher was told to end", read_now())
        return EXIT_ENDED

    def _wait(self, due: float) -> None:
        """Sleep until *due*; look at the checkpoints whenever their folder changes."""
        while not self._stopping and (left := due - time.monotonic()) > 0:
            if self._look_now.wait(min(left, 1.0)):
                self._look_now.clear()
                if self._memory.urgent:
                    return
                self._attempt("checkpoints", self._note_checkpoints)
                time.sleep(min(CALM_S, max(0.0, due - time.monotonic())))

    def _over(self) -> bool:
        """The end is recorded, or the disk had its chances to take it."""
        last = self._last
        if last is None or last.verdict.liveness not in FINAL:
            self._last_looks = 0
            return False
        self._last_looks += 1
        return self._recorder.settled or self._last_looks >= LAST_LOOKS

    def _tick(self) -> None:
        now = read_now()
        target = self._target = self._reader.read()
        facts, problems = self._observer.look(target, now)
        self._attempt("metrics", self._metrics.read)
        self._note_gap(now)
        self._attempt("seeds", lambda: self._seeds.search(target, facts.machine, now.monotonic_s))
        limits = self._seeds.limits(target)
        before = self._state
        judged = take_look(
            before,
            facts,
            target.subject,
            tick_s=self._tick_s,
            limits=limits,
            unreadable=problems,
            last_sample_wall=self._last_wall(now),
            last_words=self._last_words,
        )
        self._state, observation, verdict = judged.state, judged.observation, judged.verdict
        ages = (before, self._state)
        self._attempt("trace", lambda: self._trace.note(target, facts, limits, ages, problems, now))
        self._attempt(
            "memory", lambda: self._memory.look(target, observation, self._seeds.found, now)
        )
        self._last = self._word(target, observation, verdict, now)
        self._attempt("telemetry", lambda: self._record_sample(observation, verdict, now))
        self._attempt("events", lambda: self._record_events(target, observation, verdict, now))
        tick = Tick(
            target=target,
            observation=observation,
            verdict=verdict,
            word=self._last,
            limits=limits,
            now=now,
            memory=self._memory.verdict,
            keeper_lost=self._guard.given_up,
        )
        for part in self._parts:
            self._attempt(part.name, functools.partial(part.tick, tick))
        self._attempt("keeper", lambda: self._guard_keeper(target, now))
        self._watch.follow(target.checkpoints)
        self._attempt("rescan", self._watch.rescan)
        self._attempt("watch.json", self._write)

    def _note_checkpoints(self) -> None:
        reading = self._observer.checkpoints(self._target).read().value
        self._recorder.note_checkpoints(reading, read_now())

    def _note_gap(self, now: Now) -> None:
        """The watcher's own silence is an event, too."""
        last = self._last
        if last is None or self._state.restored or last.boot_id != now.boot_id:
            return
        silent = now.monotonic_s - last.monotonic_s
        if silent > max(GAP_NOTE_S, 3 * self._tick_s):
            text = f"nobody looked for {duration(silent)}: the watcher got no time to run"
            self._recorder.say("note", text, now)

    def _last_wall(self, now: Now) -> float | None:
        """When the run was last seen before the machine was restarted."""
        return self._last.wall_s if self._last and self._last.boot_id != now.boot_id else None

    def _word(
        self, target: WatchTarget, observation: Observation, verdict: Verdict, now: Now
    ) -> WatchState:
        """What watch.json will say."""
        last, state = self._last, self._state
        same = last is not None and last.verdict.liveness is verdict.liveness
        process, machine = observation.process, observation.machine
        rss = process.rss_bytes if process else None
        used = machine.memory.used_bytes if machine and machine.memory else None
        phase, memory = phase_of(observation), self._memory.verdict
        return WatchState(
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
            seeds=self._seeds.found,
            machine=machine,
            eta=eta_of(target, observation, verdict, self._measured(target.attempt)),
            rss_bytes=rss,
            rss_peak_bytes=_largest(last.rss_peak_bytes if last else None, rss),
            used_peak_bytes=_largest(last.used_peak_bytes if last else None, used),
            minutes_to_limit=memory.minutes_to_limit if memory else None,
            memory_verdict=memory,
            memory=self._memory.marks,
            unreadable=observation.unreadable,
            failures=self._counted(),
            recorded=self._recorder.recorded,
            recorded_wall=self._recorder.recorded_wall,
            keeper_starts=self._guard.starts,
            log_progress=observation.log_progress,
            marks=state,
        )

    def _measured(self, attempt: int) -> Measured:
        """What this attempt's saves and evaluations cost, by the trainer's own clock."""
        known = self._metrics.metrics
        evals = [each.eval_s for each in known.evals if each.attempt == attempt]
        return Measured(
            saves_s=tuple(save.save_s for save in known.saves if save.attempt == attempt),
            evals_s=tuple(each for each in evals if each is not None and each >= 0),
        )

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
        problems = (self._store.problem, self._watch.problem, self._trace.problem)
        own = [each for each in problems if each]
        self._recorder.note_sources([*observation.unreadable, *own], now)
        self._recorder.note_verdict(verdict, now)

    def _guard_keeper(self, target: WatchTarget, now: Now) -> None:
        for text in self._guard.check(target, now):
            self._recorder.say("action", text, now)

    def _write(self) -> None:
        if self._last is not None:
            word = replace(
                self._last,
                recorded=self._recorder.recorded,
                recorded_wall=self._recorder.recorded_wall,
                keeper_starts=self._guard.starts,
                failures=self._counted(),
                parts={part.name: part.remembered() for part in self._parts},
            )
            write_watch(self._dir.watch, word)

    def _counted(self) -> dict[str, int]:
        counted = dict(self._failures)
        if self._recorder.failures:
            counted["events"] = counted.get("events", 0) + self._recorder.failures
        if self._store.dropped:
            counted["samples"] = self._store.dropped
        return counted

    def _attempt(self, part: str, action: Callable[[], object]) -> None:
        """Run one part of a tick; whatever it does, the other parts go on."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the loop's rim: the watch must go on
            count = self._failures[part] = self._failures.get(part, 0) + 1
            if count == 1 or count % LOG_EVERY == 0:
                expected = isinstance(error, OSError)
                _log.warning("%s failed (%d): %s", part, count, error, exc_info=not expected)


def main(arguments: list[str] | None = None) -> int:
    """Watch one run. Returns 0 at its end, 2 when there is nothing to watch or it is watched."""
    options = _parse(arguments)
    run_dir = Path(options.run_folder).absolute()
    if not run_dir.is_dir():
        _say(f"{run_dir} is no run folder: nothing to watch")
        return EXIT_REFUSED
    log_to(RunDir(run_dir).logs / "watcher.log", _log)
    try:
        lock = locks.take(RunDir(run_dir).watcher_lock)
    except OSError as error:
        # In a folder that cannot be written nobody can hold the lock, and nobody needs it.
        _say(f"{run_dir} cannot be written ({error.strerror}): watching without a record")
        lock = -1
    if lock is None:
        _say(f"{run_dir} is watched already: another watcher holds watcher.lock")
        return EXIT_REFUSED
    watcher = Watcher(run_dir, options.tick)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: watcher.stop())
    signal.signal(signal.SIGINT, lambda *_: watcher.stop())
    return watcher.run()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="monitor.watcher", description="Watch one run.")
    parser.add_argument("run_folder")
    parser.add_argument("--tick", type=float, default=TICK_S, metavar="S", help="seconds per look")
    options = parser.parse_args(arguments)
    if not 0 < options.tick <= 60:
        parser.error("--tick must be between 0 and 60 seconds")
    return options


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _largest(*values: int | None) -> int | None:
    return max((each for each in values if each is not None), default=None)


def _say(text: str) -> None:
    sys.stderr.write(f"lanewatch watcher: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
