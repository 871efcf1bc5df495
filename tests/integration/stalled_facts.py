"""What was seen of a stalled run, to be changed by a test of what is concluded from it."""

from __future__ import annotations

from monitor.diagnosis.values import DiagnosisFacts, KernelThread


def kernel(tid: int = 7, wait: str | None = "futex", share: float = 0.0) -> KernelThread:
    """A thread of process 7 that sleeps in the system call *wait*."""
    return KernelThread(pid=7, tid=tid, state="S", cpu_share=share, syscall=wait)


STALLED = DiagnosisFacts(
    run="r",
    attempt=1,
    foreign=False,
    alive=True,
    pid=7,
    liveness="stalled",
    reason="no progress for 10 min",
    signature="idle-deadlock",
    words="it waits",
    advanced=False,
    seconds=3.0,
    samples=6,
    source="py-spy",
    kernel=(kernel(),),
    checkpoint=8,
    checkpoint_age_s=600.0,
)
