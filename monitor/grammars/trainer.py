"""Lines of Hugging Face's Trainer: its dictionaries, and the bars of tqdm. Pure.

The rule: a dictionary has no step number and a bar no loss; only a bar without a description, which
counts plain iterations, can be that of the training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitor.grammars.fact import Kind, LogFact, no_number, number, positive
from monitor.model import Phase

_ITEM = re.compile(
    rb"""["']([A-Za-z_][\w/]{0,63})["']: (?:[A-Za-z][\w.]{0,24}\()?"""  # np.float64(, tensor(
    rb"""["']?([^\s"',{}\[\]()]{1,40})["']?(?=[,})])"""
)
_STEP = re.compile(rb"(\d{1,15})/(\d{1,15})")
_BAR = re.compile(
    rb"(?:\x1b\[[0-9;]{0,8}[A-Za-z]|[\s\0])*"
    rb"(\d{1,3})%\|[^|\r\n]{0,1200}\| *(\d{1,15})/(\d{1,15}) "
    rb"\[(?:(\d{1,6}):)?(\d{1,2}):(\d\d)<[^,\]]{1,20}, *(\?|[\d.]{1,20})(it/s|s/it)[,\]]"
)
_DESCRIBED = re.compile(rb"(?:\x1b\[[0-9;]{0,8}[A-Za-z]|[\s\0])*Loading [^%]{1,80}%\|")
_TOTAL = re.compile(rb"Total (?:optimization )?steps = ([\d,]{1,20})(?![\d,])")
_SAVING = re.compile(rb"Saving model checkpoint to .{0,400}?checkpoint-(\d{1,15})\b")
_UP = b"\x1b[A"


def read_dictionary(line: bytes) -> LogFact | None:
    """Read `{'loss': '0.87', 'grad_norm': '0.4', 'learning_rate': '8e-05', 'epoch': '0.3'}`.

    transformers 4 writes numbers, 5 texts; TRL adds keys of its own, which do not matter here.
    """
    start = line.find(b"{")
    items = dict(_ITEM.findall(line, max(0, start))[:100])
    epoch = number(items.get(b"epoch"))
    if b"train_runtime" in items:
        return LogFact(kind=Kind.ENDED, epoch=epoch)
    if b"loss" in items and (b"epoch" in items or b"learning_rate" in items):
        return _metrics(items, epoch)
    if b"eval_runtime" in items or b"eval_loss" in items:
        return LogFact(kind=Kind.EVALUATED, eval_loss=number(items.get(b"eval_loss")), epoch=epoch)
    return None


def read_bar(line: bytes) -> LogFact | None:
    """Read a bar of tqdm; one with a description counts something else than iterations."""
    match = _BAR.match(line)
    if match is None:
        return LogFact(kind=Kind.LOADING, phase=Phase.LOADING) if _DESCRIBED.match(line) else None
    hours, minutes, seconds = int(match[4] or 0), int(match[5]), int(match[6])
    rate = positive(number(match[7]))
    if rate is not None and match[8] == b"it/s":
        rate = 1 / rate
    done, total = int(match[2]), int(match[3])
    if not total > 0 or done > total:
        return None
    return LogFact(
        kind=Kind.BAR,
        iteration=done,
        total=total,
        step_s=rate,
        elapsed_s=3600 * hours + 60 * minutes + seconds,
        nested=_UP in line[match.end() : match.end() + 8],
    )


def read_banner(line: bytes) -> LogFact | None:
    """Read the total that Unsloth and transformers announce, or the start of a save."""
    if match := _TOTAL.search(line):
        digits = match[1].replace(b",", b"")
        total = int(digits) if digits.isdigit() else 0
        return LogFact(kind=Kind.NOTE, total=total or None)
    if match := _SAVING.search(line):
        step = int(match[1])
        return LogFact(kind=Kind.NOTE, phase=Phase.SAVING, iteration=step)
    return None


def _metrics(items: Mapping[bytes, bytes], epoch: float | None) -> LogFact:
    """By default a loss that is NaN is left out of the sum: it shows as 0, its norm as nan."""
    raw, norm = items.get(b"loss"), items.get(b"grad_norm")
    loss, bad_norm = number(raw), no_number(norm)
    filtered = loss == 0 and bad_norm
    step = items.get(b"step") or b""
    # ms-swift tells both in one.
    both = _STEP.fullmatch(items.get(b"global_step/max_steps") or b"")
    if both is not None:
        step = both[1]
    return LogFact(
        kind=Kind.METRICS,
        iteration=int(step) if step.isdigit() and len(step) <= 15 else None,
        total=(int(both[2]) or None) if both is not None else None,
        loss=None if filtered else loss,
        nan=filtered or no_number(raw),
        grad_nan=bad_norm,
        lr=number(items.get(b"learning_rate")),
        grad_norm=number(norm),
        epoch=epoch,
    )
