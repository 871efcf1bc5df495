"""The whole past of a run in few points, from a telemetry file that may hold anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from monitor.run_history import read_history
from monitor.samples import COLUMNS, CREATE, INSERT, GpuSample, Sample, to_row

WALL = 1_779_000_000.0


def written(path: Path, samples: list[Sample], *raw: dict[str, Any]) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(CREATE)
    connection.executemany(INSERT, [to_row(each) for each in samples])
    connection.executemany(INSERT, [[each.get(name) for name in COLUMNS] for each in raw])
    connection.commit()
    connection.close()
    return path


def sample(at: int, **figures: Any) -> Sample:
    return Sample(boot_id="b", monotonic_s=float(at), wall_s=WALL + at, **figures)


def test_a_night_becomes_few_points_from_its_first_second_to_its_last(tmp_path: Path) -> None:
    night = [sample(at, mem_used_bytes=at, iteration=at // 30) for at in range(0, 36_000, 5)]
    points = read_history(written(tmp_path / "t.sqlite3", night), most=100, least_s=5.0).value
    assert points is not None
    assert 90 <= len(points) <= 101
    assert points[0].wall_s - WALL < 400
    assert WALL + 36_000 - points[-1].wall_s < 400
    assert [each.wall_s for each in points] == sorted(each.wall_s for each in points)


def test_memory_keeps_its_peak_and_the_rest_its_mean(tmp_path: Path) -> None:
    gpus = [(GpuSample(index=0, utilisation_percent=busy, power_w=busy / 2),) for busy in (0, 100)]
    two = [
        sample(0, mem_used_bytes=90, cpu_percent=10.0, gpus=gpus[0]),
        sample(1, mem_used_bytes=10, cpu_percent=20.0, gpus=gpus[1]),
    ]
    (point,) = read_history(written(tmp_path / "t.sqlite3", two), most=9, least_s=5.0).value or ()
    assert (point.memory_bytes, point.cpu_percent, point.gpu_percent) == (90, 15.0, 50.0)
    assert point.power_w == 25.0
    assert point.clock_mhz is None


def test_of_several_gpus_the_named_one_is_drawn(tmp_path: Path) -> None:
    gpus = (GpuSample(index=0, power_w=400.0), GpuSample(index=1, power_w=45.0))
    path = written(tmp_path / "t.sqlite3", [sample(0, gpus=gpus)])
    watts = [
        point.power_w
        for place in (0, 1, 2)
        for point in read_history(path, most=9, least_s=5.0, gpu=place).value or ()
    ]
    assert watts == [400.0, 45.0, None]


def test_a_short_run_is_not_thinned(tmp_path: Path) -> None:
    path = written(tmp_path / "t.sqlite3", [sample(at) for at in range(0, 100, 5)])
    assert len(read_history(path, most=500, least_s=5.0).value or ()) == 20


def test_strange_rows_are_left_out_and_a_strange_file_is_named(tmp_path: Path) -> None:
    strange = {"boot_id": "b", "monotonic_s": 1, "wall_s": "soon", "gpus": "[[0,"}
    broken = {"boot_id": "b", "monotonic_s": 1, "wall_s": WALL + 9, "gpus": "no json"}
    path = written(tmp_path / "t.sqlite3", [sample(0)], strange, broken)
    points = read_history(path, most=9, least_s=5.0).value
    assert points is not None
    assert [each.wall_s - WALL for each in points] == [0, 9]
    assert read_history(tmp_path / "none.sqlite3", most=9, least_s=5.0).value == ()
    (tmp_path / "bad.sqlite3").write_bytes(b"garbage" * 999)
    read = read_history(tmp_path / "bad.sqlite3", most=9, least_s=5.0)
    assert read.value == ()
    assert read.problem is not None
    assert "bad.sqlite3 cannot be read" in read.problem


@pytest.mark.parametrize("rows", [[], [sample(3)]])
def test_the_first_seconds_of_a_run(tmp_path: Path, rows: list[Sample]) -> None:
    path = written(tmp_path / "t.sqlite3", rows)
    assert len(read_history(path, most=9, least_s=5.0).value or ()) == len(rows)
