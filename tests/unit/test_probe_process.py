"""A pid alone is never trusted, and a dead process is never seen alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes import process
from monitor.probes.clock import read_now
from monitor.probes.process import (
    find_by_environment,
    identify,
    is_alive,
    parse_stat,
    read_process,
)
from monitor.probes.raw import read_proc

Spawn = Callable[..., subprocess.Popen[bytes]]

SLEEP = "import sys, time; print(flush=True); time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str, **variables: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def ready(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout is not None
    return child.stdout.readline()


def wait_for_state(pid: int, state: str) -> None:
    deadline = read_now().monotonic_s + 10
    while read_now().monotonic_s < deadline:
        stat = parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
        if stat is not None and stat.state == state:
            return
    pytest.fail(f"{pid} never reached state {state}")


def test_a_running_process_is_alive_and_read(spawn: Spawn) -> None:
    child = spawn(SLEEP)
    ready(child)
    known = identify(child.pid)
    assert known is not None
    assert is_alive(known)
    reading = read_process(known).value
    assert reading is not None
    assert reading.alive
    assert reading.cpu_s is not None
    assert reading.rss_bytes is not None
    assert reading.rss_bytes > 1 << 20
    assert reading.written_bytes is not None


def test_a_stopped_process_is_alive_and_its_state_says_so(spawn: Spawn) -> None:
    child = spawn(SLEEP)
    ready(child)
    os.kill(child.pid, signal.SIGSTOP)
    wait_for_state(child.pid, "T")
    known = identify(child.pid)
    assert known is not None
    reading = read_process(known).value
    assert reading is not None
    assert (reading.alive, reading.state) == (True, "T")


def test_a_zombie_is_dead(spawn: Spawn) -> None:
    child = spawn(SLEEP)
    ready(child)
    known = identify(child.pid)
    assert known is not None
    os.kill(child.pid, signal.SIGKILL)
    wait_for_state(child.pid, "Z")
    assert not is_alive(known)
    assert identify(child.pid) is None
    reading = read_process(known).value
    assert reading is not None
    assert not reading.alive


def test_a_reaped_process_is_dead(spawn: Spawn) -> None:
    child = spawn(SLEEP)
    known = identify(child.pid)
    child.kill()
    child.wait()
    assert known is not None
    assert not is_alive(known)


def test_a_reused_pid_is_another_process() -> None:
    myself = identify(os.getpid())
    assert myself is not None
    assert is_alive(myself)
    assert not is_alive(replace(myself, start_ticks=myself.start_ticks - 1))


def test_a_process_of_an_earlier_boot_is_dead() -> None:
    myself = identify(os.getpid())
    assert myself is not None
    assert not is_alive(replace(myself, boot_id="00000000-0000-0000-0000-000000000000"))


def test_descendants_count_too(spawn: Spawn) -> None:
    parent = spawn(PARENT)
    child_pid = int(ready(parent))
    whole, part = identify(parent.pid), identify(child_pid)
    assert whole is not None
    assert part is not None
    family, child = read_process(whole).value, read_process(part).value
    assert family is not None
    assert child is not None
    assert family.rss_bytes is not None
    assert child.rss_bytes is not None
    assert family.rss_bytes > child.rss_bytes
    assert family.pids == (parent.pid, child_pid)
    assert process._descendants(parent.pid, set(), read_proc) == [child_pid]


def test_cpu_time_does_not_fall_when_a_child_ends(spawn: Spawn) -> None:
    parent = spawn(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "'import time\\nwhile time.process_time() < 0.3: pass\\nprint(flush=True)\\ninput()'], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(flush=True); input_ = sys.stdin\n"
        "time.sleep(0.2); child.communicate(b'\\n'); print(flush=True); time.sleep(60)"
    )
    ready(parent)
    known = identify(parent.pid)
    assert known is not None
    before = read_process(known).value
    ready(parent)
    after = read_process(known).value
    assert before is not None
    assert after is not None
    assert before.cpu_s is not None
    assert after.cpu_s is not None
    # 0.2: the child's clock is finer than the kernel's ticks, in which the probe reads.
    assert after.cpu_s >= before.cpu_s >= 0.2


def test_found_by_environment_is_the_root_only(spawn: Spawn) -> None:
    parent = spawn(PARENT, LANEWATCH_TEST="this-one", LANEWATCH_OTHER="x")
    ready(parent)
    spawn(SLEEP, LANEWATCH_TEST="that-one")
    found = find_by_environment({"LANEWATCH_TEST": "this-one", "LANEWATCH_OTHER": "x"})
    assert found == [identify(parent.pid)]
    assert find_by_environment({"LANEWATCH_TEST": "no-one"}) == []


def test_the_caller_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    value = os.environ["PATH"]
    assert os.getpid() not in [each.pid for each in find_by_environment({"PATH": value})]


STAT = "7 ({}) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 25 25 20 0 {} 0 4242 1000 300 1 1"


@pytest.mark.parametrize("name", ["python", "a) S 1 (b", "", ")", "tmux: server", ") Z 9 9"])
def test_the_name_may_hold_brackets(name: str) -> None:
    stat = parse_stat(STAT.format(name, 1).encode())
    assert stat is not None
    assert (stat.state, stat.parent, stat.start_ticks, stat.cpu_ticks) == ("S", 1, 4242, 250)
    assert (stat.threads, stat.rss_pages) == (1, 300)


def test_a_leader_that_ended_before_its_threads_still_lives() -> None:
    raw = STAT.replace(") S", ") Z")
    alone, working = (parse_stat(raw.format("x", count).encode()) for count in (1, 2))
    assert alone is not None
    assert working is not None
    assert (alone.alive, working.alive) == (False, True)


@given(st.binary(max_size=400))
def test_any_bytes_for_stat_never_raise(raw: bytes) -> None:
    parse_stat(raw)
    parse_stat(b"1 (x) " + raw)


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**63])
def test_no_such_pid_is_nobody(pid: int) -> None:
    assert identify(pid) is None
