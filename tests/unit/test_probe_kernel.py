"""Lines of the kernel's log, as drivers and kernels really write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.model import KernelReading
from monitor.probes.kernel import KernelLine, KernelProbe, parse_record

XID = "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
MMU = "NVRM: Xid (PCI:000f:01:00): 31, pid=4711, name=python, Ch 00000008, intr 00000000"
RESET = (
    "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 "
    "(GPU Reset Required)"
)
NO_MEMORY = (
    "NVRM: nvCheckOkFailedNoLog: Check failed: Out of memory [NV_ERR_NO_MEMORY] (0x00000051) "
    "returned from _memdescAllocInternal(pMemDesc) @ mem_desc.c:1359"
)
KILLED = "Out of memory: Killed process 4711 (python) total-vm:9kB, anon-rss:8kB, UID:0"
CGROUP = "Memory cgroup out of memory: Killed process 12 (tee) total-vm:9kB, anon-rss:8kB"
OOM = (
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/,task=python,pid=4711,uid=0"
)


def record(text: str, at_us: int = 5_000_000) -> bytes:
    return f"6,1234,{at_us},-;{text}\n SUBSYSTEM=pci\n".encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(XID, KernelLine(at=5.0, xid=79, lost=True), id="fell off the bus"),
        pytest.param(MMU, KernelLine(at=5.0, xid=31), id="an application's fault"),
        pytest.param(RESET, KernelLine(at=5.0, xid=154, lost=True), id="asks for a reset"),
        pytest.param(NO_MEMORY, KernelLine(at=5.0, no_memory=True), id="0x51"),
        pytest.param(KILLED, KernelLine(at=5.0, killed=4711), id="out of memory"),
        pytest.param(CGROUP, KernelLine(at=5.0, killed=12), id="out of a group's memory"),
        pytest.param(OOM, KernelLine(at=5.0, killed=4711), id="its summary"),
        pytest.param("NVRM: loading NVIDIA UNIX Open Kernel Module", None, id="the driver loads"),
        pytest.param("usb 1-1: new device", None, id="another driver"),
        pytest.param("GPU is lost, says a program in /dev/kmsg", None, id="not the driver"),
    ],
)
def test_a_line(text: str, expected: KernelLine | None) -> None:
    assert parse_record(record(text)) == expected


@pytest.mark.parametrize("raw", [b"", b"6,1;NVRM", b"6,1,soon,-;" + MMU.encode(), b"\xff\xfe;oom"])
def test_a_broken_record_says_nothing(raw: bytes) -> None:
    assert parse_record(raw) is None


def test_what_is_new_is_read_once_and_what_is_older_than_the_trainer_left_out(
    tmp_path: Path,
) -> None:
    """A FIFO gives one record a read, as the kernel does, while one is written at a time."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    kernel = os.open(path, os.O_RDWR)
    probe = KernelProbe(str(path))
    try:
        assert probe.read(0.0) == KernelReading()
        seen = KernelReading()
        for text, at_us in ((MMU, 1_000_000), (XID, 9_000_000), (NO_MEMORY, 9_000_000)):
            os.write(kernel, record(text, at_us))
            seen = probe.read(5.0) or seen
        for text in (KILLED, OOM):
            os.write(kernel, record(text, 9_500_000))
            seen = probe.read(5.0) or seen
        assert seen == KernelReading(
            xids=(79,), gpu_lost=True, no_memory_lines=1, oom_kills=(4711,)
        )
        assert probe.read(5.0) == seen, "counts only grow"
    finally:
        probe.close()
        os.close(kernel)


def test_where_it_may_not_be_read_there_is_no_reading(tmp_path: Path) -> None:
    probe = KernelProbe(str(tmp_path / "none"))
    assert probe.read(0.0) is None
    assert probe.refused


def test_this_machines_own_log_is_read_or_refused() -> None:
    probe = KernelProbe()
    reading = probe.read(0.0)
    assert (reading is None) is probe.refused
    probe.close()
