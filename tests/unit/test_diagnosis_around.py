"""Who holds a run up, by what lies around its threads: ranks, waits, recorders, the box."""

from __future__ import annotations

import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.diagnosis import box, flight_recorder, freezer
from monitor.diagnosis.box import Meters, disk_lines, heat_lines, kernel_lines, swap_lines
from monitor.diagnosis.calls import Call, polled
from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.ends_of import _address
from monitor.diagnosis.file_systems import ask, asked, file_system_of, mount_of
from monitor.diagnosis.flight_recorder import collectives_of, parse
from monitor.diagnosis.places import (
    Collective,
    End,
    FileSystem,
    Rank,
    Surroundings,
    Wait,
    WaitKind,
)
from monitor.diagnosis.rank_processes import ranks_of
from monitor.diagnosis.values import (
    Cause,
    Confidence,
    DiagnosisFacts,
    Frame,
    KernelThread,
    ThreadView,
)
from monitor.model import GpuReading, KernelReading

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
)


def kernel(tid: int = 7, call: str = "futex") -> KernelThread:
    return KernelThread(pid=7, tid=tid, state="S", cpu_share=0.0, syscall=call)


C10D = "/v/lib/python3.12/site-packages/torch/distributed/distributed_c10d.py"
LOGGER = Frame("wrapper", C10D.replace("distributed_c10d", "c10d_logger"), 80)
REDUCE = (Frame("all_reduce", C10D, 2800), LOGGER, Frame("step", "/a/train.py", 12))
GATHER = (Frame("all_gather", C10D, 3000), LOGGER, Frame("evaluate", "/a/train.py", 40))
NAP = (Frame("nap", "/a/train.py", 9), Frame("<module>", "/a/train.py", 18))
QUEUE = (
    Frame("_recv", "/usr/lib/python3.12/multiprocessing/connection.py", 395),
    Frame("get", "/usr/lib/python3.12/multiprocessing/queues.py", 103),
    Frame("train", "/a/train.py", 20),
)


def rank_view(pid: int, *frames: Frame, still: bool = True) -> ThreadView:
    return ThreadView(pid=pid, tid=pid, name="MainThread", still=still, stays_in=frames)


def ranked(*views: ThreadView, world: int = 2, **around: Any) -> DiagnosisFacts:
    ranks = tuple(Rank(rank=n, pid=each.pid, local=n, world=world) for n, each in enumerate(views))
    threads = tuple(
        KernelThread(pid=each.pid, tid=each.pid, state="S", cpu_share=0) for each in views
    )
    return replace(
        STALLED,
        pid=6,
        threads=views,
        kernel=threads,
        around=Surroundings(ranks=ranks, **around),
    )


