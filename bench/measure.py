"""Shared by all measurements: what processes cost, statistics, the machine, the result file.

The rule: CPU time and ratios come first, wall time second; every figure keeps its spread.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
REPOSITORY = Path(__file__).parents[1]
# Every bench imports this room first: from then on it finds the project, without an install, and
# the nights and traces that the tests share.
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "integration")]
PEERS_VARIABLE = "LANEWATCH_BENCH_PEERS"
"""A folder with the peers' commands; it is searched before PATH."""

MIB = 1 << 20


def environment(**changes: str) -> dict[str, str]:
    """The environment of a measured program: a user's, with bytecode and a capable terminal."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return env | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"} | changes


def lanewatch(*words: str) -> list[str]:
    """The argv of our command, as it is installed beside this Python."""
    return [str(Path(sys.executable).with_name("lanewatch")), *words]


def peer(name: str) -> str | None:
    """Path of a peer's command, None where it is not installed."""
    folder = os.environ.get(PEERS_VARIABLE)
    return (shutil.which(name, path=folder) if folder else None) or shutil.which(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """MiB of one process."""

    pss: float
    uss: float
    rss: float


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of *pid*, also of those that ended; nanoseconds on Linux.

    Raises OSError when the process is gone.
    """
    return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) returns


def memory(pid: int) -> Memory:
    """PSS, USS and RSS of *pid*, from smaps_rollup. Raises OSError when it is gone."""
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        kib[name] = int(rest.split()[0])
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return Memory(pss=kib["Pss"] / 1024, uss=private / 1024, rss=kib["Rss"] / 1024)


def peak_rss_mib(pid: int) -> float:
    """VmHWM of a living process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/status has no VmHWM: the process has ended")


def cpu_percent(pids: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Percent of one core that each of *pids* takes, all over the same *seconds*.

    Child processes are not counted: none of the programs here has any of its own.
    """
    began_s = time.monotonic()
    first = {name: cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    wall_s = time.monotonic() - began_s
    return {name: 100 * (cpu_seconds(pid) - first[name]) / wall_s for name, pid in pids.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one finished process took."""

    wall_ms: float
    cpu_ms: float
    code: int


def cost_of(argv: Sequence[str], **env: str) -> Cost:
    """Run *argv* to its end, its output thrown away."""
    began = time.monotonic()
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(**env),
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        wall_ms = 1000 * (time.monotonic() - began)
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu_ms = 1000 * (used.ru_utime + used.ru_stime)
    return Cost(wall_ms=wall_ms, cpu_ms=cpu_ms, code=process.returncode)


def until(true: Callable[[], Any], what: str, patience_s: float = 120.0) -> Any:
    """Wait until *true* returns something true and return that; raises TimeoutError."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := true():
            return value
        time.sleep(0.05)
    raise TimeoutError(f"not within {patience_s:g} s: {what}")


@dataclass(slots=True)
class Result:
    """What one script found; `write` keeps it in results/ and prints it."""

    subject: str
    peers: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """What the figures were counted from, where that is worth reading."""
    load: list[float] = field(default_factory=lambda: [os.getloadavg()[0]])
    scenes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of a script that can measure a part of itself again: when and how each part was measured."""
    scene: str | None = None

    @contextlib.contextmanager
    def measuring(self, scene: str) -> Iterator[None]:
        """The figures of one scene; what ends it early is told, and ends no other."""
        began_s = time.monotonic()
        self.scene, first = scene, len(self.load)
        about: dict[str, Any] = {"date": _now(), "commit": _commit()}
        try:
            yield
        except (SystemExit, OSError, ValueError, subprocess.SubprocessError) as error:
            about["failed"] = str(error)
            print(f"{scene} was not measured to its end: {error}", file=sys.stderr, flush=True)
        load = [*self.load[first:], os.getloadavg()[0]]
        about |= {"load_1min": {"min": min(load), "max": max(load)}}
        self.scenes[scene] = about | {"seconds": round(time.monotonic() - began_s)}
        self.scene = None

    @property
    def failed(self) -> bool:
        """True when a scene did not come to its end."""
        return any("failed" in each for each in self.scenes.values())

    def add(
        self,
        name: str,
        unit: str,
        values: Sequence[float],
        *,
        budget: float | None = None,
        least: float | None = None,
    ) -> None:
        """Keep the spread of *values*.

        *budget* is the most that their median may be, *least* what none of them may be under.
        """
        middle = statistics.median(values)
        figure: dict[str, Any] = {"name": name, "unit": unit, "median": _short(middle)}
        figure |= {"min": _short(min(values)), "max": _short(max(values)), "n": len(values)}
        if budget is not None:
            figure |= {"budget": budget, "met": middle <= budget}
        if least is not None:
            figure |= {"budget": least, "met": min(values) >= least}
        figure |= {"scene": self.scene} if self.scene else {}
        self.figures.append(figure)
        self.load.append(os.getloadavg()[0])
        print(line_of(figure), flush=True)

    def write(self) -> None:
        """Write results/SUBJECT.json; scenes that were not measured now stay as they were."""
        path = RESULTS / f"{self.subject}.json"
        figures, scenes = self.figures, self.scenes
        if scenes and path.exists():
            kept = json.loads(path.read_text())
            others = [each for each in kept["figures"] if each.get("scene") not in {None, *scenes}]
            figures, scenes = [*others, *figures], kept.get("scenes", {}) | scenes
        value = {
            "schema": 1,
            "subject": self.subject,
            "date": _now(),
            "machine": _machine(),
            "load_1min": {"min": min(self.load), "max": max(self.load)},
            "versions": _versions(),
            "peers": self.peers,
            "notes": self.notes,
            "scenes": scenes,
            "figures": figures,
        }
        value |= {"rows": self.rows} if self.rows else {}
        if not scenes:
            del value["scenes"]
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def line_of(figure: Mapping[str, Any]) -> str:
    """One figure as a line of text."""
    spread = f"{figure['min']:g} to {figure['max']:g}, n={figure['n']}"
    held = ""
    if "budget" in figure:
        held = f"  budget {figure['budget']:g}: {'met' if figure['met'] else 'MISSED'}"
    return f"{figure['name']:<58} {figure['median']:>9g} {figure['unit']:<6} ({spread}){held}"


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _machine() -> dict[str, Any]:
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if "model name" in line), None)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpu = shutil.which("nvidia-smi") is not None
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / (1 << 30), 1),
        "kernel": platform.release().split("-")[0],
        "gpu": gpu,
    }


def _versions() -> dict[str, str]:
    names = ("lanewatch", "textual", "rich", "watchdog", "nvidia-ml-py", "torch")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = _commit()
    return found | ({"commit": commit} if commit else {})


@functools.cache
def _commit() -> str:
    """Asked once: a result that is written meanwhile makes no tree dirty."""
    git = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
