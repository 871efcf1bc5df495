"""Diagnoses as a screen gets them, made of fixed facts by the conclusions that users get."""

from __future__ import annotations

from dataclasses import replace

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.places import Surroundings
from monitor.diagnosis.record import Diagnosis
from monitor.diagnosis.stacks import grouped
from monitor.diagnosis.values import (
    DiagnosisFacts,
    Frame,
    KernelThread,
    Known,
    ThreadView,
    Told,
)

RUN = "nemo-20260521-101112-3fa2"
_LIBRARY = "/opt/venv/lib/python3.12/site-packages/megatron/bridge/training"
_MAIN = (
    Frame("wait_for_save", "/home/night/train.py", 218),
    Frame("save_checkpoint", f"{_LIBRARY}/checkpointing.py", 655),
    Frame("train", f"{_LIBRARY}/train.py", 533),
    Frame("pretrain", f"{_LIBRARY}/pretrain.py", 171),
    Frame("finetune", f"{_LIBRARY}/finetune.py", 53),
    Frame("main", "/runs/payload/nemo_train.py", 140),
    Frame("run_stage", "/runs/payload/contract.py", 296),
    Frame("<module>", "/runs/payload/nemo_train.py", 160),
    Frame("_run_module_code", "/usr/lib/python3.12/runpy.py", 88),
)
_SAVER = (Frame("write", "/home/night/saver.py", 77), Frame("run", "/home/night/saver.py", 31))
PINS = (
    Frame("do_one_step", "/opt/torch/utils/data/_utils/pin_memory.py", 36),
    Frame("_pin_memory_loop", "/opt/torch/utils/data/_utils/pin_memory.py", 60),
)


def kernel(tid: int) -> KernelThread:
    """A thread that waits for a lock."""
    return KernelThread(
        pid=4711, tid=tid, state="S", cpu_share=0.0, wchan="futex_do_wait", syscall="futex"
    )


def view(name: str, tid: int, frames: tuple[Frame, ...], line: str, *, still: bool) -> ThreadView:
    """A thread of the trainer, as the samples show it."""
    return ThreadView(
        pid=4711,
        tid=tid,
        name=name,
        still=still,
        stays_in=frames,
        kernel=kernel(tid),
        line=line,
    )


FACTS = DiagnosisFacts(
    run=RUN,
    attempt=1,
    foreign=False,
    alive=True,
    pid=4711,
    liveness="stalled",
    reason="no progress for 11 min (the iteration limit is 10 min, from its own pace), iteration "
    "241 of 625",
    signature="idle-deadlock",
    words="it has used no CPU time for 11 min: it waits (a deadlock?)",
    advanced=False,
    seconds=3.2,
    samples=6,
    source="py-spy",
    threads=(
        view("MainThread", 4711, _MAIN, "with self.lock:", still=True),
        view("saver", 4720, _SAVER, "self.lock.acquire()", still=True),
        view("Thread-2", 4721, PINS, "data = in_queue.get()", still=False),
        view("Thread-3", 4722, PINS, "data = in_queue.get()", still=False),
    ),
    kernel=tuple(map(kernel, (4711, 4720, 4721, 4722))),
    checkpoint=210,
    checkpoint_age_s=1675.0,
)


def made_of(facts: DiagnosisFacts) -> Diagnosis:
    """What the screen is given for *facts*."""
    return Diagnosis(facts=facts, conclusion=conclude(facts), groups=grouped(facts.threads))


DEADLOCK = made_of(FACTS)
STOPPED = made_of(
    replace(
        FACTS,
        signature="stopped",
        words="its process is stopped (state T), `kill -CONT 4711` lets it go on",
        threads=(),
        kernel=(replace(kernel(4711), state="T"),),
        source=None,
        samples=0,
    )
)
HEALTHY = made_of(
    replace(
        FACTS,
        liveness="training",
        reason="iteration 242 of 625; the last progress was 12 s ago",
        signature=None,
        words="nothing of it looks like a hang",
        advanced=True,
    )
)
UNSURE = made_of(
    replace(
        FACTS,
        threads=(),
        kernel=(KernelThread(pid=4711, tid=4711, state="S", cpu_share=0.0),),
        source=None,
        samples=0,
        missing=(
            "stacks: the process is uid 0's; run `lanewatch diagnose` as root, or as that user",
        ),
        checkpoint=None,
        checkpoint_age_s=None,
    )
)
HIDDEN = made_of(
    replace(
        UNSURE.facts,
        around=Surroundings(container="0123456789ab"),
        missing=(
            "stacks: the process is uid 0's; run `lanewatch diagnose` as root, or let a "
            "short-lived container look: `lanewatch diagnose RUN --yes`, or as that user",
        ),
    )
)
CRASHED = made_of(
    replace(
        FACTS,
        alive=False,
        liveness="failed",
        reason="stage train: ImportError: Found an incompatible version of torchao",
        threads=(),
        kernel=(),
        told=Told(
            cause="stage train: ImportError: Found an incompatible version of torchao",
            raised="ImportError: Found an incompatible version of torchao. Found version 0.15.0",
            frames=(
                Frame("is_torchao_available", "/opt/venv/site-packages/peft/import_utils.py", 160),
                Frame("get_peft", "/home/night/train.py", 31),
                Frame("main", "/home/night/train.py", 88),
            ),
            known=(
                Known(
                    name="torchao-old",
                    seen='"ImportError: Found an incompatible version of torchao"',
                    explanation="peft 0.18.1 and later raises ImportError beside a torchao before "
                    "0.16",
                    remedy="`pip uninstall torchao`, which nothing needs",
                ),
            ),
        ),
    )
)
DIAGNOSES = {
    "deadlock": DEADLOCK,
    "stopped": STOPPED,
    "healthy": HEALTHY,
    "unsure": UNSURE,
    "crashed": CRASHED,
    "hidden": HIDDEN,
}
