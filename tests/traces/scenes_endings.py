"""Scenes in which a run ends or its machine does something odd, and recordings of real GPUs."""

from __future__ import annotations

from dataclasses import replace

import changes
from changes import NEMO_S, SHORT
from labels import (
    ALARMS,
    IDLE,
    SHARP,
    TRACES,
    TROUBLE,
    Labelled,
    changed,
    expect,
    forbid,
    hang,
    healthy,
)
from night import CHECKPOINTS, LOG, Fault, frames

from monitor.model import Status

NEMO = replace(SHORT, hours=5.75, iterations=625, ends=True)
LOG_ONLY = replace(SHORT, mode=LOG)
SEEN_OUTSIDE = replace(SHORT, mode=CHECKPOINTS, hours=3.0)


def endings() -> None:
    """It ended, and the verdict says how."""
    crash = Fault(name="crash", at_s=4000.5)
    hang("crash", "the trainer is killed", replace(SHORT, fault=crash), 8.0, word="failed")
    hang(
        "foreign-gone",
        "a foreign trainer is gone before its total",
        replace(LOG_ONLY, fault=crash),
        8.0,
        word="ended",
    )
    hang(
        "latched-utilisation",
        "the trainer is killed in a kernel, and the GPU goes on to show 100 %",
        replace(SHORT, fault=crash),
        8.0,
        word="failed",
        change=lambda seen: changes.with_gpu(
            seen, 4001.0, utilisation_percent=100, process_bytes=()
        ),
    )
    healthy(
        "finished",
        "all iterations are done",
        replace(NEMO, step_s=15.0, save_interval=100, iterations=220),
        expect("finished", 3000, 4200),
    )
    changed(
        "stopped-by-the-user",
        "a person stops the run",
        lambda: changes.ending(
            frames(replace(SHORT, hours=1)), Status.STOPPED, "stopped on request"
        ),
        expect("stopped", 3590, 3620),
        forbid=forbid(*TROUBLE),
    )
    changed(
        "machine-restarted",
        "the machine is restarted in the night",
        lambda: changes.reboot(frames(replace(SHORT, hours=1.5))),
        expect("failed", 3600, 3720),
        forbid=(*forbid(*TROUBLE, until=3600), *forbid("training", start=3720)),
    )
    changed(
        "watcher-restarted",
        "the watcher is killed and comes back after two minutes",
        lambda: changes.restarted(frames(SHORT), 3000.0, 3120.0),
        forbid=forbid(*TROUBLE),
    )
    hung = replace(SHORT, fault=Fault(name="deadlock", at_s=3000.5), after_s=700.0)
    changed(
        "watcher-restarted-in-a-hang",
        "a deadlock, the watcher is away for 5 minutes of it: the heartbeat's stamp proves it",
        lambda: changes.restarted(frames(hung), 3010.0, 3310.0),
        expect("stalled", 3310, 3340),
        forbid=forbid(*ALARMS, until=3000),
        fault_at=3000.5,
    )
    changed(
        "recovered",
        "stopped for 10 minutes, then it goes on",
        lambda: changes.recovered(),
        expect("stalled", 3000, 3000 + SHARP),
        expect("training", 3600, 3680),
        forbid=(*forbid(*ALARMS, until=3000), *forbid(*TROUBLE, start=3720)),
        fault_at=3000.0,
    )
    changed(
        "resumed",
        "resumed as attempt 2: five minutes of loading, then on from iteration 140",
        changes.resumed,
        expect("starting", 0, 60),
        expect("training", 400, 700),
        forbid=forbid(*TROUBLE),
    )