@pytest.mark.parametrize(
    ("facts", "cause", "confidence", "says"),
    [
        pytest.param(
            ranked(rank_view(7, *REDUCE), rank_view(8, *NAP)),
            Cause.RANK_BEHIND,
            Confidence.LIKELY,
            "rank 1 (pid 8) holds the others up: it stands in nap (a/train.py:9), and rank 0 waits "
            "in all_reduce, called from step (a/train.py:12)",
            id="one stands elsewhere",
        ),
        pytest.param(
            ranked(rank_view(7, *REDUCE), rank_view(8, *NAP, still=False)),
            Cause.RANK_BEHIND,
            Confidence.LIKELY,
            "it is in nap",
            id="one gets on elsewhere",
        ),
        pytest.param(
            ranked(rank_view(7, *REDUCE), rank_view(8, *GATHER)),
            Cause.COLLECTIVES_DIFFER,
            Confidence.LIKELY,
            "rank 1 waits in all_gather, called from evaluate (a/train.py:40)",
            id="they wait for different things",
        ),
        pytest.param(
            ranked(rank_view(7, *REDUCE), rank_view(8, *REDUCE)),
            Cause.WAITS,
            Confidence.UNSURE,
            "it waits",
            id="all wait alike: nobody is named",
        ),
        pytest.param(
            ranked(rank_view(7, *REDUCE)),
            Cause.RANK_GONE,
            Confidence.LIKELY,
            "rank 1 of 2 has no process any more, and rank 0 waits in all_reduce",
            id="one is gone",
        ),
        pytest.param(
            ranked(rank_view(7, *REDUCE), rank_view(8, *NAP), world=2, collectives=()),
            Cause.RANK_BEHIND,
            Confidence.LIKELY,
            "rank 1",
            id="without a recorder",
        ),
        pytest.param(
            ranked(
                rank_view(7, *NAP),
                rank_view(8, *NAP),
                collectives=(
                    Collective(rank=0, done=41, pending="nccl:all_reduce", pending_number=42),
                    Collective(rank=1, done=40),
                ),
            ),
            Cause.RANK_BEHIND,
            Confidence.LIKELY,
            "rank 1 is behind by the flight recorder: it completed 40 collectives, rank 0 waits in"
            " nccl:all_reduce",
            id="only the recorders tell (NCCL returns at once)",
        ),
    ],
)
def test_the_rank_that_holds_the_others_up(
    facts: DiagnosisFacts, cause: str, confidence: Confidence, says: str
) -> None:
    found = conclude(facts)
    assert (found.cause, found.confidence) == (cause, confidence), found.sentence
    assert says in found.sentence
    assert any(each.startswith("rank 0 (pid 7, state S)") for each in found.supports)


def test_a_rank_that_is_stopped_is_named_wherever_it_stands() -> None:
    facts = ranked(rank_view(7, *REDUCE), rank_view(8, *REDUCE))
    stopped = replace(facts.kernel[1], state="T")
    found = conclude(replace(facts, kernel=(facts.kernel[0], stopped)))
    assert (found.cause, found.confidence) == (Cause.RANK_BEHIND, Confidence.LIKELY)
    assert found.remedies[0].commands == (("kill", "-CONT", "8"),)


def test_checkpoints_out_of_reach() -> None:
    kernel_d = KernelThread(pid=7, tid=7, state="D", cpu_share=0.0)
    facts = replace(STALLED, kernel=(kernel_d,), around=Surroundings(checkpoints_silent=NFS))
    found = conclude(facts)
    assert (found.cause, found.confidence) == (Cause.FILE_SYSTEM, Confidence.LIKELY)
    asleep = replace(facts, kernel=(replace(kernel_d, state="S"),))
    assert conclude(asleep).confidence == Confidence.UNSURE


def test_who_was_not_seen_makes_it_unsure() -> None:
    facts = ranked(rank_view(7, *REDUCE), rank_view(8, *NAP), rank_view(9, *NAP), world=3)
    unseen = replace(facts, threads=facts.threads[:2])
    found = conclude(unseen)
    assert (found.cause, found.confidence) == (Cause.RANK_BEHIND, Confidence.UNSURE)
    assert "flight recorder" in (found.decides or "")


def test_a_loaders_worker_inherits_the_environment_and_is_no_rank() -> None:
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    told = {
        5: {},
        7: both | {"RANK": "0", "LOCAL_RANK": "0"},
        8: both | {"RANK": "1", "LOCAL_RANK": "1"},
        9: both | {"RANK": "1", "LOCAL_RANK": "1"},
    }
    ranks = ranks_of(told, {5: 1, 7: 5, 8: 5, 9: 8})
    assert [(each.rank, each.pid, each.world) for each in ranks] == [(0, 7, 2), (1, 8, 2)]
    alone = {7: {"RANK": "0", "WORLD_SIZE": "1"}}
    assert ranks_of(alone, {7: 1}) == (), "a run of one process has no ranks"
    assert ranks_of({7: {"RANK": "-1"}}, {7: 1}) == ()


def wait(kind: WaitKind, what: str, call: str = "read", **more: Any) -> Wait:
    return Wait(pid=7, tid=7, kind=kind, call=call, what=what, **more)


