"""Tell a training that diverges by its losses. Pure, in bounded memory.

The rule: a loss that is no number is trouble at once, for the weights hold none either from then
on. A high loss is trouble only when most of the recent ones lie far above the run's own best level,
by factor, by spread and by distance; a spike, a noisy start and a hard stretch of data are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitor.frozen import replace
from monitor.middle import median
from monitor.model import Evidence, Heartbeat, History, Stage
from monitor.readings import LogProgress

RECENT = 9
"""The median of so many losses is the level; fewer than half of them cannot move it far."""
LONG = 31
"""The best level is one that held for so many losses; before them there is no judgement."""
GRAD_NANS = 3
"""Gradient norms in a row: fp16 scaling skips one or two of them as a matter of course."""
CLEAN = 10
"""Numbers in a row after which a NaN is over."""
FACTOR = 2.5
FAR = 2.0
HIGH_SHARE = 0.6
"""Nats, and a share: far from a high level, though not FACTOR times as much."""
NEAR = 0.5
"""And so few are near, though they are more than FACTOR times a low one."""
SPREADS = 8.0
HELD = 8
"""Iterations for which the level must lie above the limit."""
RECOVERED = 0.5
"""Share of the way up to the limit under which an explosion is over."""
HUGE = 1e100
"""Larger losses count as this: their differences must stay finite."""
SPREAD_MEMORY = 0.05
"""Weight of the newest deviation in the spread."""


class LossTrouble(StrEnum):
    """Flags of a verdict."""

    NAN = "nan-loss"
    EXPLODING = "exploding-loss"


@dataclass(frozen=True, slots=True)
class Loss:
    """One iteration's loss, as the heartbeat or the log gives it."""

    iteration: int | None
    value: float | None
    nan: bool = False
    """It is no number; None alone is not known."""
    grad_nan: bool = False
    key: str = ""
    """Tells one iteration from the next where they are not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossState:
    """What the losses so far amount to; kept in watch.json."""

    key: str = ""
    """Of the last loss that was taken into account."""
    iteration: int | None = None
    recent: tuple[float, ...] = ()
    best: float | None = None
    """The lowest level so far."""
    spread: float = 0.0
    """How far losses usually lie from their level."""
    nans: int = 0
    """NaN losses, or NaN gradients that count as such, since the last clean spell."""
    grad_nans: int = 0
    """In a row."""
    clean: int = 0
    """Numbers in a row."""
    over: int = 0
    """Iterations in a row with a level above the limit."""
    high: bool = False
    nan_since: int | None = None
    high_since: int | None = None
    """Iteration at which the trouble was first seen."""

    @property
    def level(self) -> float | None:
        """The median of the recent losses; None before there are enough."""
        return median(self.recent[-RECENT:]) if len(self.recent) >= RECENT else None


def loss_of(heartbeat: Heartbeat | None, progress: LogProgress | None) -> Loss | None:
    """The newest loss: the heartbeat's where it tells one, else the log's.

    Beside a heartbeat only a line about the very same iteration counts: a log may still hold those
    of an earlier attempt.
    """
    if heartbeat is not None:
        if heartbeat.stage != Stage.TRAIN:
            return None
        if heartbeat.loss is not None or heartbeat.nan:
            key = f"{heartbeat.attempt}|{heartbeat.done}"
            return Loss(heartbeat.done, heartbeat.loss, heartbeat.nan, key=key)
        if progress is None or not heartbeat.done or progress.iteration != heartbeat.done:
            return None
    if progress is None:
        return None
    if progress.loss is None and not progress.nan and not progress.grad_nan:
        return None
    key = f"log|{progress.iteration}|{progress.epoch}"
    return Loss(progress.iteration, progress.loss, progress.nan, progress.grad_nan, key)


def follow(state: LossState, loss: Loss | None) -> LossState:
    """Return the state after one more look; the same iteration counts once."""
    if loss is None or loss.key == state.key:
        return state
    if _went_back(state, loss):
        # Resumed from a checkpoint: what is recent begins anew, the best level holds.
        state = replace(state, recent=(), nans=0, grad_nans=0, over=0, high=False)
    state = replace(state, key=loss.key, iteration=loss.iteration)
    state = _follow_nan(state, loss)
    return state if loss.value is None else _follow_level(state, loss.value)


def judge_loss(state: LossState) -> LossTrouble | None:
    """Name the trouble that *state* shows."""
    if state.nans:
        return LossTrouble.NAN
    return LossTrouble.EXPLODING if state.high else None


def loss_flags(history: History) -> tuple[str, ...]:
    """The flags that a verdict carries for it."""
    return () if history.loss_trouble is None else (history.loss_trouble,)


def with_loss(reason: str, history: History) -> str:
    """A verdict's sentence, and what is wrong with the losses: the run lives, but not its model."""
    return f"{reason}; {history.loss_words}" if history.loss_trouble else reason


