"""What lanewatch adds to an iteration: a lane and the same trainer by hand, by turns, on one GPU.

The rule: both get the same base, rows and settings; an iteration lasts from the end of the one
before to its own end, so that what is written between two counts too.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gpu import Bench, Run

TURNS = 2
DRAWN = 3407
UNCOUNTED = 2
"""Iterations after the first that say nothing of the pace: caches that are cold."""
SETTINGS = {"iterations": 12, "save_interval": 6, "accumulation": 4, "sequence": 4096}
UNSLOTH = {"UNSLOTH_DISABLE_STATISTICS": "1", "UNSLOTH_DISABLE_AUTO_PADDING_FREE": "1"}


class Report(Protocol):
    """How the figures of a training are added."""

    def lane(self, name: str, run: str, ended: dict[str, Any]) -> None:
        """Those of one in the lane: a title, the run's folder and how it ended."""

    def rates(self, name: str, per_second: Sequence[float]) -> None:
        """Tokens a second, and what they are of the GPU."""


def compare(bench: Bench, report: Report) -> None:
    """Add the figures; turns that an earlier call on this machine made are not made again.

    Raises RuntimeError, and TimeoutError where the time was up: the turns that are whole count.
    """
    kept = bench.work / "turns.json"
    turns: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    try:
        while len(turns) < min(bench.options.turns, TURNS):
            turns.append(_turn(bench, len(turns)))
            kept.write_text(json.dumps(turns))
    finally:
        if turns:
            _add(bench, turns, report)


def _turn(bench: Bench, number: int) -> dict[str, Any]:
    name = f"hand-{number}"
    shutil.rmtree(bench.work / name, ignore_errors=True)  # cut off by an earlier call's end
    run = bench.run(name, "8b", **SETTINGS)
    turn: dict[str, Any] = {"import_s": run.import_base()}
    lane_first = number % 2 == 1  # whoever comes first meets a cooler card
    for lane in (lane_first, not lane_first):
        if lane:
            turn["ended"] = run.train()
            turn["lane_s"] = _between([line["monotonic_s"] for line in run.lines("loss")])
        else:
            turn["hand"] = _by_hand(bench, run)
        print(f"turn {number + 1}, {'lane' if lane else 'by hand'}: done", flush=True)
    lines = run.lines("loss")
    turn |= {"lane_loss": lines[0]["loss"], "tokens": [line["tokens"] for line in lines]}
    return turn | {"name": name, "looked": run.looked}


def _add(bench: Bench, turns: Sequence[dict[str, Any]], report: Report) -> None:
    add, note = bench.result.add, bench.result.notes.append
    if (import_s := turns[0]["import_s"]) is not None:
        add("8b: import, compared with the base", "s", [import_s])
    percents: list[float] = []
    for number, turn in enumerate(turns, 1):
        report.lane(f"8b, turn {number}", turn["name"], turn["ended"])
        hand = turn["hand"]
        between = zip(turn["lane_s"], _between(hand["ends_s"]), turn["tokens"][1:], strict=True)
        counted = _counted(between)
        percents += [100 * (ours / theirs - 1) for ours, theirs, _ in counted]
        for index, who in enumerate(("in the lane", "by hand")):
            name = f"8b {who}, turn {number}, end to end"
            add(f"{name}: iteration", "s", [each[index] for each in counted])
            report.rates(name, [each[2] / each[index] for each in counted])
        _add_by_hand(bench, f"8b by hand, turn {number}", hand)
        note(
            f"8b, turn {number}: losses of the first iteration {turn['lane_loss']:.4f} in the lane "
            f"and {hand['losses'][0]:.4f} by hand"
        )
    low, middle, high = interval(percents)
    add("8b: an iteration in the lane beside one by hand", "%", percents)
    looked = sum(turn["looked"] for turn in turns)
    note(
        f"8b: an iteration in the lane takes {middle:+.2f} % of one by hand more (95 % interval "
        f"{low:+.2f} to {high:+.2f}, {len(percents)} pairs of the same rows in {len(turns)} of "
        f"{TURNS} turns; from the end of one iteration to the end of the next, but where a save "
        f"lies between; without a keeper, with the watcher beside {looked} of {len(turns)})"
    )


def _add_by_hand(bench: Bench, name: str, hand: dict[str, Any]) -> None:
    """What the trainer by hand saved and held."""
    first, *later = hand["saves_s"]
    bench.result.add(f"{name}: first save", "s", [first])
    bench.result.add(f"{name}: later save", "s", later)
    if hand["peak_memory_bytes"]:
        peak = hand["peak_memory_bytes"] / 2**30
        bench.result.add(f"{name}: peak of GPU memory", "GiB", [peak])


def _counted(
    between: Iterable[tuple[float, float, int]],
) -> list[tuple[float, float, int]]:
    """Those between two iterations with no save between: the saves have figures of their own."""
    saves = SETTINGS["save_interval"]
    numbered = enumerate(between, 1)  # the first lies behind iteration 1
    return [each for behind, each in numbered if behind > UNCOUNTED and behind % saves]


def _by_hand(bench: Bench, run: Run) -> dict[str, Any]:
    """What `by_hand.py` noted."""
    to = run.dir.work / "by-hand.json"
    argv = [bench.python, str(Path(__file__).with_name("by_hand.py"))]
    argv += [f"--lane={bench.options.lane}", f"--base={run.base}", f"--data={run.dir.data}"]
    argv += [
        f"--{name.replace('_', '-')}={run.settings[name]}"
        for name in ("iterations", "save_interval", "accumulation", "sequence")
    ]
    argv += [f"--to={to}"]
    if bench.options.lane == "nemo":
        imported = json.loads((run.dir.work / "import.json").read_text())["folder"]
        argv.append(f"--imported={imported}")
    env = os.environ | UNSLOTH | {"HF_HUB_OFFLINE": "1"}
    if bench.site is not None and bench.options.lane == "unsloth":
        env["LANEWATCH_BENCH_SITE"] = str(bench.site)
    log = run.dir.logs / "by-hand.log"
    with log.open("w") as said:
        code = subprocess.run(
            argv, cwd=run.dir.work, env=env, stdout=said, stderr=said, check=False
        ).returncode
    if code != 0 or not to.exists():
        raise RuntimeError(f"by hand: exit code {code}\n{log.read_text(errors='replace')[-4000:]}")
    return dict(json.loads(to.read_text()))


def _between(ends_s: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(ends_s)]


def interval(values: Sequence[float], draws: int = 10_000) -> tuple[float, float, float]:
    """The 95 % interval of the median of *values*, by resampling, around it."""
    draw, count = random.Random(DRAWN), len(values)
    medians = sorted(statistics.median(draw.choices(values, k=count)) for _ in range(draws))
    low, high = medians[int(0.025 * draws)], medians[int(0.975 * draws)]
    return low, statistics.median(values), high
