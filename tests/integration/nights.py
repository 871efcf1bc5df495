"""Draw nights by the hundred; let the judge and three simple rules watch each; say how they did.

The rule: a seed gives one night, whatever else is drawn, so one that went wrong can be looked at
again: `outcome(draw(seed, mode, fault))`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from night import (
    CHECKPOINTS,
    ENDINGS,
    HEARTBEAT,
    LOG,
    Fault,
    Gpu,
    Night,
    frames,
    moments,
    moved_moments,
)

from monitor import alerts as alert_rules
from monitor.alert_model import AlertState, Kind, Severity
from monitor.alert_model import Look as AlertLook
from monitor.model import FINAL, Liveness
from monitor.replay import Look, Replay
from monitor.trace import Frame

HORIZON_S = 24 * 3600.0
"""A fault that is not found within a day is missed."""
FAULTS = (
    "spin", "hot-spin", "cpu-spin", "deadlock", "stopped", "blocked-pipe", "blocked-io", "thrash",
    "gpu-lost", "dead-worker", "save-hang", "eval-hang", "first-iteration-hang", "loading-hang",
    "crash",
)  # fmt: skip
PHASES = {
    "save-hang": "saving",
    "dead-worker": "saving",
    "eval-hang": "evaluating",
    "first-iteration-hang": "first_iteration",
    "loading-hang": "loading",
}
HANGS = {
    "save-hang": "deadlock",
    "eval-hang": "spin",
    "first-iteration-hang": "cpu-spin",
    "loading-hang": "deadlock",
}
IDLE = frozenset({"deadlock", "stopped", "blocked-pipe", "blocked-io", "dead-worker", "save-hang"})
"""Faults that leave the box idle."""
NEED_A_HEARTBEAT = frozenset({"eval-hang", "first-iteration-hang", "loading-hang"})
"""From the outside these have no cadence yet, or none of their own: rule 3 claims nothing."""
FIRST_SAVE_S = 1500.0
"""A first save that may outlast its default limit of half an hour: the recipe has to say so."""
BASELINES = ("log silent 10 min", "log silent 30 min", "utilisation < 5 %")


@dataclass(slots=True, kw_only=True)
class Baseline:
    """A rule as scripts have it."""

    false: int = 0
    delay_s: float | None = None
    on: bool = False


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How one night was judged."""

    night: Night
    hours: float = 0.0
    false: list[tuple[float, str, str]] = field(default_factory=list)
    """(second, verdict, reason) of each `stalled` or ending while all was well."""
    suspects: int = 0
    wakes: int = 0
    """Alerts that would have woken somebody while all was well."""
    looks: int = 0
    delay_s: float | None = None
    reason: str = ""
    flags: tuple[str, ...] = ()
    baselines: dict[str, Baseline] = field(
        default_factory=lambda: {name: Baseline() for name in BASELINES}
    )

    @property
    def missed(self) -> bool:
        """Its fault was not found."""
        return self.night.fault is not None and self.delay_s is None

    @property
    def false_stalls(self) -> int:
        """How often it was called stalled while all was well."""
        return sum(verdict == Liveness.STALLED for _, verdict, _ in self.false)


def draw(
    seed: int, mode: str, fault: str | None, step_s: float | None = None, *, shared: bool = False
) -> Night:
    """A random night; with *step_s*, one at that pace and otherwise as in the article.

    The article's box trains alone on its GPU, saves every 70 iterations in some seconds and has an
    even pace (2 to 10 % jitter); jumps, lags, starved watchers and suspends are drawn as in every
    night. With *shared*, others use that GPU, or there is none.
    """
    dice = random.Random(f"{seed}-{mode}-{fault}-{step_s}-{shared}")
    step = _log_uniform(dice, 0.05, 300.0) if step_s is None else step_s
    hours = dice.uniform(5, 12)
    save_s = _log_uniform(dice, 0.2, 600.0) if step_s is None else _log_uniform(dice, 1.0, 30.0)
    apart = max(_log_uniform(dice, 600.0, 6000.0), 3 * save_s)
    interval = max(1, round(apart / step)) if step_s is None else 70
    first = _log_uniform(dice, 1.0, 50.0)
    first_s = first * save_s
    hours = max(hours, 5 * (interval * step + save_s) / 3600) + first_s / 3600
    gpu = _gpu(dice) if step_s is None else _paced_gpu(dice, shared)
    plan: dict[str, object] = {
        "seed": seed,
        "mode": mode,
        "hours": hours,
        "step_s": step,
        "jitter": dice.uniform(0.02, 0.4) if step_s is None else dice.uniform(0.02, 0.1),
        "save_interval": interval,
        "save_s": save_s,
        "first_save_factor": first,
        "save_quiet": dice.uniform(0.0, 0.5),
        "first_save_limit_s": 1.5 * first_s if first_s > FIRST_SAVE_S else None,
        "load_s": _log_uniform(dice, 5, 900),
        "first_iteration_s": _log_uniform(dice, max(1.0, step), max(900.0, step)),
        "log_every": dice.choice((1, 1, 1, 1, 10)),
        "gpu": gpu,
        "ends": fault is None and dice.random() < 0.3,
    }
    steps = int(hours * 3600 / step)
    evaluates = fault == "eval-hang" or (step_s is None and dice.random() < 0.5)
    if evaluates:
        eval_s = _log_uniform(dice, 60, 3600.0)
        plan |= {"eval_s": eval_s}
        plan |= {"eval_interval": max(1, round(max(3 * eval_s, dice.uniform(1200, 7200)) / step))}
    if dice.random() < 0.5:
        plan["spikes"] = tuple(
            (dice.randrange(1, max(2, steps)), dice.uniform(1, 12))
            for _ in range(dice.randint(1, 5))
        )
    if dice.random() < 0.3:
        plan |= _slower(dice, gpu, steps)
    if mode != CHECKPOINTS and dice.random() < 0.15:
        plan["log_stops_at"] = dice.randrange(1, max(2, steps))
    if dice.random() < 0.15:
        plan["lag_s"] = dice.uniform(1, 60)
    if fault not in PHASES:
        plan |= _interruptions(dice, hours)
    night = Night(**plan)
    if fault is None:
        return night
    return _with_fault(night, fault, dice)


def _log_uniform(dice: random.Random, low: float, high: float) -> float:
    return math.exp(dice.uniform(math.log(low), math.log(high)))


def _gpu(dice: random.Random) -> Gpu | None:
    kind = dice.random()
    if kind < 0.1:
        return None
    busy = dice.uniform(35, 90)
    return Gpu(own=kind < 0.8, busy_w=busy, spread_w=busy * dice.uniform(0.05, 0.3))


def _paced_gpu(dice: random.Random, shared: bool) -> Gpu | None:
    busy = dice.uniform(35, 90)
    own = Gpu(own=not shared, busy_w=busy, spread_w=busy * dice.uniform(0.05, 0.3))
    return None if shared and dice.random() < 0.5 else own


def _slower(dice: random.Random, gpu: Gpu | None, steps: int) -> dict[str, object]:
    """From some iteration on all take up to twelve times as long.

    In a slow power state, which shows in clock and power, they take about twice as long.
    """
    begins = dice.randrange(1, max(2, steps))
    if gpu is not None and gpu.own and dice.random() < 0.3:
        return {
            "slower_from": begins,
            "slower": dice.uniform(1.5, 2.2),
            "slower_watts": 0.43 * gpu.busy_w,
        }
    return {"slower_from": begins, "slower": dice.uniform(1, 12.0)}


def _interruptions(dice: random.Random, hours: float) -> dict[str, object]:
    plan: dict[str, object] = {}
    end = hours * 3600
    if dice.random() < 0.3:
        plan["gaps"] = tuple(
            (dice.uniform(60, end), _log_uniform(dice, 10, 1800)) for _ in range(dice.randint(1, 3))
        )
    if dice.random() < 0.15:
        plan["pauses"] = ((dice.uniform(60, end), _log_uniform(dice, 60, 8 * 3600)),)
    return plan


def _with_fault(night: Night, name: str, dice: random.Random) -> Night:
    watts = (night.gpu or Gpu()).busy_w * dice.uniform(0.35, 0.6)
    kind = HANGS.get(name, name)
    phase = PHASES.get(name)
    if phase is not None:
        spells = [each for each in moments(night) if each.phase == phase]
        spells = spells[2:] if night.foreign and len(spells) > 2 else spells
        if not spells:
            raise ValueError(f"no {phase} in night {night.seed}")
        spell = dice.choice(spells)
        at_s = spell.at_s + dice.uniform(0.05, 0.9) * spell.lasts_s
    else:
        earliest = _settled(night)
        if earliest is None:
            raise ValueError(f"no cadence is known in night {night.seed}")
        latest = max(earliest + 60.0, night.hours * 3600)
        at_s = dice.uniform(earliest, latest)
        for begin, lasts in night.pauses:
            if begin <= at_s <= begin + lasts + 60.0:  # nothing happens while all is paused
                at_s = begin + lasts + 60.0
    fault = Fault(name=kind, at_s=round(at_s, 3), watts=watts)
    return replace(night, fault=fault, after_s=HORIZON_S + sum(lasts for _, lasts in night.pauses))


