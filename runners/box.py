"""One box, one run: who is on it, and may another one start.

The rule: a run that lives, waits or is watched as a foreign one keeps others off. Who launches may
wait for it (`--after`) or start beside it (`--anyway`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor import locks
from monitor.model import FINAL, Status
from monitor.rundir import RunDir
from monitor.status import read_outline
from monitor.status_model import RunStatus
from monitor.words import iterations
from runners.attach.foreign import is_foreign
from runners.errors import RunnerError, RunStateError
from runners.runs import iter_runs, read_status_word, someone_lives

LOCK = ".launch.lock"
LOCK_S = 30.0
"""A launch beside this one takes a second or two to have its keeper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """A run that is on the box, or waits for it."""

    run: RunDir
    status: RunStatus
    after: str | None = None
    """The run that it waits for."""

    @property
    def name(self) -> str:
        """As people call it."""
        return self.status.name or self.status.run

    @property
    def words(self) -> str:
        """Which run, and how far."""
        who = self.status.run + (f" ({self.status.name})" if self.status.name else "")
        if self.after is not None:
            return f"{who} waits for {self.after}"
        view, stage = self.status.iteration, self.status.stage
        done = view.value
        if done is None and self.status.unit == "iterations":
            done = self.status.done
        if done is not None:
            return f"{who} is at {iterations(done, view.total)}"
        return f"{who} is in stage {stage}" if stage else f"{who} is starting"


def occupants(root: Path) -> list[Occupant]:
    """The runs of *root* that live or wait, oldest first. Raises RunnerError."""
    return [found for run in iter_runs(root) if (found := _occupant(run)) is not None]


def _occupant(run: RunDir) -> Occupant | None:
    word = read_status_word(run)
    if is_foreign(run):
        status = read_outline(run.root)
        there = status.foreign is not None and status.foreign.pid is not None
        return Occupant(run=run, status=status) if there and status.verdict not in FINAL else None
    if (word is not None and word.final) or not someone_lives(run):
        return None
    from monitor.target import read_target

    after = read_target(run.root).queued_after if word is Status.QUEUED else None
    return Occupant(run=run, status=read_outline(run.root), after=after)


def require_free(root: Path, *, after: RunDir | None = None, itself: RunDir | None = None) -> None:
    """Raise RunStateError unless nobody but *after*, and whom that waits for, is on the box.

    *itself* is a run that is to be resumed.
    """
    found = [each for each in occupants(root) if itself is None or each.run != itself]
    others = [each for each in found if each.run.root.name not in _ahead(found, after)]
    if not others:
        return
    raise RunStateError(_busy(others, after))


def on_the_box(root: Path, known: Container[str]) -> str | None:
    """The oldest run of *root* that is on the box, not in the queue, and not one of *known*.

    Raises RunnerError.
    """
    for each in occupants(root):
        if each.after is None and each.run.root.name not in known:
            return each.run.root.name
    return None


def _ahead(found: list[Occupant], after: RunDir | None) -> set[str]:
    """*after*, the run that it waits for, and so on."""
    waits = {each.run.root.name: each.after for each in found}
    ahead: set[str] = set()
    name = after.root.name if after is not None else None
    while name is not None and name not in ahead:
        ahead.add(name)
        name = waits.get(name)
    return ahead


def _busy(others: list[Occupant], after: RunDir | None) -> str:
    last = _last(others)
    said = "; ".join(each.words for each in others)
    beside = "" if after is None else f" besides {after.root.name}"
    return (
        f"the box is busy{beside}: {said}. `--after {last.name}` waits for it, `--anyway` starts "
        "beside it"
    )


def _last(others: list[Occupant]) -> Occupant:
    """The one that no other waits for: behind it the next one may queue."""
    waited_for = {each.after for each in others}
    free = [each for each in others if each.run.root.name not in waited_for]
    return (free or others)[-1]


@contextlib.contextmanager
def launching(root: Path) -> Iterator[None]:
    """Look and launch in one: of two launches at the same moment the second sees the first.

    Raises RunnerError when another launch does not end.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _take(root / LOCK)
    except OSError as error:
        where = error.filename or root
        raise RunnerError(f"cannot make a run in {where}: {error.strerror or error}") from error
    try:
        yield
    finally:
        os.close(lock)


def _take(path: Path) -> int:
    deadline = time.monotonic() + LOCK_S
    while (lock := locks.take(path)) is None:
        if time.monotonic() > deadline:
            raise RunnerError(f"another launch holds {path}; is it stuck? `fuser {path}` names it")
        time.sleep(0.05)
    return lock
