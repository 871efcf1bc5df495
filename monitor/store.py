"""telemetry.sqlite3: one sample a second, written by a thread of its own and read by anyone.

The rule: recording never harms watching. `record` never waits and never raises; what cannot be
written is counted and named.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from monitor.probes import Read
from monitor.probes.clock import Now, read_now
from monitor.probes.filesystem import filesystem_type, is_local_filesystem
from monitor.samples import APPLICATION_ID, COLUMNS, GpuSample, Sample, from_row, sample_of
from monitor.telemetry_file import TelemetryFile, is_corrupt, move_aside

__all__ = ["GpuSample", "Sample", "TelemetryStore", "read_samples", "sample_of"]

QUEUE_LIMIT = 600
"""Samples that wait for the disk: ten minutes' worth, then the oldest are dropped and counted."""

RETRY_S = 5.0
CARE_EVERY_S = 60.0
_READ_BUSY_S = 0.5


class TelemetryStore:
    """The writer. `record` from one thread; `problem`, `dropped` and `take_notes` from any."""

    def __init__(
        self,
        path: Path,
        *,
        queue_limit: int = QUEUE_LIMIT,
        retry_s: float = RETRY_S,
        clock: Callable[[], Now] = read_now,
    ) -> None:
        self._path = path
        self._clock = clock
        self._retry_s = retry_s
        self._queue: queue.Queue[Sample | None] = queue.Queue(queue_limit)
        self._pending: deque[Sample] = deque(maxlen=queue_limit)
        self._file: TelemetryFile | None = None
        self._notes: deque[str] = deque(maxlen=32)
        self._thread: threading.Thread | None = None
        self._next_care_s = 0.0
        self.problem: str | None = None
        """Why samples are not being written just now."""
        self.dropped = 0
        """Samples lost because the disk could not take them in time."""
        self.written = 0

    def start(self) -> None:
        """Begin to write; on a network file system, say so and record nothing."""
        if not is_local_filesystem(self._path.parent):
            kind = filesystem_type(self._path.parent)
            self.problem = f"{self._path.name} is not kept on a network file system ({kind})"
            return
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def record(self, sample: Sample) -> bool:
        """Hand *sample* over, at once; False when it was dropped."""
        if self._thread is None:
            return False
        try:
            self._queue.put_nowait(sample)
        except queue.Full:
            self.dropped += 1
            return False
        return True

    def take_notes(self) -> list[str]:
        """Return, once, what a person should know: a broken file that was put aside."""
        notes = []
        while self._notes:
            notes.append(self._notes.popleft())
        return notes

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits and end; a disk that hangs is left behind after *timeout_s*."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return
        thread.join(timeout_s)

    def _run(self) -> None:
        running = True
        while running:
            running = self._collect()
            if self._pending:
                self._flush()
        self.dropped += len(self._pending)
        self._give_up_file()

    def _collect(self) -> bool:
        """Wait for samples (or for the next retry) and take all there are; False at the end."""
        try:
            item = self._queue.get(timeout=self._retry_s if self._pending else None)
            while item is not None:
                if len(self._pending) == self._pending.maxlen:
                    self.dropped += 1
                self._pending.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return True
        return False

    def _flush(self) -> None:
        """Write what is pending; on failure keep it for the next try."""
        try:
            self._write()
        except sqlite3.Error as error:
            self._give_up_file()
            if is_corrupt(error) or self._path.is_dir():
                self._begin_again(str(error))
            else:
                self._fail(str(error))
        except OSError as error:
            self._give_up_file()
            self._fail(error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - the thread's rim: recording must go on
            self.dropped += len(self._pending)
            self._pending.clear()
            self._fail(f"unexpected: {error}")

    def _write(self) -> None:
        if self._file is not None and self._file.replaced():
            self._give_up_file()
        if self._file is None:
            self._file = TelemetryFile(self._path)
        self._file.write(self._pending)
        self.written += len(self._pending)
        self._pending.clear()
        self.problem = None
        self._care(self._clock())

    def _care(self, now: Now) -> None:
        """Now and then: thin a bite of the old, and see that the file is still sound."""
        if self._file is not None and now.monotonic_s >= self._next_care_s:
            self._next_care_s = now.monotonic_s + CARE_EVERY_S
            self._file.verify()
            self._file.thin(now.wall_s)

    def _give_up_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin_again(self, why: str) -> None:
        """Put the broken file aside and write what is pending to a new one."""
        try:
            aside = move_aside(self._path, self._clock().wall_s)
        except OSError as error:
            self._fail(f"it is broken ({why}) and cannot be put aside: {error.strerror or error}")
            return
        self._notes.append(f"{self._path.name} could not be used ({why}): kept as {aside.name}")
        try:
            self._write()
        except (sqlite3.Error, OSError) as error:
            self._give_up_file()
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self.problem = f"{self._path.name} cannot be written: {why}"


def read_samples(
    path: Path,
    since_wall: float | None = None,
    limit: int | None = None,
    every: float | None = None,
) -> Read[tuple[Sample, ...]]:
    """Return samples, oldest first: from *since_wall* on, the newest *limit*, one per *every* s.

    The value is always a tuple. No transaction outlives the call. A missing file is empty; one that
    cannot be used is empty with the problem named.
    """
    query, arguments = _query(since_wall, limit, every)
    try:
        if not path.exists():
            return Read(())
        rows = fetch_rows(path, query, arguments)
    except (sqlite3.Error, OSError) as error:
        return Read((), f"{path.name} cannot be read: {error}")
    samples = (from_row(row[1:]) for row in reversed(rows))
    return Read(tuple(sample for sample in samples if sample is not None))


def _query(
    since_wall: float | None, limit: int | None, every: float | None
) -> tuple[str, dict[str, Any]]:
    """Newest first. With a bare min(id), SQLite takes the other columns from that row."""
    first = "min(id)" if every else "id"
    where = "WHERE wall_s >= :since" if since_wall is not None else ""
    group = "GROUP BY boot_id, CAST(wall_s / :every AS INTEGER)" if every else ""
    query = (
        f"SELECT {first} AS first, {', '.join(COLUMNS)} FROM samples"  # noqa: S608 - constants
        f" {where} {group} ORDER BY first DESC LIMIT :limit"
    )
    unlimited = -1
    return query, {
        "since": since_wall,
        "every": every,
        "limit": unlimited if limit is None else max(0, limit),
    }


def fetch_rows(path: Path, query: str, arguments: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run *query* read-only on the telemetry in *path*. Raises sqlite3.Error or OSError.

    Without a write-ahead log there is no writer, and the file is read as it stands: an ordinary
    open would leave files of SQLite's own in the run folder. Should one just begin: once more.
    """
    if not path.with_name(path.name + "-wal").exists():
        try:
            return _fetch_from(path, "mode=ro&immutable=1", query, arguments)
        except sqlite3.DatabaseError:
            if not path.with_name(path.name + "-wal").exists():
                raise
    return _fetch_from(path, "mode=ro", query, arguments)


def _fetch_from(
    path: Path, options: str, query: str, arguments: dict[str, Any]
) -> list[tuple[Any, ...]]:
    uri = f"file:{quote(str(path.absolute()))}?{options}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_READ_BUSY_S)) as connection:
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise sqlite3.DatabaseError("it is no telemetry of lanewatch")
        return connection.execute(query, arguments).fetchall()
