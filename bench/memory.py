"""The memory judge: false alerts on normal runs, lead on climbs, how soon a run is stopped.

Runs are simulated (tests/integration/memory_traces.py says how), but for the last part: there a
real process climbs against a lowered limit and a real watcher stops it.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measure import Result, until
from memory_traces import (
    TOTALS,
    Machine,
    Second,
    alerts,
    climbing,
    lead_of,
    levels,
    normal_run,
)

from monitor.memory_judge import Budget, MemoryLevel, MemoryState, advance_memory, judge_memory
from monitor.model import Phase, Stage
from monitor.probes.clock import boot_id
from monitor.probes.memory import read_memory_fast
from monitor.probes.process import identify

NOISES = {"no noise": 0.0, "noise of 0.2 GiB": 0.2, "noise of 0.4 GiB": 0.4}
GOALS = {0.5: (30.0, 19.0), 2.0: (5.0, 12.5), 10.0: (1.0, 13.0)}
"""GiB a minute: minutes of lead, and the headroom at the start that allows them."""

CLIMBER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the ladder asks to save first
held, gate = [], sys.argv[1]
while True:
    if os.path.exists(gate):
        held.append(bytearray(os.urandom(1) * (16 << 20)))
    time.sleep(0.05)
"""


def main() -> None:
    """Measure and write results/memory.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="simulated normal runs, all in all")
    parser.add_argument("--climbs", type=int, default=60, help="simulated climbs of each kind")
    parser.add_argument(
        "--seed",
        type=int,
        default=500_000,
        help="of the first run; not one that the judge was fitted to",
    )
    parser.add_argument("--stops", type=int, default=5, help="real climbs that are stopped")
    options = parser.parse_args()
    result = Result("memory")
    _false_alerts(result, options.runs, options.seed)
    _leads(result, options.climbs, options.seed)
    _cost(result)
    _stop_now(result, options.stops)
    result.notes.append(f"Seeds from {options.seed} on; the judge was fitted to others.")
    result.notes.append(
        "Simulated: a Spark of 119.6 or 121.7 GiB, both lanes, prepare, import, load, train, save, "
        "evaluate, merge. 'Allowed' starts have the headroom that the lead and the seven minutes, "
        "minute or quarter of it that a climb is watched for need."
    )
    result.write()


def _false_alerts(result: Result, runs: int, first: int) -> None:
    all_mixed: list[int] = []
    each = range(first, first + runs // (2 * len(NOISES)))
    for name, noise in NOISES.items():
        eight = [_alerted(seed, 48.0, noise) for seed in each]
        result.add(f"alerts per 100 runs of 8 B, {name}", "", [100 * _mean(eight)], budget=0)
    for name, noise in NOISES.items():
        mixed = [_alerted(seed, None, noise) for seed in each]
        all_mixed += mixed
        result.add(f"false alerts per 100 runs to 80 GiB, {name}", "", [100 * _mean(mixed)])
    title = f"false alerts per 100 of {len(all_mixed)} runs to 80 GiB, all noises"
    result.add(title, "", [100 * _mean(all_mixed)], budget=1)


def _alerted(seed: int, peak: float | None, noise: float) -> int:
    rng = random.Random(seed)
    machine = Machine(rng, rng.choice(TOTALS), rng.uniform(3, 9), noise)
    run = normal_run(rng, peak_gib=peak or rng.choice((24.0, 48.0, 64.0, 80.0)), cycles=4)
    return bool(alerts(machine, run))


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def _leads(result: Result, climbs: int, first: int) -> None:
    seeds = range(first, first + climbs)
    for noise in (0.0, 0.2):
        for rate, (minutes, least) in GOALS.items():
            found = [_lead(seed, rate, least, 60.0, noise) for seed in seeds]
            title = f"lead at {rate:g} GiB/min, start allows, noise {noise:g}"
            result.add(title, "min", [each[0] for each in found], least=minutes)
    for rate, (_, least) in GOALS.items():
        waits = [_lead(seed, rate, 10.5, least, 0.05)[1] for seed in seeds]
        title = f"from the climb's start to the warning at {rate:g} GiB/min, start between"
        result.add(title, "s", waits)
    for rate in GOALS:
        samples = [_samples(seed, rate) for seed in seeds]
        title = f"samples to the warning at {rate:g} GiB/min, too little left"
        result.add(title, "", samples, budget=2)


def _lead(seed: int, rate: float, least: float, most: float, noise: float) -> tuple[float, float]:
    rng = random.Random(seed)
    machine = Machine(rng, rng.choice(TOTALS), rng.uniform(3, 9), noise)
    lead = lead_of(machine, rate, rng.uniform(least, most))
    return lead.lead_min or 0.0, lead.waited_s


def _samples(seed: int, rate: float) -> int:
    """A climb that starts below the floor: how many samples until it is told."""
    rng = random.Random(seed)
    machine = Machine(rng, rng.choice(TOTALS), noise_gib=0.02)
    start = 0.83 * machine.total_gib + rng.uniform(0.2, 3.0) - machine.base_gib
    seconds = climbing(start, rate, calm_s=0, stop_gib=start + 2 * rate)
    for index, (_, state) in enumerate(levels(machine, seconds)):
        if state.level is not MemoryLevel.OK:
            return index + 1
    return 10_000


def _cost(result: Result) -> None:
    """What one look costs, far from the limit and close to it, after a quarter of an hour."""
    for title, gib in (("far from the limit", 50.0), ("close to the limit", 88.0)):
        machine, state, taken = Machine(random.Random(1), noise_gib=0.2), MemoryState(), []
        for second in range(2000):
            climb = min(1.0, second / 2000) * 5
            at = Second(gib + climb, Stage.TRAIN, Phase.ITERATION, saved=True)
            look = machine.look(at)
            began = time.thread_time()
            state = advance_memory(state, look, Budget())
            judge_memory(state, look, Budget())
            taken.append(1e6 * (time.thread_time() - began))
        late = sorted(taken[900:])
        result.add(f"one look, {title}, median", "us", [statistics.median(late)])
        result.add(f"one look, {title}, p99", "us", [late[int(0.99 * len(late))]], budget=1000)


def _stop_now(result: Result, rounds: int) -> None:
    """A real watcher at 1 Hz without a keeper: from the second sample to the trainer's end."""
    issued, ended = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="lanewatch-bench-") as folder:
            to_issue, to_end = _stopped(Path(folder) / "reference-1")
        issued.append(to_issue)
        ended.append(to_end)
    result.add("stop-now: level 'limit' to the kill", "s", issued, budget=1.0)
    result.add("stop-now: limit crossed to the trainer's end", "s", ended)