def waiting(*waits: Wait, frames: tuple[Frame, ...] = QUEUE, **changes: Any) -> DiagnosisFacts:
    view = ThreadView(pid=7, tid=7, name="MainThread", still=True, stays_in=frames)
    around = Surroundings(waits=waits)
    known = {"threads": (view,), "kernel": (kernel(call="read"),), "around": around}
    return replace(STALLED, **(known | changes))


NFS = FileSystem(point="/data", kind="nfs4", source="box:/data", silent_s=2.0)
SLOW = replace(NFS, silent_s=None, answer_s=0.5)


@pytest.mark.parametrize(
    ("facts", "cause", "confidence", "says"),
    [
        pytest.param(
            waiting(wait(WaitKind.FILE, "/data/w", "openat", file_system=NFS)),
            Cause.FILE_SYSTEM,
            Confidence.LIKELY,
            "/data/w on /data (nfs4 of box:/data), which has not answered for 2 s",
            id="a file server is gone",
        ),
        pytest.param(
            waiting(
                wait(
                    WaitKind.FILE, "/data/w", file_system=replace(NFS, silent_s=None, answer_s=0.5)
                )
            ),
            Cause.WAITS,
            Confidence.UNSURE,
            "",
            id="a slow one answers",
        ),
        pytest.param(
            waiting(wait(WaitKind.PIPE, "pipe:[1]", ends=())),
            Cause.WORKER_DEAD,
            Confidence.LIKELY,
            "whose other end nobody else has open",
            id="the workers are gone",
        ),
        pytest.param(
            waiting(wait(WaitKind.PIPE, "pipe:[1]", ends=None)),
            Cause.WAITS,
            Confidence.UNSURE,
            "",
            id="who else has it open was not to be seen",
        ),
        pytest.param(
            waiting(wait(WaitKind.PIPE, "pipe:[1]", ends=()), frames=NAP),
            Cause.WAITS,
            Confidence.UNSURE,
            "",
            id="a thread of its own may write into it",
        ),
        pytest.param(
            waiting(
                wait(WaitKind.PIPE, "pipe:[1]", ends=(End(pid=9, name="tar", state="T"),)),
                frames=NAP,
            ),
            Cause.PEER_STOPPED,
            Confidence.LIKELY,
            "tar (pid 9, state T) holds; it is stopped: `kill -CONT 9`",
            id="who writes is stopped",
        ),
    ],
)
def test_what_it_waits_for_cannot_come(
    facts: DiagnosisFacts, cause: str, confidence: Confidence, says: str
) -> None:
    found = conclude(facts)
    assert (found.cause, found.confidence) == (cause, confidence), found.sentence
    assert says in found.sentence


@pytest.mark.parametrize(
    ("taken", "holds", "cause", "confidence"),
    [
        ("lock", ("lock",), Cause.LOCK_HELD, Confidence.LIKELY),
        ("self.lock", ("self.lock",), Cause.LOCK_HELD, Confidence.UNSURE),
        ("lock", ("other",), Cause.WAITS_FOR_LOCK, Confidence.UNSURE),
    ],
)
def test_who_keeps_a_lock(
    taken: str, holds: tuple[str, ...], cause: str, confidence: Confidence
) -> None:
    main = ThreadView(
        pid=7, tid=7, name="MainThread", still=True, stays_in=NAP, line=f"with {taken}:",
        kernel=kernel(),
    )  # fmt: skip
    sleeps = Frame("keeps", "/a/train.py", 30)
    keeper = ThreadView(
        pid=7, tid=8, name="keeper", still=True, stays_in=(sleeps,), holds=holds,
        kernel=kernel(8, "clock_nanosleep"),
    )  # fmt: skip
    found = conclude(replace(STALLED, threads=(main, keeper), kernel=(kernel(),)))
    assert (found.cause, found.confidence) == (cause, confidence)


