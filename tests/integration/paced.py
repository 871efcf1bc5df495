"""A simulated training with jitter, saves and evaluations, and what is projected along its way.

The simulation only writes heartbeats; they are seen once a second and learnt from by the watcher's
own code. No clock, no file.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitor.facts import Facts
from monitor.history import Learnt, history_of, learn
from monitor.model import Heartbeat, Phase
from monitor.outside import Moment
from monitor.pace import Course, Projection, project

LOADING_S = 60.0
TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """How a training goes. Durations in seconds; `jitter` is deviation over mean."""

    seed: int = 0
    total: int = 625
    step_s: float = 30.0
    jitter: float = 0.05
    jump_share: float = 0.0
    jump: float = 1.0
    save_interval: int = 70
    save_s: float = 5.0
    first_save_factor: float = 1.0
    eval_interval: int | None = None
    eval_s: float = 0.0

    @property
    def save_share(self) -> float:
        """Saves over steps: how dear they are."""
        return math.ceil(self.total / self.save_interval) * self.save_s / (self.total * self.step_s)


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat and the second it was written."""

    at: float
    phase: str
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A projection on the way, and what really was left."""

    done: int
    projected: Projection | None
    left_s: float
    naive_s: float
    """Iterations left at the median so far, and nothing else."""
    saves_seen: int

    @property
    def held(self) -> bool:
        """The end lay in the range."""
        each = self.projected
        return each is not None and each.low_s <= self.left_s <= each.high_s


def beats(night: Night) -> list[Beat]:
    """Everything that the trainer writes, to the end of its last save."""
    dice = random.Random(night.seed)
    now, saved = LOADING_S, False
    written = [Beat(0.0, Phase.LOADING, 0), Beat(now, Phase.FIRST_ITERATION, 0)]
    now += 3 * night.step_s
    for done in range(1, night.total + 1):
        step = night.step_s * _jittered(dice, night.jitter)
        now += step * (night.jump if dice.random() < night.jump_share else 1.0)
        written.append(Beat(now, Phase.ITERATION, done))
        if night.eval_interval and done % night.eval_interval == 0:
            written.append(Beat(now, Phase.EVALUATING, done))
            now += night.eval_s * _jittered(dice, 0.05)
        if done % night.save_interval == 0 or done == night.total:
            written.append(Beat(now, Phase.SAVING, done))
            factor = 1.0 if saved else night.first_save_factor
            now, saved = now + night.save_s * factor * _jittered(dice, 0.2), True
        if written[-1].phase != Phase.ITERATION:
            written.append(Beat(now, Phase.ITERATION, done))
    return written


def outcomes(night: Night, shares: Sequence[float]) -> Iterator[Outcome]:
    """What is projected when each of *shares* (ascending, 0 to 1) of the iterations is done."""
    story = beats(night)
    waiting = [max(1, round(share * night.total)) for share in shares]
    learnt = Learnt()
    for beat, seen_at in _seen(story):
        facts = Facts(boot_id="b", monotonic_s=seen_at, stage="train", heartbeat=_heartbeat(beat))
        learnt = learn(learnt, facts, when=looked_at(seen_at))
        if waiting and beat.done >= waiting[0]:
            waiting.pop(0)
            yield _outcome(night, learnt, beat, seen_at, story[-1].at)


def looked_at(observed_s: float) -> Moment:
    """A look after which nothing was missed."""
    return Moment(observed_s=observed_s, since_s=TICK_S, gap=False, first=False)


def _outcome(night: Night, learnt: Learnt, beat: Beat, now: float, end: float) -> Outcome:
    history = history_of(learnt)
    course = Course(
        iteration=beat.done,
        total=night.total,
        save_interval=night.save_interval,
        eval_interval=night.eval_interval,
        phase=beat.phase,
        since_s=now - beat.at,
    )
    left = night.total - beat.done
    return Outcome(
        done=beat.done,
        projected=project(course, history),
        left_s=end - now,
        naive_s=left * (history.step_median_s or 0.0),
        saves_seen=history.saves_this_process,
    )


def _seen(story: Sequence[Beat]) -> Iterator[tuple[Beat, float]]:
    """What a look each second finds: the last heartbeat before it, where that is a new one."""
    for beat, following in zip(story, [*story[1:], None], strict=True):
        look = math.ceil(beat.at / TICK_S) * TICK_S
        if following is None or following.at > look:
            yield beat, look


def _heartbeat(beat: Beat) -> Heartbeat:
    return Heartbeat(
        attempt=1,
        seq=0,
        pid=1,
        boot_id="b",
        monotonic_s=beat.at,
        stage="train",
        phase=beat.phase,
        done=beat.done,
    )


def _jittered(dice: random.Random, jitter: float) -> float:
    """Log-normal with mean 1: durations have a floor and a tail."""
    sigma = math.sqrt(math.log(1 + jitter**2))
    return math.exp(dice.gauss(-sigma * sigma / 2, sigma))


def some_night(seed: int) -> Night:
    """A training as they come: fast and slow, steady and not, with cheap and with dear saves."""
    dice = random.Random(seed)
    total = dice.randint(100, 800)
    step_s = _log_uniform(dice, 0.2, 60.0)
    save_interval = max(1, total // dice.randint(2, 14))
    saves = math.ceil(total / save_interval)
    evals = dice.randint(2, 10) if dice.random() < 0.5 else 0
    jumps = dice.random() < 0.2
    training_s = total * step_s
    return Night(
        seed=seed,
        total=total,
        step_s=step_s,
        jitter=dice.uniform(0.02, 0.4),
        jump_share=dice.uniform(0.005, 0.03) if jumps else 0.0,
        jump=dice.uniform(2.0, 12.0) if jumps else 1.0,
        save_interval=save_interval,
        save_s=min(600.0, _log_uniform(dice, 0.005, 0.4) * training_s / saves),
        first_save_factor=_log_uniform(dice, 1.0, 10.0),
        eval_interval=max(1, total // evals) if evals else None,
        eval_s=_log_uniform(dice, 0.01, 0.3) * training_s / max(1, evals),
    )


def _log_uniform(dice: random.Random, least: float, most: float) -> float:
    return math.exp(dice.uniform(math.log(least), math.log(most)))
