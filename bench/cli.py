"""The commands that people call in loops: `status` of a run, `runs` where there are 1,000."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Cost, Result, cost_of, environment, lanewatch, peer
from peers import version
from runs import RunRoot, run_root

STATUS_BUDGET_MS = 150.0
MANY = 1000
SUPERVISED = """\
[unix_http_server]
file={folder}/socket
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/socket
[program:sleeper]
command=sleep 100000
"""


def main() -> None:
    """Measure and write results/cli.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    result = Result("cli")
    with run_root() as root, _supervisor() as supervisor:
        _one(result, root, options.rounds, supervisor)
        _many(result, root, max(5, options.rounds // 3))
    result.notes.append(
        "The programs take turns, a round each, so that all see the same load; each was called "
        "once before, so bytecode and page cache are warm."
    )
    result.write()


def _one(result: Result, root: RunRoot, rounds: int, supervisor: list[str] | None) -> None:
    run = root.launch(iterations=100_000)
    live, done = run.root.name, root.finished().root.name
    programs = {
        "lanewatch status, live run": lanewatch("status", live),
        "lanewatch status --json, live run": lanewatch("status", live, "--json"),
        "lanewatch status, finished run": lanewatch("status", done),
        "lanewatch --version": lanewatch("--version"),
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    if supervisor:
        programs["supervisorctl status"] = supervisor
    gpustat = peer("gpustat")
    result.peers = {name: version(name) for name in ("gpustat",)}
    if gpustat and cost_of([gpustat]).code == 0:
        programs["gpustat"] = [gpustat]
    elif gpustat:
        result.peers["gpustat"] += ", refuses to run without an NVIDIA driver"
    if supervisor:
        result.peers["supervisorctl"] = version("supervisord")
    costs = take_turns(programs, rounds)
    for name, taken in costs.items():
        budget = STATUS_BUDGET_MS if name.startswith("lanewatch status") else None
        result.add(f"{name}, CPU", "ms", [each.cpu_ms for each in taken])
        result.add(f"{name}, wall", "ms", [each.wall_ms for each in taken], budget=budget)
    floor = statistics.median(each.cpu_ms for each in costs["python -c pass"])
    ours = [each.cpu_ms / floor for each in costs["lanewatch status, live run"]]
    result.add("lanewatch status / python -c pass, CPU", "x", ours)
    root.end(run)


def _many(result: Result, root: RunRoot, rounds: int) -> None:
    names = root.multiply(root.finished(), MANY)
    programs = {
        f"lanewatch runs, {MANY} runs": lanewatch("runs"),
        f"lanewatch status, {MANY} runs": lanewatch("status", names[MANY // 2]),
    }
    for name, taken in take_turns(programs, rounds).items():
        result.add(f"{name}, CPU", "ms", [each.cpu_ms for each in taken])
        result.add(f"{name}, wall", "ms", [each.wall_ms for each in taken])


def take_turns(programs: dict[str, list[str]], rounds: int) -> dict[str, list[Cost]]:
    """Call each program once per round; raises ValueError where one fails."""
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name, argv in programs.items():
            cost = cost_of(argv)
            if cost.code != 0:
                raise ValueError(f"{name} ended with exit code {cost.code}")
            if number:
                costs[name].append(cost)
    return costs


@contextlib.contextmanager
def _supervisor() -> Iterator[list[str] | None]:
    """A Python peer that needs no GPU: supervisorctl, asking its daemon for one process."""
    daemon, client = peer("supervisord"), peer("supervisorctl")
    if not (daemon and client):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="lanewatch-bench-") as folder:
        config = Path(folder) / "supervisord.conf"
        config.write_text(SUPERVISED.format(folder=folder))
        argv = [daemon, "-c", str(config)]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(argv, stdout=quiet, stderr=quiet, env=environment())
        time.sleep(4)
        try:
            yield [client, "-c", str(config), "status"]
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
