"""What is recorded is what is read: whole, in part, thinned with age, from any row."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from recorded import NOW, sample, seconds, write

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
from monitor.samples import COLUMNS, GpuSample, from_row, sample_of, to_row
from monitor.store import TelemetryStore, read_samples
from monitor.telemetry_file import KEEP_FULL_S, TelemetryFile


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


def test_a_restart_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.sqlite3"
    write(path, sample(1))
    write(path, sample(2))
    assert seconds(path) == [1, 2]


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


@given(st.integers(), st.none() | st.floats(allow_nan=False), st.booleans())
def test_any_sample_comes_back(iteration: int, loss: float | None, gpu: bool) -> None:
    made = replace(
        sample(1), iteration=iteration, loss=loss, gpus=(GpuSample(index=0),) if gpu else ()
    )
    back = from_row(to_row(made))
    storable = abs(iteration) < 2**63
    assert back == (made if storable else replace(made, iteration=None))


CELL = st.none() | st.integers() | st.floats() | st.text("[]1,", max_size=9) | st.binary(max_size=5)


@given(st.lists(CELL, min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_any_row_never_raises(row: list[object]) -> None:
    made = from_row(row)
    assert made is None or made.boot_id == row[0]