def _settled(night: Night) -> float | None:
    """From when on a fault must be found: without a heartbeat, once a cadence is known."""
    paused = sum(lasts for _, lasts in night.pauses)
    if night.mode == HEARTBEAT:
        return 30.0 + paused
    saved, before_s, saves, known = 0, 0.0, 0, False
    for each in moved_moments(night):
        if each.saved > saved:
            # Only what comes while somebody looks, and looked all the time since the one before.
            known = known or (saves > 0 and not _unseen(night, before_s, each.at_s))
            saved, before_s, saves = each.saved, each.at_s, saves + 1
        said = min(each.done, night.log_stops_at or each.done) // night.log_every
        if (saves >= 3 and known) or (night.mode == LOG and said > 12):
            return max(each.at_s + 60.0, paused)
    return None


def _unseen(night: Night, begin: float, end: float) -> bool:
    """Nobody looked at some second from *begin* to *end*."""
    spells = (*night.gaps, *night.pauses)
    return any(at <= end + 5.0 and at + lasts >= begin - 5.0 for at, lasts in spells)


def outcome(night: Night) -> Outcome:
    """Watch *night* to its end, or until its fault is found."""
    result = Outcome(night=night)
    replay, before = Replay(), Liveness.STARTING
    alerts = AlertState()
    rules = _Rules(result)
    fault_s = math.inf if night.fault is None else night.fault.at_s
    for frame in frames(night):
        rules.look(frame, fault_s)
        result.hours = frame.at_s / 3600
        if result.delay_s is not None:
            if frame.at_s - fault_s > 3600.0:
                break
            continue
        for look in replay.take(frame):
            result.looks += 1
            _note(result, look, before, fault_s)
            before = look.verdict.liveness
            if look.at_s < fault_s:
                alerts = _wake(result, alerts, look)
    return result


def _wake(result: Outcome, alerts: AlertState, look: Look) -> AlertState:
    """Ask the alerts, twice: a watcher looks again a second later."""
    seen = look.judged.observation
    for later in (0.0, 1.0):
        told = AlertLook(verdict=look.verdict, now_s=seen.taken_at + later, total=seen.total)
        alerts, due = alert_rules.advance(alerts, told, math.inf)
        result.wakes += sum(
            each.severity is Severity.WAKE and each.kind is not Kind.RECOVERED for each in due
        )
    return alerts


def _note(result: Outcome, look: Look, before: Liveness, fault_s: float) -> None:
    verdict = look.verdict
    if result.delay_s is not None:
        return
    if look.at_s < fault_s:
        if verdict.liveness is before:
            return
        ended = verdict.liveness in FINAL - {Liveness.FINISHED}
        # A foreign run that reaches its total has ended, and that is what one is told.
        ended = ended and not (verdict.liveness is Liveness.ENDED and result.night.ends)
        if verdict.liveness is Liveness.STALLED or ended:
            result.false.append((look.at_s, str(verdict.liveness), verdict.reason))
        result.suspects += verdict.liveness is Liveness.SUSPECT
        return
    assert result.night.fault is not None
    if result.night.fault.name in ENDINGS:
        found = verdict.liveness in FINAL
    else:
        found = verdict.liveness is Liveness.STALLED
    if found:
        result.delay_s = _awake_s(result.night, fault_s, look.at_s)
        result.reason, result.flags = verdict.reason, verdict.flags


def _awake_s(night: Night, begin: float, end: float) -> float:
    """Seconds between the two in which the machine was not paused."""
    asleep = (min(end, at + lasts) - max(begin, at) for at, lasts in night.pauses)
    return end - begin - sum(max(0.0, each) for each in asleep)


class _Rules:
    """What a script of ten lines would have said of the same frames."""

    def __init__(self, result: Outcome) -> None:
        self._result = result
        self._log_bytes = -1
        self._log_s = 0.0
        self._busy_s = 0.0

    def look(self, frame: Frame, fault_s: float) -> None:
        at, facts = frame.at_s, frame.facts
        if facts.log is not None and facts.log.size_bytes != self._log_bytes:
            self._log_bytes, self._log_s = facts.log.size_bytes, at
        gpus = facts.machine.gpus if facts.machine else ()
        if any((gpu.utilisation_percent or 0) >= 5 for gpu in gpus):
            self._busy_s = at
        silent = at - self._log_s if facts.log is not None else 0.0
        idle = at - self._busy_s if gpus else 0.0
        self._tell("log silent 10 min", silent > 600, at, fault_s)
        self._tell("log silent 30 min", silent > 1800, at, fault_s)
        self._tell("utilisation < 5 %", idle > 60, at, fault_s)

    def _tell(self, name: str, on: bool, at_s: float, fault_s: float) -> None:
        rule = self._result.baselines[name]
        if on and not rule.on and at_s < fault_s:
            rule.false += 1
        if on and at_s >= fault_s and rule.delay_s is None:
            rule.delay_s = at_s - fault_s
        rule.on = on


def cases(mode: str) -> Iterator[str]:
    """The faults that a run of this kind can be held to."""
    return (each for each in FAULTS if mode == HEARTBEAT or each not in NEED_A_HEARTBEAT)
