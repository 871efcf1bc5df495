"""After the machine went down under a run, the next start says what was last seen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fabricated import FabricatedRun, wait_for

from monitor.events import append_event
from monitor.flight_log import last_words, unclean_ends
from monitor.model import Status
from monitor.probes.clock import Now, boot_id
from monitor.samples import GpuSample, Sample
from monitor.status import read_status
from monitor.store import TelemetryStore
from monitor.target import read_target

GIB = 1 << 30
BEFORE = "00000000-0000-0000-0000-000000000000"
WALL = time.time() - 3600.0
"""An hour ago: what is two days old is thinned."""


def sample(second: float, used_gib: float, **changes: object) -> Sample:
    values: dict[str, object] = {
        "boot_id": BEFORE,
        "monotonic_s": second,
        "wall_s": WALL + second,
        "verdict": "training",
        "iteration": 311,
        "mem_used_bytes": int(used_gib * GIB),
        "mem_available_bytes": int((121.7 - used_gib) * GIB),
        "gpus": (GpuSample(index=0, power_w=38.2, utilisation_percent=96.0),),
    }
    return Sample(**values | changes)


class DownedRun(FabricatedRun):
    """A run whose machine went down: a living state of another boot, and its telemetry."""

    def go_down(self, *samples: Sample) -> None:
        process = {"pid": os.getpid(), "start_ticks": 1, "boot_id": BEFORE}
        self.write_state(boot_id=BEFORE, process=process, keeper=process)
        store = TelemetryStore(self.root / "telemetry.sqlite3")
        store.start()
        for each in samples:
            store.record(each)
        store.close()

    def words(self) -> str:
        return last_words(read_target(self.root), boot_id()) or ""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[DownedRun]:
    made = DownedRun(tmp_path / "runs" / "reference-1")
    yield made
    made.close()


def test_the_last_sample_is_told(run: DownedRun) -> None:
    run.go_down(sample(0, 60.0), sample(1, 108.2))
    words = run.words()
    day = datetime.fromtimestamp(WALL + 1, UTC).date().isoformat()
    assert words.startswith(f"last seen {day} ")
    assert "training at iteration 311" in words
    assert "108.2 GiB of memory used, 13.5 GiB available, memory high" in words
    assert "GPU 0 at 38 W, 96 %" in words


def test_a_warning_that_no_sample_alone_shows_is_taken_from_the_events(run: DownedRun) -> None:
    run.go_down(sample(1, 80.0))
    assert "memory warn" not in run.words()
    at = Now(boot_id=BEFORE, monotonic_s=1.0, wall_s=WALL)
    append_event(
        run.root / "events.jsonl", "memory", "memory warn: why", "watcher", at, level="warn"
    )
    assert "memory warn" in run.words()


def test_samples_of_this_boot_are_passed_over(run: DownedRun) -> None:
    run.go_down(sample(1, 70.0), sample(2, 5.0, boot_id=boot_id()))
    assert "70.0 GiB" in run.words()


@pytest.mark.parametrize("samples", [(), (sample(1, 5.0, boot_id=boot_id()),)])
def test_without_a_sample_of_the_boot_before_nothing_is_said(
    run: DownedRun, samples: tuple[Sample, ...]
) -> None:
    run.go_down(*samples)
    assert run.words() == ""


def test_a_run_of_this_boot_has_no_last_words(run: DownedRun) -> None:
    run.train()
    assert run.words() == ""


def test_status_tells_the_last_words_and_writes_nothing(run: DownedRun) -> None:
    run.go_down(sample(1, 108.2))
    before = sorted(each.name for each in run.root.rglob("*"))
    status = read_status(run.root)
    assert status.verdict == "failed"
    assert "the machine was restarted" in status.reason
    assert "108.2 GiB of memory used" in status.reason
    assert sorted(each.name for each in run.root.rglob("*")) == before


def test_the_next_watcher_tells_them_once_and_keeps_the_reason(run: DownedRun) -> None:
    run.go_down(sample(1, 108.2))
    run.watch()
    wait_for(lambda: run.verdict() == "failed")
    time.sleep(0.3)
    reason = run.watched("verdict", "reason")
    assert "108.2 GiB of memory used" in reason
    told = [event for event in run.events("note") if "the machine went down" in event["text"]]
    assert len(told) == 1


def test_a_launch_hears_of_runs_that_were_under_way(run: DownedRun) -> None:
    run.go_down(sample(1, 108.2))
    ((name, words),) = unclean_ends(run.root.parent, boot_id())
    assert name == "reference-1"
    assert "108.2 GiB" in words
    run.write_state(str(Status.FAILED), cause="the machine was restarted while it ran")
    assert unclean_ends(run.root.parent, boot_id()) == []
