"""How right are projections: over simulated trainings, and over the article's two nights?"""

from __future__ import annotations

import argparse
import itertools
import statistics
from dataclasses import replace

from measure import Result
from paced import Night, Outcome, beats, outcomes, some_night

from monitor.model import Phase
from runners.projection import SmokeResult, project, relative_error

SHARES = (0.1, 0.5, 0.9)
MISSED_BUDGET = 20.0
DEAR = 0.1
"""Saves that take more than this share of the iterations' time."""

ARTICLE = (
    ("NeMo", 28.0, 20_280.0),
    ("Unsloth", 6.5 * 3600 / 625, 27_265.0),
)
"""Lane, seconds an iteration by its smoke run, seconds of the whole training."""

ITERATIONS, SAVE_INTERVAL = 625, 70


def main() -> None:
    """Simulate, compute and write results/pace.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=1000)
    options = parser.parse_args()
    result = Result("pace")
    nights = [some_night(seed) for seed in range(options.nights)]
    seen = [(night, list(outcomes(night, SHARES))) for night in nights]
    for place, share in enumerate(SHARES):
        _told(result, f"at {share:.0%}", [told[place] for _, told in seen])
    dear = [told[1] for night, told in seen if night.save_share > DEAR]
    _told(result, "at 50%, saves over 10 % of the steps", dear)
    _smoke(result, nights)
    _article(result)
    result.notes.append(
        f"{options.nights} simulated trainings, learnt from by the watcher's own code: 100 to 800 "
        "iterations of 0.2 to 60 s, jitter 2 to 40 %, a fifth of them with jumps up to x 12; saves "
        "0.5 to 40 % of the iterations' time, a first one x 1 to 10; half of them evaluate. No "
        "trainer's own metrics and no drift. `error` is |projected - true| over true; a range is "
        "judged by how often the true end lies in it and how wide it is beside what is left."
    )
    result.notes.append(
        "Article: what its two smoke runs projected for 625 iterations, beside what training took. "
        "Neither saw a save, so nothing projects its saves; `a save would have cost` is what nine "
        "saves must each have cost if they alone were the difference, as its author says."
    )
    result.write()


def _told(result: Result, where: str, told: list[Outcome]) -> None:
    """What was projected in one place."""
    known = [(each, each.projected) for each in told if each.projected is not None]
    missed = 100 - 100 * sum(each.held for each in told) / len(told)
    unseen = 100 * sum(bool(projected.unknown) for _, projected in known) / len(known)
    result.add(f"{where}: true end outside the range", "%", [missed], budget=MISSED_BUDGET)
    result.add(f"{where}: a cost is not known yet", "%", [unseen])
    for name, values in (
        ("error", [projected.seconds - each.left_s for each, projected in known]),
        ("error of iterations x median", [each.naive_s - each.left_s for each, _ in known]),
        ("width of the range", [projected.high_s - projected.low_s for _, projected in known]),
    ):
        shares = zip(values, known, strict=True)
        result.add(f"{where}: {name}", "%", [100 * abs(v) / each.left_s for v, (each, _) in shares])


def _smoke(result: Result, nights: list[Night]) -> None:
    """Ten iterations and two saves of each night without evaluations, projected for all of it."""
    errors: dict[str, list[float]] = {"naive": [], "padded": [], "save_aware": []}
    for night in nights:
        if night.eval_interval is not None:
            continue  # a smoke run evaluates never: its projection leaves that out by design
        told = project(_measured(night), iterations=night.total, save_interval=night.save_interval)
        story = beats(night)
        truth = story[-1].at - story[1].at
        for name, values in errors.items():
            error = relative_error(getattr(told, f"{name}_s"), truth)
            if error is not None:
                values.append(100 * abs(error))
    for name, values in errors.items():
        result.add(f"smoke run of 10 iterations and 2 saves, {name}: error", "%", values)


def _measured(night: Night) -> SmokeResult:
    short = replace(night, seed=night.seed + 10**6, total=10, save_interval=5, eval_interval=None)
    story = beats(short)
    pairs = list(itertools.pairwise(story))
    steps = [
        later.at - earlier.at
        for earlier, later in pairs
        if earlier.phase == later.phase == Phase.ITERATION and later.done > earlier.done
    ]
    saves = [later.at - earlier.at for earlier, later in pairs if earlier.phase == Phase.SAVING]
    return SmokeResult(
        step_s=statistics.median(steps), first_save_s=saves[0], later_save_s=saves[-1]
    )


def _article(result: Result) -> None:
    for lane, step_s, actual_s in ARTICLE:
        told = project(
            SmokeResult(step_s=step_s), iterations=ITERATIONS, save_interval=SAVE_INTERVAL
        )
        for name, seconds in (("naive", told.naive_s), ("x 1.16", told.padded_s)):
            error = relative_error(seconds, actual_s)
            result.add(f"article, {lane}, {name}: projected", "s", [seconds])
            result.add(f"article, {lane}, {name}: signed error", "%", [100 * (error or 0.0)])
        result.add(f"article, {lane}: training took", "s", [actual_s])
        missing = (actual_s - told.naive_s) / told.saves
        result.add(f"article, {lane}: a save would have cost", "s", [missing])


if __name__ == "__main__":
    main()
