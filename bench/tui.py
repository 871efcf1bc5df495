"""The terminal UI: CPU, memory, bytes to the terminal, first paint, keys, a night, a big board."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import Memory, Result, cpu_percent, environment, lanewatch, memory
from peers import log_viewers, usable
from remote_screen import logins
from runs import SLOW, RunRoot, run_root, settle
from terminal import Terminal

from monitor.rundir import RunDir

CPU_BUDGET = 1.0
PSS_BUDGET = 55.0
QUIET_BUDGET = 400.0
LIVE_BUDGET = 2500.0
PAINT_BUDGET = 1.2
KEY_BUDGET_MS = 50.0
NIGHT_BUDGET_MIB = 5.0
MANY = 1000
MANY_BUDGET_MS = 1000.0
MANY_CPU_BUDGET = 2.0
SIZES = ((160, 48), (80, 24))

NOTES = [
    "Live: the demo recipe, some 8 iterations a second, the trainer on one core. Slow: the same "
    "with seconds per iteration. Screens and peers of one state share their windows; btop draws "
    "every 2 s, its default, the others once a second, less and toolong at each line of the log.",
    "First paint: from the start of the process until its first frame was written, programs taking "
    "turns. The CPU time is the whole process's when it was killed at that instant. The budget is "
    "on the frame; runs are read after that. Of one run the recorded verdict is written before its "
    "screen is loaded. What is sent until then is what a slow line has to carry first.",
    "Live, four graphs: the tab of loss, gradient norm, step time and learning rate. A key: from "
    "its press until the first word of the tab that it opens stood there; both tabs have graphs in "
    "motion. The night: a run's screen without a terminal, a look every 5 simulated s, an "
    "iteration every 2, all tabs in turn; PSS after half an hour and at the end.",
    "SSH: from the start of `ssh` to a real sshd on this machine until the verdict of a live, slow "
    "run stood on a terminal of 160x48, and until its whole screen did; a relay delays each "
    "direction by 50 ms, handshake included, without a limit of bandwidth. printf: the same "
    "without lanewatch.",
    "The big board: until the newest run stood there, and until the oldest did in a list that is "
    "filtered by a part of its name; the folders are copies of one finished run in a warm page "
    "cache.",
]

EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("painted")
Empty().run()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A screen to hold still on, and what it is held against at 160x48."""

    name: str
    argv: list[str]
    columns: int = 160
    rows: int = 48
    cpu: float | None = None
    traffic: float | None = None
    keys: bytes = b""
    """Pressed once it is shown."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """What all scenes need."""

    result: Result
    root: RunRoot
    options: argparse.Namespace
    _finished: RunDir | None = None

    @property
    def finished(self) -> RunDir:
        """A run that has finished, made when it is first asked for."""
        self._finished = self._finished or self.root.finished()
        return self._finished

    @contextlib.contextmanager
    def live(self, *words: str, iterations: int = 100_000) -> Iterator[RunDir]:
        """A run that trains meanwhile."""
        run = self.root.launch(*words, iterations=iterations, save_interval=1000)
        try:
            yield run
        finally:
            self.root.end(run)


def main() -> int:
    """Measure and write results/tui.json, after each scene; 1 when one did not come to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--quick", action="store_true", help="few rounds; nothing is kept")
    parser.add_argument("--seconds", type=float, default=25.0, help="of one window")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument(
        "--rounds", type=int, default=12, help="of first paint, logins, a big board"
    )
    parser.add_argument("--presses", type=int, default=150, help="of a key")
    parser.add_argument("--hours", type=float, default=12.0, help="of the simulated night")
    options = parser.parse_args()
    if options.quick:
        quick = {"seconds": 5.0, "windows": 1, "rounds": 2, "presses": 20, "hours": 0.75}
        vars(options).update(quick)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it has it tidy up
    result = Result("tui", notes=NOTES)
    _, result.peers = usable()
    with run_root() as root:
        bench = Bench(result=result, root=root, options=options)
        for name in SCENES:  # in their own order: the last one fills the root
            if name in options.scene:
                with result.measuring(name):
                    SCENES[name](bench)
                if not options.quick:
                    result.write()
    return int(result.failed)


