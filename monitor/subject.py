"""What the judge needs to know of a run beside what the probes see. Pure, and quick to load."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model import Status

UNKNOWN_BOOT = "unknown"
"""What `monitor.probes.clock.boot_id` says where /proc hides it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What run.json and state.json say of a run, as far as the judge needs it."""

    run: str
    status: Status | None = None
    cause: str | None = None
    stage: str | None = None
    attempt: int = 1
    total: int | None = None
    """Iterations expected."""
    save_interval: int | None = None
    keep_last: int | None = None
    """How many checkpoints the trainer keeps; None: all of them, or not known."""
    saves_visible: bool = True
    """False: nobody knows where this run saves, so that no folder can say that it did not."""
    saves_late: bool = True
    """Its folder may show a checkpoint up to a minute late; False: it is on a local disk."""
    foreign: bool = False
    boot_id: str | None = None
    """The boot on which the present stage was started."""
    memory_limit_bytes: int | None = None


def other_boot(named: str | None, present: str) -> bool:
    """Whether *present* is another boot than *named*; False while either is not known."""
    return named is not None and UNKNOWN_BOOT not in (named, present) and named != present
