"""A log of 1 GiB: how soon its last line is shown, how soon a search answers, at what memory."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli import take_turns
from measure import Result, environment, lanewatch, peak_rss_mib, peer
from peers import version
from runs import run_root
from terminal import Terminal

from monitor.rundir import RunDir

SIZE = 1 << 30
WALL_BUDGET_MS = 100.0
GROWTH_BUDGET_MIB = 10.0
LAST = "the-very-last-line"
FIRST = "iteration        0/"
"""Of the first line; it comes again every 5,000 lines, but not on the last screen."""
FOLLOWS = "following"
"""Stands at the top of a log's screen that is at its end."""
STAGE = "train"
"""Of a run that is over the training's log is the one that commands and screens show."""

PROBE = """
import json, resource, sys, time
from pathlib import Path
from monitor.probes.log import tail
path = Path(sys.argv[1])
def peak():
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))
before = peak()
began = time.perf_counter()
lines = tail(path)
ms = 1000 * (time.perf_counter() - began)
assert lines[-1].endswith(sys.argv[2])
json.dump({"ms": ms, "growth_mib": (peak() - before) / 1024, "lines": len(lines)}, sys.stdout)
"""

VIEW = """
import json, os, sys, time
from pathlib import Path
from tui.log_pager import LogPager
path, last = Path(sys.argv[1]), sys.argv[2]
def peak():
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))
before = peak()
began = time.perf_counter()
pager = LogPager(path, width=160, height=46)
pager.look()
rows = pager.page()
ms = 1000 * (time.perf_counter() - began)
assert rows[-1].text == last
moved = []
down, up = [lambda: pager.move(46)] * 20, [lambda: pager.move(-46)] * 20
for call in [pager.to_start, *down, pager.to_end, *up]:
    began = time.perf_counter()
    call()
    pager.page()
    moved.append(1000 * (time.perf_counter() - began))
json.dump({"ms": ms, "growth_mib": (peak() - before) / 1024, "key_ms": max(moved)}, sys.stdout)
"""

NEVER = "this-word-is-nowhere"
SEARCHES = {"a word": NEVER, "a regular expression": "gr[ae]y area [0-9]+$"}

COMMAND = """
import sys
from pathlib import Path
from tui.cli.main import run
code = run(sys.argv[1:])
text = Path("/proc/self/status").read_text()
peak = next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM"))
sys.stderr.write(peak)
sys.exit(code)
"""


def main() -> None:
    """Measure and write results/log.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    result = Result("log")
    with run_root() as root:
        run = root.finished()
        small = RunDir(root.folder / root.multiply(run, 1)[0])
        _grow(run.log(STAGE))
        result.peers = {name: version(name) for name in ("less", "tail", "tl")}
        _commands(result, run, small, options.rounds)
        _probe(result, run, options.rounds)
        _view(result, run, options.rounds)
        _shown(result, run, small, options.rounds // 3)
        _log_screen(result, run, small, options.rounds // 3)
    result.notes.append(
        "The file is in the page cache unless a figure says cold; the commands' walls hold the "
        "start of their interpreter. Growth: peak RSS with the 1 GiB log, less with a small one."
    )
    result.write()


def _grow(path: Path) -> None:
    """Write 1 GiB of lines such as Megatron's, and a last one to know again."""
    made = random.Random(3407)
    lines = [
        f" [2026-01-01 12:{n % 60:02d}:00] iteration {n:8d}/  100000 | consumed samples: "
        f"{n * 16:10d} | elapsed time per iteration (ms): {made.uniform(900, 1100):.1f} | "
        f"learning rate: 1.000000E-04 | lm loss: {made.uniform(0.1, 3):.6E} | "
        f"grad norm: {made.random():.3f} |\n"
        for n in range(5000)
    ]
    block = "".join(lines).encode()
    with path.open("wb") as file:
        while file.tell() < SIZE:
            file.write(block)
        file.write(LAST.encode() + b"\n")


