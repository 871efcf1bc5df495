"""What lanewatch adds to an iteration: a lane and the same trainer by hand, by turns, on one GPU.

The rule: both get the same base, rows and settings; an iteration lasts from the end of the one
before to its own end, so that what is written between two counts too.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpu import Bench, Run

TURNS = 2
DRAWN = 3407
UNSLOTH = {"UNSLOTH_DISABLE_STATISTICS": "1", "UNSLOTH_DISABLE_AUTO_PADDING_FREE": "1"}


def compare(bench: Bench, train: Callable[[Bench, Run], None], *, uncounted: int) -> None:
    """Add the figures; *train* trains a run in its lane. Raises RuntimeError."""
    settings = {"iterations": 12, "save_interval": 12, "accumulation": 4, "sequence": 4096}
    ratios: list[float] = []
    looked = 0
    for turn in range(TURNS):
        run = bench.run(f"hand-{turn}", "8b", **settings)
        import_s = run.import_base()
        if import_s is not None and turn == 0:
            bench.result.add("8b: import, compared with the base", "s", [import_s])
        lane_first = turn % 2 == 1  # whoever comes first meets a cooler card
        times: dict[bool, list[float]] = {}
        for lane in (lane_first, not lane_first):
            times[lane] = _lane_steps(bench, run, train) if lane else _hand_steps(bench, run)
        pairs = list(zip(times[True], times[False], strict=True))[uncounted:]
        ratios += [ours / theirs for ours, theirs in pairs]
        looked += run.looked
        bench.result.add(f"8b by hand, turn {turn + 1}: iteration", "s", [b for _, b in pairs])
        bench.result.add(f"8b in the lane, turn {turn + 1}: iteration", "s", [a for a, _ in pairs])
    percents = [100 * (each - 1) for each in ratios]
    low, middle, high = interval(percents)
    bench.result.add("8b: an iteration in the lane beside one by hand", "%", percents)
    bench.result.notes.append(
        f"8b: an iteration in the lane takes {middle:+.2f} % of one by hand more (95 % interval "
        f"{low:+.2f} to {high:+.2f}, {len(ratios)} pairs of the same rows in {TURNS} turns; "
        "from the end of one iteration to the end of the next; without a keeper, with the watcher "
        f"beside {looked} of {TURNS})"
    )


def _lane_steps(bench: Bench, run: Run, train: Callable[[Bench, Run], None]) -> list[float]:
    """Seconds from each iteration's end to the next one's."""
    train(bench, run)
    return _between([line["monotonic_s"] for line in run.lines("loss")])


def _hand_steps(bench: Bench, run: Run) -> list[float]:
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
    ours = [line["loss"] for line in run.lines("loss")]
    if ours:
        bench.result.notes.append(
            f"8b: losses of the first iteration {ours[0]:.4f} in the lane, "
            f"{made['losses'][0]:.4f} by hand"
        )
    return _between(made["ends_s"])


def _between(ends_s: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(ends_s)]


def interval(values: Sequence[float], draws: int = 10_000) -> tuple[float, float, float]:
    """The 95 % interval of the median of *values*, by resampling, around it."""
    draw, count = random.Random(DRAWN), len(values)
    medians = sorted(statistics.median(draw.choices(values, k=count)) for _ in range(draws))
    low, high = medians[int(0.025 * draws)], medians[int(0.975 * draws)]
    return low, statistics.median(values), high
