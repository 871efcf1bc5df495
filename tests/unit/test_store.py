"""Recording never harms watching: what the disk does wrong is counted, named and survived."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import telemetry_file
from monitor.model import (
    Ages,
    GpuReading,
    Heartbeat,
    Liveness,
    MachineReading,
    MemoryReading,
    Observation,
    Verdict,
)
from monitor.probes.clock import Now
from monitor.samples import COLUMNS, GpuSample, Sample, from_row, sample_of, to_row
from monitor.store import TelemetryStore, read_samples
from monitor.telemetry_file import KEEP_FULL_S, TelemetryFile

NOW = Now(boot_id="b", monotonic_s=100.0, wall_s=1_000_000.0)


def sample(second: float, **more: object) -> Sample:
    made = Sample(boot_id="b", monotonic_s=second, wall_s=NOW.wall_s + second)
    return replace(made, iteration=int(second), **more)  # type: ignore[arg-type]


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


def until(condition: Callable[[], object]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if condition():
            return
        waiting.wait(0.005)
    pytest.fail("it never happened")


def seconds(path: Path) -> list[int | None]:
    read = read_samples(path)
    assert read.problem is None
    return [each.iteration for each in read.value or ()]


def write(path: Path, *samples: Sample) -> None:
    store = TelemetryStore(path, clock=lambda: NOW)
    store.start()
    for each in samples:
        assert store.record(each)
    store.close()
    assert store.problem is None


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite3"
    whole = sample(
        7,
        attempt=2,
        stage="train",
        phase="iteration",
        verdict="training",
        loss=0.5,
        mem_used_bytes=2**40,
        cpu_s=1.25,
        gpus=(GpuSample(index=0, power_w=45.5, sm_clock_mhz=2405, throttle=("sw-thermal",)),),
    )
    write(path, whole, sample(8))
    read = read_samples(path)
    assert read.problem is None
    assert read.value == (whole, sample(8))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["telemetry.sqlite3"]


def test_a_missing_file_is_empty(tmp_path: Path) -> None:
    read = read_samples(tmp_path / "telemetry.sqlite3")
    assert (read.value, read.problem) == ((), None)


def test_reading_a_part(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite3"
    write(path, *[sample(second) for second in range(120)])
    since = read_samples(path, since_wall=NOW.wall_s + 115).value or ()
    assert [each.iteration for each in since] == [115, 116, 117, 118, 119]
    newest = read_samples(path, limit=2).value or ()
    assert [each.iteration for each in newest] == [118, 119]
    assert read_samples(path, limit=0).value == ()
    coarse = read_samples(path, every=60).value or ()
    assert len(coarse) == 3
    assert coarse == tuple(sorted(coarse, key=lambda each: each.wall_s))


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%41&mode=rw"
    folder.mkdir()
    write(folder / "telemetry.sqlite3", sample(1))
    assert seconds(folder / "telemetry.sqlite3") == [1]


def test_reading_while_it_is_written_and_leaving_nothing_behind(
    tmp_path: Path, start: Start
) -> None:
    path = tmp_path / "telemetry.sqlite3"
    store = start(path)
    for second in range(20):
        store.record(sample(second))
        until(lambda: store.written == second + 1)  # noqa: B023 - called before the next round
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


def test_a_restart_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite3"
    write(path, sample(1))
    write(path, sample(2))
    assert seconds(path) == [1, 2]


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
    until(lambda: store.written)
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
    until(lambda: store.written == 1)
    for name in spoilt:
        with (tmp_path / name).open("r+b") as stream:
            stream.write(os.urandom((tmp_path / name).stat().st_size))
    notes: list[str] = []
    for second in range(2, 50):
        store.record(sample(second))
        until(lambda: not store._pending and store._queue.empty())
        notes += store.take_notes()
    store.close()
    assert 49 in seconds(path)
    assert store.problem is None
    assert len(notes) == 1


def test_a_file_that_is_deleted_in_mid_run_is_made_again(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "telemetry.sqlite3"
    store = start(path)
    store.record(sample(1))
    until(lambda: store.written == 1)
    for each in tmp_path.glob("telemetry.sqlite3*"):
        each.unlink()
    store.record(sample(2))
    until(lambda: store.written == 2)
    assert seconds(path) == [2]


def test_a_run_folder_that_goes_is_named_and_not_made_again(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "run"
    store = start(folder / "telemetry.sqlite3")
    assert store.record(sample(1))
    until(lambda: store.problem)
    assert not folder.exists()
    folder.mkdir()
    until(lambda: store.problem is None)
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
        until(lambda: store.problem and store.dropped)
        assert "full" in str(store.problem)
    until(lambda: store.problem is None)
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
        until(lambda: store.problem)
        assert seconds(path) == [1]
        other.execute("ROLLBACK")
    until(lambda: store.problem is None)
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


def test_old_samples_are_thinned_to_one_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite3"
    file = TelemetryFile(path)
    file.write([sample(second) for second in range(0, 3600, 2)])
    old_till = NOW.wall_s + 3000
    bites = 0
    while file.thin(old_till + KEEP_FULL_S):
        bites += 1
    assert bites >= 2
    file.close()
    kept = [each.iteration for each in read_samples(path).value or ()]
    old = [each for each in kept if each is not None and each < 3000]
    assert kept[len(old) :] == list(range(3000, 3600, 2))
    assert 50 <= len(old) <= 50 + bites + 1
    file = TelemetryFile(path)
    assert file.thin(old_till + KEEP_FULL_S) == 0
    file.close()


def test_thinning_does_not_mind_a_clock_that_was_set_back(tmp_path: Path) -> None:
    file = TelemetryFile(tmp_path / "telemetry.sqlite3")
    file.write([sample(second) for second in (0, 1, 7200, 3600, 3601)])
    assert file.thin(NOW.wall_s) == 0
    assert file.thin(NOW.wall_s + KEEP_FULL_S + 9000) == 5
    file.close()


def test_the_writer_thins_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite3"
    late = replace(NOW, wall_s=NOW.wall_s + KEEP_FULL_S + 1000)
    store = TelemetryStore(path, clock=lambda: late)
    store.start()
    for second in range(100):
        store.record(sample(second))
    store.close()
    assert len(read_samples(path).value or ()) < 10


def test_a_sample_of_an_observation() -> None:
    memory = MemoryReading(
        total_bytes=100, available_bytes=30, free_bytes=5, cached_bytes=20,
        swap_total_bytes=10, swap_free_bytes=4,
    )  # fmt: skip
    gpu = GpuReading(index=0, name="GB10", power_w=45.5, memory_used_bytes=None)
    beat = Heartbeat(
        attempt=1, seq=1, pid=1, boot_id="b", monotonic_s=1, stage="train", phase="saving", loss=0.5
    )
    observation = Observation(
        run="r", taken_at=1, heartbeat=beat, ages=Ages(progress_s=3.5),
        machine=MachineReading(memory=memory, gpus=(gpu,)),
    )  # fmt: skip
    verdict = Verdict(liveness=Liveness.LOG_STUCK, reason="x", iteration=7)
    made = sample_of(observation, verdict, NOW)
    assert (made.verdict, made.iteration, made.phase, made.loss) == ("log-stuck", 7, "saving", 0.5)
    assert (made.mem_used_bytes, made.swap_used_bytes, made.progress_age_s) == (70, 6, 3.5)
    assert made.gpus == (GpuSample(index=0, power_w=45.5),)
    assert made.rss_bytes is None
    empty = sample_of(Observation(run="r", taken_at=1), verdict, NOW)
    assert (empty.mem_used_bytes, empty.gpus, empty.log_bytes) == (None, (), None)


@settings(deadline=None)
@given(st.integers(), st.none() | st.floats(allow_nan=False), st.booleans())
def test_any_sample_comes_back(iteration: int, loss: float | None, gpu: bool) -> None:
    made = replace(
        sample(1), iteration=iteration, loss=loss, gpus=(GpuSample(index=0),) if gpu else ()
    )
    back = from_row(to_row(made))
    storable = abs(iteration) < 2**63
    assert back == (made if storable else replace(made, iteration=None))


CELL = st.none() | st.integers() | st.floats() | st.text("[]1,", max_size=9) | st.binary(max_size=5)


@settings(deadline=None)
@given(st.lists(CELL, min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_any_row_never_raises(row: list[object]) -> None:
    made = from_row(row)
    assert made is None or made.boot_id == row[0]