def _commands(result: Result, run: RunDir, small: RunDir, rounds: int) -> None:
    last = ("logs", "-n", "1")
    programs = {
        "lanewatch logs -n 1": lanewatch(*last, run.root.name),
        "lanewatch logs -n 1, small log": lanewatch(*last, small.root.name),
        "python -c pass": [sys.executable, "-c", "pass"],
        "tail -n 1": ["tail", "-n", "1", str(run.log(STAGE))],
    }
    for name, taken in take_turns(programs, rounds).items():
        budget = WALL_BUDGET_MS if name == "lanewatch logs -n 1" else None
        result.add(f"{name}, CPU", "ms", [each.cpu_ms for each in taken])
        result.add(f"{name}, wall", "ms", [each.wall_ms for each in taken], budget=budget)
    grown = []
    for _ in range(5):
        peaks = [_command_peak(*last, each.root.name) for each in (run, small)]
        grown.append((peaks[0] - peaks[1]) / 1024)
    result.add("lanewatch logs -n 1, growth", "MiB", grown, budget=GROWTH_BUDGET_MIB)


def _command_peak(*words: str) -> int:
    argv = [sys.executable, "-c", COMMAND, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment())
    return int(done.stderr)


def _probe(result: Result, run: RunDir, rounds: int) -> None:
    for name, cold in (("", False), (", cold", True)):
        taken = []
        for _ in range(rounds):
            if cold:
                _forget(run.log(STAGE))
            argv = [sys.executable, "-c", PROBE, str(run.log(STAGE)), LAST]
            done = subprocess.run(argv, capture_output=True, check=True, env=environment())
            taken.append(json.loads(done.stdout))
        walls, grown = ([each[key] for each in taken] for key in ("ms", "growth_mib"))
        result.add(f"probe tail, 200 lines{name}, wall", "ms", walls, budget=WALL_BUDGET_MS)
        result.add(f"probe tail, 200 lines{name}, growth", "MiB", grown, budget=GROWTH_BUDGET_MIB)


def _forget(path: Path) -> None:
    """Drop the file's pages from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _shown(result: Result, run: RunDir, small: RunDir, rounds: int) -> None:
    """On a terminal: `less`, and the run's screen of the TUI, with the big log and a small one."""
    less = peer("less")
    path = str(run.log(STAGE))
    if less:
        _screens(result, "less +G", [less, "+G", path], rounds, Terminal.wait_for)
    with small.log(STAGE).open("ab") as file:
        file.write(LAST.encode() + b"\n")
    big = _screens(result, "TUI run screen", lanewatch(run.root.name), rounds)
    bare = _screens(result, "TUI run screen, small log", lanewatch(small.root.name), rounds)
    later = [1000 * (one[0] - two[0]) for one, two in zip(big, bare, strict=True)]
    grown = [one[1] - two[1] for one, two in zip(big, bare, strict=True)]
    result.add(
        "TUI, last line of 1 GiB later than of a small log", "ms", later, budget=WALL_BUDGET_MS
    )
    result.add("TUI, growth with 1 GiB log", "MiB", grown, budget=GROWTH_BUDGET_MIB)


def _view(result: Result, run: RunDir, rounds: int) -> None:
    """What the log screen reads: its first view, pages to and fro, without a terminal."""
    taken = []
    for _ in range(rounds):
        argv = [sys.executable, "-c", VIEW, str(run.log(STAGE)), LAST]
        done = subprocess.run(argv, capture_output=True, check=True, env=environment())
        taken.append(json.loads(done.stdout))
    walls, grown, keys = ([each[key] for each in taken] for key in ("ms", "growth_mib", "key_ms"))
    result.add("log view, last page read, wall", "ms", walls, budget=WALL_BUDGET_MS)
    result.add("log view, growth after paging at both ends", "MiB", grown, budget=GROWTH_BUDGET_MIB)
    result.add("log view, slowest of 42 moves", "ms", keys)


