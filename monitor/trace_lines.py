"""Write the lines of a trace: what changed since the line before, as a merge patch. Pure.

The one rule: figures that move all the time (CPU time, memory, power) are no change. They ride
along with one, or come by themselves every half minute.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from monitor.ages import AgeState
from monitor.limits import DEFAULTS, FLOORS, LimitConfig
from monitor.trace import SOURCES, VERSION, Frame, TraceHeader

EVERY_S = 30.0
"""A line comes at least so often."""
FIGURES_S = 10.0
"""Figures ride along with a change when those that were last written are older."""
IDLE_S = 5.0
"""When something moves again after so long, the look before it is written, too: a rate is the
difference of two looks, and over half a minute a short burst would drown. So it is before a new
checkpoint, whose save took no longer than from the one look to the other."""

FIGURES = ("process", "machine")
ACTIVITY = ("cpu", "written", "gpu")
STEADY_STATES = frozenset("DTtXZ")
"""States of a process that are worth a line; R and S alternate all the time."""


class TraceLines:
    """Makes a run's lines, in the order of its looks."""

    def __init__(self, header: TraceHeader) -> None:
        self._boot = header.boot_id
        self._written: dict[str, Any] = {}
        self._figures_at: float | None = None
        self._line_at = 0.0
        self._key: object = None
        self._plain = _Plain()
        self._before: tuple[Frame, AgeState] | None = None

    def note(self, frame: Frame, state: AgeState, *, full: bool = False) -> list[dict[str, Any]]:
        """Return the lines that the look *frame*, after which all ages are *state*, is worth.

        With *full*, everything is said again, for a reader that knows nothing.
        """
        lines: list[dict[str, Any]] = []
        before, key = self._before, _key_of(frame, state)
        moved = before is not None and _woke(before[1], state)
        forced = full or frame.restart or frame.afresh or frame.last_look_s is not None
        due = self._figures_at is None or frame.at_s - self._line_at >= EVERY_S
        if before is not None and moved and not forced and before[0].at_s > self._line_at:
            lines.append(self.line(before[0], figures=True, full=False))
        if forced or due or moved or key != self._key:
            figures = forced or due or moved or frame.at_s - (self._figures_at or 0.0) >= FIGURES_S
            lines.append(self.line(frame, figures=figures or self._ends(frame), full=full))
        self._key, self._before = key, (frame, state)
        return lines

    def _ends(self, frame: Frame) -> bool:
        """Whether what a process is has changed, which no later line may say for it."""
        before = self._before[0].facts.process if self._before else None
        return _process_key(frame) != _process_key_of(before)

    def line(self, frame: Frame, *, figures: bool = True, full: bool = False) -> dict[str, Any]:
        """The line of *frame*; without *figures*, all but those that move all the time."""
        kept = () if figures else tuple(name for name in FIGURES if name in self._written)
        now = known_of(frame, self._plain, leave_out=kept)
        now |= {name: self._written[name] for name in kept}
        base = {} if full else self._written
        line: dict[str, Any] = {"at": round(frame.at_s, 3)}
        if full:
            line["full"] = True
        boot = frame.facts.boot_id
        if full or boot != self._boot:
            self._boot = boot
            line["boot"] = {"boot_id": boot, "monotonic_s": round(frame.facts.monotonic_s, 3)}
        if frame.last_look_s is not None:
            line["last_look"] = round(frame.last_look_s, 3)
        for name in ("restart", "afresh"):
            if getattr(frame, name):
                line[name] = True
        line |= patch_of(base, now)
        self._written, self._line_at = now, frame.at_s
        if figures:
            self._figures_at = frame.at_s
        return line


def header_line(header: TraceHeader) -> dict[str, Any]:
    """The first line of a trace."""
    line: dict[str, Any] = _plain(header)
    return {"trace": VERSION} | line


def dump(line: Mapping[str, Any]) -> str:
    """One line of the file, without its end."""
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


