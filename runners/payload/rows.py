"""The rows that `prepare` made, and the order in which every lane trains on them.

The rule: the order is given, not drawn. Iteration i takes the i-th batch of it in any lane, after
any resume.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .causes import StageError
from .files import read_object

IGNORED = -100
"""The label that PyTorch's cross entropy leaves out of the loss."""


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids and, for each, whether the loss counts it."""

    ids: array[int]
    mask: bytes

    def labels(self) -> list[int]:
        """The ids with every token that the loss leaves out replaced by -100."""
        return [each if kept else IGNORED for each, kept in zip(self.ids, self.mask, strict=True)]


@dataclass(frozen=True, slots=True)
class Order:
    """Row indices in training order, and the same rows longest first."""

    indices: list[int]
    longest: list[int]

    def at(self, position: int) -> int:
        """The row at *position*; an order shorter than the training begins again."""
        return self.indices[position % len(self.indices)]

    def batch(self, iteration: int, rows: int) -> Iterator[int]:
        """The rows of *iteration* (1 is the first), *rows* of them."""
        return (self.at(position) for position in range((iteration - 1) * rows, iteration * rows))


def read_rows(path: Path) -> list[Row]:
    """Read one of prepare's files. Raises StageError that names file and line."""
    try:
        with path.open("rb") as lines:
            rows = [_row(line, path, number) for number, line in enumerate(lines, 1)]
    except FileNotFoundError:
        raise StageError(f"{path} is missing: the prepare stage has to run first") from None
    if not rows:
        raise StageError(f"{path} holds no row")
    return rows


def _row(line: bytes, path: Path, number: int) -> Row:
    try:
        value = json.loads(line)
        row = Row(array("i", value["ids"]), bytes(value["mask"]))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise StageError(f"bad data: {path}, line {number}: {error}") from error
    if not row.ids or len(row.ids) != len(row.mask):
        raise StageError(f"bad data: {path}, line {number}: ids and mask differ in length")
    return row


def read_order(path: Path, rows: list[Row]) -> Order:
    """Read order.json and check it against *rows*. Raises StageError."""
    value = read_object(path)
    if value is None:
        raise StageError(f"{path} is missing or unreadable: the prepare stage has to run first")
    indices = _indices(value.get("order"), path, len(rows))
    if not indices:
        raise StageError(f"bad data: {path} names no row to train on")
    longest = _indices(value.get("longest") or [], path, len(rows))
    if not longest:
        longest = sorted(range(len(rows)), key=lambda each: -len(rows[each].ids))
    return Order(indices, longest)


def _indices(value: Any, path: Path, count: int) -> list[int]:
    if not isinstance(value, list):
        raise StageError(f"bad data: {path} has no list of row numbers")
    for each in value:
        if not isinstance(each, int) or not 0 <= each < count:
            raise StageError(f"bad data: {path} names row {each!r}, there are {count} rows")
    return value
