"""One look, from facts to verdict: the fold that watcher, single look, replay and bench share.

Pure. The one rule: whoever judges a run does it through here, so that a replayed night cannot be
judged by other rules than the night itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.ages import AgeState, advance, ages_of
from monitor.budget import memory_limit
from monitor.facts import Facts, gpu_shared, own_power
from monitor.history import history_of
from monitor.limits import LimitConfig
from monitor.liveness import judge
from monitor.model import Observation, Verdict
from monitor.subject import Subject, other_boot


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One look after it was judged; `state` is what the next look starts from."""

    state: AgeState
    observation: Observation
    verdict: Verdict


def take_look(
    state: AgeState,
    facts: Facts,
    subject: Subject,
    *,
    tick_s: float,
    limits: LimitConfig,
    unreadable: tuple[str, ...] = (),
    last_sample_wall: float | None = None,
    last_words: str | None = None,
) -> Judged:
    """Add the look that gave *facts* to *state* and judge what is known then.

    *last_sample_wall*: when the run was last seen on an earlier boot; *last_words*: what it showed.
    """
    state = advance(state, facts, now=facts.monotonic_s, tick_s=tick_s, limits=limits)
    observation = observation_of(subject, facts, state, unreadable, last_sample_wall, last_words)
    return Judged(state=state, observation=observation, verdict=judge(observation, limits))


def observation_of(
    subject: Subject,
    facts: Facts,
    state: AgeState,
    unreadable: tuple[str, ...] = (),
    last_sample_wall: float | None = None,
    last_words: str | None = None,
) -> Observation:
    """Return everything that is known at the instant of *facts*."""
    machine = facts.machine
    memory = machine.memory if machine else None
    return Observation(
        run=subject.run,
        taken_at=state.observed_s,
        status=subject.status,
        cause=subject.cause,
        stage=subject.stage,
        attempt=subject.attempt,
        total=subject.total,
        save_interval=subject.save_interval,
        boot_changed=other_boot(subject.boot_id, facts.boot_id),
        heartbeat=facts.heartbeat,
        checkpoints=facts.checkpoints,
        log=facts.log,
        log_progress=facts.log_progress,
        process=facts.process,
        machine=machine,
        ages=ages_of(state),
        history=history_of(state.learnt),
        unreadable=unreadable,
        foreign=subject.foreign,
        held=facts.held,
        memory_limit_bytes=memory_limit(memory.total_bytes, subject.memory_limit_bytes)
        if memory
        else None,
        own_power_w=own_power(machine, facts.process),
        last_sample_wall=last_sample_wall,
        last_words=last_words,
        saves_visible=subject.saves_visible,
        saves_late=subject.saves_late,
        keep_last=subject.keep_last,
        gpu_shared=gpu_shared(machine, facts.process),
    )
