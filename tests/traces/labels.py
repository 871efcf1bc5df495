"""What a labelled trace is: what happens, which verdict must come by when, which must not come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from night import Fault, Night, frames

from monitor.trace import Frame

SHARP = 260.0
"""Eight steps at 32.4 s: by then a hang with a heartbeat must be told."""
IDLE = 660.0
"""Ten minutes, and the half minute that a trace does not resolve, when the box is idle."""
TROUBLE = ("suspect", "stalled", "failed", "lost", "ended")
ALARMS = ("stalled", "failed", "lost", "ended")

SIMULATED = "simulated"

Frames = Iterable[Frame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A trace to be made."""

    what: str
    frames: Callable[[], Frames]
    expect: tuple[dict[str, Any], ...] = ()
    forbid: tuple[dict[str, Any], ...] = ()
    fault_at: float | None = None
    limits: dict[str, float] = field(default_factory=dict)
    source: str = SIMULATED


TRACES: dict[str, Labelled] = {}


def expect(word: str, start: float, by: float) -> dict[str, Any]:
    """The verdict or flag *word* must be there at some second from *start* to *by*."""
    return {"word": word, "from": start, "by": by}


def forbid(*words: str, start: float = 0.0, until: float | None = None) -> tuple[Any, ...]:
    """None of *words* may come from *start* until *until*."""
    return tuple({"word": word, "from": start, "until": until} for word in words)


def healthy(name: str, what: str, night: Night, *also: Any, strict: bool = True) -> None:
    """A night on which nobody may be woken; with *strict*, nothing may even be suspect."""
    words = TROUBLE if strict else ALARMS
    TRACES[name] = Labelled(
        what=what, frames=lambda: frames(night), expect=also, forbid=forbid(*words)
    )


def hang(
    name: str,
    what: str,
    night: Night,
    within_s: float,
    *also: Any,
    word: str = "stalled",
    change: Callable[[Frames], Frames] | None = None,
) -> None:
    """A night with a fault: *word* comes within *within_s*, and no alarm before it."""
    assert night.fault is not None
    at = night.fault.at_s
    night = replace(night, after_s=within_s + 120.0)
    TRACES[name] = Labelled(
        what=what,
        frames=lambda: change(frames(night)) if change else frames(night),
        expect=(expect(word, at, at + within_s), *also),
        forbid=forbid(*ALARMS, until=at),
        fault_at=at,
    )


def spinning(at_s: float, watts: float) -> Fault:
    return Fault(name="spin", at_s=at_s, watts=watts)


def changed(name: str, what: str, made: Callable[[], Frames], *also: Any, **more: Any) -> None:
    TRACES[name] = Labelled(what=what, frames=made, expect=also, **more)
