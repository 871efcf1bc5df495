"""One look at a run whose watcher is dead or was never there; nothing is written.

Apart from `monitor.status`, which rarely needs it: the judges take longer to load than to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.ages import AgeState, advance, continued
from monitor.facts import Facts
from monitor.limits import seeded
from monitor.liveness import judge
from monitor.model import Verdict
from monitor.observe import Observer, eta_of, observation_of
from monitor.pace import Projection
from monitor.probes.clock import Now
from monitor.target import WatchTarget
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
    marks = advance(_marks(last), facts, now=now.monotonic_s, tick_s=tick_s, limits=limits)
    before_boot = last.wall_s if last and last.boot_id != now.boot_id else None
    observation = observation_of(target, facts, marks, problems, before_boot)
    verdict = judge(observation, limits)
    return SingleLook(facts, verdict, eta_of(target, observation, verdict), problems)


def _marks(last: WatchState | None) -> AgeState:
    try:
        return continued(last.marks) if last else AgeState()
    except ValueError:
        return AgeState()
