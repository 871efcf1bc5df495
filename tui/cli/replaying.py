"""Commands about traces: judge a recorded run again, and give a run's record away."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from monitor.replay import replay
from monitor.rundir import RunDir
from monitor.timeline import Entry, Timeline, timeline_of
from monitor.trace import TraceError, TraceHeader, read_trace
from runners.errors import RunnerError
from tui.cli import exits
from tui.cli.output import complain, out, out_json

STDIO = "-"


def replay_command(options: argparse.Namespace) -> int:
    """Print when the verdict of a trace changed, and to what."""
    name = "standard input" if options.trace == STDIO else options.trace
    with _lines(options.trace) as lines:
        try:
            trace = read_trace(lines)
            header = trace.header
            looks = replay(trace.frames, header.tick_s, header.wall_s)
            timeline = timeline_of(looks, header.tick_s)
        except TraceError as error:
            raise TraceError(f"{name}: {error}; see docs/trace-format.md") from error
        except UnicodeDecodeError as error:
            raise TraceError(f"{name} is no trace: it is not UTF-8 text") from error
    if options.json:
        out_json(_json_of(header, timeline))
        return exits.OK
    for line in timeline_lines(timeline):
        out(line)
    return exits.OK


def _json_of(header: TraceHeader, timeline: Timeline) -> dict[str, object]:
    return {
        "schema": 1,
        "run": header.run,
        "lane": header.lane,
        "end_s": timeline.end_s,
        "verdicts": [entry.to_json() for entry in timeline.entries],
    }


def timeline_lines(timeline: Timeline) -> Iterator[str]:
    """The timeline for people: second, verdict, why."""
    for entry in timeline.entries:
        yield f"{clock(entry.at_s):>10}  {entry.verdict:<9}  {entry.reason}{_flags_of(entry)}"
    yield f"{clock(timeline.end_s):>10}  the trace ends"


def _flags_of(entry: Entry) -> str:
    beside = [flag for flag in entry.flags if flag != str(entry.verdict)]
    return f" [{', '.join(beside)}]" if beside else ""


def clock(seconds: float) -> str:
    """Hours, minutes and seconds since the trace began."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@contextlib.contextmanager
def _lines(name: str) -> Iterator[Iterable[str]]:
    if name == STDIO:
        yield sys.stdin
        return
    path = Path(name)
    if path.exists() and not path.is_file():
        raise TraceError(f"{name} is no regular file")
    if not path.is_file():
        raise TraceError(f"{name} is no file; `lanewatch events RUN --trace {name}` writes one")
    with path.open(encoding="utf-8") as stream:
        yield stream


def export_trace(run: RunDir, target: str) -> int:
    """Write the trace that the watcher of *run* recorded to *target*."""
    try:
        recorded = run.trace.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise RunnerError(
            f"run {run.root.name} has no {run.trace.name}: no watcher of this version watched it"
        ) from error
    lines = [line for line in recorded.splitlines() if line.strip()]
    whole = [line for line in lines if _is_whole(line)]
    if len(whole) < len(lines):
        complain(f"{len(lines) - len(whole)} lines of {run.trace.name} were cut short: left out")
    if (why := _unreadable(whole)) is not None:
        raise RunnerError(
            f"nothing to judge again was recorded of run {run.root.name}: {run.trace.name} {why}"
        )
    text = "".join(f"{line}\n" for line in whole)
    if target == STDIO:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        try:
            Path(target).write_text(text, encoding="utf-8")
        except OSError as error:  # what a write raises names no file
            raise RunnerError(f"cannot write {target}: {error.strerror or error}") from error
        complain(f"{len(whole)} lines; `lanewatch replay {target}` judges them again")
    return exits.OK


def _unreadable(lines: Sequence[str]) -> str | None:
    """Why `replay` would refuse *lines*; None where it takes them up."""
    if not lines:
        return "holds no line of a trace"
    try:
        first = next(iter(read_trace(lines).frames), None)
    except TraceError as error:
        return f"is no trace ({error})"
    return "holds no look of the watcher yet" if first is None else None


def _is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