def test_a_frozen_group_is_sure_unless_it_advanced() -> None:
    frozen = replace(STALLED, around=Surroundings(frozen="/docker/x", container="0123456789ab"))
    found = conclude(frozen)
    assert (found.cause, found.confidence) == (Cause.PAUSED, Confidence.SURE)
    assert found.remedies[0].commands == (("docker", "unpause", "0123456789ab"),)
    assert conclude(replace(frozen, advanced=True)).cause == Cause.HEALTHY
    alone = replace(STALLED, around=Surroundings(frozen="/user.slice"))
    assert conclude(alone).remedies[0].commands == ()


ENDS = st.none() | st.lists(
    st.builds(
        End,
        pid=st.sampled_from([7, 8, 9]),
        name=st.just("python"),
        state=st.sampled_from(["S", "T", "D", "Z"]),
    ),
    max_size=2,
).map(tuple)
WAITS = st.builds(
    Wait,
    pid=st.just(7),
    tid=st.sampled_from([7, 8, 9]),
    kind=st.sampled_from(list(WaitKind)),
    call=st.sampled_from(["read", "poll", "futex", "openat", "write"]),
    what=st.just("x"),
    ends=ENDS,
    file_system=st.sampled_from([None, NFS, SLOW]),
)
AROUND = st.builds(
    Surroundings,
    waits=st.lists(WAITS, max_size=3).map(tuple),
    ranks=st.lists(
        st.builds(
            Rank,
            rank=st.integers(0, 2),
            pid=st.sampled_from([7, 8]),
            local=st.none() | st.integers(0, 2),
            world=st.none() | st.integers(0, 3),
        ),
        max_size=3,
    ).map(tuple),
    collectives=st.lists(
        st.builds(
            Collective,
            rank=st.integers(0, 2),
            group=st.sampled_from(["", "tp"]),
            done=st.integers(0, 2),
            pending=st.sampled_from([None, "nccl:all_reduce"]),
            pending_number=st.none() | st.integers(0, 3),
        ),
        max_size=3,
    ).map(tuple),
    frozen=st.sampled_from([None, None, "/docker/x"]),
    container=st.sampled_from([None, "0123456789ab"]),
    checkpoints_silent=st.sampled_from([None, NFS]),
    major_faults_s=st.sampled_from([None, 0.0, 900.0]),
)
VIEWS = st.lists(
    st.builds(
        ThreadView,
        pid=st.sampled_from([7, 8]),
        tid=st.sampled_from([7, 8, None]),
        name=st.sampled_from([None, "MainThread"]),
        still=st.booleans(),
        stays_in=st.sampled_from([(), REDUCE, GATHER, NAP, QUEUE]),
        kernel=st.sampled_from([None, kernel(), kernel(8, "read")]),
        line=st.sampled_from([None, "with lock:", "lock.acquire()", "x = 1"]),
        holds=st.sampled_from([(), ("lock",)]),
    ),
    max_size=3,
).map(tuple)


@settings(deadline=None)
@given(AROUND, VIEWS, st.sampled_from(["stalled", "suspect", "training"]), st.booleans())
def test_laws(
    around: Surroundings, views: tuple[ThreadView, ...], liveness: str, advanced: bool
) -> None:
    facts = replace(STALLED, around=around, threads=views, liveness=liveness, advanced=advanced)
    found = conclude(facts)
    if advanced:
        assert found.cause == Cause.HEALTHY, "whoever gets on does not hang"
    elif around.frozen:
        assert (found.cause, found.confidence) == (Cause.PAUSED, Confidence.SURE)
    else:
        assert found.confidence is not Confidence.SURE, "nothing around it is proof"
        assert liveness != "training" or found.cause == Cause.HEALTHY
    if found.confidence is Confidence.UNSURE:
        assert found.decides, "who is unsure says what would tell"
    if found.cause == Cause.RANK_BEHIND:
        assert len(around.ranks) > 0


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
    found = asked(place, os.getpid(), wait_s=60)
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
