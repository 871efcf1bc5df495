"""Say how a run ended, or what is wrong with one that gets on. Pure.

The rule: what the keeper or an exception recorded is sure; a signal is sure, who sent it is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from monitor.diagnosis.tracebacks import place_of
from monitor.diagnosis.values import Cause, Confidence, DiagnosisFacts
from monitor.flags import DISK_LOW
from monitor.loss import LossTrouble
from monitor.model import Liveness

_SIGNAL = re.compile(r"killed by (SIG[A-Z0-9]+|signal \d+)")
_NATIVE = frozenset({"SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE"})
"""What the kernel sends for a program's own mistake."""


@dataclass(frozen=True, slots=True)
class Found:
    """A cause, how sure, and its sentence."""

    cause: str
    confidence: Confidence
    sentence: str
    decides: str | None = None


def ended(facts: DiagnosisFacts) -> Found:
    """How a run that is over ended."""
    if facts.liveness == Liveness.FAILED:
        return _failed(facts)
    if facts.liveness == Liveness.STOPPED:
        by_guard = "memory guard" in facts.reason
        if by_guard:
            words = f"memory came to its limit: {facts.reason}"
            return Found(Cause.MEMORY_LIMIT, Confidence.SURE, words)
        words = f"it was ended on request: {facts.reason}"
        return Found(Cause.ON_REQUEST, Confidence.SURE, words)
    if facts.liveness == Liveness.FINISHED and (trouble := _loss_trouble(facts)) is not None:
        words = f"it finished, but its loss went wrong ({trouble}): {facts.reason}"
        return Found(Cause.LOSS, Confidence.SURE, words)
    words = f"there is nothing to diagnose, its process has ended: {facts.reason}"
    return Found(Cause.ENDED, Confidence.SURE, words)


def _failed(facts: DiagnosisFacts) -> Found:
    said = facts.told.cause or facts.reason
    place = place_of(facts.told.frames)
    at = f" at {place}" if place is not None else ""
    if "disk full" in said:
        return Found(Cause.DISK_FULL, Confidence.SURE, f"the disk was full{at}: {said}")
    if "out of memory" in said:
        return Found(Cause.OUT_OF_MEMORY, Confidence.SURE, f"memory ran out{at}: {said}")
    if "the machine was restarted" in said or "the machine was restarted" in facts.reason:
        return Found(Cause.RESTARTED, Confidence.SURE, facts.reason)
    if (signal := _SIGNAL.search(said)) is not None:
        return _signalled(facts, signal[1], said)
    if "never said that it had finished" in said:
        words = (
            f"{said}: the process that trained died inside of the script around it, which went on"
        )
        decides = "its log's last lines, and the script's own exit status of the trainer"
        return Found(Cause.SILENT_END, Confidence.LIKELY, words, decides)
    if facts.told.raised is not None:
        return Found(
            Cause.CRASHED, Confidence.SURE, f"an exception ended it{at}: {facts.told.raised}"
        )
    if "exit status unknown" in said:
        return Found(Cause.ENDED, Confidence.UNSURE, said, "the kernel's log of that time")
    return Found(Cause.CRASHED, Confidence.LIKELY, f"it gave up: {said}")


def _signalled(facts: DiagnosisFacts, signal: str, said: str) -> Found:
    lost = f"; checkpoint {facts.told.pruned} is gone as well" if facts.told.pruned else ""
    if signal in _NATIVE:
        words = f"native code crashed ({signal}): {said}{lost}"
        return Found(Cause.CRASHED, Confidence.LIKELY, words, "a core dump, or PYTHONFAULTHANDLER")
    words = f"somebody sent it {signal}: {said}, and nobody asked lanewatch for that{lost}"
    return Found(Cause.KILLED, Confidence.LIKELY, words, "the kernel's log of that time")


def troubled(facts: DiagnosisFacts) -> Found | None:
    """What is wrong with a run that gets on, or is not known not to."""
    if facts.liveness in (Liveness.SUSPECT, Liveness.STALLED, Liveness.LOST):
        return None
    if facts.liveness == Liveness.LOG_STUCK or Liveness.LOG_STUCK in facts.told.flags:
        held = facts.told.holder
        holder = f"; {held}" if held is not None and held not in facts.reason else ""
        words = f"it gets on, its log does not: {facts.reason}{holder}"
        return Found(Cause.LOG_STUCK, Confidence.LIKELY, words)
    if (trouble := _loss_trouble(facts)) is not None:
        words = f"it gets on, but its loss went wrong ({trouble}): {facts.reason}"
        return Found(Cause.LOSS, Confidence.LIKELY, words)
    if facts.told.memory is not None:
        words = f"it gets on, but it takes the machine's memory: {facts.told.memory}"
        return Found(Cause.MEMORY_LIMIT, Confidence.LIKELY, words)
    if DISK_LOW in facts.told.flags:
        words = f"it gets on, but the disk will not hold its next checkpoints: {facts.reason}"
        return Found(Cause.DISK_LOW, Confidence.LIKELY, words)
    return None


def _loss_trouble(facts: DiagnosisFacts) -> str | None:
    return next((each for each in facts.told.flags if each in set(LossTrouble)), None)
