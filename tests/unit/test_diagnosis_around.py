"""Who holds a run up, by what lies around its threads: ranks, waits, recorders, the box."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stalled_facts import STALLED, kernel

from monitor.diagnosis.conclude import conclude
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


def elsewhere(facts: DiagnosisFacts) -> DiagnosisFacts:
    """Only how many ranks there are on all machines is known."""
    ranks = tuple(replace(each, on_machine=False) for each in facts.around.ranks)
    return replace(facts, around=replace(facts.around, ranks=ranks))


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
            elsewhere(ranked(rank_view(7, *REDUCE), world=16)),
            Cause.RANK_GONE,
            Confidence.UNSURE,
            "of 16 have no process here, and rank 0 waits in all_reduce",
            id="the others may be of other machines",
        ),
        pytest.param(
            ranked(*(rank_view(7 + n, *REDUCE) for n in range(16)), world=32),
            Cause.WAITS,
            Confidence.UNSURE,
            "it waits",
            id="more ranks than are looked at",
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
    known = {"threads": (view,), "kernel": (kernel(wait="read"),), "around": around}
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
