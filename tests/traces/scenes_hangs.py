"""Scenes in which a trainer hangs."""

from __future__ import annotations

from dataclasses import replace

from changes import ARTICLE, NEMO_S, SHORT
from labels import IDLE, SHARP, hang, spinning
from night import CHECKPOINTS, LOG, Fault

LOG_ONLY = replace(SHORT, mode=LOG)
SEEN_OUTSIDE = replace(SHORT, mode=CHECKPOINTS, hours=3.0)


def spins() -> None:
    """96 % utilisation and no progress, at three powers against 45 ± 20 W."""
    cadence = SHORT.cadence_s
    for watts in (16.0, 22.0, 27.0):
        hang(
            f"spin-{watts:.0f}w-heartbeat",
            f"a kernel spins at 96 % and {watts:.0f} W (training: 45 W)",
            replace(SHORT, seed=int(watts), fault=spinning(3600.5, watts)),
            SHARP,
        )
        hang(
            f"spin-{watts:.0f}w-no-heartbeat",
            f"the same, a foreign run with log and checkpoints, {watts:.0f} W",
            replace(LOG_ONLY, seed=int(watts), fault=spinning(4000.5, watts)),
            1.5 * cadence + 900,
        )
        hang(
            f"spin-{watts:.0f}w-checkpoints-only",
            f"the same with nothing but checkpoints, {watts:.0f} W",
            replace(SEEN_OUTSIDE, seed=int(watts), fault=spinning(5600.5, watts)),
            1.5 * cadence + 900,
        )
    hang(
        "spin-at-full-power",
        "a livelock that draws what training draws: told later, but told",
        replace(SHORT, fault=Fault(name="hot-spin", at_s=3600.5)),
        1200.0,
    )
    hang(
        "spin-shared-gpu",
        "a kernel spins on a GPU that another process uses as well: with no power of its own to go "
        "by, a process that uses the CPU as while it trained is given three times the limit, for a "
        "jump of pace looks the same",
        replace(SHORT, gpu=replace(ARTICLE, own=False), fault=spinning(3600.5, 20)),
        3 * 5.5 * NEMO_S + 60,
    )
    hang(
        "spin-fast-steps",
        "a kernel spins in a run of 0.2 s a step",
        replace(SHORT, step_s=0.2, save_interval=5000, fault=spinning(1500.5, 20), hours=1),
        120.0,
    )
    hang(
        "cpu-spin",
        "the process spins on the CPU, the GPU is idle",
        replace(SHORT, fault=Fault(name="cpu-spin", at_s=3600.5)),
        SHARP,
    )


def idles() -> None:
    """Nothing is used at all: stopped, blocked, deadlocked."""
    named = {
        "deadlock": "a deadlock: nobody uses CPU, disk or GPU",
        "stopped": "somebody sent SIGSTOP",
        "blocked-pipe": "stdout is a full pipe that nobody reads",
        "blocked-io": "it waits for a disk for ever (state D)",
    }
    for name, what in named.items():
        fault = Fault(name=name, at_s=3600.5)
        hang(f"{name}-heartbeat", what, replace(SHORT, fault=fault), SHARP)
        fault = replace(fault, at_s=4000.5)
        hang(f"{name}-no-heartbeat", what, replace(LOG_ONLY, fault=fault), IDLE)
        fault = replace(fault, at_s=5600.5)
        hang(f"{name}-checkpoints-only", what, replace(SEEN_OUTSIDE, fault=fault), IDLE)
    hang(
        "deadlock-slow-steps",
        "a deadlock in a run of 300 s a step",
        replace(
            SHORT, step_s=300.0, save_interval=5, hours=4, fault=Fault(name="deadlock", at_s=9000.5)
        ),
        IDLE,
    )
    hang(
        "deadlock-on-a-cpu",
        "a deadlock on a machine without a GPU",
        replace(SHORT, gpu=None, fault=Fault(name="deadlock", at_s=3600.5)),
        SHARP,
    )
    hang(
        "swap-thrash",
        "memory is gone: it swaps and gets nowhere",
        replace(SHORT, fault=Fault(name="thrash", at_s=3600.5)),
        SHARP,
    )
    hang(
        "gpu-lost",
        "the GPU falls off the bus (Xid 79), the process spins",
        replace(SHORT, fault=Fault(name="gpu-lost", at_s=3600.5)),
        1000.0,
    )


def phases() -> None:
    """Hangs in a phase of their own."""
    saving = replace(SHORT, save_s=60.0)
    second = 2 * 70 * NEMO_S + 60 + 110
    hang(
        "hang-in-a-save",
        "the second save never ends, the box is idle",
        replace(saving, fault=Fault(name="deadlock", at_s=round(second) + 20.5)),
        IDLE,
    )
    hang(
        "dead-save-worker",
        "the worker that writes the second checkpoint has died, the trainer waits for it",
        replace(saving, fault=Fault(name="dead-worker", at_s=round(second) + 20.5)),
        IDLE,
    )
    evaluating = replace(SHORT, eval_interval=40, eval_s=360.0, save_interval=1000)
    third = 3 * 40 * NEMO_S + 2 * 360 + 107
    hang(
        "hang-in-an-evaluation",
        "the third evaluation spins; the two before took 6 min each",
        replace(evaluating, hours=3, fault=spinning(round(third) + 150.5, 20)),
        5.2 * 378 + 60,
    )
    hang(
        "hang-in-the-first-iteration",
        "compiling never ends; its limit is half an hour",
        replace(SHORT, first_iteration_s=3000.0, fault=Fault(name="cpu-spin", at_s=200.5)),
        1900.0,
    )
    hang(
        "hang-while-loading",
        "loading the model never ends, the box is idle",
        replace(SHORT, load_s=3000.0, fault=Fault(name="deadlock", at_s=100.5)),
        IDLE,
    )


def add() -> None:
    """Add them."""
    spins()
    idles()
    phases()
