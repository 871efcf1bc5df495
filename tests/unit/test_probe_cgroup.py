"""Control groups of both versions, from captured files; and this machine's own, for real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.probes.cgroup import CgroupProbe, parse_groups, parse_mounts
from monitor.readings import CgroupReading

GIB = 1 << 30
V2_MOUNT = b"30 24 0:26 / /sys/fs/cgroup rw,nosuid,relatime shared:4 - cgroup2 cgroup2 rw"
V1_MOUNTS = b"""\
34 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
36 30 0:33 / /sys/fs/cgroup/memory rw,relatime shared:11 - cgroup cgroup rw,memory
44 30 0:41 / /sys/fs/cgroup/unified rw,relatime shared:19 - cgroup2 cgroup2 rw"""
SCOPE = "/system.slice/docker-4f2a.scope"


class FakeRoot:
    """A /proc and a /sys below a temporary folder, as the kernel would lay them out."""

    def __init__(self, root: Path, mounts: bytes, groups: str) -> None:
        self.root = root
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/mountinfo").write_bytes(mounts)
        (root / "proc/7").mkdir()
        (root / "proc/7/cgroup").write_text(groups)

    def write(self, folder: str, **files: str) -> None:
        path = self.root / folder.lstrip("/")
        path.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (path / f"memory.{name}").write_text(content + "\n")

    def read(self) -> CgroupReading | None:
        return CgroupProbe(self.root / "proc", self.root).read(7)


def test_version_2(tmp_path: Path) -> None:
    fake = FakeRoot(tmp_path, V2_MOUNT, f"0::{SCOPE}\n")
    events = "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0"
    fake.write(
        f"/sys/fs/cgroup{SCOPE}",
        current="17448304640",
        max=str(64 * GIB),
        peak="36400000000",
        events=events,
    )
    assert fake.read() == CgroupReading(
        version=2,
        used_bytes=17448304640,
        limit_bytes=64 * GIB,
        peak_bytes=36400000000,
        oom_kills=1,
    )


def test_version_2_without_limit_and_on_a_kernel_without_peak(tmp_path: Path) -> None:
    fake = FakeRoot(tmp_path, V2_MOUNT, "0::/user.slice/user-1000.slice/session-3.scope\n")
    folder = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope"
    fake.write(folder, current="1000", max="max")
    assert fake.read() == CgroupReading(version=2, used_bytes=1000)


def test_version_1(tmp_path: Path) -> None:
    groups = f"9:name=systemd:/x\n4:memory:{SCOPE}\n2:cpu,cpuacct:/y\n0::{SCOPE}\n"
    fake = FakeRoot(tmp_path, V1_MOUNTS, groups)
    fake.write(
        f"/sys/fs/cgroup/memory{SCOPE}",
        usage_in_bytes=str(3 * GIB),
        limit_in_bytes="9223372036854771712",
        max_usage_in_bytes=str(5 * GIB),
        oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3",
    )
    assert fake.read() == CgroupReading(
        version=1, used_bytes=3 * GIB, limit_bytes=None, peak_bytes=5 * GIB, oom_kills=3
    )


@pytest.mark.parametrize(
    ("group", "root", "folder"),
    [
        pytest.param("/", "/", "", id="a namespace of its own shows its group as the top"),
        pytest.param(SCOPE, SCOPE, "", id="a mount of just that group"),
        pytest.param(f"{SCOPE}/job", SCOPE, "job", id="a child of it"),
        pytest.param("/../../other", "/", "other", id="named from outside: stays in the mount"),
    ],
)
def test_where_the_group_is_below_its_mount(
    tmp_path: Path, group: str, root: str, folder: str
) -> None:
    mount = f"30 24 0:26 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw".encode()
    fake = FakeRoot(tmp_path, mount, f"0::{group}\n")
    fake.write(f"/sys/fs/cgroup/{folder}", current="42", max="max")
    found = fake.read()
    assert found is not None
    assert found.used_bytes == 42


@pytest.mark.parametrize(
    ("mounts", "groups"),
    [
        pytest.param(b"", f"0::{SCOPE}\n", id="no cgroup file system"),
        pytest.param(V2_MOUNT, "", id="no group"),
        pytest.param(V2_MOUNT, "0::/\n", id="the root group has no memory.current"),
        pytest.param(b"\xff broken", "1:2\n::\n", id="not what the kernel writes"),
    ],
)
def test_without_accounting_nothing_is_known(tmp_path: Path, mounts: bytes, groups: str) -> None:
    assert FakeRoot(tmp_path, mounts, groups).read() is None


def test_a_process_that_has_ended_has_none(tmp_path: Path) -> None:
    assert CgroupProbe(tmp_path).read(7) is None


def test_this_machine_is_read_as_its_own_files_say() -> None:
    groups = parse_groups(Path("/proc/self/cgroup").read_bytes())
    mounts = list(parse_mounts(Path("/proc/self/mountinfo").read_bytes()))
    found = CgroupProbe().read(os.getpid())
    if found is None:
        accounted = [mount for mount in mounts if mount.version == 1 and 1 in groups]
        assert not accounted, "version 1 accounts every group, the root one too"
        pytest.skip("this machine accounts no memory by control group")
    assert found.used_bytes
    assert found.version in groups
    assert found.limit_bytes is None or found.limit_bytes > 0
