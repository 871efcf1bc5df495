"""The watcher at 1 Hz on a real run: CPU, memory, and how soon a checkpoint is an event.

Then once more after a simulated day of history, and how long a recorded night takes to judge again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time

import day
from measure import MIB, Memory, Result, cost_of, cpu_percent, lanewatch, memory
from peers import usable
from runs import RunRoot, pid_of, read, run_root, settle
from terminal import Terminal

from monitor.rundir import RunDir

CPU_BUDGET = 0.5
PSS_BUDGET = 35.0
LATENCY_BUDGET_S = 0.2
LATENCIES = 40
REPLAY_BUDGET_S = 1.0
REPLAYS = 5
POLL_S = 0.002


def main() -> None:
    """Measure and write results/watcher.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hours", type=float, default=24.0, help="of history, simulated")
    options = parser.parse_args()
    result = Result("watcher")
    with run_root() as root:
        _cost(result, root, options.windows, options.seconds)
        _latency(result, root)
        _after_a_day(result, root, options.windows, options.seconds, options.hours)
        _replay(result, root)
    result.notes.append(
        "Watcher, keeper and peers were measured in the same windows, beside one training process "
        "that uses one core. PSS was taken before the peers were started."
    )
    result.write()


class _Pace:
    """Iterations a second of a run, from its heartbeat."""

    def __init__(self, run: RunDir) -> None:
        self._run, self._began, self._at_s = run, self._done(run), time.monotonic()
        self.per_s = 0.0

    def stop(self) -> None:
        wall_s = time.monotonic() - self._at_s
        self.per_s = (self._done(self._run) - self._began) / wall_s

    @staticmethod
    def _done(run: RunDir) -> int:
        return int(read(run.heartbeat).get("done") or 0)


def _cost(result: Result, root: RunRoot, windows: int, seconds: float) -> None:
    run = root.launch(iterations=100_000)
    own = {name: pid_of(read(run.state), name) for name in ("watcher", "keeper")}
    settle(20)
    sizes: dict[str, list[Memory]] = {name: [] for name in own}
    for _ in range(5):
        for name, pid in own.items():
            sizes[name].append(memory(pid))
        time.sleep(2)
    peers, result.peers = usable()
    with contextlib.ExitStack() as stack:
        screens = {each.name: stack.enter_context(Terminal(each.argv, 160, 48)) for each in peers}
        pids = own | {name: screen.pid for name, screen in screens.items()}
        settle()
        percents, paces = [], []
        for _ in range(windows):
            paces.append(_Pace(run))
            percents.append(cpu_percent(pids, seconds))
            paces[-1].stop()
        sizes |= {name: [memory(screen.pid)] for name, screen in screens.items()}
    result.add("iterations of the run meanwhile", "1/s", [each.per_s for each in paces])
    for name in pids:
        budget = CPU_BUDGET if name == "watcher" else None
        result.add(f"{name}, CPU", "% core", [each[name] for each in percents], budget=budget)
    for name, taken in sizes.items():
        budget = PSS_BUDGET if name == "watcher" else None
        result.add(f"{name}, PSS", "MiB", [each.pss for each in taken], budget=budget)
        if name in own:
            result.add(f"{name}, USS", "MiB", [each.uss for each in taken])
            result.add(f"{name}, RSS", "MiB", [each.rss for each in taken])
    root.end(run)


def _after_a_day(result: Result, root: RunRoot, windows: int, seconds: float, hours: float) -> None:
    """A real watcher that goes on where one would have been after so many hours."""
    run = root.launch(iterations=100_000)
    settle(20)
    began = day.age(run, hours)
    settle(120)  # it reads the metrics of the day in bites, one a look
    percents, sizes = [], []
    paces = []
    for _ in range(windows):
        paces.append(_Pace(run))
        percents.append(cpu_percent({"watcher": began}, seconds)["watcher"])
        paces[-1].stop()
        sizes.append(memory(began))
    after = f"after {hours:g} simulated hours"
    result.add(f"iterations of the run {after}", "1/s", [each.per_s for each in paces])
    result.add(f"watcher, CPU {after}", "% core", percents, budget=CPU_BUDGET)
    result.add(f"watcher, CPU of a look {after}", "ms", [10 * each for each in percents])
    result.add(f"watcher, PSS {after}", "MiB", [each.pss for each in sizes], budget=PSS_BUDGET)
    result.add(f"watcher, USS {after}", "MiB", [each.uss for each in sizes])
    telemetry = run.telemetry.stat().st_size / MIB
    result.notes.append(
        f"After {hours:g} simulated hours: a real watcher took over a real run in whose folder "
        f"lay {telemetry:.0f} MiB of telemetry (a sample a second), "
        f"{run.metrics.stat().st_size / MIB:.0f} MiB of metrics, "
        f"{run.trace.stat().st_size / MIB:.0f} MiB of trace, a day's log and events, and the state "
        f"that a replay of the day had left."
    )
    root.end(run)


def _replay(result: Result, root: RunRoot) -> None:
    """The article's night, from the command line: start-up included."""
    trace = root.folder.parent / "night.jsonl"
    lines = day.write_night(trace, 8.0, 32.4)
    costs = [cost_of(lanewatch("replay", str(trace))) for _ in range(REPLAYS + 1)][1:]
    if any(each.code for each in costs):
        raise SystemExit("`lanewatch replay` failed on the simulated night")
    wall = [each.wall_ms / 1000 for each in costs]
    result.add("replay of an 8-hour trace, wall", "s", wall, budget=REPLAY_BUDGET_S)
    result.add("replay of an 8-hour trace, CPU", "s", [each.cpu_ms / 1000 for each in costs])
    result.notes.append(
        f"Replayed: 8 hours at 32.4 s an iteration with a heartbeat, {lines} lines; the time is "
        "that of the whole command."
    )


def _latency(result: Result, root: RunRoot) -> None:
    """From the tracker's replacement (ctime of its inode) to the event's line in events.jsonl."""
    run = root.launch(iterations=LATENCIES * 10, save_interval=10)
    replaced: dict[int, float] = {}
    recorded: dict[int, float] = {}
    offset = 0
    deadline = time.monotonic() + 300
    while len(recorded) < LATENCIES and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError), run.tracker.open() as tracker:
            # Of the open file: by its path the next one may be there already.
            number = int(tracker.read())
            replaced.setdefault(number, os.fstat(tracker.fileno()).st_ctime)
        offset = _new_events(run, offset, recorded)
        time.sleep(POLL_S)
    pairs = [at - replaced[number] for number, at in recorded.items() if number in replaced]
    result.add("finished checkpoint to events.jsonl", "s", pairs, budget=LATENCY_BUDGET_S)
    root.wait(run)


def _new_events(run: RunDir, offset: int, recorded: dict[int, float]) -> int:
    """Note when each checkpoint's event was first there; return where the file ended."""
    if not run.events.exists() or run.events.stat().st_size == offset:
        return offset
    now = time.time()
    raw = run.events.read_bytes()
    end = raw.rfind(b"\n") + 1
    for line in raw[offset:end].splitlines():
        event = json.loads(line)
        if event["kind"] == "checkpoint" and event.get("iteration") is not None:
            recorded.setdefault(event["iteration"], now)
    return end


if __name__ == "__main__":
    main()
