"""What could be watched here that lanewatch did not start, and watching one of it.

The search reads /proc and may ask the engine: it is called on a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tui.launching.values import Choice
from tui.presentation import UNKNOWN, age, ago

if TYPE_CHECKING:
    from runners.attach.values import Candidate, Found


class AttachDesk:
    """Offers the candidates of `lanewatch attach`, and attaches as that does."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[str, Candidate] = {}

    def candidates(self) -> Iterator[Choice]:
        """The trainings that run here, as they are found. Raises RunnerError."""
        from runners.attach.attach import find_watching
        from runners.attach.search import Search

        search = Search()
        for each in search.trainers():
            candidate = search.candidate(each)
            self._found[str(candidate.pid)] = candidate
            watching = find_watching(self._root, candidate)
            yield choice_of(candidate, watching.root.name if watching else None)

    def attach(self, pid: str) -> str:
        """Watch the candidate with this pid; the id of its run. Raises RunnerError."""
        from runners.attach.attach import AttachOrder, attach

        return attach(self._found[pid], AttachOrder(root=self._root)).run.root.name


def choice_of(candidate: Candidate, watched_as: str | None) -> Choice:
    """A candidate as a line, with what was found of it."""
    from monitor.probes.clock import read_now

    container = candidate.container.name if candidate.container else candidate.container_id
    where = f"container {container}" if container else ""
    gpu = "on a GPU" if candidate.gpu else ""
    since = f"{age(ago(candidate.started_wall, read_now().wall_s))} old"
    note = ", ".join(each for each in (candidate.lane or "", gpu, where, since) if each)
    if watched_as:
        note = f"watched as {watched_as}"
    found = [
        f"checkpoints: {_found(candidate.checkpoints)}",
        f"log: {_found(candidate.log)}",
        f"total: {_total(candidate)}",
        *(f"warning: {text}" for text in candidate.warnings),
        *(f"hidden: {text}" for text in candidate.hidden),
    ]
    return Choice(
        value=str(candidate.pid),
        title=f"{candidate.pid}  {candidate.command}",
        note=note,
        tone="warn" if candidate.warnings else "",
        detail="\n".join(found),
    )


def _found(found: Found | None) -> str:
    return UNKNOWN if found is None else f"{found.path} ({found.why})"


def _total(candidate: Candidate) -> str:
    if candidate.total is None:
        return UNKNOWN
    return f"{candidate.total} iterations ({candidate.total_why})"
