"""Recording never harms watching: what the disk does wrong is counted, named and survived."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated import wait_for
from recorded import NOW, sample, seconds, write

from monitor import telemetry_file
from monitor.samples import Sample
from monitor.store import TelemetryStore, read_samples
from monitor.telemetry_file import TelemetryFile

Start = Callable[..., TelemetryStore]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[TelemetryStore] = []

    def begin(path: Path, **options: int) -> TelemetryStore:
        store = TelemetryStore(path, retry_s=0.02, clock=lambda: NOW, **options)
        started.append(store)
        store.start()
        return store

    yield begin
    for store in started:
        store.close()


def test_reading_while_it_is_written_and_leaving_nothing_behind(
    tmp_path: Path, start: Start
) -> None:
    path = tmp_path / "telemetry.sqlite3"
    store = start(path)
    for second in range(20):
        store.record(sample(second))
        wait_for(lambda: store.written == second + 1)  # noqa: B023 - called before the next round
        assert seconds(path) == list(range(second + 1))
    store.close()
    assert seconds(path) == list(range(20))
    assert [each.name for each in tmp_path.iterdir()] == ["telemetry.sqlite3"]


def test_reading_after_the_writer_was_killed(tmp_path: Path) -> None:
    path, killed = tmp_path / "telemetry.sqlite3", tmp_path / "killed"
    killed.mkdir()
    file = TelemetryFile(path)
    file.write([sample(1), sample(2)])
    for name in ("telemetry.sqlite3", "telemetry.sqlite3-wal"):
        (killed / name).write_bytes((tmp_path / name).read_bytes())
    file.close()
    assert seconds(killed / "telemetry.sqlite3") == [1, 2]


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.commit()


def our_empty_shell(path: Path) -> None:
    """Our mark, but not our tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {telemetry_file.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {telemetry_file.VERSION}")
        connection.execute("CREATE TABLE other (x)")
        connection.commit()


def cut_short(path: Path) -> None:
    write(path, *[sample(second) for second in range(300)])
    os.truncate(path, 6000)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(b"garbage" * 1000), id="garbage"),
        pytest.param(lambda path: path.write_bytes(b"SQLite format 3\0" * 500), id="only a header"),
        pytest.param(foreign_database, id="a foreign database"),
        pytest.param(our_empty_shell, id="without our tables"),
        pytest.param(cut_short, id="cut short"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
    ],
)
def test_a_broken_file_is_put_aside_and_begun_again(
    tmp_path: Path, start: Start, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "telemetry.sqlite3"
    spoil(path)
    broken = read_samples(path)
    assert broken.value == ()
    assert broken.problem is not None
    store = start(path)
    store.record(sample(1))
    wait_for(lambda: store.written)
    assert seconds(path) == [1]
    aside = tmp_path / "telemetry.sqlite3.corrupt-1000000"
    assert aside.exists()
    (note,) = store.take_notes()
    assert aside.name in note
    assert store.take_notes() == []
    assert (store.problem, store.dropped) == (None, 0)


def test_two_broken_files_in_one_second_are_both_kept(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "telemetry.sqlite3"
    for _ in range(2):
        path.write_bytes(b"garbage" * 1000)
        store = start(path)
        store.record(sample(1))
        store.close()
    assert len(list(tmp_path.glob("*.corrupt-*"))) == 2


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(["telemetry.sqlite3", "telemetry.sqlite3-wal"], id="both"),
        pytest.param(["telemetry.sqlite3-wal"], id="the log"),
    ],
)
def test_corruption_in_mid_run_is_survived(tmp_path: Path, spoilt: list[str]) -> None:
    path = tmp_path / "telemetry.sqlite3"
    minutes = iter(range(10_000))
    store = TelemetryStore(path, clock=lambda: replace(NOW, monotonic_s=60.0 * next(minutes)))
    store.start()
    store.record(sample(1))
    wait_for(lambda: store.written == 1)
    for name in spoilt:
        with (tmp_path / name).open("r+b") as stream:
            stream.write(os.urandom((tmp_path / name).stat().st_size))
    notes: list[str] = []
    for second in range(2, 50):
        store.record(sample(second))
        wait_for(lambda: not store._pending and store._queue.empty())
        notes += store.take_notes()
    store.close()
    assert 49 in seconds(path)
    assert store.problem is None
    assert len(notes) == 1


def test_a_file_that_is_deleted_in_mid_run_is_made_again(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "telemetry.sqlite3"
    store = start(path)
    store.record(sample(1))
    wait_for(lambda: store.written == 1)
    for each in tmp_path.glob("telemetry.sqlite3*"):
        each.unlink()
    store.record(sample(2))
    wait_for(lambda: store.written == 2)
    assert seconds(path) == [2]


def test_a_run_folder_that_goes_is_named_and_not_made_again(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "run"
    store = start(folder / "telemetry.sqlite3")
    assert store.record(sample(1))
    wait_for(lambda: store.problem)
    assert not folder.exists()
    folder.mkdir()
    wait_for(lambda: store.problem is None)
    assert seconds(folder / "telemetry.sqlite3") == [1]


def test_a_full_disk_is_counted_and_survived(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "telemetry.sqlite3"
    prepare = TelemetryFile._prepare

    def little_room(self: TelemetryFile) -> None:
        prepare(self)
        self._connection.execute("PRAGMA max_page_count = 8")  # SQLITE_FULL, as a full disk gives

    with monkeypatch.context() as patch:
        patch.setattr(TelemetryFile, "_prepare", little_room)
        store = start(path, queue_limit=300)
        for second in range(2000):
            store.record(sample(second, stage="x" * 200))
        wait_for(lambda: store.problem and store.dropped)
        assert "full" in str(store.problem)
    wait_for(lambda: store.problem is None)
    store.record(sample(5000))
    store.close()
    assert seconds(path)[-1] == 5000
    assert store.take_notes() == []


def test_a_locked_file_only_delays(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry_file, "_BUSY_S", 0.01)
    path = tmp_path / "telemetry.sqlite3"
    write(path, sample(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store = start(path)
        store.record(sample(2))
        wait_for(lambda: store.problem)
        assert seconds(path) == [1]
        other.execute("ROLLBACK")
    wait_for(lambda: store.problem is None)
    assert seconds(path) == [1, 2]
    assert store.dropped == 0


def test_a_slow_disk_drops_and_never_waits(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, entered = threading.Event(), threading.Event()
    real = TelemetryFile.write

    def slow(self: TelemetryFile, samples: list[Sample]) -> None:
        entered.set()
        release.wait(30)
        real(self, samples)

    monkeypatch.setattr(TelemetryFile, "write", slow)
    store = start(tmp_path / "telemetry.sqlite3", queue_limit=3)
    store.record(sample(0))
    assert entered.wait(20)
    taken = [store.record(sample(second)) for second in range(1, 10)]
    assert taken == [True] * 3 + [False] * 6
    assert store.dropped == 6
    release.set()
    store.close()
    assert seconds(tmp_path / "telemetry.sqlite3") == [0, 1, 2, 3]


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.store.is_local_filesystem", lambda _: False)
    store = TelemetryStore(tmp_path / "telemetry.sqlite3")
    store.start()
    assert store.record(sample(1)) is False
    store.close()
    assert store.problem is not None
    assert "network" in store.problem
    assert list(tmp_path.iterdir()) == []
