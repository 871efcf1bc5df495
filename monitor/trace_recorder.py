"""trace.jsonl: the watcher writes down what it sees, so that the night can be judged again.

The one rule: it is a record, no state. It may fail, be deleted or grow too large, and the watch
goes on; the next line that can be written then says everything anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from monitor.ages import AgeState
from monitor.codec import decode
from monitor.facts import Facts
from monitor.files import append_line
from monitor.frozen import replace
from monitor.limits import LimitConfig
from monitor.model import LogReading
from monitor.probes.clock import Now
from monitor.target import WatchTarget
from monitor.trace import VERSION, Frame, TraceHeader
from monitor.trace_lines import TraceLines, header_line, overrides_of

MOST_BYTES = 64 << 20
"""A night takes 1 to 5 MB; at this size the record ends, which is told once."""
TAIL_BYTES = 64 << 10
"""Enough to hold a whole line at the end of a trace."""


class TraceRecorder:
    """Appends to one run's trace.jsonl."""

    def __init__(self, path: Path, tick_s: float) -> None:
        self._path = path
        self._tick_s = tick_s
        self._lines: TraceLines | None = None
        self._offset_s = 0.0
        """Second of the trace minus CLOCK_MONOTONIC of this boot."""
        self._last_s = 0.0
        self._full = False
        self.problem: str | None = None
        """Why nothing is recorded any more."""

    def note(
        self,
        target: WatchTarget,
        facts: Facts,
        limits: LimitConfig,
        ages: tuple[AgeState, AgeState],
        unreadable: tuple[str, ...],
        now: Now,
    ) -> None:
        """Record one look; *ages* are those before and after it. Raises OSError."""
        if self.problem is not None:
            return
        if self._lines is None or not self._path.exists():
            self._lines = self._begin(target, limits, now)
        before, after = ages
        at_s = max(self._last_s, now.monotonic_s + self._offset_s)
        missed = before.restored or after.gaps > before.gaps
        frame = Frame(
            at_s=at_s,
            facts=replace(facts, log=_by_name(facts.log)),
            subject=target.subject,
            limits=limits,
            unreadable=unreadable,
            last_look_s=self._last_look(before, facts.boot_id) if missed else None,
            restart=before.restored,
            afresh=self._full and not before.marks,
        )
        try:
            for line in self._lines.note(frame, after, full=self._full):
                append_line(self._path, line, durable=False)
                self._last_s = line["at"]
            self._full = False
        except OSError:
            self._full = True
            raise
        self._watch_size()

    def _last_look(self, before: AgeState, boot_id: str) -> float:
        if before.boot_id != boot_id:
            return self._last_s
        return max(self._last_s, before.monotonic_s + self._offset_s)

    def _begin(self, target: WatchTarget, limits: LimitConfig, now: Now) -> TraceLines:
        """Go on in the file that is there, or begin one."""
        header = _read_header(self._path)
        if header is None:
            if self._path.exists() and self._path.stat().st_size:
                self._path.replace(
                    self._path.with_name(f"{self._path.name}.corrupt-{now.wall_s:.0f}")
                )
            header = TraceHeader(
                trace=VERSION,
                run=target.run,
                lane=target.lane,
                tick_s=self._tick_s,
                wall_s=round(now.wall_s, 3),
                boot_id=now.boot_id,
                monotonic_s=round(now.monotonic_s, 3),
                limits=overrides_of(limits),
            )
            append_line(self._path, header_line(header), durable=False)
            self._offset_s = -header.monotonic_s
            return TraceLines(header)
        self._full = True
        self._last_s = _last_second(self._path)
        if header.boot_id == now.boot_id:
            self._offset_s = -header.monotonic_s
        else:
            since = now.wall_s - (header.wall_s or now.wall_s)
            self._offset_s = max(self._last_s, since) - now.monotonic_s
        return TraceLines(header)

    def _watch_size(self) -> None:
        if self._path.stat().st_size > MOST_BYTES:
            self.problem = f"{self._path.name} has reached {MOST_BYTES >> 20} MiB and ends here"


def _by_name(log: LogReading | None) -> LogReading | None:
    """Where the run lies is nobody's business who is given its trace."""
    return None if log is None else replace(log, path=Path(log.path).name)


def _read_header(path: Path) -> TraceHeader | None:
    try:
        with path.open("rb") as stream:
            header = decode(TraceHeader, json.loads(stream.readline(TAIL_BYTES)))
    except (OSError, ValueError, RecursionError):
        return None
    return header if header.trace == VERSION else None


def _last_second(path: Path) -> float:
    """`at` of the last line that can be read."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = stream.read().split(b"\n")
    for line in reversed(lines):
        try:
            at_s = json.loads(line)["at"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(at_s, int | float):
            return float(at_s)
    return 0.0
