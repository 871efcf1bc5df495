"""What one line of a log says, and how numbers are taken out of it. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a line is about, as far as `monitor.grammar` has to tell lines apart."""

    STEP = "step"
    """An iteration, with its number: all that the line leaves out is not known."""
    METRICS = "metrics"
    """An iteration without its number; a bar has that."""
    BAR = "bar"
    EVALUATED = "evaluated"
    ENDED = "ended"
    """The training is over, whatever the log goes on to say."""
    BEGUN = "begun"
    """A new process writes from here on."""
    LOADING = "loading"
    NOTE = "note"
    """What it gives replaces what was known; the rest stays."""
    ERROR = "error"
    TRACEBACK = "traceback"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFact:
    """What one line says. None: it does not say that."""

    kind: Kind
    iteration: int | None = None
    total: int | None = None
    loss: float | None = None
    nan: bool = False
    no_loss: bool = False
    """A whole step line without any loss: NaN, unless other losses were never named either."""
    grad_nan: bool = False
    lr: float | None = None
    grad_norm: float | None = None
    epoch: float | None = None
    step_s: float | None = None
    save_s: float | None = None
    saved: int | None = None
    eval_loss: float | None = None
    memory_bytes: int | None = None
    phase: str | None = None
    error: str | None = None
    elapsed_s: int | None = None
    """Of a bar, in whole seconds."""
    nested: bool = False
    """A bar below another one: never that of the training."""


_NUMBER = re.compile(rb"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?")
_LABEL = re.compile(
    rb"(?:\[[A-Za-z]{1,16}\d{1,6}\]:|\[\d{1,5},\d{1,5}\]<std(?:out|err)>:|\d{1,5}:(?=\s)"
    rb"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?=\s))\s?"
)
_LABEL_BEGINS = tuple(b"[0123456789"[at : at + 1] for at in range(11))
_LABELS = 3
_NOT_A_NUMBER = re.compile(rb"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


def without_labels(line: bytes) -> bytes:
    """The line as its trainer wrote it: without the rank and the time that others put before it."""
    for _ in range(_LABELS):
        match = _LABEL.match(line) if line[:1] in _LABEL_BEGINS else None
        if match is None:
            break
        line = line[match.end() :]
    return line


def number(raw: bytes | None) -> float | None:
    """A finite float or None; what Python alone would take for one (1_0, other digits) is none."""
    if raw is None or not _NUMBER.fullmatch(raw):
        return None
    value = float(raw)
    return value if math.isfinite(value) else None


def no_number(raw: bytes | None) -> bool:
    """True for NaN, for infinity and for what is too large to be a number."""
    if raw is None:
        return False
    if _NOT_A_NUMBER.fullmatch(raw):
        return True
    return bool(_NUMBER.fullmatch(raw)) and not math.isfinite(float(raw))


def positive(value: float | None) -> float | None:
    """A duration or a size above zero, or None."""
    return value if value is not None and value > 0 else None


def size(value: float | None) -> int | None:
    """Bytes that a machine could have, or None."""
    return int(value) if value is not None and 0 < value < 1e16 else None
