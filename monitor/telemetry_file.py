"""The SQLite file itself: open it, write it, thin it, and put a broken one aside.

The rule: nothing here waits or retries; it raises `sqlite3.Error` or OSError to the writer thread.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from monitor.samples import APPLICATION_ID, CREATE, INSERT, VERSION, Sample, to_row

KEEP_FULL_S = 48 * 3600.0
"""Older samples are thinned to one a minute."""

THIN_BITE = 600
"""Rows looked at in one bite: ten minutes' worth, so that a backlog is worked off."""

_BUSY_S = 2.0
_CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -256",  # KiB: the watcher stays small
    "PRAGMA wal_autocheckpoint = 200",
)


class ForeignFileError(sqlite3.DatabaseError):
    """The file is a database, but not one of ours."""


def is_corrupt(error: sqlite3.Error) -> bool:
    """True when only beginning again helps; False for a full disk, a lock or a missing folder."""
    if isinstance(error, ForeignFileError) or str(error).startswith("no such "):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _CORRUPT_CODES


class TelemetryFile:
    """An open telemetry.sqlite3 for its only writer."""

    def __init__(self, path: Path) -> None:
        """Open *path*, made if it is not there. Raises sqlite3.Error or OSError."""
        self.path = path
        _create(path)
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            self._prepare()
            self.inode = path.stat().st_ino
        except (sqlite3.Error, OSError):
            self._connection.close()
            raise

    def write(self, samples: Sequence[Sample]) -> None:
        """Add *samples* in one transaction: all or none."""
        with _Transaction(self._connection):
            self._connection.executemany(INSERT, [to_row(sample) for sample in samples])

    def thin(self, wall_s: float) -> int:
        """Look at the next bite of old rows and keep the first of each minute.

        Returns how many rows were looked at; 0 when nothing old is left.
        """
        connection = self._connection
        with _Transaction(connection):
            (done,) = connection.execute("SELECT id FROM thinned").fetchone()
            rows = connection.execute(
                "SELECT id, boot_id, CAST(wall_s / 60 AS INTEGER), wall_s FROM samples"
                " WHERE id > ? ORDER BY id LIMIT ?",
                (done, THIN_BITE),
            ).fetchall()
            old, extra = _surplus(rows, wall_s - KEEP_FULL_S)
            if old:
                connection.executemany("DELETE FROM samples WHERE id = ?", [(x,) for x in extra])
                connection.execute("UPDATE thinned SET id = ?", (old[-1],))
        return len(old)

    def verify(self) -> None:
        """Read the newest rows back as a stranger would. Raises sqlite3.Error.

        The open connection believes its cache: it would write for days to a file that was
        overwritten. The file is not opened in any other way, for closing it then would drop
        SQLite's own locks.
        """
        uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as stranger:
            stranger.execute("SELECT * FROM samples ORDER BY id DESC LIMIT 5").fetchall()
            stranger.execute("SELECT max(wall_s) FROM samples").fetchone()

    def replaced(self) -> bool:
        """True when the path no longer leads to the file that is open."""
        try:
            return self.path.stat().st_ino != self.inode
        except OSError:
            return True

    def close(self) -> None:
        """Close; the last one out folds the write-ahead log in."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _prepare(self) -> None:
        connection = self._connection
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and tables == 0:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            connection.executescript("BEGIN IMMEDIATE;" + CREATE + "COMMIT;")
            return
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID or version != VERSION:
            raise ForeignFileError("it is a database of something else")
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        # Reads the root of both trees: a file that was cut short shows it here.
        connection.execute("SELECT max(id) FROM samples").fetchone()
        connection.execute("SELECT max(wall_s) FROM samples").fetchone()


def _create(path: Path) -> None:
    """Make an empty file for its mode; SQLite gives the same to the files it puts beside it."""
    with suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK when anything raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._rollback()
                raise
        else:
            self._rollback()

    def _rollback(self) -> None:
        with suppress(sqlite3.Error):  # a full disk has rolled back already
            self._connection.execute("ROLLBACK")


def _surplus(
    rows: Sequence[tuple[int, str, int, float]], before: float
) -> tuple[list[int], list[int]]:
    """(ids that are old enough, those of them that are not the first of their minute)."""
    old: list[int] = []
    extra: list[int] = []
    minute: tuple[str, int] | None = None
    for row_id, boot_id, number, wall_s in rows:
        if not isinstance(wall_s, (int, float)) or wall_s >= before:
            break
        if minute == (boot_id, number):
            extra.append(row_id)
        minute = (boot_id, number)
        old.append(row_id)
    return old, extra


def move_aside(path: Path, wall_s: float) -> Path:
    """Rename a broken file, and what SQLite keeps beside it, out of the way. Raises OSError."""
    aside = path.with_name(f"{path.name}.corrupt-{int(wall_s)}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{int(wall_s)}-{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside
