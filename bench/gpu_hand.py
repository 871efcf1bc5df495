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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu import Bench, Run

TURNS = 2
DRAWN = 3407
UNCOUNTED = 2
"""Iterations after the first that say nothing of the pace: caches that are cold."""
SETTINGS = {"iterations": 10, "save_interval": 5, "accumulation": 4, "sequence": 4096}
UNSLOTH = {"UNSLOTH_DISABLE_STATISTICS": "1", "UNSLOTH_DISABLE_AUTO_PADDING_FREE": "1"}


Report = Callable[[str, str, dict[str, Any]], None]


def compare(bench: Bench, report: Report) -> None:
    """Add the figures; turns that an earlier call on this machine made are not made again.

    *report* adds those of a training in the lane, given a title, the run and how it ended. Raises
    RuntimeError, and TimeoutError where the time was up: the turns that are whole count.
    """
    kept = bench.work / "turns.json"
    turns: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    try:
        while len(turns) < TURNS:
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
            turn["hand_s"], turn["hand_loss"] = _by_hand(bench, run)
        print(f"turn {number + 1}, {'lane' if lane else 'by hand'}: done", flush=True)
    return turn | {"name": name, "looked": run.looked, "lane_loss": run.lines("loss")[0]["loss"]}


def _add(bench: Bench, turns: Sequence[dict[str, Any]], report: Report) -> None:
    add, note = bench.result.add, bench.result.notes.append
    if (import_s := turns[0]["import_s"]) is not None:
        add("8b: import, compared with the base", "s", [import_s])
    percents: list[float] = []
    for number, turn in enumerate(turns, 1):
        report(f"8b, turn {number}", turn["name"], turn["ended"])
        pairs = _counted(zip(turn["lane_s"], turn["hand_s"], strict=True))
        percents += [100 * (ours / theirs - 1) for ours, theirs in pairs]
        add(f"8b by hand, turn {number}: iteration", "s", [theirs for _, theirs in pairs])
        add(f"8b in the lane, turn {number}: iteration", "s", [ours for ours, _ in pairs])
        note(
            f"8b, turn {number}: losses of the first iteration {turn['lane_loss']:.4f} in the lane "
            f"and {turn['hand_loss']:.4f} by hand"
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


def _counted(pairs: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those between two iterations with no save between, which the trainer by hand has not."""
    saves = SETTINGS["save_interval"]
    numbered = enumerate(pairs, 1)  # the first lies behind iteration 1
    return [pair for behind, pair in numbered if behind > UNCOUNTED and behind % saves]


def _by_hand(bench: Bench, run: Run) -> tuple[list[float], float]:
    """Seconds between the iterations, and the loss of the first."""
    to = run.dir.work / "by-hand.json"
    argv = [bench.python, str(Path(__file__).with_name("by_hand.py"))]
    argv += [f"--lane={bench.options.lane}", f"--base={run.base}", f"--data={run.dir.data}"]
    argv += [
        f"--{name}={run.settings[name]}" for name in ("iterations", "accumulation", "sequence")
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
    made = json.loads(to.read_text())
    return _between(made["ends_s"]), made["losses"][0]


def _between(ends_s: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(ends_s)]


def interval(values: Sequence[float], draws: int = 10_000) -> tuple[float, float, float]:
    """The 95 % interval of the median of *values*, by resampling, around it."""
    draw, count = random.Random(DRAWN), len(values)
    medians = sorted(statistics.median(draw.choices(values, k=count)) for _ in range(draws))
    low, high = medians[int(0.025 * draws)], medians[int(0.975 * draws)]
    return low, statistics.median(values), high
