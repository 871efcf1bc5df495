"""What a diagnosis concludes from what it saw: a table, and laws about what it must never say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated import wait_for
from hypothesis import given
from hypothesis import strategies as st
from stalled_facts import OTHER, STALLED, STEP, WAIT, kernel, view

from monitor.diagnosis import inquiry
from monitor.diagnosis.answer import recorded_sentence
from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.faulthandler_dump import parse_log
from monitor.diagnosis.pyspy import parse_dump
from monitor.diagnosis.stacks import compare, grouped
from monitor.diagnosis.values import (
    Cause,
    Confidence,
    DiagnosisFacts,
    Frame,
    Stack,
    Told,
)
from monitor.files import write_json
from monitor.model import Liveness
from monitor.rundir import RunDir
from monitor.signatures import Signature

LOADER = Frame("get", "/usr/lib/python3.12/multiprocessing/queues.py", 103)
POOL = Frame("_worker", "/usr/lib/python3.12/concurrent/futures/thread.py", 90)


@pytest.mark.parametrize(
    ("changes", "cause", "confidence", "says"),
    [
        pytest.param(
            {"threads": (view(STEP), view(OTHER, tid=8)), "kernel": (kernel(), kernel(8))},
            Cause.DEADLOCK,
            Confidence.LIKELY,
            "step (a/train.py:10)",
            id="two threads stand at locks",
        ),
        pytest.param(
            {
                "threads": (view(STEP, line="torch.cuda.synchronize()"), view(OTHER, tid=8)),
                "kernel": (kernel(), kernel(8)),
            },
            Cause.DEADLOCK,
            Confidence.UNSURE,
            "step (a/train.py:10)",
            id="one of them may wait in native code",
        ),
        pytest.param(
            {
                "liveness": "suspect",
                "threads": (view(STEP, still=False),),
                "kernel": (kernel(share=0.9),),
            },
            Cause.SPINNING,
            Confidence.UNSURE,
            "turns in step",
            id="a long step that is not past its limit",
        ),
        pytest.param(
            {
                "liveness": "training",
                "signature": "blocked-pipe",
                "words": "it is blocked writing into a pipe",
            },
            "blocked-pipe",
            Confidence.LIKELY,
            "pipe",
            id="a reader that may merely be slow",
        ),
        pytest.param(
            {"zombies": ("python",), "threads": (view(STEP),)},
            Cause.WORKER_DEAD,
            Confidence.UNSURE,
            "python has died",
            id="a dead child that nobody may wait for",
        ),
        pytest.param(
            {"threads": (view(STEP), view(WAIT, POOL, tid=8)), "kernel": (kernel(), kernel(8))},
            Cause.WAITS_FOR_LOCK,
            Confidence.UNSURE,
            "step (a/train.py:10)",
            id="a pool's idle worker is no party to a deadlock",
        ),
        pytest.param(
            {"threads": (view(STEP, wait="read"),), "kernel": (kernel(wait="recvfrom"),)},
            Cause.WAITS_FOR_SOCKET,
            Confidence.UNSURE,
            "socket",
            id="a socket",
        ),
        pytest.param(
            {"threads": (view(WAIT, LOADER, STEP),), "zombies": ("python",)},
            Cause.WORKER_DEAD,
            Confidence.LIKELY,
            "python has died",
            id="a dead worker",
        ),
        pytest.param(
            {
                "threads": (view(WAIT, STEP), view(OTHER, tid=8, still=False, wait=None)),
                "kernel": (kernel(), kernel(8, None, 0.9)),
            },
            Cause.SPINNING,
            Confidence.LIKELY,
            "turns in other (a/train.py:20)",
            id="a thread turns while the main one waits for it",
        ),
        pytest.param(
            {"source": None, "samples": 0, "kernel": (kernel(wait=None),), "missing": ("as root",)},
            Cause.WAITS,
            Confidence.UNSURE,
            "cannot be seen",
            id="nothing may be read but CPU time",
        ),
        pytest.param(
            {"source": None, "samples": 0, "kernel": (kernel(wait=None, share=0.9),)},
            Cause.SPINNING,
            Confidence.LIKELY,
            "where cannot be seen",
            id="a spin is named without ptrace",
        ),
        pytest.param(
            {
                "threads": (view(STEP, still=False),),
                "kernel": (replace(kernel(wait=None, share=0.06), state="R"),),
            },
            Cause.SPINNING,
            Confidence.LIKELY,
            "turns in step",
            id="a spin on a machine that leaves it little",
        ),
        pytest.param(
            {
                "signature": "stopped",
                "words": "stopped, `kill -CONT 7` lets it go on",
                "kernel": (replace(kernel(), state="T"),),
            },
            "stopped",
            Confidence.SURE,
            "kill -CONT 7",
            id="stopped",
        ),
        pytest.param(
            {"signature": "swap-thrash", "words": "the machine swaps"},
            "swap-thrash",
            Confidence.LIKELY,
            "swaps",
            id="a signature of the machine",
        ),
        pytest.param({"alive": False}, Cause.ENDED, Confidence.SURE, "ended", id="ended"),
        pytest.param(
            {"alive": None}, Cause.UNKNOWN, Confidence.UNSURE, "no process", id="no process"
        ),
        pytest.param(
            {"liveness": "training"}, Cause.HEALTHY, Confidence.LIKELY, "nothing says", id="calm"
        ),
        pytest.param(
            {"advanced": True}, Cause.HEALTHY, Confidence.SURE, "advanced", id="it goes on"
        ),
    ],
)
def test_a_conclusion(
    changes: dict[str, object], cause: str, confidence: Confidence, says: str
) -> None:
    found = conclude(replace(STALLED, **changes))
    assert (found.cause, found.confidence) == (cause, confidence)
    assert says in found.sentence


def test_what_a_remedy_loses_is_said_and_what_loses_nothing_comes_first() -> None:
    stopped = replace(
        STALLED, signature="stopped", words="stopped, `kill -CONT 7` lets it go on", kernel=()
    )
    first, second = conclude(stopped).remedies
    assert (first.do, first.loses) == ("kill -CONT 7", "nothing")
    assert "checkpoint 8: 10 min" in second.loses
    assert "no whole checkpoint" in conclude(replace(stopped, checkpoint=None)).remedies[1].loses
    foreign = conclude(replace(stopped, foreign=True))
    assert not any("lanewatch kill" in each.do for each in foreign.remedies)


FACTS = st.builds(
    replace,
    st.just(STALLED),
    alive=st.sampled_from([True, True, True, False, None]),
    liveness=st.sampled_from([*map(str, Liveness)]),
    signature=st.sampled_from([None, *map(str, Signature)]),
    advanced=st.booleans(),
    told=st.builds(
        Told,
        flags=st.sampled_from([(), ("log-stuck",), ("nan-loss",)]),
        memory=st.sampled_from([None, "it climbs"]),
    ),
    threads=st.lists(
        st.builds(
            lambda frame, tid, still, wait: view(frame, tid=tid, still=still, wait=wait),
            st.sampled_from([STEP, OTHER, WAIT, POOL]),
            st.sampled_from([7, 8, 9]),
            st.booleans(),
            st.sampled_from([None, "futex", "read", "clock_nanosleep"]),
        ),
        max_size=3,
    ).map(tuple),
    kernel=st.lists(
        st.builds(
            kernel,
            st.sampled_from([7, 8]),
            st.sampled_from([None, "futex"]),
            st.sampled_from([0.0, 1.0]),
        ),
        max_size=3,
    ).map(tuple),
    zombies=st.sampled_from([(), ("python",)]),
)


@given(FACTS)
def test_laws(facts: DiagnosisFacts) -> None:
    found = conclude(facts)
    over = facts.alive is not True or facts.liveness in ("finished", "failed", "stopped", "ended")
    if facts.advanced and not over:
        assert found.cause in (Cause.HEALTHY, Cause.LOG_STUCK, Cause.LOSS, Cause.MEMORY_LIMIT), (
            "whoever gets on does not hang"
        )
    if found.confidence is Confidence.UNSURE:
        assert found.decides, "who is unsure says what would tell"
    if found.confidence is Confidence.SURE and not over and not facts.advanced:
        assert found.cause in ("stopped", "blocked-pipe", "blocked-terminal")
    if found.cause == Cause.DEADLOCK:
        assert all(each.cpu_share < 0.2 for each in facts.kernel), "no deadlock while one runs"
    if facts.liveness != "stalled" and found.cause == Cause.SPINNING:
        assert found.confidence is Confidence.UNSURE, "a long step looks like that"


def stack(*frames: Frame, tid: int = 7) -> Stack:
    return Stack(pid=7, tid=tid, name=None, frames=frames)


def test_what_never_moved_comes_first_and_is_grouped_over_threads() -> None:
    moved = replace(STEP, line=11)
    samples = [
        [stack(WAIT, STEP), stack(OTHER, tid=8), stack(OTHER, tid=9)],
        [stack(moved), stack(OTHER, tid=8), stack(OTHER, tid=9)],
    ]
    views = compare(samples, ())
    assert [(each.tid, each.still) for each in views] == [(8, True), (9, True), (7, False)]
    assert views[2].stays_in == (moved,), "the call that both samples share, where it is now"
    first, second = grouped(views)
    assert (first.still, len(first.threads)) == (True, 2)
    assert not second.still


def test_a_thread_that_was_not_there_at_first_did_not_stand_still() -> None:
    views = compare([[], [stack(STEP)]], ())
    assert [each.still for each in views] == [False]


def test_one_sample_is_no_standing_still_unless_the_kernel_says_so() -> None:
    one = [[stack(STEP)]]
    assert [each.still for each in compare(one, (kernel(),))] == [False]
    assert [each.still for each in compare(one, (replace(kernel(), ran=True),))] == [False]
    assert [each.still for each in compare(one, (replace(kernel(), ran=False),))] == [True]
    failed = [[stack(STEP)], [], []]
    assert [each.still for each in compare(failed, (replace(kernel(), ran=False),))] == []


def test_a_thread_whose_last_sample_failed_is_left_if_the_kernel_has_it() -> None:
    main, other = stack(STEP), stack(OTHER, tid=8)
    samples = [[main, other], [main, other], [main]]
    assert {each.tid for each in compare(samples, (kernel(), kernel(8)))} == {7, 8}
    assert {each.tid for each in compare(samples, (kernel(),))} == {7}, "it has ended"
    assert {each.tid for each in compare([[main, other], [main], [main]], (kernel(8),))} == {7}


def test_the_words_of_faulthandler_are_read_among_lines_of_the_log() -> None:
    raw = b"""iteration 12/40 | loss 0.1