def loss_evidence(history: History) -> tuple[Evidence, ...]:
    """What to show beside the other signals; nothing while the losses are in order."""
    if history.loss_trouble is None:
        return ()
    return (Evidence(signal="loss", detail=history.loss_words, supports=history.loss_trouble),)


def describe_loss(state: LossState) -> str:
    """Say in a sentence what is wrong; empty where nothing is."""
    trouble = judge_loss(state)
    since = state.nan_since if trouble is LossTrouble.NAN else state.high_since
    where = "" if since is None else f" since iteration {since}"
    if trouble is LossTrouble.NAN:
        return f"the loss is no number{where}"
    if trouble is LossTrouble.EXPLODING and state.level is not None and state.best is not None:
        return f"the loss is {state.level:.4g}{where}, its best level was {state.best:.4g}"
    return ""


def _went_back(state: LossState, loss: Loss) -> bool:
    known, new = state.iteration, loss.iteration
    return known is not None and new is not None and new < known


def _follow_nan(state: LossState, loss: Loss) -> LossState:
    grad_nans = state.grad_nans + 1 if loss.grad_nan else 0
    if loss.nan or grad_nans >= GRAD_NANS:
        since = state.nan_since if state.nans else loss.iteration
        return replace(state, nans=state.nans + 1, grad_nans=grad_nans, clean=0, nan_since=since)
    clean = 0 if loss.grad_nan or loss.value is None else state.clean + 1
    nans = 0 if clean >= CLEAN else state.nans
    return replace(state, nans=nans, grad_nans=grad_nans, clean=clean)


def _follow_level(state: LossState, value: float) -> LossState:
    recent = (*state.recent, max(-HUGE, min(HUGE, value)))[-LONG:]
    state = replace(state, recent=recent)
    if len(recent) < LONG:
        return state
    usual, level = median(recent), median(recent[-RECENT:])
    best, spread = _first_level(recent) if state.best is None else (state.best, state.spread)
    best = min(best, usual)
    limit = _limit(best, spread)
    if not state.high and level < limit:
        # What lies above the limit must not widen it.
        spread += SPREAD_MEMORY * (_median_deviation(recent, usual) - spread)
    over = state.over + 1 if level > limit else 0
    floor = best + RECOVERED * (limit - best)
    high = level > floor if state.high else over >= HELD
    since = state.iteration if over == 1 and not state.high else state.high_since
    return replace(state, best=best, spread=spread, over=over, high=high, high_since=since)


def _first_level(losses: tuple[float, ...]) -> tuple[float, float]:
    """Level and spread of the best stretch of the first losses: some diverge in their warm-up."""
    stretches = [losses[at : at + RECENT] for at in range(len(losses) - RECENT + 1)]
    levels = [median(each) for each in stretches]
    spreads = [_median_deviation(*each) for each in zip(stretches, levels, strict=True)]
    return min(levels), median(spreads)


def _median_deviation(values: Sequence[float], middle: float) -> float:
    return median([abs(each - middle) for each in values])


def _limit(best: float, spread: float) -> float:
    """The level above which the losses explode."""
    size = abs(best)
    far = min((FACTOR - 1) * size, max(FAR, HIGH_SHARE * size))
    return best + max(far, NEAR, SPREADS * spread)
