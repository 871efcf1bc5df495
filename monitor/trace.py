"""A trace: what a watcher saw of a run, line by line, so that it can be judged again.

Pure. The schema is in docs/trace-format.md. The one rule: a line is a merge patch (RFC 7396) of
what was known before it, so a line that cannot be read is the end, in one sentence with its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.codec import decode
from monitor.errors import MonitorError
from monitor.facts import Facts
from monitor.limits import LimitConfig, limits_from, seeded
from monitor.model import (
    CheckpointReading,
    Heartbeat,
    LogProgress,
    LogReading,
    MachineReading,
    ProcessReading,
)
from monitor.subject import Subject

VERSION = 1
"""`trace` of a header."""

SOURCES: Mapping[str, type] = {
    "heartbeat": Heartbeat,
    "checkpoints": CheckpointReading,
    "log": LogReading,
    "log_progress": LogProgress,
    "process": ProcessReading,
    "machine": MachineReading,
}
"""Fields of `Facts` that a line may change, each the JSON form of its class."""

_CONTROL = frozenset({"at", "full", "boot", "last_look", "restart", "afresh"})
_OTHERS = frozenset({"subject", "seeds", "held", "unreadable"})


class TraceError(MonitorError):
    """A trace cannot be read; the message names the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHeader:
    """The first line of a trace."""

    trace: int
    run: str
    lane: str | None = None
    tick_s: float = 1.0
    wall_s: float | None = None
    """The wall clock at second 0 of the trace, for display."""
    boot_id: str = "boot"
    monotonic_s: float = 0.0
    """CLOCK_MONOTONIC of `boot_id` at second 0."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """The recipe's `[liveness]` table."""
    label: Any = None
    """What a test expects of the trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One look: everything that was known at second `at_s`."""

    at_s: float
    facts: Facts
    subject: Subject
    limits: LimitConfig
    unreadable: tuple[str, ...] = ()
    last_look_s: float | None = None
    """Nobody looked between this second and `at_s`; None: it was watched all the while."""
    restart: bool = False
    """It is the first look of a new watcher, which goes on from what the one before left."""
    afresh: bool = False
    """It is the first look of a watcher that found nothing to go on from."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A header and its frames, which are read once, one by one."""

    header: TraceHeader
    frames: Iterator[Frame]


