"""Lines of our own lanes, and the last words of a Python program. Pure."""

from __future__ import annotations

import re

from monitor.grammars.fact import Kind, LogFact, no_number, number, positive, without_labels
from monitor.model import Phase

ERROR_BYTES = 400
"""Kept of a line that names an error."""

_ITERATION = re.compile(
    rb"iteration (\d{1,15})/(\d{1,15}) \| loss (\S{1,40}) \| lr (\S{1,40}) \| "
    rb"grad norm (\S{1,40}) \| step ([\d.]{1,20}) s\s*"
)
_PUBLISHED = re.compile(rb"iteration (\d{1,15}) \| checkpoint published in ([\d.]{1,20}) s\s*")
_EVALUATED = re.compile(rb"iteration \d{1,15} \| evaluation loss (\S{1,40})\s*")
_EXCEPTION = re.compile(
    rb"(?:[A-Za-z_]\w{0,80}\.){0,12}[A-Z]\w{0,80}[a-z]\w{0,80}(?::\s.*|:?\s*)", re.DOTALL
)
"""With a small letter: a line of another thread that begins with INFO is none."""
_RAISED = re.compile(rb"(?:[A-Za-z_]\w{0,80}\.){0,12}\w{0,80}(?:Error|Exception|Interrupt):\s")
_BEGINS = b"Traceback (most recent call last):"
_FATAL = (
    b"CUDA out of memory",
    b"CUDA error: ",
    b"Segmentation fault",
    b"Fatal Python error: ",
    b"Watchdog caught collective operation timeout",
)
_LINKS = (b"During handling of", b"The above exception")


def read_iteration(line: bytes) -> LogFact | None:
    """Read what the reference lane says of an iteration, a save or an evaluation."""
    if match := _ITERATION.fullmatch(line):
        return LogFact(
            kind=Kind.STEP,
            iteration=int(match[1]),
            total=int(match[2]) or None,
            loss=number(match[3]),
            nan=no_number(match[3]),
            grad_nan=no_number(match[5]),
            lr=number(match[4]),
            grad_norm=number(match[5]),
            step_s=positive(number(match[6])),
        )
    if match := _PUBLISHED.fullmatch(line):
        saved, cost = int(match[1]), number(match[2])
        return LogFact(kind=Kind.NOTE, phase=Phase.ITERATION, saved=saved, save_s=cost)
    if match := _EVALUATED.fullmatch(line):
        return LogFact(kind=Kind.EVALUATED, eval_loss=number(match[1]))
    return None


def read_error(line: bytes) -> LogFact | None:
    """Read the start of a traceback, or a line that names an error by itself."""
    line = without_labels(line)
    if line.startswith(_BEGINS):
        return LogFact(kind=Kind.TRACEBACK)
    if _RAISED.match(line) or any(each in line for each in _FATAL):
        return LogFact(kind=Kind.ERROR, error=_shown(line))
    return None


def read_last_line(line: bytes) -> LogFact | None:
    """Within a traceback: the line that names the exception; None for all the others."""
    line = without_labels(line).rstrip()
    if line.startswith(_LINKS) or not _EXCEPTION.fullmatch(line):
        return None
    return LogFact(kind=Kind.ERROR, error=_shown(line))


def _shown(line: bytes) -> str:
    return line[:ERROR_BYTES].decode("utf-8", "replace").strip()
