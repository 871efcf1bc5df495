"""The judge on simulated nights: what it finds, how soon, and how often it cries wolf.

The nights are those of tests/integration/nights.py: drawn with a seed, judged as a replay is.
Beside the judge, three rules that scripts have watch the same nights. Nothing here measures a
machine but the last part: what one verdict costs after a day, and how large the state is by then.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path

from measure import Result
from night import HEARTBEAT, MODES, Night, done_at_the_fault, frames
from nights import BASELINES, IDLE, cases, draw, outcome

from monitor.codec import dumps
from monitor.marks import AgeState
from monitor.replay import Replay
from monitor.trace import Frame
from monitor.watch_fold import take_look

PACES = (32.4, 43.6)
"""Seconds an iteration of the article's two lanes."""
SEED = 20262000
VERDICT_BUDGET_MS = 1.0
LOOKS = 5000
STEPS_BUDGET = 8.0
IDLE_BUDGET_MIN = 10.0
"""Rule 1; a simulated night looks each half minute, which is counted against the judge."""


@dataclass(frozen=True, slots=True)
class Case:
    """One night to be drawn."""

    seed: int
    mode: str
    fault: str | None
    pace: float | None
    shared: bool = False
    """Others use the GPU of a night at that pace, or it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is kept of one night."""

    case: Case
    hours: float
    looks: int
    step_s: float
    """What an iteration took when the fault struck."""
    cadence_s: float
    idle: bool
    """Its fault leaves the box idle: nobody else is at work on its GPU."""
    false: tuple[tuple[float, str, str], ...]
    stalls: int
    suspects: int
    wakes: int
    delay_s: float | None
    baselines: dict[str, tuple[int, float | None]]

    @property
    def missed(self) -> bool:
        return self.case.fault is not None and self.delay_s is None


def watch(case: Case) -> Row | None:
    """Draw and judge one night; None where its run has no such phase."""
    try:
        night = draw(case.seed, case.mode, case.fault, case.pace, shared=case.shared)
    except ValueError:
        return None
    result = outcome(night)
    return Row(
        case=case,
        hours=result.hours,
        looks=result.looks,
        step_s=night.step_s if night.fault is None else night.pace_s(done_at_the_fault(night)),
        cadence_s=night.cadence_s,
        idle=case.fault in IDLE and (night.gpu is None or night.gpu.own),
        false=tuple(result.false),
        stalls=result.false_stalls,
        suspects=result.suspects,
        wakes=result.wakes,
        delay_s=result.delay_s,
        baselines={name: (rule.false, rule.delay_s) for name, rule in result.baselines.items()},
    )


