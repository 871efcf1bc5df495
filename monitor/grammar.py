"""Understand a trainer's log: what each line says, and what all lines so far amount to. Pure.

The rule: the log is a hint that anyone can write into. Nothing in it raises, nothing in it grows
what is kept, and a bar counts as the training's only as far as other lines bear it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.frozen import replace
from monitor.grammars import described, megatron, plain, trainer
from monitor.grammars.fact import Kind, LogFact, without_labels
from monitor.model import Phase
from monitor.readings import LogProgress

LINE_BYTES = 8192
"""More of a line is not looked at."""
SHORT_BYTES = 8
TRACEBACK_LINES = 400
"""After so many lines without an exception's name a traceback is over."""
TOTALS = 4
"""Different totals of bars that are kept apart."""
CERTAIN_VOTES = 3
"""So many make the training's bar of one with another total than was announced."""
MARK_S, MARK_STEPS = 20, 8
"""A pace is measured over at least so much of a bar."""
WHOLE_SECONDS = 10
"""A bar tells whole seconds; a shorter span would be too coarse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """What is known of the log's bars."""

    expected: int | None = None
    """The training's total, where somebody said it."""
    seen: tuple[tuple[int, int], ...] = ()
    """(total, votes): how often such a bar followed a line with a loss, as the training's does."""
    after_loss: bool = False
    last: tuple[int, int] | None = None
    """(iterations, seconds) of the training's bar, as it was last drawn."""
    marks: tuple[tuple[int, int], ...] = ()
    """Two earlier such points; the pace is measured from the older one."""
    from_zero: bool = False
    """It counted every iteration from the first one on and nothing else: its rate is a pace."""

    @property
    def total(self) -> int | None:
        """The total of the training's bar: as it was announced, unless no such bar ever comes."""
        # The first of those with the most votes: a training's bar begins before its evaluations'.
        total, votes = max(self.seen, key=lambda each: each[1], default=(None, 0))
        announced = any(each == self.expected for each, _ in self.seen)
        if self.expected is not None and (announced or votes < CERTAIN_VOTES):
            return self.expected
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What is known after some lines; bounded, whatever they hold."""

    progress: LogProgress = field(default_factory=LogProgress)
    bars: Bars = field(default_factory=Bars)
    total: int | None = None
    """Of the training, as whoever started it says."""
    ended: bool = False
    names_loss: bool = False
    """Step lines have named `lm loss`, so that its absence means something."""
    traceback: int = 0
    """Lines of a traceback that may still follow."""


def begin(total: int | None = None) -> LogState:
    """Return the state before any line; *total* are the iterations of the training, if known."""
    return LogState(total=total, bars=Bars(expected=total))


def parse(line: bytes) -> LogFact | None:
    """Return what *line* (a line, or a redraw between two carriage returns) says, by itself."""
    if len(line) < SHORT_BYTES:
        return None
    line = without_labels(line[:LINE_BYTES])
    if b"poch'" in line or b'poch"' in line or b"train_runtime" in line or b"_rate'" in line:
        return trainer.read_dictionary(line)
    if b"%|" in line:
        return trainer.read_bar(line) or described.read_described(line)
    if b"iteration" in line:
        fact = megatron.read_iteration(line) or plain.read_iteration(line)
        if fact is not None:
            return fact
    elif b" loss=" in line and (fact := megatron.read_nemo_1(line)) is not None:
        return fact
    if b"Total " in line or b"Saving model " in line:
        return trainer.read_banner(line)
    return megatron.read_other(line) or plain.read_error(line)


def fold(state: LogState, line: bytes) -> LogState:
    """Return the state after one more line."""
    line = without_labels(line)
    fact = parse(line)
    if state.traceback and (fact is None or fact.kind is Kind.ERROR):
        if len(line) < SHORT_BYTES or line[:1].isspace():
            return replace(state, traceback=state.traceback - 1)
        fact = plain.read_last_line(line[:LINE_BYTES]) or fact
        if fact is None:
            return replace(state, traceback=state.traceback - 1)
    return state if fact is None else take(state, fact)


def take(state: LogState, fact: LogFact) -> LogState:
    """Return the state after what a line says."""
    after, before = _taken(state, fact), state.progress.iteration
    now = after.progress.iteration
    if now is None or before is None or now <= before:
        return after
    return replace(after, progress=replace(after.progress, every=now - before))


def _taken(state: LogState, fact: LogFact) -> LogState:
    match fact.kind:
        case Kind.BAR:
            return _take_bar(state, fact)
        case Kind.STEP:
            return _take_step(state, fact)
        case Kind.METRICS:
            return _take_metrics(state, fact)
        case Kind.NOTE:
            return _take_note(state, fact)
        case Kind.EVALUATED:
            ended = Phase.STOPPING if state.ended else Phase.ITERATION
            known = replace(state.progress, eval_loss=fact.eval_loss, phase=ended)
            # An evaluation is no part of the pace, but of tqdm's rate it is one for a while.
            bars = replace(state.bars, marks=(), from_zero=False)
            return replace(state, progress=known, bars=bars)
        case Kind.ENDED:
            known = replace(state.progress, phase=Phase.STOPPING)
            return replace(state, progress=known, ended=True)
        case Kind.BEGUN:
            return replace(begin(state.total), progress=LogProgress(phase=fact.phase))
        case Kind.LOADING:
            if state.progress.iteration is not None:
                return state
            return replace(state, progress=replace(state.progress, phase=fact.phase))
        case Kind.TRACEBACK:
            return replace(state, traceback=TRACEBACK_LINES)
        case Kind.ERROR:
            return replace(state, traceback=0, progress=replace(state.progress, error=fact.error))


def _take_step(state: LogState, fact: LogFact) -> LogState:
    """A whole account of one iteration; an error before it was survived."""
    known = state.progress
    nan = fact.nan or (fact.no_loss and (fact.loss is None or state.names_loss))
    return replace(
        state,
        progress=replace(
            known,
            iteration=fact.iteration,
            total=fact.total or known.total,
            loss=None if nan else fact.loss,
            nan=nan,
            grad_nan=fact.grad_nan,
            lr=fact.lr,
            grad_norm=fact.grad_norm,
            step_s=fact.step_s or known.step_s,
            memory_bytes=fact.memory_bytes or known.memory_bytes,
            phase=Phase.ITERATION,
            error=None,
        ),
        names_loss=state.names_loss or (fact.loss is not None and not fact.no_loss),
        ended=False,
        traceback=0,
    )


def _take_metrics(state: LogState, fact: LogFact) -> LogState:
    known = state.progress
    return replace(
        state,
        progress=replace(
            known,
            iteration=known.iteration if fact.iteration is None else fact.iteration,
            total=fact.total or known.total,
            loss=fact.loss,
            nan=fact.nan,
            grad_nan=fact.grad_nan,
            lr=fact.lr,
            grad_norm=fact.grad_norm,
            epoch=fact.epoch,
            phase=Phase.ITERATION,
            error=None,
        ),
        bars=replace(state.bars, after_loss=True),
        ended=False,
        traceback=0,
    )


def _take_note(state: LogState, fact: LogFact) -> LogState:
    known, bars = state.progress, state.bars
    if fact.total is not None and state.total is None:
        bars = replace(bars, expected=fact.total)
    return replace(
        state,
        bars=bars,
        progress=replace(
            known,
            iteration=known.iteration if fact.iteration is None else fact.iteration,
            total=fact.total or known.total,
            step_s=fact.step_s or known.step_s,
            save_s=known.save_s if fact.save_s is None else fact.save_s,
            saved=known.saved if fact.saved is None else fact.saved,
            memory_bytes=fact.memory_bytes or known.memory_bytes,
            phase=known.phase if fact.phase is None else fact.phase,
        ),
    )


def _take_bar(state: LogState, fact: LogFact) -> LogState:
    """Tell the training's bar from an evaluation's, then read the iteration and the pace off it."""
    if state.ended and not (fact.iteration == 0 and not fact.nested):
        return state
    bars = state.bars if fact.nested else _counted(state, fact)
    known = state.progress
    if fact.nested or fact.total != bars.total:
        trained = known.iteration is not None and known.phase != Phase.LOADING
        # A full one may be drawn once more after its evaluation has ended.
        phase = Phase.EVALUATING if trained and fact.iteration != fact.total else known.phase
        return replace(state, bars=bars, progress=replace(known, phase=phase))
    assert fact.iteration is not None
    point = (fact.iteration, fact.elapsed_s or 0)
    step_s, bars = _paced(bars, point, fact.step_s)
    began = fact.iteration == 0
    moved = fact.iteration != known.iteration
    phase = Phase.FIRST_ITERATION if began else Phase.ITERATION
    return replace(
        state,
        bars=bars,
        ended=False,
        progress=replace(
            known,
            iteration=fact.iteration,
            total=fact.total,
            step_s=step_s or (None if began else known.step_s),
            # The bar is redrawn while a checkpoint is written, too: only a step ends that.
            phase=known.phase if known.phase == Phase.SAVING and not moved else phase,
            error=None if moved else known.error,
        ),
    )


def _counted(state: LogState, fact: LogFact) -> Bars:
    """Vote for a bar that follows a loss; a first bar that is full makes way for one that begins.

    Before a training someone may have evaluated: that bar is full when the training's begins.
    """
    assert fact.total is not None
    bars, votes = state.bars, dict(state.bars.seen)
    begins = fact.iteration == 0 and fact.total not in votes and not state.ended
    if begins and bars.last and bars.last[0] == bars.total:
        votes = {total: count for total, count in votes.items() if count}
    votes[fact.total] = votes.get(fact.total, 0) + bars.after_loss
    if len(votes) > TOTALS:
        least = min((each for each in votes if each != fact.total), key=votes.__getitem__)
        del votes[least]
    return replace(bars, seen=tuple(votes.items()), after_loss=False)


def _paced(bars: Bars, point: tuple[int, int], rate_s: float | None) -> tuple[float | None, Bars]:
    """Return seconds an iteration, and the bars with *point* taken into account.

    tqdm's own rate counts what a resumed training skips as done in a moment, and forgets that only
    after dozens of iterations; so the pace is measured between two points of the bar.
    """
    (done, elapsed), last, marks = point, bars.last or point, bars.marks
    anew = done < last[0] or elapsed < last[1]
    skipped = last[0] == 0 and done > 1 and elapsed > last[1]
    if not marks or anew or skipped:
        marks = (point,)
    elif done - marks[-1][0] >= MARK_STEPS and elapsed - marks[-1][1] >= MARK_S:
        marks = (marks[-1], point)
    from_zero = done == 0 or (bars.from_zero and not anew and not skipped)
    step_s = rate_s if from_zero else None
    steps, seconds = done - marks[0][0], elapsed - marks[0][1]
    if steps > 0 and seconds >= WHOLE_SECONDS:
        step_s = seconds / steps
    return step_s, replace(bars, last=point, marks=marks, from_zero=from_zero)
