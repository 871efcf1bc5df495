"""Is the true cause of each drill named, and what does a diagnosis do to a run that is well?"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measure import Result, environment, lanewatch

AT_ONCE = 3
"""Drills; more would make each other late on two cores."""
WORK = 12_000
"""Turns of the loop that stand for one step: some tens of milliseconds."""
LEAST_STEPS = 20
SHORT = ("deadlock", "slow-save", "log-stuck")
SHUT = {
    "deadlock, ptrace forbidden": ("deadlock", "deadlock", "deadlock (drills/faults.py:"),
    "spin, ptrace forbidden": ("spin", "spinning", "turn (drills/faults.py:"),
}


def main() -> None:
    """Measure and write results/diagnose.json; with --short only try whether all of it runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--window", type=float, default=5.0, help="seconds with, and without")
    parser.add_argument("--short", action="store_true", help="few drills, nothing is written")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        _train(options.child)
        return
    result = Result("diagnose")
    rows = _matrix(SHORT) if options.short else _matrix()
    _tell(result, rows)
    _harm(result, 2 if options.short else options.pairs, options.window)
    result.notes += [
        "Matrix: `lanewatch drill NAME --diagnose` for each drill, and two trainers that forbid "
        "ptrace, diagnosed by an ordinary user; a label stands in runners/drills/table.py.",
        "Step time: a process that computes (pure Python) and nothing else, in "
        f"windows of {options.window:g} s that take turns: without, and with diagnoses one after "
        "another without a pause, as nobody makes them. The ratio is of the medians of a pair of "
        "neighbouring windows; the interval is a bootstrap of 95 % over the pairs. All the while a "
        "thread of the bench looks whether the kernel calls the process stopped or traced: py-spy "
        "without --native does neither.",
        "A whole diagnosis: from its first look to its conclusion, of each drill, two or three at "
        "once; and the process that makes it, from its start to its end, beside the computing one.",
        "Pauses: the computing process reads the clock some 300,000 times a second; of each window "
        "the longest time between two readings. What is there without diagnoses is the machine's.",
    ]
    if options.short:
        return
    result.rows = rows
    result.write()


