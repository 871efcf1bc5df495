"""Where a trainer saves: what it was told, what it has open, what changed near it.

The rule: never another trainer's folder. What only lies near must be named by nobody else, and be
the one that it can be; where that is in doubt none is taken, and the doubt is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.attach.command_line import Hints
from runners.attach.folders import open_folder, saved_below
from runners.attach.place import Place
from runners.attach.process_table import ProcessTable
from runners.attach.values import Found

MOST_WORDS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one trainer's command line and open files say of where it saves."""

    pid: int
    told: Found | None = None
    """An argument says it, or a file that it has open."""
    words: tuple[str, ...] = ()
    """Words of its command line, as paths of this machine."""
    bare: tuple[str, ...] = ()
    """Those that are no flag's value."""
    roots: tuple[tuple[str, str], ...] = ()
    """(folder, what it is) below which it may save."""

    def names(self, folder: Path, root: str) -> bool:
        """True if it names *folder*, or a folder above it that is more than the *root* itself."""
        path = os.path.realpath(folder)
        told = (os.path.realpath(self.told.path),) if self.told else ()
        return any(
            word == path or (_is_below(path, word) and _is_below(word, os.path.realpath(root)))
            for word in (*told, *self.words)
        )

    def may_own(self, folder: Path) -> bool:
        """True if it is not known to save elsewhere, and *folder* lies where it may save."""
        if self.told is not None or any(saved_below(Path(each), None, 0) for each in self.words):
            return False
        path = os.path.realpath(folder)
        roots = [os.path.realpath(each) for each, _ in self.roots]
        return any(path == root or _is_below(path, root) for root in roots)

    @property
    def to_be_made(self) -> str | None:
        """A word that may be a folder which it has not made yet."""
        return next((each for each in self.bare if _may_be_made(each)), None)


@dataclass(frozen=True, slots=True)
class Saves:
    """The folder, or why none is taken."""

    folder: Found | None = None
    doubt: str | None = None


def claim_of(table: ProcessTable, place: Place, hints: Hints, log: Found | None = None) -> Claim:
    """What *place*'s process says of itself."""
    words = dict(_words(place))
    return Claim(
        pid=place.process.pid,
        told=_told(table, place, hints),
        words=tuple(words),
        bare=tuple(path for path, bare in words.items() if bare),
        roots=tuple(_roots(place, log)),
    )


def choose_folder(
    own: Claim, others: Sequence[Claim], since_wall: float | None, *, watched: bool = False
) -> Saves:
    """The nearest folder that is its own, of those that changed *since_wall*.

    *watched*: that is since we look, so that what an earlier run left cannot be among them.
    """
    if own.told is not None:
        return Saves(own.told)
    for root, what in own.roots:
        if root in ("/", str(Path.home())):
            continue  # everything lies below these
        saved = [
            each
            for each in saved_below(Path(root), since_wall)
            if own.names(each, root) or not any(other.names(each, root) for other in others)
        ]
        named = [each for each in saved if own.names(each, root)]
        if named:
            return Saves(Found(str(named[0]), f"checkpoints below {what}, named by its arguments"))
        if saved:
            doubt = _doubt(own, others, saved, watched=watched)
            found = Found(str(saved[0]), f"checkpoints below {what}")
            return Saves(None, doubt) if doubt else Saves(found)
    return Saves(None, "nothing is saved yet")


def shared_with(folder: Found | None, others: Sequence[Claim]) -> Iterator[str]:
    """Warn of another trainer that was told to save into the same *folder*."""
    path = os.path.realpath(folder.path) if folder is not None else None
    for each in others:
        if path is not None and each.told is not None and os.path.realpath(each.told.path) == path:
            yield (
                f"pid {each.pid} saves into {path} as well: whose a checkpoint is cannot be told, "
                "so that the one may seem to get on by those of the other"
            )


def _doubt(
    own: Claim, others: Sequence[Claim], saved: Sequence[Path], *, watched: bool
) -> str | None:
    if len(saved) > 1:
        return f"{saved[0]} and {saved[1]} could both be its own"
    rival = next((each for each in others if each.may_own(saved[0])), None)
    if rival is not None:
        return f"{saved[0]} could also be that of pid {rival.pid}"
    if own.to_be_made is not None and not watched:
        return f"{saved[0]} was saved into, but its arguments name {own.to_be_made}"
    return None


def _told(table: ProcessTable, place: Place, hints: Hints) -> Found | None:
    if hints.checkpoints is not None and (told := place.on_host(hints.checkpoints)) is not None:
        return Found(told, f"argument {hints.checkpoints_flag}")
    opened = open_folder(table.open_files(place.process.pid))
    if opened is not None and (here := place.on_host(opened)) is not None:
        return Found(here, "a checkpoint that it has open")
    return None


def _words(place: Place) -> Iterator[tuple[str, bool]]:
    """Words that may be paths, and whether they stand alone: not as the value of a flag."""
    before = ""
    for word in place.process.argv[1:MOST_WORDS]:
        value, bare = word, "=" not in word and not before.startswith("-")
        if "=" in word:
            value = word.partition("=")[2]
        before = word
        if not value or value.startswith("-") or "\n" in value or not value.strip("0123456789.e"):
            continue
        path = place.on_host(value)
        if path is not None:
            yield os.path.realpath(path), bare


def _roots(place: Place, log: Found | None) -> Iterator[tuple[str, str]]:
    if place.cwd is not None and (cwd := place.on_host(place.cwd)) is not None:
        yield cwd, "its working folder"
    yield from ((each, "a mount of its container") for each in place.host_mounts())
    if log is not None:
        yield str(Path(log.path).parent), "the folder of its log"


def _may_be_made(word: str) -> bool:
    path = Path(word)
    return not path.suffix and not os.path.lexists(path) and os.path.isdir(path.parent)  # noqa: PTH112 - never raises


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