def cases_of(seed: int, healthy: int, faulty: int, paced: int) -> list[Case]:
    """Every mode and fault, each with nights of its own."""
    found: list[Case] = []
    for mode in MODES:
        found += _nights(seed, healthy, mode, None, None)
        for fault in cases(mode):
            found += _nights(seed, faulty, mode, fault, None)
        for pace in PACES:
            for each in (None, *cases(mode)):
                found += _nights(seed, paced, mode, each, pace)
                found += _nights(seed, (paced + 1) // 2, mode, each, pace, shared=True)
    return found


def _nights(
    seed: int, count: int, mode: str, fault: str | None, pace: float | None, shared: bool = False
) -> list[Case]:
    return [Case(seed + n, mode, fault, pace, shared) for n in range(count)]


@dataclass(slots=True)
class Tally:
    """Nights that belong together."""

    rows: list[Row] = field(default_factory=list)

    @property
    def delays(self) -> list[float]:
        return sorted(row.delay_s for row in self.rows if row.delay_s is not None)

    @property
    def found(self) -> str:
        faulty = [row for row in self.rows if row.case.fault is not None]
        return f"{sum(not row.missed for row in faulty)}/{len(faulty)}"


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which *share* of the sorted *values* lies."""
    return values[min(len(values) - 1, int(share * len(values)))]


def table(rows: Iterable[Row]) -> list[str]:
    """Fault by fault and mode by mode."""
    kept = list(rows)
    lines = [
        f"{'fault':<22}{'seen by':<13}{'found':>8}   delay min p50/p90/max       steps p50/p90/max"
    ]
    for mode in MODES:
        for fault in cases(mode):
            tally = Tally([r for r in kept if r.case.mode == mode and r.case.fault == fault])
            if not tally.rows:
                continue
            lines.append(f"{fault:<22}{mode:<13}{tally.found:>8}   {_spread(tally)}")
    return lines


def _spread(tally: Tally) -> str:
    minutes = [delay / 60 for delay in tally.delays]
    steps = sorted(r.delay_s / r.step_s for r in tally.rows if r.delay_s is not None)
    if not minutes:
        return "-"
    told = [
        f"{quantile(each, 0.5):8.1f}{quantile(each, 0.9):8.1f}{each[-1]:9.1f}"
        for each in (minutes, steps)
    ]
    return "   ".join(told)


def report(result: Result, rows: list[Row]) -> None:
    """Print the tables and keep the figures that are held against a goal."""
    for line in table(r for r in rows if r.case.pace is None):
        print(line)
        result.notes.append(line)
    nights = len(rows)
    hours = sum(row.hours for row in rows)
    result.add("simulated run-hours", "h", [hours])
    stalls = sum(row.stalls for row in rows)
    result.add("false stalled", "per 100", [100 * stalls / nights], budget=0.0)
    wakes = sum(row.wakes for row in rows)
    result.add("needless wake", "per 100", [100 * wakes / nights], budget=0.0)
    missed = sum(row.missed for row in rows)
    result.add("missed faults", "nights", [missed], budget=0.0)
    result.add(
        "suspect while all was well", "per 100", [100 * sum(r.suspects for r in rows) / nights]
    )
    _goals(result, rows)
    _baselines(result, rows)
    for row in rows:
        if row.missed or row.false or row.wakes:
            said = row.false[0] if row.false else "missed" if row.missed else "woke somebody"
            line = f"LOOK AT {row.case} step {row.step_s:.2f} s: {said}"
            print(line)
            result.notes.append(line)


def _goals(result: Result, rows: list[Row]) -> None:
    found = [row for row in rows if row.case.pace is not None and row.delay_s is not None]
    for pace in PACES:
        paced = [row for row in found if row.case.pace == pace]
        _steps(result, pace, [r for r in paced if r.case.mode == HEARTBEAT])
        idle = sorted(_told_s(r) / 60 for r in paced if r.idle)
        if idle:
            name = f"{pace} s/step, idle box: delay p90"
            result.add(name, "min", [quantile(idle, 0.9)], budget=IDLE_BUDGET_MIN)
        outside = [_told_s(r) / r.cadence_s for r in paced if r.case.mode == "checkpoints"]
        if outside:
            name = f"{pace} s/step, checkpoints only: delay median"
            result.add(name, "cadence", [statistics.median(outside)], budget=1.0)


def _steps(result: Result, pace: float, rows: list[Row]) -> None:
    """With a heartbeat: what the goal is about, and beside it what it is not about."""
    alone = [row for row in rows if not row.case.shared]
    prompt = [row for row in alone if row.case.fault in PROMPT]
    others = [row for row in rows if row.case.shared and row.case.fault in PROMPT]
    for what, kept, budget in (
        ("heartbeat", prompt, STEPS_BUDGET),
        ("heartbeat, all faults", alone, None),
        ("heartbeat, GPU shared or none", others, None),
    ):
        steps = sorted(_told_s(row) / row.step_s for row in kept)
        if steps:
            name = f"{pace} s/step, {what}: delay p90"
            result.add(name, "steps", [quantile(steps, 0.9)], budget=budget)


def _told_s(row: Row) -> float:
    """When an alert goes out: on the second look that finds the fault."""
    return (row.delay_s or 0.0) + SECOND_LOOK_S


SECOND_LOOK_S = 1.0


PROMPT = frozenset(
    {"spin", "cpu-spin", "deadlock", "stopped", "blocked-pipe", "blocked-io", "thrash"}
)
"""Hangs in an iteration. A hang at full power is given three times the limit, one in a phase of its
own that phase's limit, and where the GPU is lost its power cannot be read."""


def _baselines(result: Result, rows: list[Row]) -> None:
    faulty = [row for row in rows if row.case.fault is not None]
    for name in BASELINES:
        false = sum(row.baselines[name][0] for row in rows)
        found = sum(row.baselines[name][1] is not None for row in faulty)
        result.add(f"{name}: false alarms", "per 100", [100 * false / len(rows)])
        result.add(f"{name}: faults it told of", "%", [100 * found / max(1, len(faulty))])


def cost_of_a_verdict(result: Result, hours: float) -> None:
    """What one look costs after *hours*, and how large the state is that watch.json keeps."""
    night = Night(seed=SEED, hours=hours + LOOKS / 3600 + 0.1, step_s=32.4, save_interval=70)
    replay, last, sizes = Replay(), None, []
    seen = frames(night)
    for frame in seen:
        last = frame
        list(replay.take(frame))
        if frame.at_s / 3600 > len(sizes):
            sizes.append(len(dumps({"marks": replay.state})) / 1024)
        if frame.at_s >= hours * 3600:
            break
    assert last is not None
    taken = sorted(_looks(replay.state, last, seen))
    result.add(f"CPU of one look and verdict after {hours:g} h, p50", "ms", [quantile(taken, 0.5)])
    p99 = quantile(taken, 0.99)
    result.add(
        f"CPU of one look and verdict after {hours:g} h, p99", "ms", [p99], budget=VERDICT_BUDGET_MS
    )
    result.add("state after 2 h", "KiB", [sizes[min(2, len(sizes) - 1)]])
    result.add(f"state after {hours:g} h", "KiB", [sizes[-1]])


def _looks(state: AgeState, last: Frame, coming: Iterator[Frame]) -> Iterator[float]:
    """CPU milliseconds of each look, one a second, while the night goes on."""
    following, begins_s = next(coming), math.floor(last.at_s) + 1.0
    for second in range(LOOKS):
        at_s = begins_s + second
        while following.at_s <= at_s:
            last, following = following, next(coming)
        process = last.facts.process
        assert process is not None
        used = replace(process, cpu_s=(process.cpu_s or 0.0) + at_s - last.at_s)
        facts = replace(last.facts, monotonic_s=at_s, process=used)
        began = time.thread_time()
        judged = take_look(state, facts, last.subject, tick_s=1.0, limits=last.limits)
        yield 1000 * (time.thread_time() - began)
        state = judged.state


def main() -> None:
    """Simulate, print, and write results/judge.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--healthy", type=int, default=100, help="healthy nights for each view")
    parser.add_argument("--faulty", type=int, default=10, help="nights for each view and fault")
    parser.add_argument("--paced", type=int, default=6, help="nights for each pace, view and fault")
    parser.add_argument("--seed", type=int, default=SEED, help="the first of the nights' seeds")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--hours", type=float, default=24.0, help="of history for the cost")
    parser.add_argument("--dry", action="store_true", help="write no result file")
    parser.add_argument("--worst", type=Path, help="write the cases that went wrong here, as JSON")
    options = parser.parse_args()
    result = Result("judge")
    planned = cases_of(options.seed, options.healthy, options.faulty, options.paced)
    began = time.monotonic()
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        rows = [row for row in pool.imap_unordered(watch, planned, chunksize=2) if row is not None]
    rows.sort(key=lambda row: planned.index(row.case))
    report(result, rows)
    result.notes.append(
        f"seed {options.seed}; {len(rows)} nights, {sum(row.looks for row in rows)} looks, "
        f"{time.monotonic() - began:.0f} s on {options.processes} processes; no GPU was used"
    )
    cost_of_a_verdict(result, options.hours)
    if options.worst:
        bad = [row for row in rows if row.missed or row.false or row.wakes]
        text = json.dumps([list(astuple(each.case)) for each in bad])
        options.worst.write_text(text)
    if not options.dry:
        result.write()


if __name__ == "__main__":
    main()
