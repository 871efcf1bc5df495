"""Make the pictures of README and docs/ui.md from the app itself: `python scripts/screenshots.py`.

With names (`events.svg`) those alone.

The night is the one that lanewatch was written after: at iteration 116 the log went silent for
more than four hours, while heartbeat and checkpoints went on. Nothing is read from this machine.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pictured_compared import Trained, write_run
from pictured_desks import PicturedAttach, PicturedLaunch, PicturedSettings
from pictured_diagnosis import REASON, diagnosed
from pictured_files import write_events, write_log
from textual.screen import Screen

from monitor.model import (
    Evidence,
    GpuReading,
    Liveness,
    MachineReading,
    MemoryReading,
    Status,
)
from monitor.status_model import (
    CheckpointView,
    EtaView,
    IterationView,
    KeeperView,
    MemoryView,
    RunStatus,
    StageView,
    WatcherView,
)
from tui.app import LanewatchApp
from tui.messages import Sampled
from tui.screens.diagnosis import DiagnosisScreen
from tui.state import Point, RunDetail, Snapshot

IMAGES = Path(__file__).parents[1] / "docs" / "images"
GIB = 1 << 30
NOW = 1_779_366_120.0  # 21 May 2026, 12:22 UTC
STEP_S = 32.4
ITERATION = 241
PAUSE_S = 2.0
"""The launch form looks a moment after the last key; on a busy machine that takes a while."""

MACHINE = MachineReading(
    memory=MemoryReading(
        total_bytes=120 * GIB,
        available_bytes=int(67.8 * GIB),
        free_bytes=22 * GIB,
        cached_bytes=44 * GIB,
    ),
    gpus=(
        GpuReading(
            index=0,
            name="NVIDIA GB10",
            utilisation_percent=96,
            power_w=48.0,
            temperature_c=71,
            sm_clock_mhz=2405,
            shares_memory=True,
            process_bytes=((4711, 38 * GIB),),
        ),
    ),
    cpu_percent=10.0,
    load1=1.4,
    disk_free_bytes=812 * GIB,
)

NEMO = RunStatus(
    run="nemo-20260521-100921-3fa2",
    name="patent-strategist-v3",
    lane="nemo",
    engine="docker",
    kind="full",
    verdict=Liveness.LOG_STUCK,
    status=Status.RUNNING,
    reason=(
        "the log has been silent for 67 min and still says iteration 116; "
        "the heartbeat proves iteration 241, and checkpoint 210 is whole"
    ),
    flags=("log-stuck",),
    since_wall=NOW - 64 * 60,
    stage="train",
    stage_index=4,
    stage_count=5,
    stages=(
        StageView(name="pull", status="skipped"),
        StageView(name="prepare", status="done", wall_s=41.0),
        StageView(name="import", status="done", wall_s=540.0),
        StageView(name="train", status="running"),
        StageView(name="merge", status="pending"),
    ),
    phase="iteration",
    iteration=IterationView(value=ITERATION, total=625, source="heartbeat"),
    loss=0.9217,
    lr=7.6e-5,
    step_s=STEP_S,
    eta=EtaView(seconds=12_700.0, low_s=12_500.0, high_s=13_100.0, finish_wall=NOW + 12_700),
    checkpoints=tuple(
        CheckpointView(
            iteration=at,
            age_s=(ITERATION - at) * STEP_S,
            size_bytes=149 << 20,
            complete=True,
            save_s=cost,
        )
        for at, cost in ((70, 96.0), (140, 41.0), (210, 43.0))
    ),
    memory=MemoryView(
        used_bytes=int(52.2 * GIB),
        limit_bytes=110 * GIB,
        peak_bytes=58 * GIB,
        process_bytes=int(7.4 * GIB),
        process_peak_bytes=int(12.1 * GIB),
        available_bytes=int(67.8 * GIB),
        gpu_bytes=38 * GIB,
        gpu_peak_bytes=int(40.6 * GIB),
        cache_bytes=44 * GIB,
        run_peak_bytes=int(49.3 * GIB),
    ),
    machine=MACHINE,
    evidence=(
        Evidence(signal="heartbeat", detail="iteration 241", age_s=11.0, supports="training"),
        Evidence(signal="tracker", detail="210", age_s=1004.0, supports="training"),
        Evidence(signal="checkpoints", detail="3, all whole", age_s=1004.0, supports="training"),
        Evidence(
            signal="log",
            detail="says iteration 116; spoke every 33 s",
            age_s=4047.0,
            supports="log-stuck",
        ),
        Evidence(signal="process", detail="alive, state S", age_s=None, supports="life"),
        Evidence(signal="gpu", detail="96 %, 48 W", age_s=1.0, supports="activity"),
    ),
    watcher=WatcherView(pid=4712, alive=True, age_s=0.4),
    keeper=KeeperView(pid=4710, alive=True),
    created_wall=NOW - 2.5 * 3600,
)

UNSLOTH = replace(
    NEMO,
    run="unsloth-20260520-141503-b81d",
    name="patent-strategist-v3-unsloth",
    lane="unsloth",
    verdict=Liveness.FINISHED,
    status=Status.FINISHED,
    reason="finished at iteration 625",
    stage="merge",
    stage_index=4,
    stage_count=4,
    iteration=IterationView(value=625, total=625, source="state"),
    step_s=43.6,
    eta=None,
    checkpoints=(CheckpointView(iteration=625, age_s=0.0, size_bytes=149 << 20, complete=True),),
    memory=MemoryView(used_bytes=0, limit_bytes=110 * GIB, peak_bytes=61 * GIB),
    since_wall=NOW - 13.6 * 3600,
    ended_wall=NOW - 13.6 * 3600,
    created_wall=NOW - 22 * 3600,
    watcher=WatcherView(),
    keeper=KeeperView(),
)

IMPORT_FAILED = replace(
    UNSLOTH,
    run="nemo-20260521-092650-07c4",
    name="yarn-without-defaults",
    lane="nemo",
    verdict=Liveness.FAILED,
    status=Status.FAILED,
    reason="the import stage ended with exit code 1: TypeError, NoneType times float",
    stage="import",
    stage_index=3,
    stage_count=5,
    iteration=IterationView(value=None, total=625),
    step_s=None,
    checkpoints=(),
    memory=None,
    since_wall=NOW - 2.8 * 3600,
    ended_wall=NOW - 2.8 * 3600,
    created_wall=NOW - 2.9 * 3600,
)

STALLED = replace(
    NEMO,
    verdict=Liveness.STALLED,
    reason=REASON,
    flags=(),
    since_wall=NOW - 11 * 60,
    eta=None,
)


def detail() -> RunDetail:
    """The curves and the log of that night; the same at every call."""
    noise = random.Random(65)
    losses = _losses(noise, ITERATION)
    history = tuple(
        Point(
            wall_s=NOW - 8100 + 45 * at,
            memory_bytes=(51.4 + 0.6 * (at % 13 > 5) + noise.random() / 4) * GIB,
            gpu_percent=float(noise.choice((94, 96, 96, 97))),
            power_w=noise.gauss(47.5, 0.8),
            clock_mhz=noise.gauss(2400, 6),
            temperature_c=71.0,
            cpu_percent=10.0,
        )
        for at in range(181)
    )
    lines = tuple(
        f"[NeMo I 2026-05-21 {_clock(116 - at)} megatron_gpt_model:982] "
        f"step={at} loss={losses[at - 1][1]:.3f} lr=8.2e-05"
        for at in range(60, 117)
    )
    steps = _steps(noise, ITERATION, STEP_S)
    return RunDetail(
        run=NEMO.run,
        losses=losses,
        lrs=tuple((at, _rate(at)) for at in range(1, ITERATION + 1)),
        grad_norms=tuple(
            (at, 0.5 + 2.4 / (1 + at / 9) + abs(noise.gauss(0, 0.06)))
            for at in range(1, ITERATION + 1)
        ),
        step_times=steps,
        history=history,
        save_interval=70,
        log_name="train.log",
        log_lines=lines,
    )


def _losses(noise: random.Random, iterations: int) -> tuple[tuple[int, float], ...]:
    return tuple(
        (at, 0.80 + 1.25 / (1 + at / 22) + noise.gauss(0, 0.018)) for at in range(1, iterations + 1)
    )


def _steps(noise: random.Random, iterations: int, step_s: float) -> tuple[tuple[int, float], ...]:
    """After each save one takes longer."""
    return tuple(
        (at, step_s + noise.gauss(0, 0.4) + 41 * (at % 70 == 1 and at > 1))
        for at in range(1, iterations + 1)
    )


def _rate(iteration: int) -> float:
    """Warm-up over 5 %, then a cosine."""
    if iteration <= 31:
        return 1e-4 * iteration / 31
    return 5e-5 * (1 + math.cos(math.pi * (iteration - 31) / (625 - 31)))


def _clock(steps_before: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(NOW - 4047 - steps_before * STEP_S))


def write_compared(root: Path) -> None:
    """The two lanes of the article, one at iteration 241, the other at its end."""
    noise, done = random.Random(66), UNSLOTH.iteration.total or 0
    for status, iterations, step_s, worse, memory_gib, celsius, watt in (
        (NEMO, ITERATION, STEP_S, 0.0, 51.4, 71.0, 48.0),
        (UNSLOTH, done, UNSLOTH.step_s or 0.0, 0.012, 54.0, 68.0, 44.0),
    ):
        losses = _losses(noise, iterations)
        trained = Trained(
            run=status.run,
            name=status.name or "",
            lane=status.lane or "",
            status=str(status.status),
            began_wall=(status.created_wall or 0.0) + 600,
            losses=[(at, loss + worse) for at, loss in losses],
            steps=_steps(noise, iterations, step_s),
            memory_gib=memory_gib,
            temperature_c=celsius,
            power_w=watt,
        )
        write_run(root, trained)


async def picture(
    name: str,
    run: str | None,
    snapshot: Snapshot,
    size: tuple[int, int],
    *keys: str,
    front: Screen[None] | None = None,
) -> None:
    """Draw *snapshot* in an app that samples nothing, press *keys*, and keep it as an SVG.

    *front*: a screen on top of it, before the keys.
    """
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    desks: dict[str, Any] = {
        "launch": PicturedLaunch,
        "attach": PicturedAttach,
        "settings": PicturedSettings,
    }
    desks |= {"stop": lambda _run, _save: None, "act": lambda _run, _action: ""}
    app = LanewatchApp(Path(snapshot.root), run, sampling=False, **desks)
    async with app.run_test(size=size) as pilot:
        app.post_message(Sampled(snapshot))
        await pilot.pause()
        await pilot.pause()
        if front is not None:
            await app.push_screen(front)
            await app.workers.wait_for_complete()
            await pilot.pause(PAUSE_S)
        for key in keys:
            await pilot.press(key)
            await app.workers.wait_for_complete()
            await pilot.pause(PAUSE_S)
        svg = app.export_screenshot(title="lanewatch")
    (IMAGES / name).write_text(svg, encoding="utf-8")
    print(f"{name}: {len(svg) >> 10} KiB")


async def main() -> None:
    """Make all pictures."""
    runs = (NEMO, IMPORT_FAILED, UNSLOTH)
    board = Snapshot(
        taken_wall=NOW, root="", runs=runs, machine=MACHINE, memory_limit_bytes=110 * GIB
    )
    await picture("board.svg", None, board, (120, 30))
    await picture("launch.svg", None, board, (120, 30), "n")
    await picture("pick.svg", None, board, (100, 26), "n", "j", "enter")
    await picture("attach.svg", None, board, (100, 26), "a")
    await picture("palette.svg", None, board, (100, 26), "ctrl+p")
    await picture("settings.svg", None, board, (80, 24), "comma")
    await picture("help.svg", None, board, (80, 40), "question_mark")
    night = replace(board, detail=detail())
    await picture("run-log-stuck.svg", NEMO.run, night, (120, 36))
    await picture("run-training.svg", NEMO.run, night, (120, 32), "2")
    await picture("run-machine.svg", NEMO.run, night, (120, 32), "3")
    await picture("run-checkpoints.svg", NEMO.run, night, (120, 24), "4")
    hung = replace(night, runs=(STALLED, *runs[1:]))
    why = DiagnosisScreen(STALLED.run, Path(), look=lambda _how: diagnosed(STALLED.run))
    await picture("diagnosis.svg", STALLED.run, hung, (120, 32), front=why)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder, "state"))
        root = Path(folder, "runs")
        write_log(root, NEMO.run, detail().log_lines, NOW - 4047)
        write_events(root, NEMO.run, IMPORT_FAILED.run, NOW)
        away = replace(night, root=str(root))
        await picture("log.svg", NEMO.run, away, (100, 24), "t", "slash", *"loss=1", "enter")
        await picture("events.svg", None, away, (100, 20), "v")
        write_compared(root)
        await picture("compare.svg", None, away, (120, 36), "g", "space", "G", "c")


if __name__ == "__main__":
    os.environ.update(TZ="UTC", LANG="C.UTF-8", TERM="xterm-256color")
    os.environ.pop("NO_COLOR", None)
    time.tzset()
    IMAGES.mkdir(parents=True, exist_ok=True)
    asyncio.run(main())
