"""The sampler on real folders: what it reads, what it leaves alone, what it survives."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_folders import FINISHED, Counted, files_of, unseen, write_run
from shown import screen_text, text_of

from monitor.model import GpuReading, Liveness, MachineReading
from monitor.probes.clock import Now, read_now
from monitor.status import read_status
from monitor.status_model import IterationView, RunStatus
from tui.app import LanewatchApp
from tui.detail import DetailReader
from tui.run_list import RunList
from tui.sampler import Sampler, _Machine
from tui.screens.run import RunScreen
from tui.state import Snapshot
from tui.widgets.key_bar import KeyBar
from tui.widgets.line_view import LineView
from tui.widgets.run_table import RunTable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one finished run."""
    folder = tmp_path / "runs" / FINISHED
    write_run(folder)
    return folder.parent


GARBAGE: dict[str, Callable[[Path], Any]] = {
    "empty folder": lambda folder: folder.mkdir(),
    "files of noise": lambda folder: _noise(folder),
    "folders for files": lambda folder: [
        (folder / name).mkdir(parents=True) for name in ("run.json", "state.json", "metrics.jsonl")
    ],
    "pipes for files": lambda folder: [
        folder.mkdir(),
        *(os.mkfifo(folder / name) for name in ("run.json", "heartbeat.json", "metrics.jsonl")),
    ],
}


def _noise(folder: Path) -> None:
    (folder / "logs").mkdir(parents=True)
    for name in ("run.json", "state.json", "heartbeat.json", "watch.json", "metrics.jsonl"):
        (folder / name).write_bytes(b"\xff\x00[1,2" * 500)
    (folder / "telemetry.sqlite3").write_bytes(b"SQLite format 3\x00" + b"\x07" * 5000)
    (folder / "logs" / "train.log").write_bytes(b"\x00\x1b]0;x\x07" + b"y" * 100_000)