def overrides_of(limits: LimitConfig) -> dict[str, float]:
    """The `[liveness]` table that makes *limits* from the standard ones."""
    own = {
        f"{name}_default_s": value
        for name, value in limits.defaults.items()
        if value != DEFAULTS.get(name)
    }
    return own | {
        f"{name}_floor_s": value
        for name, value in limits.floors.items()
        if value != FLOORS.get(name)
    }


def known_of(
    frame: Frame, plain: _Plain | None = None, leave_out: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Everything that *frame* knows, as the lines of a trace would have left it.

    *plain* remembers the sources from one frame to the next.
    """
    facts, plain = frame.facts, plain or _Plain()
    known: dict[str, Any] = {
        name: plain.of(name, value)
        for name in SOURCES
        if name not in leave_out and (value := getattr(facts, name)) is not None
    }
    if gpus := known.get("machine", {}).get("gpus"):
        # By index, so that a line can change one figure of one GPU.
        known["machine"] |= {"gpus": {str(gpu["index"]): _without_index(gpu) for gpu in gpus}}
    if facts.held is not None:
        known["held"] = facts.held
    if frame.unreadable:
        known["unreadable"] = list(frame.unreadable)
    if frame.limits.seeds:
        known["seeds"] = {name: round(value, 3) for name, value in frame.limits.seeds.items()}
    return known | {"subject": plain.of("subject", frame.subject)}


def _without_index(gpu: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in gpu.items() if name != "index"}


class _Plain:
    """The JSON form of each source; one that has not changed is not taken apart again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, Any]] = {}

    def of(self, name: str, value: object) -> Any:
        """The form of *value*; not to be changed by the caller, except at its top."""
        known = self._known.get(name)
        if known is None or (known[0] is not value and known[0] != value):
            known = self._known[name] = (value, _plain(value))
        return dict(known[1]) if isinstance(known[1], dict) else known[1]


def patch_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch (RFC 7396) that turns *before* into *after*."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        known = before.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            if inner := patch_of(known, value):
                patch[name] = inner
        elif value != known:
            patch[name] = value
    return patch


def _key_of(frame: Frame, state: AgeState) -> object:
    """What makes a look worth a line: a mark that changed, and what has no mark."""
    facts = frame.facts
    marks = tuple((name, mark.key) for name, mark in state.marks.items() if name not in ACTIVITY)
    return (
        marks,
        facts.boot_id,
        facts.held,
        facts.log_progress,
        frame.subject,
        frame.unreadable,
        frame.limits.seeds,
        _process_key(frame),
    )


def _process_key(frame: Frame) -> object:
    return _process_key_of(frame.facts.process)


def _process_key_of(process: Any) -> object:
    if process is None:
        return None
    state = process.state if process.state in STEADY_STATES else None
    wchan = process.wchan if "pipe" in (process.wchan or "") else None
    return process.alive, state, wchan, process.zombies, process.pipe


def _woke(before: AgeState, after: AgeState) -> bool:
    """Something that had been idle for a while is used again, or a checkpoint is whole."""
    whole = after.marks.get("whole")
    if whole is not None and whole is not before.marks.get("whole"):
        return True
    for name in ACTIVITY:
        old, new = before.marks.get(name), after.marks.get(name)
        if old is None or new is None or old is new or old.at is None:
            continue
        if after.observed_s - old.at >= IDLE_S:
            return True
    return False


def _plain(value: Any) -> Any:
    """The JSON form of a frozen value without what its class has as default."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if value.__class__ in _SIMPLE:
        return value
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if not hasattr(value, "__dataclass_fields__"):
        return value
    return {
        name: each if each.__class__ in _SIMPLE else _plain(each)
        for name, default in _defaults(value.__class__)
        if (each := getattr(value, name)) is not None and each != default
    }


_SIMPLE = frozenset({int, str, bool})


@cache
def _defaults(kind: type) -> tuple[tuple[str, object], ...]:
    return tuple(
        (
            each.name,
            each.default_factory()
            if each.default_factory is not dataclasses.MISSING
            else each.default,
        )
        for each in dataclasses.fields(kind)
    )
