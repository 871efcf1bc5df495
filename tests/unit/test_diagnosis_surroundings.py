"""What lies around the threads is read as it is: freezers, recorders, file systems, the box."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest

from monitor.diagnosis import box, flight_recorder, freezer
from monitor.diagnosis.box import Meters, disk_lines, heat_lines, kernel_lines, swap_lines
from monitor.diagnosis.calls import Call, polled
from monitor.diagnosis.ends_of import _address
from monitor.diagnosis.file_systems import ask, asked, file_system_of, mount_of
from monitor.diagnosis.flight_recorder import collectives_of, parse
from monitor.diagnosis.places import (
    Collective,
    End,
    FileSystem,
    Rank,
)
from monitor.model import GpuReading, KernelReading

C10D = "/v/lib/python3.12/site-packages/torch/distributed/distributed_c10d.py"


@pytest.mark.parametrize(
    ("group", "path", "content"),
    [
        ("9:freezer:/docker/x\n0::/y\n", "/sys/fs/cgroup/freezer/docker/x/freezer.state", "FROZEN"),
        (
            "0::/system.slice/docker-x.scope\n",
            "/sys/fs/cgroup/system.slice/docker-x.scope/cgroup.events",
            "populated 1\nfrozen 1\n",
        ),
    ],
)
def test_a_frozen_group_is_seen_in_both_versions(
    monkeypatch: pytest.MonkeyPatch, group: str, path: str, content: str
) -> None:
    files = {"/proc/7/cgroup": group, path: content}

    def read(name: str, limit: int = 0) -> bytes:
        if name not in files:
            raise FileNotFoundError(name)
        return files[name].encode()

    monkeypatch.setattr(freezer, "read_proc", read)
    assert freezer.read_frozen(7) is not None
    files[path] = "THAWED" if "FROZEN" in content else "frozen 0\n"
    assert freezer.read_frozen(7) is None
    assert freezer.read_frozen(8) is None


ENTRIES = [
    {"collective_seq_id": 1, "state": "completed", "profiling_name": "nccl:broadcast"},
    {
        "collective_seq_id": 2,
        "state": "started",
        "profiling_name": "nccl:all_reduce\x1b[2J",
        "frames": [
            {"name": "all_reduce", "filename": C10D, "line": 1},
            {"name": "step", "filename": "/a/train.py", "line": 12},
        ],
    },
    {"p2p_seq_id": 9, "collective_seq_id": 9, "is_p2p": True, "state": "scheduled"},
]


def test_a_flight_recorders_dump_is_read() -> None:
    content = parse(pickle.dumps({"version": "2.4", "entries": ENTRIES}, protocol=2))
    assert content is not None
    (found,) = collectives_of(1, content)
    assert found == Collective(
        rank=1,
        done=1,
        pending="nccl:all_reduce",
        pending_number=2,
        place="step (a/train.py:12)",
    )
    assert parse(b'{"entries": []}') == {"entries": []}
    assert collectives_of(1, {"entries": "x"}) == []
    other = [each | {"process_group": ("1", "tp"), "collective_seq_id": 7} for each in ENTRIES[:1]]
    both = collectives_of(1, {"entries": [*ENTRIES, *other]})
    assert [(each.group, each.done) for each in both] == [("", 1), ("1 tp", 7)]
    retired = collectives_of(1, {"entries": [each | {"retired": True} for each in ENTRIES]})
    assert [(each.done, each.pending) for each in retired] == [(2, None)]


class _Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, (str(EVIL),)


EVIL = Path("/tmp/lanewatch-a-pickle-ran")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(pickle.dumps(_Evil()), id="runs something"),
        pytest.param(pickle.dumps({"entries": [_Evil()]}), id="runs something deep inside"),
        pytest.param(b"cbuiltins\nexec\n(S'1'\ntR.", id="a builtin"),
        pytest.param(b"\x80\x02}q\x00X\xff\xff\xff\x7f", id="cut off"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{" * 100_000, id="deep JSON"),
        pytest.param(pickle.dumps([1]), id="no dict"),
    ],
)
def test_a_pickle_that_is_no_dump_runs_nothing(raw: bytes) -> None:
    assert parse(raw) is None
    assert not EVIL.exists()


def test_a_dump_is_looked_for_where_the_rank_was_told_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "TORCH_NCCL_DEBUG_INFO_TEMP_FILE"
    monkeypatch.setattr(
        flight_recorder, "read_variables", lambda pid, names: {name: f"{tmp_path}/trace_"}
    )
    dump = tmp_path / "trace_3"
    dump.write_bytes(pickle.dumps({"entries": ENTRIES}))
    ranks = [Rank(rank=3, pid=os.getpid())]
    assert [each.done for each in flight_recorder.read_collectives(ranks)] == [1]
    os.utime(dump, (1, 1))
    assert flight_recorder.read_collectives(ranks) == (), "it is of an earlier process"


def meters(at_s: float, swapped: tuple[int, int], disk: tuple[int, int, int]) -> Meters:
    return Meters(at_s=at_s, faults={7: int(at_s)}, swapped=swapped, disks={"vda": disk})


def test_rates_of_the_box_are_of_the_look_itself() -> None:
    before, after = meters(0, (0, 0), (10, 100, 0)), meters(4, (1024, 0), (20, 500, 3900))
    assert list(swap_lines(before, after)) == ["the machine swaps: 1.0 MiB/s in, 0.0 MiB/s out"]
    assert list(disk_lines(before, after)) == [
        "disk vda was busy 98% of the time, 40.0 ms a request"
    ]
    assert box.faults_rate(before, after) == 1.0
    assert list(swap_lines(before, before)) == list(disk_lines(before, before)) == []
    assert list(heat_lines({"a": 40.0})) == []
    assert list(heat_lines({"a": 40.0, "b": 96.0})) == ["b is at 96 °C"]
    said = KernelReading(xids=(79, 79), oom_kills=(5,))
    assert [each.split(" since")[0] for each in kernel_lines(said)] == [
        "the kernel logged Xid 79 of the GPU's driver",
        "the kernel killed for want of memory",
    ]
    assert list(kernel_lines(None)) == []


def test_what_others_do_on_the_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/pressure/io": "some avg10=42.00 avg60=0 avg300=0 total=1\nfull avg10=9.9 total=1\n",
        "/proc/pressure/cpu": "some avg10=0.00 total=1\nfull avg10=99.00 total=1\n",
        "/proc/7/cgroup": "0::/system.slice/docker-0.scope\n",
    }
    monkeypatch.setattr(box, "_text", lambda path: files.get(path, ""))
    assert list(box._pressure()) == ["some tasks waited for io 42 % of the last 10 s"]
    monkeypatch.setattr(box, "container_id", lambda pid: "0123456789ab")
    monkeypatch.setattr(box, "list_names", lambda folder: ["1", "self"])
    monkeypatch.setattr(box, "end", lambda pid: End(pid=pid, name="dockerd", state="T"))
    assert list(box._engine_lines([7])) == ["dockerd is in state T"]
    gpu = GpuReading(
        index=0, name="GB10", temperature_c=91, throttle=("hw-thermal",),
        process_bytes=((7, 1 << 30), (9, 2 << 30)),
    )  # fmt: skip
    assert list(box._gpu_lines([gpu], [7])) == [
        "GPU 0 is slowed at 91 °C: hw-thermal",
        "dockerd (pid 9, 2.0 GiB) is on GPU 0 too",
    ]
    monkeypatch.setattr(box, "end", lambda pid: End(pid=pid, name="sh", state="S"))
    assert "dockerd does not run" in next(iter(box._engine_lines([7])))


def test_tables_of_the_kernel_are_read() -> None:
    table = (
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 22 0:50 / /mnt/a\\040b rw shared:1 - nfs4 box:/x rw\n"
        "nonsense\n"
    )
    assert mount_of("/mnt/a b/file", table) == FileSystem(
        point="/mnt/a b", kind="nfs4", source="box:/x"
    )
    root = mount_of("/mnt/a bc", table)
    assert root is not None
    assert root.point == "/"
    assert _address(b"0100007F:6E5D") == "127.0.0.1:28253"
    assert _address(b"0000000000000000FFFF00000100007F:0050") == "127.0.0.1:80"
    assert _address(b"00000000000000000000000001000000:0050") == "[::1]:80"
    assert box.parse_swapped("pswpin 3\npswpout 4\n") == (3, 4)
    assert box.parse_swapped("") is None


def test_a_file_system_of_ours_answers(tmp_path: Path) -> None:
    place = file_system_of(os.getpid(), str(tmp_path))
    assert place is not None
    found = asked(place, os.getpid(), limit_s=60)
    assert found.answer_s is not None
    assert found.silent_s is None
    assert ask(str(tmp_path / "nothing"), 60) == (None, None)


def test_the_descriptors_of_a_select_are_read_from_its_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sets = {1000: (1 << 3 | 1 << 9).to_bytes(8, "little"), 2000: struct.pack("ihh", 5, 1, 0)}
    monkeypatch.setattr(
        "monitor.diagnosis.calls.read_memory", lambda pid, address, size: sets[address][:size]
    )
    assert polled(7, Call("pselect6", (10, 1000, 0, 0, 0, 0))) == (3, 9)
    assert polled(7, Call("poll", (2000, 1, 0))) == (5,)
    assert polled(7, Call("read", (0,))) == ()
