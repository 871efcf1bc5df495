"""What is wrong at one look, and how urgent that is. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.alert_model import Severity, Trouble
from monitor.edges import looks_needed
from monitor.model import Liveness, Verdict

_LIVENESS = {
    Liveness.STALLED: Severity.WAKE,
    Liveness.LOG_STUCK: Severity.TELL,
    Liveness.SLOW: Severity.TELL,
    Liveness.LOST: Severity.TELL,
}
"""`suspect` and `saving` send nothing by themselves; a flag beside them may."""

_FLAGS = {
    "nan-loss": (Severity.WAKE, "NaN loss", "the loss is no number any more"),
    "exploding-loss": (Severity.TELL, "loss explodes", "the loss is far above what it was"),
    "disk-low": (
        Severity.WAKE,
        "disk low",
        "the disk will not hold the next checkpoints",
    ),
}


UNTOLD_LOOKS = 90
"""A keeper says within seconds how its trainer ended; a last checkpoint may show 70 s later."""


def of_verdict(verdict: Verdict | None) -> Iterator[Trouble]:
    """Those that the verdict itself tells of, or its flags."""
    if verdict is None:
        return
    for liveness, severity in _LIVENESS.items():
        if verdict.liveness is liveness or liveness in verdict.flags:
            yield Trouble(
                key=str(liveness),
                severity=severity,
                word=str(liveness),
                reason=verdict.reason,
                looks=looks_needed(liveness),
            )
    for flag, (severity, word, reason) in _FLAGS.items():
        if flag in verdict.flags:
            yield Trouble(key=flag, severity=severity, word=word, reason=reason)


def memory_trouble(level: str, reason: str) -> Trouble | None:
    """The trouble of a memory level: ok, warn, high or limit."""
    rank = ("ok", "warn", "high", "limit").index(level)
    if rank == 0:
        return None
    return Trouble(
        key="memory",
        severity=Severity.TELL if level == "warn" else Severity.WAKE,
        word="memory at its limit" if level == "limit" else f"memory {level}",
        reason=reason,
        level=rank,
        looks=1,  # the memory judge has asked for two samples already
        apart=True,
    )


def end_trouble(reason: str) -> Trouble:
    """Its trainer is gone, and nobody records how: on a disk that takes nothing nobody can."""
    return Trouble(
        key="end-untold",
        severity=Severity.WAKE,
        word="ended, untold how",
        reason=reason,
        looks=UNTOLD_LOOKS,
    )


def keeper_trouble(reason: str, *, foreign: bool = False) -> Trouble:
    """The run has no keeper, or no guard, and the watcher cannot give it one."""
    return Trouble(
        key="keeper-lost",
        severity=Severity.WAKE,
        word="guard lost" if foreign else "keeper lost",
        reason=reason,
        apart=True,
    )


def watcher_trouble(reason: str) -> Trouble:
    """The run has no watcher, and the keeper cannot give it one."""
    return Trouble(
        key="watcher-lost",
        severity=Severity.WAKE,
        word="watcher lost",
        reason=reason,
        looks=1,
        apart=True,
    )
