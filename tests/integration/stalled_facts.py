"""What was seen of a stalled run, to be changed by a test of what is concluded from it."""

from __future__ import annotations

from monitor.diagnosis.values import DiagnosisFacts, Frame, KernelThread, ThreadView

STEP = Frame("step", "/a/train.py", 10)
OTHER = Frame("other", "/a/train.py", 20)
WAIT = Frame("wait", "/usr/lib/python3.12/threading.py", 355)


def kernel(tid: int = 7, wait: str | None = "futex", share: float = 0.0) -> KernelThread:
    """A thread of process 7 that sleeps in the system call *wait*."""
    return KernelThread(pid=7, tid=tid, state="S", cpu_share=share, syscall=wait)


def view(
    *frames: Frame,
    tid: int = 7,
    still: bool = True,
    wait: str | None = "futex",
    line: str | None = "with lock:",
) -> ThreadView:
    """A thread of process 7 that stands at *frames*; 7 is its main one."""
    name = "MainThread" if tid == 7 else f"T{tid}"
    return ThreadView(
        pid=7, tid=tid, name=name, still=still, stays_in=frames, kernel=kernel(tid, wait), line=line
    )


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
