"""metrics.jsonl: loss, pace, saves and evaluations as the trainer wrote them.

The rule: an iteration that was trained twice (after a resume) counts as its highest attempt says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.probes.follow import LineFollower
from monitor.probes.numbers import finite, json_object, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One iteration."""

    attempt: int
    iteration: int
    loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    step_s: float | None = None
    tokens: int | None = None
    wall_s: float | None = None
    monotonic_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """One checkpoint that was written, and how long that took."""

    attempt: int
    iteration: int
    save_s: float
    forced: bool = False
    wall_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eval:
    """One evaluation."""

    attempt: int
    iteration: int
    eval_loss: float | None = None
    eval_s: float | None = None
    wall_s: float | None = None


Record = Metric | Save | Eval


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """All that is known, each kind by iteration, ascending."""

    iterations: tuple[Metric, ...] = ()
    saves: tuple[Save, ...] = ()
    evals: tuple[Eval, ...] = ()
    problem: str | None = None


def parse_record(value: Mapping[str, Any]) -> Record | None:
    """Turn one line's object into what it tells; None when it names no iteration."""
    attempt, iteration = whole(value.get("attempt")), whole(value.get("iteration"))
    if attempt is None or iteration is None:
        return None
    wall_s = finite(value.get("wall_s"))
    if "save_s" in value:
        return _save(value, attempt, iteration, wall_s)
    if "eval_loss" in value:
        return Eval(
            attempt=attempt,
            iteration=iteration,
            eval_loss=finite(value["eval_loss"]),
            eval_s=finite(value.get("eval_s")),
            wall_s=wall_s,
        )
    return Metric(
        attempt=attempt,
        iteration=iteration,
        loss=finite(value.get("loss")),
        lr=finite(value.get("lr")),
        grad_norm=finite(value.get("grad_norm")),
        step_s=finite(value.get("step_s")),
        tokens=whole(value.get("tokens")),
        wall_s=wall_s,
        monotonic_s=finite(value.get("monotonic_s")),
    )


def _save(
    value: Mapping[str, Any], attempt: int, iteration: int, wall_s: float | None
) -> Save | None:
    save_s = finite(value["save_s"])
    if save_s is None or save_s < 0:
        return None
    forced = value.get("forced") is True
    return Save(attempt=attempt, iteration=iteration, save_s=save_s, forced=forced, wall_s=wall_s)


class MetricsFollower:
    """Keeps the metrics of a growing file, reading only what was appended.

    With *keep*, only the newest so many iterations are held in memory (saves and evals are few).
    With 0 their lines are not even parsed.
    """

    def __init__(
        self, path: Path, *, keep: int | None = None, tail_bytes: int | None = None
    ) -> None:
        self._follower = LineFollower(path, tail_bytes=tail_bytes)
        self._keep = keep
        self._iterations: dict[int, Metric] = {}
        self._saves: dict[int, Save] = {}
        self._evals: dict[int, Eval] = {}
        self._snapshot = Metrics()
        self._stale = False
        self._problem: str | None = None
        self.behind_bytes = 0
        """Written but not read yet: a call reads a bounded bite."""

    @property
    def metrics(self) -> Metrics:
        """What is known after the last `read`; the same object until something new was read."""
        if self._stale:
            self._snapshot = self._built(self._problem)
            self._stale = False
        return self._snapshot

    def read(self) -> list[Record]:
        """Return the records that are new, in the order in which they were written."""
        new = self._follower.read()
        self.behind_bytes = new.behind_bytes
        if new.restarted:
            self._iterations, self._saves, self._evals = {}, {}, {}
        lines = filter(_tells_cost, new.lines) if self._keep == 0 else new.lines
        records = _records(lines)
        for record in records:
            self._take(record)
        if records or new.restarted or new.problem != self._problem:
            self._problem = new.problem
            self._stale = True
            self._drop_old()
        return records

    def _take(self, record: Record) -> None:
        if isinstance(record, Metric):
            if self._keep != 0:
                _put(self._iterations, record)
        elif isinstance(record, Save):
            _put(self._saves, record)
        else:
            _put(self._evals, record)

    def _drop_old(self) -> None:
        if self._keep and len(self._iterations) > self._keep:
            for old in sorted(self._iterations)[: -self._keep]:
                del self._iterations[old]

    def _built(self, problem: str | None) -> Metrics:
        return Metrics(
            iterations=tuple(self._iterations[each] for each in sorted(self._iterations)),
            saves=tuple(self._saves[each] for each in sorted(self._saves)),
            evals=tuple(self._evals[each] for each in sorted(self._evals)),
            problem=problem,
        )


def read_metrics(path: Path, tail_bytes: int | None = None) -> Metrics:
    """Read *path* once; with *tail_bytes*, only what the last so many bytes tell."""
    follower = MetricsFollower(path, tail_bytes=tail_bytes)
    follower.read()
    while follower.behind_bytes:
        before = follower.behind_bytes
        follower.read()
        if follower.behind_bytes >= before:  # it grows as fast as it is read
            break
    return follower.metrics


def _put(known: dict[int, Any], record: Record) -> None:
    """A later line of the same attempt replaces an earlier one."""
    held = known.get(record.iteration)
    if held is None or record.attempt >= held.attempt:
        known[record.iteration] = record


def _tells_cost(line: bytes) -> bool:
    return b'"save_s"' in line or b'"eval_loss"' in line


def _records(lines: Iterable[bytes]) -> list[Record]:
    objects = (json_object(line) for line in lines)
    return [
        record
        for each in objects
        if each is not None and (record := parse_record(each)) is not None
    ]
