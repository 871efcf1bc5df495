"""One look at a run whose watcher is dead or was never there; nothing is written.

Apart from `monitor.status`, which rarely needs it: the judges take longer to load than to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.ages import AgeState, continued
from monitor.budget import memory_limit
from monitor.facts import Facts
from monitor.flight_log import last_words
from monitor.limits import seeded
from monitor.memory_judge import level_of
from monitor.memory_model import MemoryVerdict
from monitor.model import Observation, Verdict
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
    observation: Observation
    verdict: Verdict
    eta: Projection | None
    problems: tuple[str, ...]
    memory: MemoryVerdict | None = None
    """What one sample alone can say of it."""


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
        last_words=last_words(target, now.boot_id),
    )
    eta = eta_of(target, judged.observation, judged.verdict)
    memory = _memory(target, judged.observation, last)
    return SingleLook(facts, judged.observation, judged.verdict, eta, problems, memory)


def _memory(
    target: WatchTarget, observation: Observation, last: WatchState | None
) -> MemoryVerdict | None:
    machine = observation.machine
    if machine is None or machine.memory is None:
        return None
    memory = machine.memory
    limit = memory_limit(memory.total_bytes, target.memory_limit_bytes)
    unified = last.memory.unified if last and last.memory else None
    return MemoryVerdict(
        level=level_of(memory, limit, unified=unified),
        used_bytes=memory.used_bytes,
        limit_bytes=limit,
        available_bytes=memory.available_bytes,
        cache_bytes=memory.cached_bytes,
        unified=unified,
    )


def _marks(last: WatchState | None) -> AgeState:
    try:
        return continued(last.marks) if last else AgeState()
    except ValueError:
        return AgeState()
