"""What the contract adds to one iteration of a training: a heartbeat and a line of metrics."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import REPOSITORY, Result, environment

P99_BUDGET_MS = 5.0
STEP_S = 0.004
"""Pretended training of one iteration; short, so that the contract writes often."""

SYNC = """
import os, sys
target = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o600)
while True:
    os.pwrite(target, os.urandom(1 << 20) * 64, 0)
    os.fsync(target)
"""


def main() -> None:
    """Measure and write results/contract.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=("with", "without"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        json.dump(_train(options.child == "with", options.iterations, options.folder), sys.stdout)
        return
    result = Result("contract")
    for name, busy in (("", False), (", disk busy with 64 MiB writes and fsync", True)):
        _measure(result, name, busy, options.iterations, options.rounds)
    result.notes.append(
        "Timed: the two calls that the reference lane's trainer makes at an iteration's end "
        f"(metric, heartbeat), in a process of its own; between them {1000 * STEP_S:g} ms of sleep "
        "stand for training. Without: the same loop around two calls that do nothing. The CPU "
        "figure is per iteration, of the whole process, with less without."
    )
    result.write()


def _measure(result: Result, name: str, busy: bool, iterations: int, rounds: int) -> None:
    figures: dict[str, list[dict[str, float]]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory(prefix="lanewatch-bench-", dir=_disk()) as folder:
        writer = None
        if busy:
            writer = subprocess.Popen([sys.executable, "-c", SYNC, f"{folder}/noise"])
        try:
            for number in range(rounds):
                for mode in figures:
                    place = Path(folder) / f"{mode}-{number}"
                    figures[mode].append(_child(mode, iterations, place))
        finally:
            if writer:
                writer.kill()
                writer.wait()
    for key in ("p50_ms", "p99_ms", "max_ms"):
        budget = P99_BUDGET_MS if key == "p99_ms" else None
        label = key.removesuffix("_ms")
        values = [each[key] for each in figures["with"]]
        result.add(f"contract per iteration{name}, {label}", "ms", values, budget=budget)
        values = [each[key] for each in figures["without"]]
        result.add(f"the same loop without it{name}, {label}", "ms", values)
    pairs = zip(figures["with"], figures["without"], strict=True)
    added = [each["cpu_ms"] - bare["cpu_ms"] for each, bare in pairs]
    result.add(f"contract per iteration{name}, CPU added", "ms", added)


def _child(mode: str, iterations: int, place: Path) -> dict[str, float]:
    argv = [sys.executable, __file__, "--child", mode, "--folder", str(place)]
    argv += ["--iterations", str(iterations)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment())
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _train(contracted: bool, iterations: int, folder: Path) -> dict[str, float]:
    """One process's loop: milliseconds per iteration spent in the contract's two calls."""
    from runners.payload.contract import Contract

    folder.mkdir()
    (folder / "work").mkdir()
    contract = Contract(folder, stage="train", run="bench")
    contract.install()
    contract.heartbeat(phase="iteration", total=iterations)
    taken_ms: list[float] = []
    cpu_s = time.process_time()
    for number in range(1, iterations + 1):
        time.sleep(STEP_S)
        loss = 5.0 / number
        figures = {"loss": loss, "lr": 1e-4, "grad_norm": 0.7, "step_s": STEP_S}
        began = time.perf_counter()
        if contracted:
            contract.metric(number, tokens=1200, **figures)
            contract.heartbeat(phase="iteration", done=number, **figures)
        taken_ms.append(1000 * (time.perf_counter() - began))
    cpu_ms = 1000 * (time.process_time() - cpu_s) / iterations
    if contract.write_errors:
        raise OSError(f"{contract.write_errors} writes of the contract failed in {folder}")
    taken_ms.sort()
    return {
        "p50_ms": taken_ms[iterations // 2],
        "p99_ms": taken_ms[int(iterations * 0.99)],
        "max_ms": taken_ms[-1],
        "cpu_ms": cpu_ms,
    }


def _disk() -> str | None:
    """A folder on a disk: where the temporary folder is in memory, the checkout's."""
    kinds = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    in_memory = {where for where, kind in kinds if kind in ("tmpfs", "ramfs")}
    path = Path(tempfile.gettempdir()).resolve()
    if in_memory & {str(each) for each in (path, *path.parents)} - {"/"}:
        return os.environ.get("LANEWATCH_BENCH_DISK", str(REPOSITORY))
    return None


if __name__ == "__main__":
    main()