def _stopped(root: Path) -> tuple[float, float]:
    (root / "logs").mkdir(parents=True)
    (root / "checkpoints").mkdir()
    memory, gate = read_memory_fast(), root / "go"
    assert memory is not None
    limit = memory.used_bytes + (1 << 30)
    trainer = subprocess.Popen([sys.executable, "-c", CLIMBER, str(gate)], start_new_session=True)
    watcher = None
    try:
        _describe(root, trainer.pid, limit)
        watcher = subprocess.Popen([sys.executable, "-m", "monitor.watcher", str(root)])
        until(lambda: (_json(root / "watch.json").get("memory") or {}).get("held"), "a look")
        gate.touch()
        crossed = _crossed(limit, trainer)
        trainer.wait(60)
        end = time.monotonic()
        until(lambda: _event(root, "rung", "stop"), "the event of the stop")
        level, stop = _event(root, "level", "limit"), _event(root, "rung", "stop")
        return max(0.0, stop - level), end - crossed
    finally:
        for each in (trainer, watcher):
            if each is not None:
                each.kill()
                each.wait()


def _describe(root: Path, pid: int, limit: int) -> None:
    process = identify(pid)
    assert process is not None
    run = {
        "schema": 1,
        "run": root.name,
        "recipe": {"memory": {"at_limit": "stop-now"}},
        "memory_limit_bytes": limit,
    }
    named = {"pid": pid, "start_ticks": process.start_ticks, "boot_id": boot_id()}
    state = {
        "schema": 1,
        "attempt": 1,
        "status": "running",
        "stage": "train",
        "boot_id": boot_id(),
        "process": named,
    }
    (root / "run.json").write_text(json.dumps(run))
    (root / "state.json").write_text(json.dumps(state))


def _crossed(limit: int, trainer: subprocess.Popen[bytes]) -> float:
    """When the machine was first over the limit, looked at 200 times a second."""
    while trainer.poll() is None:
        memory = read_memory_fast()
        if memory is not None and memory.used_bytes >= limit:
            return time.monotonic()
        time.sleep(0.005)
    return time.monotonic()


def _event(root: Path, key: str, value: str) -> float:
    """CLOCK_MONOTONIC of the first event that says so; 0 while there is none."""
    path = root / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [each for each in map(json.loads, lines) if each.get(key) == value]
    return float(found[0]["monotonic_s"]) if found else 0.0


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    main()