def _matrix(only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One row for each drill: its label, and what was said."""
    from runners.drills.table import DRILLS

    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(_drill, only or DRILLS))
    return [*rows, *(_shut(name) for name in list(SHUT)[: 1 if only else None])]


def _drill(name: str) -> dict[str, Any]:
    from runners.drills.table import DRILLS

    argv = lanewatch("drill", name, "--diagnose", "--json")
    argv = [sys.executable, "-P", "-m", "tui", *argv[1:]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=_env())
    found = (json.loads(done.stdout).get("diagnoses") or [None])[0] if done.stdout else None
    row = {"drill": name, "fault": not DRILLS[name].healthy}
    if found is None:
        return row | {"naming": "none", "label": "", "cause": "not diagnosed here"}
    keys = ("label", "cause", "confidence", "naming", "sentence", "seconds", "took_s")
    keys += ("samples", "source")
    print(f"{name:<24} {found['label']:<16} {found['cause']:<16} {found['naming']}", flush=True)
    return row | {key: found[key] for key in keys}


def _shut(name: str) -> dict[str, Any]:
    """A trainer that nobody else may look into, and an ordinary user who asks."""
    from hanging import diagnosed, hanging, until, users

    drill, cause, blames = SHUT[name]
    trainer = {"faults": ((12, "forbid_ptrace"), (13, drill))}
    uid = users()[-1]
    with hanging(drill, uid, trainer) as run:
        until(run, "stalled")
        said = diagnosed(run, uid)
    found, facts = said["conclusion"], said["facts"]
    naming = "unsure" if found["confidence"] == "unsure" else "wrong"
    if found["cause"] == cause:
        naming = "named" if blames in found["sentence"] else "class"
    print(f"{name:<24} {cause:<16} {found['cause']:<16} {naming} (uid {uid})", flush=True)
    return {
        "drill": name,
        "fault": True,
        "label": cause,
        "cause": found["cause"],
        "confidence": found["confidence"],
        "naming": naming,
        "sentence": found["sentence"],
        "seconds": facts["seconds"],
        "took_s": said["took_s"],
        "samples": facts["samples"],
        "source": facts["source"],
    }


def _tell(result: Result, rows: Sequence[dict[str, Any]]) -> None:
    faults = [each for each in rows if each["fault"]]
    well = [each for each in rows if not each["fault"]]
    named = sum(each["naming"] == "named" for each in faults)
    classed = named + sum(each["naming"] == "class" for each in faults)
    healthy = sum(each["naming"] == "named" for each in well)
    wrong = sum(each["naming"] == "wrong" for each in rows)
    enough = min(15, len(faults))
    result.add(f"faults named with their place, of {len(faults)}", "", [named], least=enough)
    result.add(f"faults whose class is named, of {len(faults)}", "", [classed], least=len(faults))
    result.add(f"healthy runs called healthy, of {len(well)}", "", [healthy], least=len(well))
    result.add("sure or likely, and wrong", "", [wrong], budget=0)
    seconds = [each["seconds"] for each in rows if each.get("samples")]
    result.add("sampling of a run that lives", "s", seconds, budget=15)
    _times(result, "a whole diagnosis", [each["took_s"] for each in rows if each.get("took_s")])


def _times(result: Result, name: str, seconds: Sequence[float]) -> None:
    ordered = sorted(seconds)
    result.add(name, "s", ordered)
    result.add(f"{name}, p95", "s", [ordered[int(0.95 * (len(ordered) - 1))]])
    result.add(f"{name}, the longest", "s", [ordered[-1]], budget=15)


def _harm(result: Result, pairs: int, window_s: float) -> None:
    """Windows with and without diagnoses take turns over one process that trains."""
    with tempfile.TemporaryDirectory(prefix="lanewatch-bench-") as folder:
        run = Path(folder) / "foreign-20260101-000000-0000"
        run.mkdir()
        child = subprocess.Popen(
            [sys.executable, __file__, "--child", str(run)], stdin=subprocess.PIPE
        )
        stops, took = Stops(child.pid), list[float]()
        try:
            _describe(run, child.pid)
            stops.start()
            windows = [
                _window(run, window_s, took if number % 2 == 1 else None)
                for number in range(2 * pairs + 2)
            ]
        finally:
            stops.over = True
            stops.join()
            child.kill()
            child.wait()
        last = json.loads((run / "diagnosis" / "latest.json").read_text())
        steps = [tuple(map(float, line.split())) for line in _lines(run / "steps")]
    windows = windows[2:]  # the first of each is thrown away
    wall: list[float] = []
    cpu: list[float] = []
    pauses: tuple[list[float], list[float]] = ([], [])
    for without, with_ in zip(windows[::2], windows[1::2], strict=True):
        inside = [
            [each for each in steps if begin < each[0] < end] for begin, end in (without, with_)
        ]
        if min(map(len, inside)) < LEAST_STEPS:
            continue
        for longest, window in zip(pauses, inside, strict=True):
            longest.append(1000 * max(each[3] for each in window))
        for values, column in ((wall, 1), (cpu, 2)):
            off, on = (statistics.median(each[column] for each in window) for window in inside)
            values.append(100 * on / off - 100)
    for name, values in (("wall", wall), ("CPU", cpu)):
        low, high = _interval(values)
        label = f"step time with diagnoses, {name}, added (95 %: {low:+.2f} to {high:+.2f})"
        result.add(label, "%", values, budget=1.0)
    result.add("longest pause in a window without diagnoses", "ms", pauses[0])
    result.add("longest pause in a window with diagnoses", "ms", pauses[1], budget=50)
    _times(result, "a diagnosis as a process of its own", took)
    result.add("looks that saw the trainer stopped or traced", "", [stops.seen], budget=0)
    result.add("looks at whether it was", "", [stops.looks])
    result.add("samples of its stacks in one diagnosis", "", [last["facts"]["samples"]], least=5)


class Stops(threading.Thread):
    """Looks a thousand times a second whether a process is stopped, or traced by anyone."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.looks = self.seen = 0
        self.over = False

    def run(self) -> None:
        """Until `over`."""
        descriptor = os.open(f"/proc/{self._pid}/status", os.O_RDONLY)
        while not self.over:
            status = os.pread(descriptor, 4096, 0)
            state = status.partition(b"State:\t")[2][:1]
            tracer = int(status.partition(b"TracerPid:\t")[2].split()[0])
            self.looks += 1
            self.seen += state in (b"t", b"T") or tracer != 0
            time.sleep(0.001)
        os.close(descriptor)


def _describe(run: Path, pid: int) -> None:
    """As a foreign run that somebody attached: nothing but its process is known."""
    from dataclasses import asdict

    from monitor.probes.process import identify

    identity = identify(pid)
    assert identity is not None
    info = {"schema": 1, "kind": "foreign", "run": run.name, "process": asdict(identity)}
    (run / "run.json").write_text(json.dumps(info))


def _window(run: Path, seconds: float, took: list[float] | None) -> tuple[float, float]:
    """Its begin and end by CLOCK_MONOTONIC; *took*: diagnose meanwhile, and add how long."""
    begin = time.monotonic()
    while (left := begin + seconds - time.monotonic()) > 0:
        if took is None:
            time.sleep(left)
            continue
        argv = [sys.executable, "-P", "-m", "monitor.diagnosis", str(run)]
        asked_s = time.monotonic()
        subprocess.run(argv, check=True, env=_env(), stdout=subprocess.DEVNULL)
        took.append(time.monotonic() - asked_s)
    return begin, time.monotonic()


def _env() -> dict[str, str]:
    from measure import REPOSITORY

    return environment(PYTHONPATH=str(REPOSITORY))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[:-1]


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the median, by a bootstrap with a fixed seed."""
    draw = random.Random(20)
    found = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return found[50], found[-51]


def _train(run: Path) -> None:
    """Compute until killed: each step's end, wall and CPU seconds, and longest pause."""
    with (run / "steps").open("w", buffering=1) as stream:
        while os.getppid() != 1:
            began, cpu_s = time.monotonic(), time.thread_time()
            pause_s = _step()
            ended = time.monotonic()
            stream.write(f"{ended} {ended - began} {time.thread_time() - cpu_s} {pause_s}\n")


def _step() -> float:
    """Some tens of milliseconds of work; returns the longest time between two of its turns."""
    total = longest = 0.0
    weights = [0.1 * index for index in range(16)]
    last = time.monotonic()
    for turn in range(WORK):
        total += weights[turn % 16] * (turn % 7)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


if __name__ == "__main__":
    main()
