"""The terminal UI: CPU, memory, bytes to the terminal, first paint, keys, a night, a big board."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from measure import Memory, Result, cpu_percent, environment, lanewatch, memory
from peers import log_viewers, usable
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


def main() -> None:
    """Measure and write results/tui.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of one window")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=10, help="of the first paint")
    parser.add_argument("--presses", type=int, default=100, help="of a key")
    parser.add_argument("--hours", type=float, default=12.0, help="of the simulated night")
    options = parser.parse_args()
    result = Result("tui")
    with run_root() as root:
        _paint(result, root.finished(), options.rounds)
        _quiet(result, root, options.windows, options.seconds)
        _live(result, root, options.windows, options.seconds, options.presses)
        _night(result, root, options.hours)
        _many(result, root, options.windows, options.seconds)
    result.notes += [
        "Live: the demo recipe, some 8 iterations a second, the trainer on one core. Slow: the "
        "same with seconds per iteration. Screens and peers of one state share their windows; btop "
        "draws every 2 s, its default, the others once a second.",
        "First paint: from the start of the process until its first frame was written, programs "
        "taking turns. The CPU time is the whole process's when it was killed at that instant.",
        "Live, four graphs: the tab of loss, gradient norm, step time and learning rate. A key: "
        "from its press until the first word of the tab that it opens was written; both tabs have "
        "graphs in motion. The night: a run's screen without a terminal, a look every 5 simulated "
        "s, an iteration every 2, all tabs in turn; PSS after half an hour and at the end.",
    ]
    result.write()


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


def _quiet(result: Result, root: RunRoot, windows: int, seconds: float) -> None:
    run = root.finished()
    scenes = _scenes("finished", run, cpu=CPU_BUDGET, traffic=QUIET_BUDGET)
    _hold(result, scenes, windows, seconds)
    slow = root.launch(*SLOW)
    scenes = _scenes("live but slow", slow, cpu=CPU_BUDGET, traffic=QUIET_BUDGET)
    _hold(result, scenes[::2], windows, seconds)
    root.end(slow)


def _live(result: Result, root: RunRoot, windows: int, seconds: float, presses: int) -> None:
    run = root.launch(iterations=100_000)
    peers, result.peers = usable()
    viewers, about = log_viewers(run.log("train"))
    result.peers |= about
    scenes = _scenes("live", run, cpu=CPU_BUDGET, traffic=LIVE_BUDGET)
    four = Scene(
        name="run screen, live, four graphs, 160x48",
        argv=lanewatch(run.root.name),
        cpu=CPU_BUDGET,
        traffic=LIVE_BUDGET,
        keys=b"2",
    )
    scenes.append(four)
    others = [Scene(name=each.name, argv=list(each.argv)) for each in (*peers, *viewers)]
    settle(60)  # graphs have filled a good part of their width
    _hold(result, scenes + others, windows, seconds)
    _keys(result, run, presses)
    root.end(run)


def _keys(result: Result, run: RunDir, presses: int) -> None:
    """Switch between two tabs with graphs in motion, and see when each shows its first word."""
    took = []
    with Terminal(lanewatch(run.root.name), 160, 48) as screen:
        screen.wait_for("heartbeat")
        settle(8)
        for number in range(presses + 2):
            key, word = ((b"2", "gradient"), (b"1", "heartbeat"))[number % 2]
            before = screen.kept()
            pressed_s = time.monotonic() - screen.began_s
            screen.type(key)
            shown_s = screen.wait_for(word, after=before)
            if number >= 2:  # the first press makes the tab
                took.append(1000 * (shown_s - pressed_s))
            time.sleep(0.13)  # at every place within a second's tick
    p95 = statistics.quantiles(took, n=20)[-1]
    result.add("key press to screen, live, four graphs", "ms", took)
    result.add("key press to screen, live, four graphs, p95", "ms", [p95], budget=KEY_BUDGET_MS)


def _night(result: Result, root: RunRoot, hours: float) -> None:
    script = Path(__file__).with_name("long_screen.py")
    argv = [sys.executable, str(script), str(root.finished().root), str(hours)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment())
    found = json.loads(done.stdout)
    name = f"run screen after {hours:g} simulated hours"
    grown = found["end_mib"] - found["settled_mib"]
    result.add(f"{name}, PSS", "MiB", [found["end_mib"]])
    result.add(f"{name}, PSS more", "MiB", [grown], budget=NIGHT_BUDGET_MIB)


def _many(result: Result, root: RunRoot, windows: int, seconds: float) -> None:
    names = root.multiply(root.finished(), MANY)
    newest = names[0]
    cpu, wall = [], []
    for number in range(6):
        with Terminal(lanewatch(), 160, 48) as screen:
            shown_s = screen.wait_for(newest)
            cost = screen.close()
        if number:
            wall.append(1000 * shown_s)
            cpu.append(cost.cpu_ms)
    result.add(f"board of {MANY} runs until shown, CPU", "ms", cpu)
    result.add(f"board of {MANY} runs until shown, wall", "ms", wall, budget=MANY_BUDGET_MS)
    scene = Scene(name=f"board of {MANY} runs", argv=lanewatch(), cpu=MANY_CPU_BUDGET)
    _hold(result, [scene], windows, seconds)


def _hold(result: Result, scenes: list[Scene], windows: int, seconds: float) -> None:
    """Show all *scenes* at once and measure them over the same windows."""
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
        for _ in range(windows):
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


def _paint(result: Result, run: RunDir, rounds: int) -> None:
    programs = {
        "empty Textual app": ([sys.executable, "-c", EMPTY], "painted"),
        "board, frame": (lanewatch(), "verdict"),
        "board, run shown": (lanewatch(), run.root.name),
        "run screen, frame": (lanewatch(run.root.name), "evidence"),
        "run screen, verdict shown": (lanewatch(run.root.name), "finished"),
        "python -c pass": ([sys.executable, "-c", "print('ready'); input()"], "ready"),
    }
    cpu: dict[str, list[float]] = {name: [] for name in programs}
    wall: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name, (argv, text) in programs.items():
            with Terminal(argv, 160, 48) as screen:
                shown_s = screen.wait_for(text)
                cost = screen.close()
            if number:
                wall[name].append(1000 * shown_s)
                cpu[name].append(cost.cpu_ms)
    for name in programs:
        result.add(f"first paint, {name}, CPU", "ms", cpu[name])
        result.add(f"first paint, {name}, wall", "ms", wall[name])
    for name in list(programs)[1:5]:
        pairs = zip(cpu[name], cpu["empty Textual app"], strict=True)
        ratios = [ours / empty for ours, empty in pairs]
        result.add(f"first paint, {name} / empty app, CPU", "x", ratios, budget=PAINT_BUDGET)


if __name__ == "__main__":
    main()