def _scenes(label: str, run: RunDir, *, cpu: float | None, traffic: float) -> list[Scene]:
    scenes = []
    for columns, rows in SIZES:
        full = (columns, rows) == SIZES[0]
        for view, argv in (("run", lanewatch(run.root.name)), ("board", lanewatch())):
            scene = Scene(
                name=f"{view} screen, {label}, {columns}x{rows}",
                argv=argv,
                columns=columns,
                rows=rows,
                cpu=cpu,
                traffic=traffic if full else None,
            )
            scenes.append(scene)
    return scenes


def _quiet(bench: Bench) -> None:
    scenes = _scenes("finished", bench.finished, cpu=CPU_BUDGET, traffic=QUIET_BUDGET)
    _hold(bench, scenes)
    with bench.live(*SLOW, iterations=3000) as slow:
        scenes = _scenes("live but slow", slow, cpu=CPU_BUDGET, traffic=QUIET_BUDGET)
        _hold(bench, scenes)


def _live(bench: Bench) -> None:
    with bench.live() as run:
        peers, _ = usable()
        viewers, about = log_viewers(run.log("train"))
        bench.result.peers |= about
        scenes = _scenes("live", run, cpu=CPU_BUDGET, traffic=LIVE_BUDGET)
        for columns, rows in SIZES:
            four = Scene(
                name=f"run screen, live, four graphs, {columns}x{rows}",
                argv=lanewatch(run.root.name),
                columns=columns,
                rows=rows,
                cpu=CPU_BUDGET,
                traffic=LIVE_BUDGET,
                keys=b"2",
            )
            scenes.append(four)
        others = [Scene(name=each.name, argv=list(each.argv)) for each in (*peers, *viewers)]
        settle(10 if bench.options.quick else 60)  # graphs have filled a part of their width
        _hold(bench, scenes + others)


def _keys(bench: Bench) -> None:
    """Switch between two tabs with graphs in motion, and see when each shows its first word."""
    took = []
    with bench.live() as run, Terminal(lanewatch(run.root.name), 160, 48) as screen:
        screen.wait_shown("heartbeat")
        settle(8)
        for number in range(bench.options.presses + 2):
            key, word = ((b"2", "gradient"), (b"1", "heartbeat"))[number % 2]
            answered_s = screen.press(key, word)
            if number >= 2:  # the first press makes the tab
                took.append(1000 * answered_s)
            time.sleep(0.13)  # at every place within a second's tick
    p95 = statistics.quantiles(took, n=20)[-1]
    bench.result.add("key press to screen, live, four graphs", "ms", took)
    name = "key press to screen, live, four graphs, p95"
    bench.result.add(name, "ms", [p95], budget=KEY_BUDGET_MS)


def _ssh(bench: Bench) -> None:
    with bench.live(*SLOW, iterations=3000) as run:
        logins(bench.result, run.root.name, "● training", bench.options.rounds)


