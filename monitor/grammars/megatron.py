"""Lines of Megatron-Bridge, Megatron-LM and NeMo. Pure.

The rule: Megatron leaves the loss out of a step line when it is NaN. A skipped iteration (fp16 loss
scaling) has none either and is no NaN, unless the line counts one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitor.grammars.fact import Kind, LogFact, no_number, number, positive, size
from monitor.model import Phase

MEBIBYTE = 1 << 20
GIGABYTE = 10**9

_STEP = re.compile(rb"\biteration +(\d{1,15})/ *(\d{1,15}) \|(.*)", re.DOTALL)
_EPOCH = re.compile(rb"Training epoch (\d{1,9}), iteration (\d{1,15})/(\d{1,15}) \|(.*)", re.DOTALL)
_NEMO_1 = re.compile(rb"\bstep=(\d{1,15}) loss=([^\s,]{1,40})(?: lr=([^\s,]{1,40}))?")
_SAVING = re.compile(rb"saving checkpoint at iteration +(\d{1,15}) ")
_SAVED = re.compile(
    rb"(?:successfully saved checkpoint from|scheduled an async checkpoint save at)"
    rb" iteration +(\d{1,15})\b"
)
_SAVE_COST = re.compile(rb" save-checkpoint \.{3,80}: \(([\d.]{1,20}), ([\d.]{1,20})\)")
_STEP_TIME = re.compile(rb"Step Time : ([\d.]{1,20})s\b")
_LOADED = re.compile(rb"Starting training loop at iteration (\d{1,15})\b")
_VALIDATION = re.compile(
    rb" validation loss at iteration +\d{1,15} .{0,200}?"
    rb"lm loss value: ([^ |]{1,40})"
)
_MEMORY = re.compile(rb"\] \(after \d{1,15} iterations\) memory \((MB|GB)\) \|(.*)", re.DOTALL)
_MEMORY_KEYS = {
    b"MB": (b"max reserved", b"reserved", b"max allocated", b"allocated"),
    b"GB": (
        b"mem-max-reserved-gigabytes",
        b"mem-reserved-gigabytes",
        b"mem-max-allocated-gigabytes",
        b"mem-allocated-gigabytes",
    ),
}
_LOSS = b"lm loss"
_NAN_COUNT = b"number of nan iterations"
_SKIPPED = b"number of skipped iterations"
_AUXILIARY = (b"balancing", b"mtp", b"z_loss", b"z loss", b"scale")


def read_iteration(line: bytes) -> LogFact | None:
    """Read a line with the word "iteration" in it."""
    if match := _EPOCH.search(line):
        return _nemo_2(match)
    if b" elapsed time per iteration " in line and (match := _STEP.search(line)):
        return _step(int(match[1]), int(match[2]), _fields(match[3]))
    if match := _SAVING.search(line):
        return LogFact(kind=Kind.NOTE, phase=Phase.SAVING)
    if match := _SAVED.search(line):
        return LogFact(kind=Kind.NOTE, phase=Phase.ITERATION, saved=int(match[1]))
    if match := _LOADED.search(line):
        return LogFact(kind=Kind.NOTE, phase=Phase.FIRST_ITERATION, iteration=int(match[1]))
    if match := _VALIDATION.search(line):
        return LogFact(kind=Kind.EVALUATED, eval_loss=number(match[1]))
    if match := _MEMORY.search(line):
        return _memory(match[1], _fields(match[2]))
    return None


def read_other(line: bytes) -> LogFact | None:
    """Read a line about something else; None unless it is one of the milestones and costs."""
    if match := _STEP_TIME.match(line):
        return LogFact(kind=Kind.NOTE, step_s=positive(number(match[1])))
    if match := _SAVE_COST.search(line):
        cost = number(match[2])
        return LogFact(kind=Kind.NOTE, save_s=None if cost is None else cost / 1000)
    if line.startswith(b"> initializing torch distributed"):
        return LogFact(kind=Kind.BEGUN, phase=Phase.LOADING)
    if line.startswith((b"done with setup", b"[before the start of training step]")):
        return LogFact(kind=Kind.NOTE, phase=Phase.FIRST_ITERATION)
    if line.startswith(b"Evaluating iter "):
        return LogFact(kind=Kind.NOTE, phase=Phase.EVALUATING)
    if line.startswith((b"[after training is done]", b"[exiting program", b"exiting program")):
        return LogFact(kind=Kind.ENDED)
    if line.startswith(b"Received signal "):
        return LogFact(kind=Kind.NOTE, phase=Phase.STOPPING)
    return None


def read_nemo_1(line: bytes) -> LogFact | None:
    """Read `[NeMo I 2026-05-21 11:14:23 megatron_gpt_model:982] step=116 loss=0.873 lr=8.2e-05`."""
    match = _NEMO_1.search(line)
    if match is None:
        return None
    return LogFact(
        kind=Kind.STEP,
        iteration=int(match[1]),
        loss=number(match[2]),
        nan=no_number(match[2]),
        lr=number(match[3]),
    )


def _step(iteration: int, total: int, fields: Mapping[bytes, bytes]) -> LogFact | None:
    """A step line. Without its last field it was cut off, and what it lacks says nothing."""
    raw = fields.get(_LOSS) or _other_loss(fields)
    skipped, nans = (_count(fields.get(key)) for key in (_SKIPPED, _NAN_COUNT))
    loss = number(raw)
    if skipped and loss == 0:
        loss = None  # averaged over no iteration at all
    milliseconds = number(fields.get(b"elapsed time per iteration (ms)"))
    norm = fields.get(b"grad norm")
    return LogFact(
        kind=Kind.STEP,
        iteration=iteration,
        total=total or None,
        loss=loss,
        nan=no_number(raw) and not skipped,
        no_loss=_LOSS not in fields and skipped == 0,
        grad_nan=bool(nans) or no_number(norm),
        lr=number(fields.get(b"learning rate")),
        grad_norm=number(norm),
        step_s=positive(None if milliseconds is None else milliseconds / 1000),
    )


def _nemo_2(match: re.Match[bytes]) -> LogFact:
    """NeMo 2 counts from 0, and the total is that of the epoch."""
    fields = _fields(match[4])
    raw = fields.get(b"reduced_train_loss")
    step = _count(fields.get(b"global_step"))
    first_epoch = int(match[1]) == 0
    return LogFact(
        kind=Kind.STEP,
        iteration=1 + (int(match[2]) if step is None else step),
        total=1 + int(match[3]) if first_epoch else None,
        loss=number(raw),
        nan=no_number(raw),
        lr=number(fields.get(b"lr")),
        step_s=positive(number(fields.get(b"train_step_timing in s"))),
        memory_bytes=size(number(fields.get(b"max_memory_reserved"))),
    )


def _other_loss(fields: Mapping[bytes, bytes]) -> bytes | None:
    """The loss of a model that calls it otherwise."""
    for key, value in fields.items():
        if key.endswith(b"loss") and not any(each in key for each in _AUXILIARY):
            return value
    return None


def _memory(unit: bytes, fields: Mapping[bytes, bytes]) -> LogFact:
    factor = MEBIBYTE if unit == b"MB" else GIGABYTE
    values = [number(fields.get(key)) for key in _MEMORY_KEYS[unit]]
    most = max((each for each in values if each is not None), default=None)
    return LogFact(kind=Kind.NOTE, memory_bytes=size(None if most is None else most * factor))


def _fields(raw: bytes) -> dict[bytes, bytes]:
    """`a: 1 | b: 2 |` as a table."""
    pairs = (each.partition(b": ") for each in raw.split(b"|")[:64])
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _count(raw: bytes | None) -> int | None:
    return int(raw) if raw is not None and raw.isdigit() and len(raw) <= 15 else None
