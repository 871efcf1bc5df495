"""The figures of runs beside each other, and how far each is from the first one's. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runners.compare.facts import RunFacts
from runners.compare.judge import Difference, comparable, differences, sentence

SCHEMA = 1
MEAN_OF = 20
"""Iterations whose mean is the loss at an iteration: single ones are noise."""

ROWS: tuple[tuple[str, str, str], ...] = (
    ("iterations", "iterations", "count"),
    ("train_wall_s", "training, wall", "seconds"),
    ("step_median_s", "s/iteration, median", "pace"),
    ("step_p95_s", "s/iteration, 95 %", "pace"),
    ("tokens_per_s", "tokens/s", "rate"),
    ("saves", "saves", "count"),
    ("first_save_s", "first save", "seconds"),
    ("save_median_s", "later saves, median", "seconds"),
    ("loss_common", "loss at iteration {common}", "loss"),
    ("final_loss", "final loss", "loss"),
    ("eval_loss", "last evaluation loss", "loss"),
    ("run_peak_bytes", "peak memory of the run", "bytes"),
    ("gpu_peak_bytes", "of that on GPUs", "bytes"),
    ("peak_memory_bytes", "peak memory of the machine", "bytes"),
    ("adapter_bytes", "adapter, file", "bytes"),
    ("temperature_median_c", "GPU temperature, median", "celsius"),
    ("temperature_max_c", "GPU temperature, highest", "celsius"),
    ("power_mean_w", "GPU power, mean", "watt"),
    ("energy_wh", "GPU energy", "watthour"),
    ("idle_minutes", "GPU idle", "minutes"),
    ("throttle_minutes", "throttled", "minutes"),
    ("projection_error", "smoke projection off by", "share"),
)
"""Key, what it is called, and how it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of every run; deltas are to the first run, None where either is not known."""

    key: str
    label: str
    unit: str
    values: tuple[float | None, ...]

    @property
    def deltas(self) -> tuple[float | None, ...]:
        """Of the second and each later run."""
        first = self.values[0]
        return tuple(
            None if first is None or value is None else value - first for value in self.values[1:]
        )

    @property
    def percents(self) -> tuple[float | None, ...]:
        """The same in percent of the first run's; None where that is 0."""
        first = self.values[0]
        return tuple(
            None if delta is None or not first else 100 * delta / abs(first)
            for delta in self.deltas
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that is said of some runs beside each other."""

    runs: tuple[RunFacts, ...]
    differences: tuple[Difference, ...]
    rows: tuple[Row, ...]

    @property
    def sentence(self) -> str:
        """Whether they can be compared, and what differs."""
        return sentence(self.differences)

    def to_json(self) -> dict[str, Any]:
        """What `compare --json` prints."""
        return {
            "schema": SCHEMA,
            "runs": [
                {"run": each.run, "name": each.name, "lane": each.lane, "status": each.status}
                for each in self.runs
            ],
            "comparable": comparable(self.differences).value,
            "sentence": self.sentence,
            "differences": [
                {"what": each.what, "weight": each.weight.value, "values": list(each.values)}
                for each in self.differences
            ],
            "rows": [
                {
                    "key": row.key,
                    "label": row.label,
                    "unit": row.unit,
                    "values": list(row.values),
                    "deltas": list(row.deltas),
                    "percents": list(row.percents),
                }
                for row in self.rows
            ],
            "problems": [f"{run.run}: {each}" for run in self.runs for each in run.problems],
        }


def compare(runs: Sequence[RunFacts]) -> Comparison:
    """Compare two or more runs; the first one is what the others are held against."""
    common = common_iteration(runs)
    rows = []
    for key, label, unit in ROWS:
        if key == "loss_common":
            values = tuple(None if common is None else loss_at(run, common) for run in runs)
            label = label.format(common=common)
        else:
            values = tuple(run.figure(key) for run in runs)
        if any(value is not None for value in values):
            rows.append(Row(key=key, label=label, unit=unit, values=values))
    return Comparison(runs=tuple(runs), differences=tuple(differences(runs)), rows=tuple(rows))


def common_iteration(runs: Sequence[RunFacts]) -> int | None:
    """The last iteration that every run has a loss of; None where one has none."""
    ends = [run.curves.loss[-1][0] if run.curves.loss else None for run in runs]
    known = [end for end in ends if end is not None]
    return int(min(known)) if known and len(known) == len(ends) else None


def loss_at(run: RunFacts, iteration: int) -> float | None:
    """The mean loss of the iterations up to *iteration*, those that are numbers."""
    near = [
        loss
        for at, loss in run.curves.loss
        if iteration - MEAN_OF < at <= iteration and math.isfinite(loss)
    ]
    return sum(near) / len(near) if near else None
