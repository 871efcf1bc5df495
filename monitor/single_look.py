"""One look at a run whose watcher is dead or was never there; nothing is written.

Apart from `monitor.status`, which rarely needs it: the judges take longer to load than to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.ages import AgeState, continued
from monitor.facts import Facts
from monitor.limits import seeded
from monitor.model import Verdict
from monitor.observe import Observer, eta_of
from monitor.pace import Projection
from monitor.probes.clock import Now
from monitor.target import WatchTarget
from monitor.watch_fold import take_look
from monitor.watch_state import WatchState


@dataclass(frozen=True, slots=True)
class SingleLook:
    """What one look gave."""

    facts: Facts
    verdict: Verdict
    eta: Projection | None
    problems: tuple[str, ...]


def look_once(target: WatchTarget, last: WatchState | None, now: Now) -> SingleLook:
    """Look at *target*, going on from the ages in *last*.

    Without the GPU: setting its driver up takes longer than all the rest.
    """
    facts, problems = Observer(target).look(target, now)
    tick_s = last.tick_s if last else 1.0
    limits = seeded(target.limits, last.seeds if last else None)
    judged = take_look(
        _marks(last),
        facts,
        target.subject,
        tick_s=tick_s,
        limits=limits,
        unreadable=problems,
        last_sample_wall=last.wall_s if last and last.boot_id != now.boot_id else None,
    )
    eta = eta_of(target, judged.observation, judged.verdict)
    return SingleLook(facts, judged.verdict, eta, problems)


def _marks(last: WatchState | None) -> AgeState:
    try:
        return continued(last.marks) if last else AgeState()
    except ValueError:
        return AgeState()
