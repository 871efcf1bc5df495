"""Whether a failure is one of machine or driver, after which the same work may well succeed. Pure.

The rule: only what is recognised counts. A training that diverged, ran out of memory or disk, or
met bad data would do so again, and what a person stopped stays stopped.
"""

from __future__ import annotations

import re
import signal

from monitor.model import Stage, Status
from runners.exits import Outcome, StageEnd

_SIGNALS = {
    signal.SIGKILL: "killed from outside",
    signal.SIGBUS: "a bus error",
    signal.SIGSEGV: "a crash in native code",
    signal.SIGABRT: "native code aborted it",
    signal.SIGILL: "an illegal instruction",
}

_NEVER = re.compile(
    r"out of memory|OutOfMemory|alloc(?:ate|ation)|NV_ERR_NO_MEMORY|no space left|disk full|quota"
    r"|\bnan\b|not a number|device-side assert|bad value|missing key|file not found"
    r"|permission denied|module .* is missing",
    re.IGNORECASE,
)
_INFRASTRUCTURE = re.compile(
    r"unspecified launch failure|CUDA_ERROR_LAUNCH|launch timed out"
    r"|illegal instruction was encountered|hardware stack error|misaligned address"
    r"|uncorrectable ECC|ECC error|GPU is lost|fallen off the bus|\bXid\b|driver shutting down"
    r"|devices? (?:is|are|\(s\) is/are) (?:busy or )?unavailable|system not yet initialized"
    r"|driver/library version mismatch|unknown error|NCCL (?:error|watchdog|timeout)"
    r"|Watchdog caught collective operation timeout|CUBLAS_STATUS_EXECUTION_FAILED"
    r"|input/output error|Stale file handle|Transport endpoint is not connected",
    re.IGNORECASE,
)


def mendable(
    end: StageEnd, outcome: Outcome, *, memory_short: bool = False, diverged: bool = False
) -> str | None:
    """Why going on from the last checkpoint may help; None where it would not, or is not known."""
    if outcome.status is not Status.FAILED or end.stage != Stage.TRAIN or end.asked is not None:
        return None
    if end.oom_kills or memory_short or diverged:
        return None
    texts = [text for text in (outcome.cause, _cause(end), end.last_error) if text]
    if any(_NEVER.search(text) for text in texts):
        return None
    if end.result is None and end.exit.signal is not None:
        return _SIGNALS.get(signal.Signals(end.exit.signal))
    told = texts if end.exit.known else texts[:2]
    found = next((found for text in told if (found := _INFRASTRUCTURE.search(text))), None)
    return found.group(0) if found else None


def _cause(end: StageEnd) -> str | None:
    value = (end.result or {}).get("cause")
    return value if isinstance(value, str) else None