@pytest.mark.parametrize("make", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_folder_of_garbage_is_a_run_that_cannot_be_made_out(root: Path, make: Any) -> None:
    make(root / "garbage")
    now = read_now()
    found = RunList(root, Counted()).read(now, unseen)
    garbage = next(run for run in found if run.run == "garbage")
    assert garbage.verdict not in (Liveness.STALLED, Liveness.TRAINING)
    detail = DetailReader(root / "garbage").read(garbage, now.wall_s)
    assert detail.losses == ()
    assert all(line.isprintable() for line in detail.log_lines)


def test_details_of_a_run(root: Path) -> None:
    now = read_now()
    reader = DetailReader(root / FINISHED)
    status = read_status(root / FINISHED, now=now)
    detail = reader.read(status, now.wall_s)
    assert detail.losses[0] == (1, pytest.approx(2.0 - 1 / 60))
    assert len(detail.losses) == 60
    assert detail.log_name == "merge.log"
    assert detail.log_lines[-1] == "[bold]done[/]"
    with (root / FINISHED / "logs" / "merge.log").open("a") as log:
        log.write("one more\nand a part")
    assert reader.read(status, now.wall_s).log_lines[-2:] == ("one more", "and a part")
    (root / FINISHED / "logs" / "train.log").write_text("trained\n")
    assert reader.read(status, now.wall_s).log_name == "train.log"  # as the log's own screen


def test_how_often_a_run_saves_is_seen_where_no_recipe_tells(
    root: Path, training: RunStatus
) -> None:
    at = DetailReader(root / FINISHED).read(training, 1000.0)
    assert [each.iteration for each in training.checkpoints] == [70, 140, 210]
    assert at.save_interval == 70
    first = replace(training, checkpoints=training.checkpoints[:1])
    assert DetailReader(root / FINISHED).read(first, 1000.0).save_interval is None


def test_a_live_run_gathers_history_from_its_status(root: Path, training: RunStatus) -> None:
    reader = DetailReader(root / FINISHED)
    for second in range(12):
        detail = reader.read(training, 1000.0 + second)
    assert [point.wall_s for point in detail.history] == [1000.0, 1005.0, 1010.0]
    assert detail.history[-1].gpu_percent == 96


def test_losses_of_a_run_without_metrics_are_those_its_status_tells(
    root: Path, training: RunStatus
) -> None:
    reader = DetailReader(root / "foreign")
    said = [(3, 1.5, "log"), (3, 1.5, "log"), (4, None, "log"), (5, 1.25, "log")]
    # A tracker is ahead of a log that is stuck: the loss is not that iteration's.
    for value, loss, source in [*said, (70, 1.25, "tracker")]:
        view = IterationView(value=value, source=source)
        reader.read(replace(training, iteration=view, loss=loss), 100.0)
    assert reader.read(None, 100.0).losses == ((3, 1.5), (5, 1.25))


def wait_for(seen: list[Snapshot], wanted: Callable[[Snapshot], bool]) -> Snapshot:
    """The first state that is *wanted*; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = next((each for each in list(seen) if wanted(each)), None)
        if found is not None:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not seen in {len(seen)} states")


def test_the_thread_says_what_failed_once_and_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Snapshot] = []
    failures: list[str] = []
    broken = [True]
    real = RunList.read

    def read(self: RunList, now: Now, on_part: Any) -> tuple[RunStatus, ...]:
        if broken[0]:
            raise PermissionError("no [/] entry")
        return real(self, now, on_part)

    monkeypatch.setattr(RunList, "read", read)
    sampler = Sampler(root, seen.append, failures.append, interval_s=0.01)
    sampler.start()
    try:
        deadline = time.monotonic() + 10
        while not failures and time.monotonic() < deadline:
            time.sleep(0.01)
        broken[0] = False
        wait_for(seen, lambda each: bool(each.runs))
    finally:
        sampler.stop()
    (failure,) = failures
    assert failure.startswith(f"The runs in {root} cannot be read: no [/] entry")


async def test_a_root_that_cannot_be_listed_is_said_for_as_long_as_that_is_so(
    tmp_path: Path,
) -> None:
    root = tmp_path / "runs"
    root.write_text("a file")
    app = LanewatchApp(root)
    async with app.run_test(size=(100, 30)) as pilot:

        async def until(true: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 60
            while not true() and time.monotonic() < deadline:
                await pilot.pause(0.05)
            assert true()

        said = f"The runs in {root} cannot be read: Not a directory. LANEWATCH_RUNS names"
        await until(lambda: said in " ".join(screen_text(app).split()))
        assert "Reading the runs" not in screen_text(app)
        assert "? help" in text_of(app, KeyBar), "it is said once, and the keys are there"
        root.unlink()
        root.mkdir()
        await until(lambda: "No runs yet" in screen_text(app))
        await until(lambda: "? help" in text_of(app, KeyBar))


async def test_the_app_with_its_real_sampler_shows_a_run_from_disk(root: Path) -> None:
    def shown() -> str:
        return "\n".join(row for view in app.screen.query(LineView) for row in view.plain())

    before = files_of(root)
    app = LanewatchApp(root)
    async with app.run_test(size=(120, 40)) as pilot:
        deadline = time.monotonic() + 20
        while "demo" not in shown() and time.monotonic() < deadline:
            await pilot.pause(0.05)
        assert "✓ finished" in "\n".join(app.screen.query_one(RunTable).plain())
        await pilot.press("enter")
        while "[bold]done[/]" not in shown() and time.monotonic() < deadline:
            await pilot.pause(0.05)
        assert isinstance(app.screen, RunScreen)
        assert "[bold]done[/]" in shown()
        assert "60/60" in shown()
    assert files_of(root) == before


def test_the_driver_is_asked_from_here_only_while_no_watcher_does(
    root: Path, training: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Sampled:
        def start(self) -> None:
            asked.append("start")

        def stop(self, timeout_s: float) -> None:
            asked.append("stop")

        def latest(self) -> tuple[GpuReading, ...]:
            return ()

    monkeypatch.setattr("monitor.probes.gpu.GpuSampler", Sampled)
    machine = _Machine(root)
    machine.read([])
    machine.read([])
    gpu = GpuReading(index=0, name="GB10", utilisation_percent=96)
    seen = MachineReading(gpus=(gpu,))
    watched = replace(training, watcher=replace(training.watcher, alive=True), machine=seen)
    reading = machine.read([watched])
    assert reading is not None
    assert reading.gpus == (gpu,)
    assert asked == ["start", "stop"]
    machine.read([])
    machine.stop()
    assert asked == ["start", "stop", "start", "stop"]


def test_the_graphs_show_the_gpu_that_the_recipe_names(root: Path, training: RunStatus) -> None:
    gpus = tuple(GpuReading(index=n, name="H200", power_w=100.0 * n) for n in range(3))
    status = replace(training, machine=MachineReading(gpus=gpus))
    reader = DetailReader(root / FINISHED)
    assert reader.read(status, 100.0).history[-1].power_w == 0
    path = root / FINISHED / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recipe": {"run": {"gpu": "2"}}}))
    assert DetailReader(root / FINISHED).read(status, 100.0).history[-1].power_w == 200


def test_a_run_that_is_opened_is_told_before_its_past_is_read(root: Path) -> None:
    told: list[Snapshot] = []
    sampler = Sampler(root, told.append, lambda problem: pytest.fail(problem))
    sampler.open(FINISHED)
    sampler._tick()
    assert [(each.scanned, each.detail is not None) for each in told] == [
        (True, False),
        (True, True),
    ]
    assert [each.status_of(FINISHED) is not None for each in told] == [True, True]
    sampler._tick()
    assert all(each.detail is not None for each in told[1:]), "only the first look takes long"