def read_trace(lines: Iterable[str]) -> Trace:
    """Read the header of *lines*; the frames are read as they are asked for.

    Raises TraceError, also while the frames are asked for.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    number, first = next(numbered, (1, ""))
    if not first:
        raise TraceError("line 1: the trace is empty; its first line must be a header")
    value = _object(number, first)
    if "trace" not in value:
        raise TraceError(f'line {number}: no header of a trace, which says {{"trace": {VERSION}}}')
    if value["trace"] != VERSION:
        raise TraceError(
            f"line {number}: a trace of version {value['trace']!r}; this program reads {VERSION}"
        )
    subject = value.pop("subject", {})
    seeds = value.pop("seeds", {})
    header = _decoded(number, TraceHeader, value)
    if not header.tick_s > 0:
        raise TraceError(f"line {number}: tick_s is {header.tick_s:g}, it must be above 0")
    known: dict[str, Any] = {"subject": {"run": header.run}, "seeds": seeds}
    known["subject"] = merged(known["subject"], subject)
    return Trace(header, _frames(header, known, numbered))


def merged(known: object, patch: object) -> Any:
    """Return *known* after the JSON merge patch *patch* (RFC 7396); neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(known) if isinstance(known, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _frames(
    header: TraceHeader, known: dict[str, Any], numbered: Iterable[tuple[int, str]]
) -> Iterator[Frame]:
    reader = _Reader(header, known)
    for number, line in numbered:
        yield reader.read(number, line)


class _Reader:
    """Applies one line after another."""

    def __init__(self, header: TraceHeader, known: dict[str, Any]) -> None:
        self._header = header
        self._known = known
        self._config = limits_from(header.limits)
        self._boot = (header.boot_id, header.monotonic_s)
        self._at = 0.0
        self._values: dict[str, Any] = {}
        self._changed: set[str] = {"subject", "seeds"}
        self._subject = Subject(run=header.run)
        self._limits = self._config
        self._unreadable: tuple[str, ...] = ()

    def read(self, number: int, line: str) -> Frame:
        patch = _object(number, line)
        unknown = sorted(set(patch) - _CONTROL - _OTHERS - set(SOURCES))
        if unknown:
            raise TraceError(f"line {number}: {unknown[0]!r} is no source of a trace")
        at_s = self._time(number, patch, "at", self._at)
        last_look = None
        if patch.get("last_look") is not None:
            last_look = min(at_s, self._time(number, patch, "last_look", self._at))
        self._at = at_s
        if patch.get("boot") is not None:
            self._boot = _boot_of(number, patch["boot"], at_s)
        if patch.get("full"):
            self._known = {"seeds": self._known.get("seeds"), "subject": {"run": self._header.run}}
            self._values = {}
            self._changed |= {"subject", "seeds"}
        self._apply(number, {key: each for key, each in patch.items() if key not in _CONTROL})
        boot_id, monotonic_s = self._boot
        return Frame(
            at_s=at_s,
            facts=Facts(
                boot_id=boot_id,
                monotonic_s=monotonic_s + at_s,
                attempt=self._subject.attempt,
                stage=self._subject.stage,
                held=self._known.get("held"),
                **self._values,
            ),
            subject=self._subject,
            limits=self._limits,
            unreadable=self._unreadable,
            last_look_s=last_look,
            restart=bool(patch.get("restart")),
            afresh=bool(patch.get("afresh")),
        )

    def _time(self, number: int, patch: Mapping[str, Any], key: str, earliest: float) -> float:
        value = patch.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TraceError(f'line {number}: "{key}" is no number of seconds')
        if not earliest <= value < 1e12:
            raise TraceError(
                f'line {number}: "{key}" is {value:g}, before second {earliest:g} of the trace'
            )
        return float(value)

    def _apply(self, number: int, patch: Mapping[str, Any]) -> None:
        for key in patch:
            self._known[key] = merged(self._known.get(key), patch[key])
        for key in self._changed | set(patch):
            value = self._known.get(key)
            if key in SOURCES:
                value = _with_gpus(number, value) if key == "machine" else value
                self._values[key] = None if value is None else _decoded(number, SOURCES[key], value)
            elif key == "subject":
                self._subject = _decoded(number, Subject, value)
            elif key == "seeds":
                self._limits = seeded(
                    self._config, _decoded(number, _Seeds, {"seeds": value or {}}).seeds
                )
            elif key == "held" and not isinstance(value, bool | None):
                raise TraceError(f'line {number}: "held" is neither true, false nor null')
            elif key == "unreadable":
                words = _decoded(number, _Unreadable, {"unreadable": value or []})
                self._unreadable = words.unreadable
        self._changed.clear()


@dataclass(frozen=True, slots=True)
class _Seeds:
    seeds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    unreadable: tuple[str, ...] = ()


def _with_gpus(number: int, machine: object) -> object:
    """A trace names GPUs by their index, a reading lists them."""
    gpus = machine.get("gpus") if isinstance(machine, dict) else None
    if not isinstance(machine, dict) or gpus is None:
        return machine
    if not isinstance(gpus, dict) or not all(key.isdigit() for key in gpus):
        raise TraceError(f'line {number}: "gpus" names each GPU by its index: {{"0": …}}')
    if not all(isinstance(gpu, dict) for gpu in gpus.values()):
        raise TraceError(f"line {number}: a GPU is no object")
    return machine | {"gpus": [gpu | {"index": int(key)} for key, gpu in sorted(gpus.items())]}


def _boot_of(number: int, value: object, at_s: float) -> tuple[str, float]:
    """The boot and what CLOCK_MONOTONIC would have been at second 0."""
    named = value if isinstance(value, dict) else {}
    boot_id, monotonic = named.get("boot_id"), named.get("monotonic_s")
    if not isinstance(boot_id, str) or isinstance(monotonic, bool):
        raise TraceError(f'line {number}: "boot" needs a boot_id and monotonic_s')
    if not isinstance(monotonic, int | float):
        raise TraceError(f'line {number}: "boot" needs a boot_id and monotonic_s')
    return boot_id, float(monotonic) - at_s


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"line {number}: no JSON, or cut short") from error
    if not isinstance(value, dict):
        raise TraceError(f"line {number}: no JSON object")
    return value


def _decoded(number: int, kind: type, value: object) -> Any:
    try:
        return decode(kind, value)
    except ValueError as error:
        raise TraceError(f"line {number}: {error}") from error