def _night(bench: Bench) -> None:
    script, hours = Path(__file__).with_name("long_screen.py"), bench.options.hours
    argv = [sys.executable, str(script), str(bench.finished.root), str(hours)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        raise ValueError(f"{script.name} failed: {done.stderr.strip()[-500:]}")
    found = json.loads(done.stdout)
    name = f"run screen after {hours:g} simulated hours"
    grown = found["end_mib"] - found["settled_mib"]
    bench.result.add(f"{name}, PSS", "MiB", [found["end_mib"]])
    bench.result.add(f"{name}, PSS more", "MiB", [grown], budget=NIGHT_BUDGET_MIB)


def _many(bench: Bench) -> None:
    names = bench.root.multiply(bench.finished, MANY)
    costs: dict[str, list[float]] = {"first": [], "all": [], "cpu": []}
    for number in range(bench.options.rounds + 1):
        with Terminal(lanewatch(), 160, 48) as screen:
            first_s = screen.wait_shown(names[0])
            # Once: to page down again and again would be work of its own. What is typed is shown,
            # too, and is a part of the name only.
            screen.type(f"/{names[-1][-12:]}\r".encode())
            all_s = screen.wait_shown(names[-1])
            cost = screen.close()
        if number:
            for key, value in (("first", 1000 * first_s), ("all", 1000 * all_s)):
                costs[key].append(value)
            costs["cpu"].append(cost.cpu_ms)
    name = f"board of {MANY} runs"
    bench.result.add(f"{name} until the newest are shown, wall", "ms", costs["first"])
    bench.result.add(
        f"{name} until all are listed, wall", "ms", costs["all"], budget=MANY_BUDGET_MS
    )
    bench.result.add(f"{name} until all are listed, CPU", "ms", costs["cpu"])
    _hold(bench, [Scene(name=name, argv=lanewatch(), cpu=MANY_CPU_BUDGET)])


def _hold(bench: Bench, scenes: list[Scene]) -> None:
    """Show all *scenes* at once and measure them over the same windows."""
    result, seconds = bench.result, bench.options.seconds
    percents: list[dict[str, float]] = []
    rates: list[dict[str, float]] = []
    sizes: list[dict[str, Memory]] = []
    with contextlib.ExitStack() as stack:
        screens = {
            each.name: stack.enter_context(Terminal(each.argv, each.columns, each.rows))
            for each in scenes
        }
        settle(10)
        for scene in scenes:
            if scene.keys:
                screens[scene.name].type(scene.keys)
        settle(3)
        for _ in range(bench.options.windows):
            written = {name: screen.bytes for name, screen in screens.items()}
            began_s = time.monotonic()
            pids = {name: screen.pid for name, screen in screens.items()}
            percents.append(cpu_percent(pids, seconds))
            wall_s = time.monotonic() - began_s
            pairs = screens.items()
            rates.append({name: (each.bytes - written[name]) / wall_s for name, each in pairs})
            sizes.append({name: memory(pid) for name, pid in pids.items()})
    for scene in scenes:
        name, ours = scene.name, scene.cpu is not None
        result.add(f"{name}, CPU", "% core", [each[name] for each in percents], budget=scene.cpu)
        traffic = [each[name] for each in rates]
        result.add(f"{name}, to the terminal", "B/s", traffic, budget=scene.traffic)
        pss = [each[name].pss for each in sizes]
        result.add(f"{name}, PSS", "MiB", pss, budget=PSS_BUDGET if ours else None)
        result.add(f"{name}, USS", "MiB", [each[name].uss for each in sizes])


def _paint(bench: Bench) -> None:
    result, run, rounds = bench.result, bench.finished, bench.options.rounds
    programs = {
        "empty Textual app": ([sys.executable, "-c", EMPTY], "painted"),
        "board, frame": (lanewatch(), "verdict"),
        "board, run shown": (lanewatch(), run.root.name),
        "run screen, frame": (lanewatch(run.root.name), "evidence"),
        "run screen, verdict shown": (lanewatch(run.root.name), "finished"),
        "run screen, all shown": (lanewatch(run.root.name), "heartbeat"),
        "python -c pass": ([sys.executable, "-c", "print('ready'); input()"], "ready"),
    }
    cpu: dict[str, list[float]] = {name: [] for name in programs}
    wall: dict[str, list[float]] = {name: [] for name in programs}
    sent: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name, (argv, text) in programs.items():
            with Terminal(argv, 160, 48) as screen:
                shown_s = screen.wait_shown(text)
                written = screen.bytes
                cost = screen.close()
            if number:
                wall[name].append(1000 * shown_s)
                sent[name].append(written / 1000)
                cpu[name].append(cost.cpu_ms)
    for name in programs:
        result.add(f"first paint, {name}, CPU", "ms", cpu[name])
        result.add(f"first paint, {name}, wall", "ms", wall[name])
        if name.endswith("shown"):
            result.add(f"first paint, {name}, sent until then", "kB", sent[name])
    for name in list(programs)[1:6]:
        pairs = zip(cpu[name], cpu["empty Textual app"], strict=True)
        ratios = [ours / empty for ours, empty in pairs]
        # The budget is on the first frame; reading a run comes after it.
        budget = PAINT_BUDGET if name.endswith("frame") else None
        result.add(f"first paint, {name} / empty app, CPU", "x", ratios, budget=budget)


SCENES: dict[str, Callable[[Bench], None]] = {
    "paint": _paint,
    "quiet": _quiet,
    "live": _live,
    "keys": _keys,
    "ssh": _ssh,
    "night": _night,
    "many": _many,
}

if __name__ == "__main__":
    sys.exit(main())
