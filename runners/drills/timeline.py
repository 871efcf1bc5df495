"""What was seen in a drill, and whether it is what the drill must bring. Pure.

The rule: every expected verdict, in its order, within its limit, and no other that casts doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.memory_model import MemoryLevel
from monitor.model import FINAL, Liveness
from runners.drills.table import CALM, Drill, Step

MEMORY_FLAGS = frozenset(f"memory-{level}" for level in MemoryLevel)
TRANSIENT = "the trainer has ended; the keeper has not recorded how yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One verdict of the watcher, as watch.json gave it."""

    real_s: float
    """Seconds since the drill began."""
    verdict: Liveness
    reason: str
    flags: tuple[str, ...] = ()
    memory_of_others: bool = False
    """What is said of memory is known to come from something else on the machine."""
    signature: str | None = None
    iteration: int | None = None
    limit_s: float | None = None
    silent_s: float | None = None
    """Judged seconds since the last progress."""

    @property
    def key(self) -> tuple[Liveness, tuple[str, ...]]:
        """What makes two looks the same line of the timeline."""
        return self.verdict, tuple(flag for flag in self.flags if flag != self.verdict)


@dataclass(slots=True)
class Timeline:
    """The looks of one drill, and how far it got in what is expected."""

    drill: Drill
    lines: list[Look] = field(default_factory=list)
    """The first look of each spell."""
    expected: list[bool] = field(default_factory=list)
    """Beside `lines`: whether the line brought the next expected step."""
    _next: int = 0
    _last: Look | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def awaited(self) -> Step | None:
        """The next step that must be seen; None once all were."""
        return self.drill.expect[self._next] if self._next < len(self.drill.expect) else None

    def add(self, look: Look) -> Step | None:
        """Take one look into account; return the expected step that it brought, if it did."""
        if look.verdict is Liveness.LOST and look.reason.startswith(TRANSIENT):
            return None
        fresh = self._last is None or look.key != self._last.key
        self._last = look
        step = self.awaited
        brought = step if step is not None and matches(step, look) else None
        if brought is not None:
            self._next += 1
            self._note_late(look)
        if fresh or brought is not None:
            self.lines.append(look)
            self.expected.append(brought is not None)
        if fresh:
            self._note_doubt(look)
        return brought

    def verdict(self, woken: Sequence[str] | None) -> list[str]:
        """Return what was not as expected; *woken*: the alerts that would have woken someone.

        None: there is nothing to tell of alerts.
        """
        problems = list(dict.fromkeys(self.problems))
        if self.awaited is not None:
            last = self._last
            seen = f"; the last was {last.verdict}: {last.reason}" if last else ""
            problems.append(f"{describe(self.awaited)} was never seen{seen}")
        if woken is not None and self.drill.wakes and not woken:
            problems.append("nobody would have been woken")
        if woken is not None and not self.drill.wakes:
            problems += [f"someone would have been woken: {text}" for text in woken]
        return problems

    def _note_late(self, look: Look) -> None:
        """A stall must be called at its limit; that it is not called before is the judge's."""
        if look.verdict is not Liveness.STALLED or look.limit_s is None or look.silent_s is None:
            return
        if look.silent_s > look.limit_s + self.drill.late_s:
            self.problems.append(
                f"stalled came late: {look.silent_s:.0f} s after the last progress, "
                f"the limit is {look.limit_s:.0f} s"
            )

    def _note_doubt(self, look: Look) -> None:
        steps = self.drill.expect
        known = {str(step.verdict) for step in steps} | {str(step.flag) for step in steps}
        known |= CALM | self.drill.allowed
        self.problems += [
            f"{word} was not expected: {look.reason}"
            for word in (look.verdict, *look.flags)
            if word not in known and not self._is_of_others(word, look)
        ]

    def _is_of_others(self, word: str, look: Look) -> bool:
        """A drill in which nothing is wrong answers for its own memory, not for a neighbour's."""
        return self.drill.healthy and look.memory_of_others and word in MEMORY_FLAGS


def matches(step: Step, look: Look) -> bool:
    """Whether *look* is what *step* expects."""
    if step.verdict is not None and look.verdict is not step.verdict:
        return False
    if step.flag is not None and step.flag not in look.flags:
        return False
    if step.signature is not None and look.signature != step.signature:
        return False
    return step.says is None or step.says in look.reason


def describe(step: Step) -> str:
    """Say what a step expects."""
    words = [str(each) for each in (step.verdict, step.flag, step.signature) if each]
    said = f" ({step.says!r})" if step.says else ""
    return " with ".join(words) + said


def over(look: Look) -> bool:
    """Whether nothing more will be seen in this attempt."""
    return look.verdict in FINAL
