"""The machine in one reading: what cannot be read is None and named, the rest is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import GpuReading
from monitor.probes.clock import boot_id, read_now
from monitor.probes.filesystem import Mount, filesystem_type, is_local_filesystem, mount_of
from monitor.probes.machine import CpuMeter, busy_percent, parse_cpu_times, read_machine
from monitor.probes.raw import read_proc


class FakeGpus:
    problem = "the GPU driver has not answered for 9 s"

    def latest(self) -> tuple[GpuReading, ...]:
        return (GpuReading(index=0, name="GB10", age_s=9.0),)


def test_all_of_it(tmp_path: Path) -> None:
    cpu = CpuMeter()
    assert cpu.read() is None
    read = read_machine(tmp_path, FakeGpus(), cpu)
    assert read.value is not None
    assert read.value.memory is not None
    assert read.value.gpus[0].age_s == 9.0
    assert read.value.disk_free_bytes
    assert read.value.load1 is not None
    assert read.problem == FakeGpus.problem


def test_a_run_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    read = read_machine(tmp_path / "gone")
    assert read.value is not None
    assert read.value.disk_free_bytes is None
    assert read.value.gpus == ()
    assert read.problem is not None
    assert "gone" in read.problem


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        pytest.param((100, 200), (150, 300), 50.0, id="half"),
        pytest.param((100, 200), (100, 300), 100.0, id="all"),
        pytest.param((100, 200), (200, 300), 0.0, id="idle"),
        pytest.param((100, 200), (100, 200), None, id="no time passed"),
        pytest.param((100, 200), (90, 250), 100.0, id="the kernel's idle count went back"),
        pytest.param((100, 300), (100, 200), None, id="all went back"),
    ],
)
def test_busy_percent(
    before: tuple[int, int], after: tuple[int, int], percent: float | None
) -> None:
    assert busy_percent(before, after) == percent


def test_guest_time_is_not_counted_twice() -> None:
    assert parse_cpu_times(b"cpu  10 0 5 80 5 0 0 0 7 3\ncpu0 ...") == (85, 100)


@given(st.binary(max_size=80))
def test_any_bytes_never_raise(raw: bytes) -> None:
    parse_cpu_times(b"cpu " + raw)
    mount_of(b"/a/b", raw + b"\n" + raw)


MOUNTS = b"""21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 0:5 / /proc rw - proc proc rw
30 21 0:40 / /home rw shared:1 - nfs4 box:/home rw
31 30 0:41 / /home/me/fast rw - xfs /dev/nvme0 rw
32 21 0:42 / /mnt/my\\040disk rw - fuse.sshfs a:b rw
33 21 0:43 / /over rw - ext4 /dev/sdb rw
34 21 0:44 / /over rw - tmpfs tmpfs rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/runs", "ext4"),
        ("/home/me/runs", "nfs4"),
        ("/home/me/fast/runs", "xfs"),
        ("/homework", "ext4"),
        ("/mnt/my disk/x", "fuse.sshfs"),
        ("/over/x", "tmpfs"),
        ("/", "ext4"),
    ],
)
def test_the_nearest_mount_decides(path: str, kind: str) -> None:
    mount = mount_of(path.encode(), MOUNTS)
    assert mount is not None
    assert mount.kind == kind


def test_a_mount_names_its_device() -> None:
    assert mount_of(b"/home/me", MOUNTS) == Mount("nfs4", (0, 40))


@pytest.mark.parametrize(("limit", "length"), [(1 << 20, 5851), (100, 100)])
def test_a_file_that_comes_in_parts_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, length: int
) -> None:
    """As /proc/self/mountinfo and /proc/locks do: a page at a time."""
    (tmp_path / "table").write_bytes(b"x" * 5851)
    read = os.read
    monkeypatch.setattr("os.read", lambda descriptor, most: read(descriptor, min(most, 4096)))
    assert len(read_proc(str(tmp_path / "table"), limit)) == length


@pytest.mark.parametrize(
    ("kind", "local"),
    [
        ("ext4", True), ("btrfs", True), ("tmpfs", True), ("overlay", True), (None, True),
        ("fuseblk", True), ("nfs4", False), ("cifs", False), ("fuse.sshfs", False), ("9p", False),
    ],
)  # fmt: skip
def test_network_file_systems_are_not_local(
    kind: str | None, local: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("monitor.probes.filesystem.filesystem_type", lambda _: kind)
    assert is_local_filesystem(tmp_path) is local


def test_this_machine_s_proc_is_proc() -> None:
    assert filesystem_type(Path("/proc/self")) == "proc"


def test_the_clock_goes_on() -> None:
    first, second = read_now(), read_now()
    assert first.boot_id == second.boot_id == boot_id() != ""
    assert second.monotonic_s >= first.monotonic_s