def oddities() -> None:
    """What the machine does beside training."""
    changed(
        "clock-jump",
        "the wall clock jumps back by a year: only the files' times show it",
        lambda: changes.clock_jump(frames(SHORT)),
        forbid=forbid(*TROUBLE),
    )
    changed(
        "checkpoint-pruned",
        "somebody removes all checkpoints but one",
        lambda: changes.pruned(frames(replace(SHORT, hours=2.5))),
        forbid=forbid(*TROUBLE),
    )
    changed(
        "checkpoint-pruned-checkpoints-only",
        "the same with nothing but checkpoints: what is gone is no progress, and no stall",
        lambda: changes.pruned(frames(replace(SEEN_OUTSIDE, hours=4))),
        forbid=forbid(*ALARMS),
    )
    changed(
        "disk-full",
        "the disk is full: neither heartbeat nor log can be written, training goes on",
        lambda: changes.disk_full(frames(replace(SHORT, hours=1.5))),
        forbid=forbid(*ALARMS),
        fault_at=3000.0,
    )
    changed(
        "nan-loss",
        "the loss is no number from iteration 100 on",
        lambda: changes.nan(frames(SHORT)),
        expect("nan-loss", 100 * NEMO_S, 106 * NEMO_S + 200),
        forbid=forbid(*ALARMS),
        fault_at=100 * NEMO_S,
    )
    changed(
        "thermal-slowness",
        "the GPU throttles for heat, and iterations take 2.5 times as long",
        lambda: changes.with_gpu(
            frames(replace(SHORT, hours=1.3, slower_from=50, slower=2.5, slower_watts=33.0)),
            50 * NEMO_S + 120, throttle=("sw-thermal",), temperature_c=91, sm_clock_mhz=1500,
        ),
        expect("slow", 50 * NEMO_S, 4680),
        forbid=forbid(*ALARMS),
    )  # fmt: skip
    changed(
        "swap-slowness",
        "memory is short: iterations take 3 times as long, it swaps",
        lambda: changes.swapping(frames(replace(SHORT, hours=1.3, slower_from=50, slower=3.0))),
        expect("slow", 50 * NEMO_S, 4680),
        forbid=forbid(*ALARMS),
    )
    changed(
        "driver-silent",
        "the GPU's driver answers no more, training goes on",
        lambda: changes.with_gpu(frames(SHORT), 3000.0, aging=3000.0),
        forbid=forbid(*ALARMS),
    )
    changed(
        "log-only",
        "a foreign run that saves nothing: its log is all there is, and stops at iteration 100",
        lambda: changes.no_checkpoints(frames(replace(LOG_ONLY, log_stops_at=100))),
        forbid=forbid(*ALARMS),
    )
    changed(
        "log-only-deadlock",
        "the same, and it deadlocks",
        lambda: changes.no_checkpoints(
            frames(replace(LOG_ONLY, fault=Fault(name="deadlock", at_s=4000.5), after_s=900.0))
        ),
        expect("stalled", 4000, 4000 + IDLE),
        forbid=forbid(*ALARMS, until=4000),
        fault_at=4000.5,
    )
    changed(
        "import-9-min",
        "stage import: 9 minutes, a line in its log now and then, no heartbeat",
        changes.import_stage,
        expect("working", 0, 60),
        forbid=forbid(*TROUBLE),
    )
    changed(
        "import-hangs",
        "stage import deadlocks after 2 minutes",
        lambda: changes.import_stage(hangs_at=120.0, seconds=1500),
        expect("stalled", 120, 120 + IDLE),
        forbid=forbid(*ALARMS, until=120),
        fault_at=120.0,
    )


def recordings() -> None:
    """Real GPUs: what the trainer of facts/8 showed, one look a second."""
    scaled = {"iteration_default_s": 20.0, "iteration_floor_s": 10.0}
    told = "an H200, 1 Hz, driver 580; the iteration limit is 10 s, as the recording is short"
    for name in sorted(path.stem for path in changes.RECORDED.glob("*.jsonl")):
        at = changes.hangs_at(name)
        TRACES[f"h200-{name}"] = Labelled(
            what=f"{name}: power, utilisation, clock, CPU time and state as they were",
            frames=lambda name=name: changes.recorded(name),
            expect=() if at is None else (expect("stalled", at, at + 16.0),),
            forbid=forbid(*TROUBLE, until=at),
            fault_at=at,
            limits=scaled,
            source=f"recorded on {told}; iterations are those it printed, else one a second",
        )


def add() -> None:
    """Add them."""
    endings()
    oddities()
    recordings()
