"""Bars that name what they count and carry a loss: Lightning's epochs, steps of diffusers. Pure.

The rule: of all bars with a description only these two are known to count iterations. One that
carries no loss yet says nothing.
"""

from __future__ import annotations

import re

from monitor.grammars.fact import Kind, LogFact, no_number, number, positive
from monitor.model import Phase

_BAR = re.compile(
    rb"(?:\x1b\[[0-9;]{0,8}[A-Za-z]|[\s\0])*(?:Epoch (\d{1,6})(?:: ?)?|Steps): *\d{1,3}%\|"
    rb"[^|\r\n]{0,1200}\| *(\d{1,15})/(\d{1,15}) \[([^\]\r\n]{0,1000})\]"
)
_VALIDATING = re.compile(
    rb"(?:\x1b\[[0-9;]{0,8}[A-Za-z]|[\s\0])*Validation[^%|]{0,40}: *\d{1,3}%\|"
)
_FIGURE = re.compile(rb"[,<] *([A-Za-z_][\w/ ]{0,60})=([^,\s]{0,40})")
_RATE = re.compile(rb" ([\d.]{1,20})(it/s|s/it)(?:,|$)")
_LIGHTNINGS_OWN = b"v_num"
_OF_AN_EVALUATION = (b"val", b"test", b"eval")


def read_described(line: bytes) -> LogFact | None:
    """Read a bar with a description; None for all those of which it is not known what they count.

    Lightning counts the iterations of an epoch, and the epochs from 0.
    """
    match = _BAR.match(line)
    if match is None:
        validating = _VALIDATING.match(line) is not None
        return LogFact(kind=Kind.NOTE, phase=Phase.EVALUATING) if validating else None
    figures = dict(_FIGURE.findall(match[4])[:64])
    loss = _loss(figures)
    done, total = int(match[2]), int(match[3])
    epoch = None if match[1] is None else int(match[1])
    if loss is None or (epoch is not None and _LIGHTNINGS_OWN not in figures) or done > total:
        return None
    return LogFact(
        kind=Kind.STEP,
        iteration=done + total * (epoch or 0),
        total=(total or None) if epoch is None else None,
        loss=number(loss),
        nan=no_number(loss),
        lr=number(figures.get(b"lr")),
        step_s=_step_s(match[4]),
    )


def _loss(figures: dict[bytes, bytes]) -> bytes | None:
    """The first loss that is no evaluation's."""
    for key, value in figures.items():
        if b"loss" in key and not key.startswith(_OF_AN_EVALUATION):
            return value
    return None


def _step_s(inside: bytes) -> float | None:
    match = _RATE.search(inside)
    rate = positive(number(match[1])) if match is not None else None
    if rate is None or match is None:
        return None
    return 1 / rate if match[2] == b"it/s" else rate
