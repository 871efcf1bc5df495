"""events.jsonl: what happened to a run, one line each, appended and kept over a power cut.

Every writer appends whole lines; a reader leaves out what is not one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.files import append_line, read_json_lines, read_lines
from monitor.probes.clock import Now
from monitor.probes.follow import LineFollower
from monitor.probes.numbers import finite, json_object

TAIL_BYTES_PER_EVENT = 2048
"""More than an event takes: how far back to read for the last n of them."""

_OWN = frozenset({"wall_s", "boot_id", "monotonic_s", "source", "kind", "text"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of events.jsonl."""

    wall_s: float | None
    boot_id: str | None
    monotonic_s: float | None
    source: str
    """Who wrote it: watcher or keeper."""
    kind: str
    """verdict, checkpoint, stage, action, alert or note."""
    text: str
    """A sentence; foreign text in it is not cleaned here."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else the line says: iteration, verdict ..."""

    def to_json(self) -> dict[str, Any]:
        """The line as it stands in the file."""
        return {
            "wall_s": self.wall_s,
            "boot_id": self.boot_id,
            "monotonic_s": self.monotonic_s,
            "source": self.source,
            "kind": self.kind,
            "text": self.text,
            **self.fields,
        }


def append_event(
    path: Path, kind: str, text: str, source: str, now: Now, **fields: Any
) -> str | None:
    """Append an event, durably. Returns None, or the sentence that says why it was not written."""
    event = Event(
        wall_s=now.wall_s,
        boot_id=now.boot_id,
        monotonic_s=now.monotonic_s,
        source=source,
        kind=kind,
        text=text,
        fields=fields,
    )
    try:
        append_line(path, event.to_json(), durable=True)
    except (OSError, TypeError, ValueError) as error:
        return f"{path.name} cannot be written: {getattr(error, 'strerror', None) or error}"
    return None


def read_events(path: Path, tail: int | None = None) -> list[Event]:
    """Read the events of *path*, oldest first; with *tail*, the last so many of them."""
    limit = None if tail is None else max(1, tail) * TAIL_BYTES_PER_EVENT
    try:
        objects = read_json_lines(path, tail_bytes=limit)
    except OSError:
        return []
    events = [event for each in objects if (event := parse_event(each)) is not None]
    return events if tail is None else events[max(0, len(events) - tail) :]


def read_whole(path: Path) -> tuple[list[Event], int]:
    """Read every event of *path*, and how many of its lines are none. Raises OSError."""
    lines = read_lines(path)
    events = _events_of(lines)
    return events, len(lines) - len(events)


def _events_of(lines: Sequence[bytes]) -> list[Event]:
    objects = (json_object(line) for line in lines)
    found = (parse_event(each) for each in objects if each is not None)
    return [event for event in found if event is not None]


def parse_event(value: Mapping[str, Any]) -> Event | None:
    """Turn one JSON object into an event; None when it has no kind or no text."""
    kind, text = value.get("kind"), value.get("text")
    if not isinstance(kind, str) or not isinstance(text, str):
        return None
    boot, source = value.get("boot_id"), value.get("source")
    return Event(
        wall_s=finite(value.get("wall_s")),
        boot_id=boot if isinstance(boot, str) else None,
        monotonic_s=finite(value.get("monotonic_s")),
        source=source if isinstance(source, str) else "unknown",
        kind=kind,
        text=text,
        fields={key: each for key, each in value.items() if key not in _OWN},
    )


class EventFollower:
    """Gives the events that are new since the last call."""

    def __init__(self, path: Path, *, tail_bytes: int | None = None) -> None:
        self._follower = LineFollower(path, tail_bytes=tail_bytes)
        self.foreign = 0
        """Lines so far that are no events."""

    def read(self) -> list[Event]:
        """Return the new events, oldest first."""
        lines = [line for line in self._follower.read().lines if line.strip()]
        events = _events_of(lines)
        self.foreign += len(lines) - len(events)
        return events