def _log_screen(result: Result, run: RunDir, small: RunDir, rounds: int) -> None:
    """The log screen on a terminal, with the big log and a small one, and toolong beside it."""
    big = [_opened(run) for _ in range(rounds)]
    bare = [_opened(small) for _ in range(rounds)]
    keys = [1000 * each[0] for each in big]
    result.add("log screen, key to last line of 1 GiB", "ms", keys, budget=WALL_BUDGET_MS)
    result.add("log screen, key to last line, small log", "ms", [1000 * each[0] for each in bare])
    later = [1000 * (one[0] - two[0]) for one, two in zip(big, bare, strict=True)]
    grown = [one[1] - two[1] for one, two in zip(big, bare, strict=True)]
    result.add("log screen, later than with a small log", "ms", later, budget=WALL_BUDGET_MS)
    result.add("log screen, growth with 1 GiB log", "MiB", grown, budget=GROWTH_BUDGET_MIB)
    for name, pattern in SEARCHES.items():
        taken = [_searched(run, pattern) for _ in range(min(3, rounds))]
        result.add(f"log screen, {name} that is nowhere in 1 GiB", "s", [each[0] for each in taken])
        keys = [1000 * each[1] for each in taken]
        result.add(f"log screen, a key while it looks for {name}", "ms", keys)
    _toolong(result, run, min(3, rounds))


def _opened(run: RunDir) -> tuple[float, float]:
    """(seconds from the key to the view that follows, peak RSS in MiB)."""
    with Terminal(lanewatch(run.root.name), 160, 48) as screen:
        screen.wait_shown(LAST)
        time.sleep(0.5)
        shown_s = screen.press(b"t", FOLLOWS)
        time.sleep(0.5)
        return shown_s, peak_rss_mib(screen.pid)


def _searched(run: RunDir, pattern: str) -> tuple[float, float]:
    """Seconds until a search of all of the log has ended, and from a key in between to its view."""
    with Terminal(lanewatch(run.root.name), 160, 48) as screen:
        screen.wait_shown(LAST)
        screen.press(b"t", FOLLOWS)
        screen.press(b"?", "expression")
        screen.press(pattern.encode(), pattern)
        pressed_s = time.monotonic() - screen.began_s
        screen.press(b"\r", "searching for")
        answered_s = screen.press(b"g", FIRST)
        ended_s = screen.wait_shown("no match for", 180.0) - pressed_s
        return ended_s, answered_s


def _toolong(result: Result, run: RunDir, rounds: int) -> None:
    """Where it is installed: from its start, the key to the end of the file as soon as it shows."""
    path = peer("tl")
    if path is None:
        return
    shown, peaks = [], []
    for _ in range(rounds):
        with Terminal([path, str(run.log(STAGE))], 160, 48) as screen:
            screen.wait_for("consumed")
            screen.type(b"\x1b[F")
            shown.append(1000 * screen.wait_for(LAST, patience_s=120.0))
            peaks.append(peak_rss_mib(screen.pid))
    result.add("toolong, last line shown", "ms", shown)
    result.add("toolong, peak RSS", "MiB", peaks)


def _screens(
    result: Result,
    name: str,
    argv: list[str],
    rounds: int,
    wait: Callable[[Terminal, str], float] = Terminal.wait_shown,
) -> list[tuple[float, float]]:
    seen = []
    for _ in range(rounds + 1):
        with Terminal(argv, 160, 48) as screen:
            shown_s = wait(screen, LAST)
            time.sleep(0.5)
            seen.append((shown_s, peak_rss_mib(screen.pid)))
    result.add(f"{name}, last line shown", "ms", [1000 * each[0] for each in seen[1:]])
    result.add(f"{name}, peak RSS", "MiB", [each[1] for each in seen[1:]])
    return seen[1:]


if __name__ == "__main__":
    main()
