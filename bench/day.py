"""A run that has gone on for a day: the history that a watcher would have left by then.

The night is drawn by tests/integration/night.py and judged as a replay is; what it leaves is put
into the folder of a real run before a real watcher goes on with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from measure import until
from night import Night, frames
from runs import pid_of, read

from monitor.model import Liveness, Verdict
from monitor.probes.clock import Now, boot_id, read_now
from monitor.probes.process import identify
from monitor.replay import Look, Replay
from monitor.rundir import RunDir
from monitor.samples import Sample
from monitor.telemetry_file import TelemetryFile
from monitor.trace import VERSION, TraceHeader
from monitor.trace_lines import TraceLines, dump, header_line
from monitor.watch_state import WatchState, write_watch

DAY_S = 24 * 3600
STEP_S = 2.0
"""An iteration every other second: as many changes as a look a second can be given lines for."""
SAVE_INTERVAL = 70
SEED = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What is left of one: the last look, and its trace."""

    last: Look
    replay: Replay
    trace: list[str]
    done: int


def simulate(hours: float, step_s: float, header: TraceHeader) -> Day:
    """Watch *hours* of a night with a heartbeat, look by look."""
    night = Night(seed=SEED, hours=hours, step_s=step_s, save_interval=SAVE_INTERVAL)
    replay, lines, trace, last = Replay(), TraceLines(header), [dump(header_line(header))], None
    for frame in frames(night):
        *_, last = replay.take(frame)
        trace += [dump(line) for line in lines.note(frame, replay.state)]
    assert last is not None
    beat = last.frame.facts.heartbeat
    return Day(last=last, replay=replay, trace=trace, done=(beat.done if beat else None) or 0)


def age(run: RunDir, hours: float) -> int:
    """Make *run*, which trains, *hours* older; its watcher is another one then: returns its pid."""
    state = read(run.state)
    before = pid_of(state, "watcher")
    with _held(pid_of(state, "keeper")), _held(pid_of(state, "process")):
        os.kill(before, signal.SIGTERM)
        until(lambda: _ended(before), "the end of the first watcher", 20)
        _write(run, hours, read_now())

    def successor() -> int:
        pid = pid_of(read(run.state), "watcher")
        return pid if pid != before and identify(pid) is not None else 0

    after = int(until(successor, "a watcher that goes on after a day"))
    aged = hours * 3600
    until(lambda: (read(run.watch).get("observed_s") or 0.0) > aged / 2, "its first look", 30)
    until(lambda: pid_of({"it": read(run.watch)}, "it") == after, "its first word", 30)
    return after


@contextlib.contextmanager
def _held(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _ended(pid: int) -> bool:
    return identify(pid) is None  # a zombie, for its keeper is held


def _write(run: RunDir, hours: float, now: Now) -> None:
    seconds = hours * 3600
    header = TraceHeader(
        trace=VERSION,
        run=run.root.name,
        wall_s=now.wall_s - seconds,
        boot_id=now.boot_id,
        monotonic_s=now.monotonic_s - seconds,
    )
    day = simulate(hours, STEP_S, header)
    run.trace.write_text("\n".join(day.trace) + "\n")
    _prepend(run.metrics, _metrics(day.done, now.wall_s - seconds))
    _prepend(run.log("train"), _log(day.done))
    _prepend(run.events, _events(day.done, now, seconds))
    _telemetry(run, now, int(seconds), day.done)
    _watch(run, day, now)


def _prepend(path: Path, lines: Iterator[str]) -> None:
    """In place: the trainer has the file open, and is held meanwhile."""
    with path.open("r+") as stream:
        newest = stream.read()
        stream.seek(0)
        stream.writelines(f"{line}\n" for line in lines)
        stream.write(newest)


def _metrics(done: int, wall_s: float) -> Iterator[str]:
    for iteration in range(1, done + 1):
        at = {"attempt": 1, "iteration": iteration, "wall_s": wall_s + iteration * STEP_S}
        told = {"loss": 2.0, "lr": 1e-4, "grad_norm": 1.0, "step_s": STEP_S, "tokens": 65536}
        yield json.dumps(at | told | {"monotonic_s": iteration * STEP_S})
        if iteration % SAVE_INTERVAL == 0:
            yield json.dumps(at | {"save_s": 5.0, "forced": False})


def _log(done: int) -> Iterator[str]:
    for iteration in range(1, done + 1):
        yield f"iteration {iteration}/{2 * done} | loss 2.0 | lr 1e-04 | grad norm 1.0 | step 2.0 s"


def _events(done: int, now: Now, seconds: float) -> Iterator[str]:
    for iteration in range(SAVE_INTERVAL, done + 1, SAVE_INTERVAL):
        wall_s = now.wall_s - seconds + iteration * STEP_S
        event = {
            "schema": 1,
            "kind": "checkpoint",
            "text": f"checkpoint {iteration} is whole (0.0 GiB)",
            "source": "watcher",
            "wall_s": wall_s,
            "boot_id": now.boot_id,
            "monotonic_s": now.monotonic_s - seconds + iteration * STEP_S,
            "iteration": iteration,
            "size_bytes": 400_000,
            "modified_wall": wall_s,
        }
        yield json.dumps(event)


def _telemetry(run: RunDir, now: Now, seconds: int, done: int) -> None:
    """A sample for each second, beside those of the real run."""
    samples = [
        Sample(
            boot_id=now.boot_id,
            monotonic_s=now.monotonic_s - back,
            wall_s=now.wall_s - back,
            attempt=1,
            stage="train",
            phase="iteration",
            verdict="training",
            iteration=done - int(back / STEP_S),
            loss=2.0,
            step_s=STEP_S,
            progress_age_s=1.0,
            mem_used_bytes=5 << 30,
            mem_available_bytes=18 << 30,
            rss_bytes=400 << 20,
            cpu_s=float(seconds - back),
            cpu_percent=50.0,
            disk_free_bytes=80 << 30,
            log_bytes=80 * (done - int(back / STEP_S)),
        )
        for back in range(seconds, 0, -1)
    ]
    for path in run.root.glob("telemetry.sqlite3*"):
        path.unlink()
    file = TelemetryFile(run.telemetry)
    for first in range(0, len(samples), 3600):
        file.write(samples[first : first + 3600])
    file.close()
    with contextlib.closing(sqlite3.connect(run.telemetry)) as connection:
        (held,) = connection.execute("SELECT count(*) FROM samples").fetchone()
    assert held == seconds, f"{held} samples in place of {seconds}"


def _watch(run: RunDir, day: Day, now: Now) -> None:
    """The last watcher's word: all that the day has taught, as if said just now."""
    marks = replace(day.replay.state, boot_id=now.boot_id, monotonic_s=now.monotonic_s)
    word = WatchState(
        run=run.root.name,
        pid=1,
        start_ticks=0,
        boot_id=boot_id(),
        monotonic_s=now.monotonic_s,
        wall_s=now.wall_s,
        observed_s=marks.observed_s,
        verdict=Verdict(liveness=Liveness.TRAINING, reason="simulated"),
        since_wall=now.wall_s - DAY_S,
        history=day.last.judged.observation.history,
        recorded=Liveness.TRAINING,
        recorded_wall=now.wall_s - DAY_S,
        marks=marks,
    )
    write_watch(run.watch, word)


def write_night(path: Path, hours: float, step_s: float) -> int:
    """Write the trace of a night of *hours* to *path*; returns its lines."""
    header = TraceHeader(trace=VERSION, run="night", wall_s=time.time())
    lines = simulate(hours, step_s, header).trace
    path.write_text("\n".join(lines) + "\n")
    return len(lines)