Thread 0x00007f2a5b7fe6c0 (most recent call first):
  File "/a/train.py", line 20 in other
  File "/usr/lib/python3.12/threading.py", line 1012 in run

Current thread 0x00007f2a5c1c6740 (most recent call first):
  File "/a/train.py", line 10 in step
"""
    other, main = parse_log(raw, 7)
    assert main.frames == (STEP,)
    assert (main.tid, main.name) == (7, "MainThread")
    assert other.frames[0] == OTHER
    assert parse_log(b"nothing of it", 7) == ()


@pytest.mark.parametrize("raw", [b"", b"[{}]", b"{}3", b'[{"frames": 3}]', b"\xff"])
def test_what_pyspy_may_say_is_no_traceback(raw: bytes) -> None:
    assert parse_dump(raw).problem


def test_an_inquiry_is_made_once_an_attempt_and_waited_for_no_longer_than_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "ARGV", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(inquiry, "WAIT_S", 0.3)
    asking = inquiry.Inquiry(RunDir(tmp_path))
    assert asking.begin(1)
    assert asking.pending
    assert not asking.begin(1)
    child = asking._child
    assert child is not None
    wait_for(lambda: not asking.pending)
    assert asking.answer() is None
    assert child.returncode == -9, "it is not left behind"
    assert not asking.begin(1), "once an attempt"
    assert not inquiry.Inquiry(RunDir(tmp_path), asked=1).begin(1), "also by the next watcher"


def test_an_inquiry_that_even_a_kill_does_not_end_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child looks at the very file server that may have stopped the run."""
    monkeypatch.setattr(inquiry, "ARGV", (sys.executable, "-c", "import time; time.sleep(600)"))
    asking = inquiry.Inquiry(RunDir(tmp_path))
    assert asking.begin(1)
    child = asking._child
    assert child is not None
    with monkeypatch.context() as held:
        held.setattr(inquiry.os, "killpg", lambda *_: None)
        assert asking.answer() is None
    assert child.poll() is None
    child.kill()
    child.wait()


def test_what_was_found_of_an_earlier_attempt_explains_nothing(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.diagnosis.mkdir()
    said = {"cause": "deadlock", "sentence": "a deadlock", "confidence": "likely"}
    write_json(
        run.diagnosis / "latest.json",
        {"attempt": 1, "wall_s": 5.0, "conclusion": said},
        durable=False,
    )
    assert recorded_sentence(run, 1) == "a deadlock (likely)"
    assert recorded_sentence(run, 2) is None
    assert recorded_sentence(run, 1, since_wall=6.0) is None
    assert recorded_sentence(RunDir(tmp_path / "none"), 1) is None
