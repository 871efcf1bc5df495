"""The source of the lines at which threads stand, also where it lies in a container.

The rule: a container's file is read through the root of its own process and never by a link in
there, which would lead to a file of this machine.
"""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

from monitor.diagnosis import rights
from monitor.diagnosis.bounds import THREADS_END_S, Bounds
from monitor.diagnosis.file_systems import asked, file_system_of
from monitor.diagnosis.values import Frame, ThreadView
from monitor.frozen import replace
from monitor.probes.filesystem import is_local_kind
from monitor.probes.raw import open_regular
from monitor.probes.text import clean_line

SOURCE_BYTES = 2 << 20
ASKED_S = 2.0
"""For a file server, whose lines are not worth more."""
FRAMES = 12
"""Of a thread, the innermost so many: who holds a lock does not stand far from it."""


class Sources:
    """Reads each file once."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._points: dict[str, bool] = {}
        """Mounts of file servers, and whether they answer."""
        self._texts: dict[tuple[bool, str], str | None] = {}
        self._blocks: dict[str, tuple[tuple[int, int, str], ...]] = {}

    def add(self, view: ThreadView) -> ThreadView:
        """Return *view* with the line it stands at and what the blocks around it hold."""
        if not view.stays_in:
            return view
        inside = rights.container_id(view.pid) is not None
        line = self._line(view.pid, view.stays_in[0], inside=inside) if view.still else None
        held = [
            taken
            for frame in view.stays_in[:FRAMES]
            for taken in self._held(view.pid, frame, inside=inside)
        ]
        return replace(view, line=line, holds=tuple(dict.fromkeys(held)))

    def _line(self, pid: int, frame: Frame, *, inside: bool) -> str | None:
        lines = (self._text(pid, frame.file, inside=inside) or "").splitlines()
        if not 0 < frame.line <= len(lines):
            return None
        return clean_line(lines[frame.line - 1].strip())

    def _held(self, pid: int, frame: Frame, *, inside: bool) -> list[str]:
        text = self._text(pid, frame.file, inside=inside)
        if text is None:
            return []
        if text not in self._blocks:
            self._blocks[text] = with_blocks(text)
        blocks = self._blocks[text]
        around = [each for each in blocks if each[0] <= frame.line <= each[1]]
        return [clean_line(words) for _, _, words in reversed(around)]

    def _text(self, pid: int, file: str, *, inside: bool) -> str | None:
        key = (inside, file)
        if key not in self._texts:
            answers = self._answers(pid, file)
            self._texts[key] = read_source(pid, file, inside=inside) if answers else None
        return self._texts[key]

    def _answers(self, pid: int, file: str) -> bool:
        """Code may lie on the very file server that the trainer waits for."""
        place = file_system_of(pid, file)
        if place is None or is_local_kind(place.kind):
            return True
        if place.point not in self._points:
            limit_s = self._bounds.left(THREADS_END_S, ASKED_S)
            self._points[place.point] = asked(place, pid, limit_s).answer_s is not None
        return self._points[place.point]


def read_source(pid: int, file: str, *, inside: bool) -> str | None:
    """The text of *file* as *pid* sees it; None where it cannot be read."""
    if not file.startswith("/"):
        return None
    path = Path(f"/proc/{pid}/root{file}") if inside else Path(file)
    try:
        if inside and _has_link(pid, file):
            return None
        descriptor = open_regular(path)
        try:
            if os.fstat(descriptor).st_size > SOURCE_BYTES:
                return None
            return os.read(descriptor, SOURCE_BYTES).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None


def _has_link(pid: int, file: str) -> bool:
    path = Path(f"/proc/{pid}/root")
    for name in Path(file).parts[1:]:
        path /= name
        if name == ".." or stat.S_ISLNK(path.lstat().st_mode):
            return True
    return False


def with_blocks(text: str) -> tuple[tuple[int, int, str], ...]:
    """(first line, last line, what is entered) of the body of each `with`, outer ones first."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = [
        (each.body[0].lineno, each.body[-1].end_lineno or 0, ast.unparse(item.context_expr))
        for each in ast.walk(tree)
        if isinstance(each, ast.With)
        for item in each.items
    ]
    return tuple(sorted(found, key=lambda each: (each[0], -each[1])))
