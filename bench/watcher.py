"""The watcher at 1 Hz on a real run: CPU, memory, and how soon a checkpoint is an event."""

from __future__ import annotations

import argparse
import contextlib
import json
import time

from measure import Memory, Result, cpu_percent, memory
from peers import usable
from runs import RunRoot, pid_of, read, run_root, settle
from terminal import Terminal

from monitor.rundir import RunDir

CPU_BUDGET = 0.5
PSS_BUDGET = 35.0
LATENCY_BUDGET_S = 0.2
LATENCIES = 40
POLL_S = 0.002


def main() -> None:
    """Measure and write results/watcher.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    result = Result("watcher")
    with run_root() as root:
        _cost(result, root, options.windows, options.seconds)
        _latency(result, root)
    result.notes.append(
        "Watcher, keeper and peers were measured in the same windows, beside one training process "
        "that uses one core. PSS was taken before the peers were started."
    )
    result.write()


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
        percents = [cpu_percent(pids, seconds) for _ in range(windows)]
        sizes |= {name: [memory(screen.pid)] for name, screen in screens.items()}
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


def _latency(result: Result, root: RunRoot) -> None:
    """From the tracker's replacement (ctime of its inode) to the event's line in events.jsonl."""
    run = root.launch(iterations=LATENCIES * 10, save_interval=10)
    replaced: dict[int, float] = {}
    recorded: dict[int, float] = {}
    offset = 0
    deadline = time.monotonic() + 300
    while len(recorded) < LATENCIES and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            number = int(run.tracker.read_text())
            replaced.setdefault(number, run.tracker.stat().st_ctime)
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
