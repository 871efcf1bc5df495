"""What a person may pick for a launch: models in the cache, rows and recipes that lie near, and
what was launched before.

Reads only; what cannot be read is left out, since a picker that fails helps nobody. Each look is
bounded, so that a home folder with a million files holds nobody up.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from monitor.files import read_json, write_json
from monitor.rundir import SCHEMA
from runners.hub import hub_cache
from runners.recipe.base import missing
from runners.recipe.data import DataError, Row, open_data, parse_row
from runners.recipe.demo import demo_recipe_path

RECENT = ".recent.json"
"""In the root of the runs: the newest launches first, as words of the command line."""
RECENT_KEPT = 20
DEEP = 3
"""Folders below the current one that are looked into."""
MOST_SEEN = 20_000
"""Names looked at in one search."""
MOST_FOUND = 60
COUNTED_BYTES = 256 << 20
"""A larger file's rows are estimated from its beginning."""
FIRST_LINE_BYTES = 1 << 20
BLANK_LINES = 1000
"""Looked past in front of the first row."""
RECIPE_BYTES = 1 << 20
PASSED_OVER = frozenset(
    {"node_modules", "__pycache__", "site-packages", "checkpoints", "snapshots"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModel:
    """A model of the Hugging Face cache."""

    name: str
    size_bytes: int
    whole: bool
    """Every file that its index names is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsFile:
    """A JSON Lines file that may be trained on."""

    path: str
    rows: int | None
    """Lines that are not blank; None: too large to count while somebody waits."""
    about: int | None
    """An estimate of `rows` where they were not counted."""
    shape: str | None
    """Of the first row; None: it cannot be used."""
    first: str
    """The first row as plain text, or why it cannot be used."""


def cached_models(cache: Path | None = None) -> list[CachedModel]:
    """The models in the cache of the Hugging Face tools, by name."""
    found = []
    for folder in _entries(cache or hub_cache()):
        if folder.name.startswith("models--") and folder.is_dir():
            snapshots = [each for each in _entries(folder / "snapshots") if each.is_dir()]
            found.append(
                CachedModel(
                    name=folder.name.removeprefix("models--").replace("--", "/"),
                    size_bytes=_size(folder / "blobs") or sum(map(_size, snapshots)),
                    whole=any(not missing(each) for each in snapshots),
                )
            )
    return sorted(found, key=lambda each: each.name.casefold())


def nearby_rows(start: Path, recent: Iterable[str] = ()) -> Iterator[RowsFile]:
    """JSON Lines files: those of *recent* launches first, then what lies near *start*."""
    for path in _unique([*map(Path, recent), *_near(start, ".jsonl")]):
        if (found := describe_rows(path)) is not None:
            yield found


def nearby_recipes(start: Path, recent: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """(path, recent | shipped | yours) of recipe files."""
    recent_paths = [each for each in map(Path, recent) if each.is_file()]
    shipped = demo_recipe_path()
    seen = {path.resolve() for path in (*recent_paths, shipped)}
    yield from ((str(path), "recent") for path in recent_paths)
    if shipped not in recent_paths:
        yield str(shipped), "shipped"
    for path in _near(start, ".toml"):
        if path.resolve() not in seen and _is_recipe(path):
            yield str(path), "yours"


def describe_rows(path: Path) -> RowsFile | None:
    """Count *path*'s rows and render the first; None where it cannot be read as such."""
    try:
        with open_data(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            number, first = _first_line(stream)
            rows = about = None
            if size <= COUNTED_BYTES:
                rows = bool(first.strip()) + _lines(stream)
            elif first:
                about = size // len(first)
    except DataError:
        return None
    row = parse_row(number, first)
    if isinstance(row, Row):
        told = rendered(row)
    else:
        told = f"line {number} {row.reason}" if first.strip() else "it has no rows"
    return RowsFile(
        path=str(path),
        rows=rows,
        about=about,
        shape=row.shape if isinstance(row, Row) else None,
        first=told,
    )


def rendered(row: Row) -> str:
    """A row as a person reads it: who says what, on one line."""
    said = [f"{turn['role']}: {turn['content']}" for turn in row.messages]
    if row.prompt:
        said.append(row.prompt)
    said.append(f"assistant: {row.answer}" if row.messages else row.answer)
    return " ".join(" | ".join(said).split())


def recent_launches(root: Path) -> list[list[str]]:
    """The words of earlier launches, newest first; relative paths were made absolute."""
    kept = (read_json(root / RECENT).value or {}).get("launches")
    if not isinstance(kept, list):
        return []
    return [
        each
        for each in kept
        if isinstance(each, list) and each and all(isinstance(word, str) for word in each)
    ]


def remember_launch(root: Path, words: Sequence[str]) -> None:
    """Put *words* first among the recent launches; a disk that refuses is no reason to fail."""
    launches = [list(words), *(each for each in recent_launches(root) if each != list(words))]
    with suppress(OSError):
        content = {"schema": SCHEMA, "launches": launches[:RECENT_KEPT]}
        write_json(root / RECENT, content, durable=False)


def _near(start: Path, suffix: str) -> list[Path]:
    """Files below *start* whose name ends in *suffix*, newest first."""
    found: list[tuple[float, Path]] = []
    seen = 0
    for folder, folders, names in os.walk(start):
        deep = len(Path(folder).relative_to(start).parts)
        folders[:] = [
            each
            for each in folders
            if deep < DEEP and not each.startswith(".") and each not in PASSED_OVER
        ]
        seen += len(names) + len(folders)
        for name in names:
            if name.endswith(suffix):
                path = Path(folder, name)
                with suppress(OSError):
                    found.append((path.stat().st_mtime, path))
        if seen > MOST_SEEN:
            break
    return [path for _, path in sorted(found, reverse=True)[:MOST_FOUND]]


def _is_recipe(path: Path) -> bool:
    try:
        if path.stat().st_size > RECIPE_BYTES:
            return False
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(tables.get("data"), dict) and "path" in tables["data"]


def _first_line(stream: IO[bytes]) -> tuple[int, bytes]:
    """The first line that is not blank, and its number; blank itself where the file begins so."""
    number, line = 1, stream.readline(FIRST_LINE_BYTES)
    while line and not line.strip() and number < BLANK_LINES:
        number, line = number + 1, stream.readline(FIRST_LINE_BYTES)
    return number, line


def _lines(stream: Iterable[bytes]) -> int:
    return sum(1 for line in stream if line.strip())


def _unique(paths: Iterable[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        if (real := path.resolve()) not in seen:
            seen.add(real)
            yield path


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _size(folder: Path) -> int:
    total = 0
    for path in _entries(folder):
        with suppress(OSError):
            total += path.stat().st_size
    return total
