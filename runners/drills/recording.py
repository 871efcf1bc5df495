"""Judge the recording of a drill again, where this user may not do for real what it needs.

The rule: only what was seen is recorded; the verdicts are today's judge's, as in `replay`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor.replay import Look as Judged
from monitor.replay import replay
from monitor.trace import TraceHeader, read_trace
from runners.drills.director import Show, Shown
from runners.drills.table import Drill
from runners.drills.timeline import Look, Timeline
from runners.errors import RunnerError

FOLDER = Path(__file__).parent / "recordings"


@dataclass(frozen=True, slots=True)
class Note:
    """What happened at a second of the trace, from its header's label."""

    at_s: float
    text: str


def recording_of(drill: Drill) -> Path:
    """Where the recording of *drill* is, if there is one."""
    return FOLDER / f"{drill.name}.jsonl"


def replay_drill(drill: Drill, show: Show) -> tuple[Timeline, list[Shown]]:
    """Judge the recording of *drill*. Raises RunnerError when there is none."""
    path = recording_of(drill)
    if not path.is_file():
        raise RunnerError(f"this user may not {drill.needs}, and {drill.name} was never recorded")
    timeline, lines = Timeline(drill), []
    with path.open(encoding="utf-8") as stream:
        trace = read_trace(stream)
        looks = replay(trace.frames, trace.header.tick_s, trace.header.wall_s)
        for line in _lines(timeline, looks, notes_of(trace.header)):
            lines.append(line)
            show(line)
    return timeline, lines


def notes_of(header: TraceHeader) -> list[Note]:
    """Read the notes back; a label of another kind has none."""
    label = header.label
    notes = label.get("notes", ()) if isinstance(label, dict) else ()
    return [Note(float(each["at"]), str(each["text"])) for each in notes]


def _lines(timeline: Timeline, looks: Iterator[Judged], notes: list[Note]) -> Iterator[Shown]:
    for judged in looks:
        while notes and notes[0].at_s <= judged.at_s:
            note = notes.pop(0)
            yield Shown(real_s=note.at_s / timeline.drill.rate, text=note.text)
        look = _look_of(judged, timeline.drill.rate)
        before = len(timeline.lines)
        brought = timeline.add(look)
        if len(timeline.lines) > before:
            yield Shown(
                real_s=look.real_s, text=look.reason, look=look, expected=brought is not None
            )


def _look_of(judged: Judged, rate: float) -> Look:
    verdict = judged.verdict
    return Look(
        real_s=judged.at_s / rate,
        verdict=verdict.liveness,
        reason=verdict.reason,
        flags=verdict.flags,
        signature=str(verdict.signature) if verdict.signature else None,
        iteration=verdict.iteration,
        limit_s=verdict.limit_s,
        silent_s=judged.judged.observation.ages.progress_s,
    )
