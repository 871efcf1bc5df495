"""What a diagnosis gathers: numbers of a container, rights that are missing, lines and blocks."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.diagnosis import rights
from monitor.diagnosis.namespaces import as_here, pid_inside, threads_inside
from monitor.diagnosis.pyspy import Dump, failed_dump
from monitor.diagnosis.sampling import take
from monitor.diagnosis.sources import read_source, with_blocks
from monitor.diagnosis.stacks import compare, with_native
from monitor.diagnosis.values import Frame, KernelThread, Stack
from monitor.rundir import RunDir
from runners.sidecar import PROGRAM, Offer, is_static, sidecar_body
from tui.cli import diagnosing

MAIN = Frame("train", "/a/train.py", 3)
OFFER = Offer(
    container="nemo", container_id="c" * 64, image="sha256:1", image_name="nemo:1", program="/p"
)


def stack(pid: int, tid: int, *frames: Frame, active: bool | None = None) -> Stack:
    return Stack(pid=pid, tid=tid, name=None, frames=frames, active=active)


def test_a_process_of_this_machine_has_one_number() -> None:
    assert pid_inside(os.getpid()) == os.getpid()
    assert threads_inside(os.getpid())[os.getpid()] == os.getpid()
    assert pid_inside(2**30) is None


def test_stacks_of_a_container_are_told_in_this_machines_numbers() -> None:
    (found,) = as_here([stack(7, 8, MAIN, active=True)], 4711, {8: 4712})
    assert (found.pid, found.tid) == (4711, 4712)
    assert found.active is None, "py-spy asked the kernel about another thread"


@pytest.mark.parametrize(
    ("said", "refused", "foreign"),
    [
        (b"Permission Denied: Try running again with elevated permissions", True, False),
        (b"Error: Failed to get process executable name.\n\nCaused by:\n 0: Permission denied (os"
         b" error 13)\n\nStack backtrace:\n 0: anyhow", True, False),
        (b"Error: Failed to find python version from target process\n\nStack backtrace:\n", False,
         True),
        (b"Error: Failed to copy PyFrameObject", False, False),
    ],
)  # fmt: skip
def test_why_there_are_no_stacks(said: bytes, refused: bool, foreign: bool) -> None:
    got = failed_dump(7, said)
    assert (got.refused, got.foreign) == (refused, foreign)
    assert "backtrace" not in (got.problem or "")


class _Spy:
    """Answers from a list, one dump after another."""

    def __init__(self, *answers: Dump) -> None:
        self.answers, self.asked = list(answers), 0

    def available(self) -> str | None:
        return None

    dump_s = native_s = 1.0

    def dump(self, pid: int, *, native: bool = False, limit_s: float) -> Dump:
        self.asked += 1
        return self.answers.pop(0) if self.answers else Dump(stacks=(stack(pid, pid, MAIN),))


def test_a_sample_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.diagnosis.sampling.PAUSE_S", 0.0)
    busy = _Spy(Dump(problem="a frame was gone before it was read"))
    assert len(take([os.getpid()], busy).samples) == 5
    closed = _Spy(Dump(problem="no", refused=True))
    taken = take([os.getpid()], closed)
    assert (closed.asked, len(taken.missing)) == (1, 1), "who refuses is asked once"


def test_a_right_that_is_missing_is_named_with_the_way_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert rights.may_look(os.getpid())
    monkeypatch.setattr(rights, "_id_of", lambda *_: os.geteuid())
    monkeypatch.setattr(rights, "is_shut", lambda _: False)
    yama = tmp_path / "ptrace_scope"
    assert "CAP_SYS_PTRACE" in rights.missing_right(os.getpid(), yama)
    yama.write_text("1\n")
    assert "sysctl kernel.yama.ptrace_scope=0" in rights.missing_right(os.getpid(), yama)
    monkeypatch.setattr(rights, "is_shut", lambda _: True)
    assert "PR_SET_DUMPABLE" in rights.missing_right(os.getpid(), yama)
    monkeypatch.setattr(rights, "_id_of", lambda *_: 4711)
    assert "uid 4711" in rights.missing_right(os.getpid(), yama)
    monkeypatch.setattr(rights, "container_id", lambda _: "0123456789ab")
    assert "--yes" in rights.missing_right(os.getpid(), yama)


def test_idle_is_what_the_kernel_counts() -> None:
    samples = [[stack(7, 7, MAIN, active=True), stack(7, 8, MAIN, active=False)]] * 2
    asleep = KernelThread(pid=7, tid=7, state="S", cpu_share=0.0)
    views = {each.tid: each.idle for each in compare(samples, [asleep])}
    assert views == {7: True, 8: True}
    busy = KernelThread(pid=7, tid=8, state="S", cpu_share=0.5)
    assert {each.tid: each.idle for each in compare(samples, [busy])} == {7: False, 8: False}


def test_a_sample_that_a_process_did_not_give_is_no_movement_of_it() -> None:
    both, one = [stack(7, 7, MAIN), stack(8, 8, MAIN)], [stack(8, 8, MAIN)]
    assert {each.tid: each.still for each in compare([both, one, both], ())} == {7: True, 8: True}
    born = [[stack(7, 7, MAIN)], [stack(7, 7, MAIN), stack(7, 9, MAIN)]]
    assert {each.tid: each.still for each in compare(born, ())} == {7: True, 9: False}


def test_native_calls_are_those_inside_the_innermost_python_call() -> None:
    views = compare([[stack(7, 7, MAIN)]], ())
    native = stack(7, 7, Frame("cuStreamSynchronize", "/usr/lib/libcuda.so.1", 0), MAIN)
    (view,) = with_native(views, [native])
    assert view.native == ("cuStreamSynchronize (libcuda.so.1)",)


def test_what_a_line_holds_is_read_from_the_blocks_around_it() -> None:
    text = "with a.lock:\n    x = 1\n    with b, c():\n        x = 2\nx = 3\n"
    at = {line: [it[2] for it in with_blocks(text) if it[0] <= line <= it[1]] for line in (2, 4, 5)}
    assert at == {2: ["a.lock"], 4: ["a.lock", "b", "c()"], 5: []}
    assert with_blocks("def (") == ()


def test_a_containers_file_is_not_read_by_a_link(tmp_path: Path) -> None:
    secret, link = tmp_path / "secret.py", tmp_path / "train.py"
    secret.write_text("1")
    link.symlink_to(secret)
    pid = os.getpid()
    assert read_source(pid, str(secret), inside=True) == "1"
    assert read_source(pid, str(link), inside=True) is None
    assert read_source(pid, str(link), inside=False) == "1"
    assert read_source(pid, "<frozen importlib>", inside=False) is None
    assert read_source(pid, str(tmp_path), inside=False) is None


def test_the_container_that_looks_may_do_nothing_else() -> None:
    body = sidecar_body(OFFER, 7, native=False)
    host = body["HostConfig"]
    assert (body["Image"], body["Entrypoint"]) == ("sha256:1", [PROGRAM])
    assert "--nonblocking" in body["Cmd"]
    assert (host["PidMode"], host["NetworkMode"]) == (f"container:{'c' * 64}", "none")
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["SYS_PTRACE"])
    assert host["ReadonlyRootfs"]
    assert all(each["ReadOnly"] for each in host["Mounts"])


def test_only_a_program_without_a_loader_runs_in_any_image(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("#!/bin/sh\n")
    assert not is_static(tmp_path / "text")
    assert not is_static(tmp_path / "none")
    assert not is_static(Path(os.path.realpath("/bin/sh")))


@pytest.mark.parametrize(
    ("answer", "yes", "json", "started"),
    [
        pytest.param("y\n", False, False, True, id="yes"),
        pytest.param("\n", False, False, False, id="enter is no"),
        pytest.param("", True, True, True, id="--yes asks nothing"),
        pytest.param("y\n", False, True, False, id="--json never asks"),
    ],
)
def test_a_container_is_started_only_after_a_yes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    answer: str,
    yes: bool,
    json: bool,
    started: bool,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(diagnosing, "offer_for", lambda _: OFFER)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    options: Any = argparse.Namespace(yes=yes, json=json)
    assert (diagnosing._confirmed(RunDir(tmp_path), options) is OFFER) is started
    asked = capsys.readouterr().err
    assert ("SYS_PTRACE" in asked) is not (yes or json)
