"""The looks of a diagnosis: this user's own, with native calls, or through another container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.diagnosis.record import Diagnosis
    from runners.sidecar import Offer

HUNG = ("suspect", "stalled")
NATIVE_WORDS = (
    "The native calls (CUDA, NCCL, a lock of C++) inside each thread of the trainer. py-spy pauses "
    "the trainer for that, once, for some 60 ms; reading symbols may take ten seconds."
)


@dataclass(frozen=True, slots=True)
class How:
    """What was agreed to beside a plain look."""

    native: bool = False
    offer: Offer | None = None
    """A container that may look; None: this user does."""
    reads_only: bool = False
    """The trainer is asked nothing, and nothing is kept: from a view that is read-only."""


def take_look(run: Path, how: How) -> Diagnosis:
    """Diagnose the run in the folder *run*."""
    from monitor.diagnosis.record import diagnose
    from monitor.rundir import RunDir

    if how.offer is None:
        return diagnose(RunDir(run), native=how.native, reads_only=how.reads_only)
    from runners.sidecar import Sidecar

    with Sidecar(how.offer) as spy:
        return diagnose(RunDir(run), spy, native=how.native)


def find_offer(run: Path) -> Offer | None:
    """Which container could look, where one is needed. Raises with a sentence where none can."""
    from monitor.rundir import RunDir
    from runners.sidecar import offer_for

    return offer_for(RunDir(run))


def may_go_native(found: Diagnosis | None) -> bool:
    """It hangs, somebody could look into it, and its native calls were not asked for yet."""
    if found is None or not found.facts.alive or found.facts.source != "py-spy":
        return False
    if found.facts.advanced or found.facts.liveness not in HUNG:
        return False
    return not any(each.native for each in found.groups)


def needs_a_container(found: Diagnosis | None) -> bool:
    """Nobody could look into it, and it is in a container."""
    if found is None:
        return False
    facts = found.facts
    return bool(facts.alive) and facts.samples == 0 and facts.around.container is not None
