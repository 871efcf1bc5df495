"""A training that hangs, as its diagnosis is pictured: fixed facts, concluded as for a user."""

from __future__ import annotations

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.record import Diagnosis
from monitor.diagnosis.stacks import grouped
from monitor.diagnosis.values import DiagnosisFacts, Frame, KernelThread, ThreadView

_LIMIT = "the iteration limit is 10 min, from its own pace"
REASON = f"no progress for 11 min ({_LIMIT}), iteration 241 of 625"
_BRIDGE = "/opt/Megatron-Bridge/src/megatron/bridge/training"
_MAIN = (
    Frame("on_train_step_end", "/home/ann/patents/night_report.py", 66),
    Frame("train", f"{_BRIDGE}/train.py", 533),
    Frame("pretrain", f"{_BRIDGE}/pretrain.py", 171),
    Frame("finetune", f"{_BRIDGE}/finetune.py", 53),
    Frame("main", "/runs/payload/nemo_train.py", 140),
)
_REPORT = (
    Frame("send_row", "/home/ann/patents/night_report.py", 59),
    Frame("run", "/usr/lib/python3.12/threading.py", 1012),
)
_PINS = (
    Frame("do_one_step", "/opt/torch/utils/data/_utils/pin_memory.py", 36),
    Frame("_pin_memory_loop", "/opt/torch/utils/data/_utils/pin_memory.py", 60),
)


def diagnosed(run: str) -> Diagnosis:
    """Two threads of the trainer of *run* wait for each other's lock."""
    threads = (
        _view("MainThread", 4731, _MAIN, "with self.rows_lock:", still=True),
        _view("report", 4740, _REPORT, "with self.step_lock:", still=True),
        _view("Thread-2", 4741, _PINS, "data = in_queue.get()", still=False),
    )
    facts = DiagnosisFacts(
        run=run,
        attempt=1,
        foreign=False,
        alive=True,
        pid=4731,
        liveness="stalled",
        reason=REASON,
        signature="idle-deadlock",
        words="it has used no CPU time for 11 min: it waits (a deadlock?)",
        advanced=False,
        seconds=3.2,
        samples=6,
        source="py-spy",
        threads=threads,
        kernel=tuple(_kernel(each.tid or 0) for each in threads),
        checkpoint=210,
        checkpoint_age_s=1664.0,
    )
    return Diagnosis(facts=facts, conclusion=conclude(facts), groups=grouped(threads))


def _view(name: str, tid: int, frames: tuple[Frame, ...], line: str, *, still: bool) -> ThreadView:
    return ThreadView(
        pid=4731,
        tid=tid,
        name=name,
        still=still,
        stays_in=frames,
        kernel=_kernel(tid),
        line=line,
    )


def _kernel(tid: int) -> KernelThread:
    return KernelThread(
        pid=4731, tid=tid, state="S", cpu_share=0.0, wchan="futex_do_wait", syscall="futex"
    )
