"""Judge a recorded run again, without a clock: verdicts and the seconds at which they changed.

Pure. The one rule: between two lines of a trace nothing has changed but the ages, so only the end
of that time is judged; where the verdict is another one there, the moment is found by halving.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from monitor.ages import AgeState
from monitor.model import Liveness, Verdict
from monitor.trace import Frame
from monitor.watch_fold import Judged, take_look

SHORT_TICKS = 2.0
"""A shorter time between two lines is not judged apart: a live watcher is no more exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One judged instant of a trace."""

    at_s: float
    frame: Frame
    judged: Judged

    @property
    def verdict(self) -> Verdict:
        """What was said."""
        return self.judged.verdict

    @property
    def word(self) -> tuple[Liveness, tuple[str, ...]]:
        """What makes one verdict another one; its figures and its sentence move all the time."""
        return self.verdict.liveness, self.verdict.flags


class Replay:
    """Judges one frame after another, as the watcher did."""

    def __init__(self, tick_s: float = 1.0, wall_s: float | None = None) -> None:
        self._tick_s = tick_s
        self._wall_s = wall_s
        self._last: Look | None = None
        self._state = AgeState()
        self._seen_wall: float | None = None

    @property
    def state(self) -> AgeState:
        """What is known after the last frame."""
        return self._state

    def take(self, frame: Frame) -> Iterator[Look]:
        """Judge all that happened up to *frame*, and *frame* itself."""
        if self._last is not None:
            yield from self._meanwhile(self._last, frame)
        if frame.afresh:
            self._state = AgeState()
        elif frame.restart:
            self._state = replace(self._state, restored=True)
        before = self._last
        gap = frame.last_look_s is not None or frame.restart
        since = frame.at_s - before.at_s if before is not None else 0.0
        tick_s = self._tick_s if gap else max(self._tick_s, since)
        if before is not None and before.frame.facts.boot_id != frame.facts.boot_id:
            self._seen_wall = None if self._wall_s is None else self._wall_s + before.at_s
        look = self._look(self._state, frame, frame.at_s, tick_s)
        self._state, self._last = look.judged.state, look
        yield look

    def _meanwhile(self, last: Look, frame: Frame) -> Iterator[Look]:
        """The looks between two frames at which the verdict changed."""
        watched = self._watched_until(last, frame)
        if watched - last.at_s > SHORT_TICKS * self._tick_s:
            yield from self._between(last, last, self._at(last, watched))
        if frame.last_look_s is not None and watched > last.at_s:
            self._last = self._at(last, watched)
            self._state = self._last.judged.state

    def _watched_until(self, last: Look, frame: Frame) -> float:
        """The second of the last look before *frame*."""
        if frame.last_look_s is not None:
            return frame.last_look_s
        other = frame.restart or frame.afresh or last.frame.facts.boot_id != frame.facts.boot_id
        return last.at_s if other else frame.at_s - self._tick_s

    def _between(self, last: Look, early: Look, late: Look) -> Iterator[Look]:
        """Halve until each change is known to a tick; the first of each is a look of its own."""
        if early.word == late.word:
            return
        apart = late.at_s - early.at_s
        if apart < 1.5 * self._tick_s:
            yield late
            return
        ticks = max(1, int(apart / self._tick_s / 2))
        middle = self._at(last, early.at_s + ticks * self._tick_s)
        yield from self._between(last, early, middle)
        yield from self._between(last, middle, late)

    def _at(self, last: Look, at_s: float) -> Look:
        """The look at *at_s* while all was as at *last*."""
        since = at_s - last.at_s
        frame = last.frame
        monotonic_s = frame.facts.monotonic_s + at_s - frame.at_s
        facts = replace(frame.facts, monotonic_s=monotonic_s)
        frame = replace(frame, facts=facts, at_s=at_s)
        return self._look(self._state, frame, at_s, max(self._tick_s, since))

    def _look(self, state: AgeState, frame: Frame, at_s: float, tick_s: float) -> Look:
        judged = take_look(
            state,
            frame.facts,
            frame.subject,
            tick_s=tick_s,
            limits=frame.limits,
            unreadable=frame.unreadable,
            last_sample_wall=self._seen_wall,
        )
        return Look(at_s=at_s, frame=frame, judged=judged)


def replay(
    frames: Iterable[Frame], tick_s: float = 1.0, wall_s: float | None = None
) -> Iterator[Look]:
    """Judge *frames* in turn; every look that was judged, most of them saying nothing new."""
    player = Replay(tick_s, wall_s)
    for frame in frames:
        yield from player.take(frame)


def changes(looks: Iterable[Look]) -> Iterator[Look]:
    """The looks at which the verdict or its flags became others."""
    before: Look | None = None
    for look in looks:
        if before is None or look.word != before.word:
            yield look
        before = look
