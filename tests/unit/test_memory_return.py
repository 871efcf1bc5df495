"""Before the next launch the memory of the run before must have come back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated import wait_for

from monitor.events import read_events
from monitor.files import write_json
from monitor.memory_model import Held, MemoryMarks
from monitor.memory_return import Holder, missing_bytes, newest_held, refusal
from monitor.model import Liveness, ProcessId, Verdict
from monitor.probes.clock import boot_id, read_now
from monitor.probes.holders import container_of, read_holders
from monitor.probes.memory import read_memory_fast
from monitor.probes.process import identify
from monitor.rundir import RunDir
from monitor.watch_state import WatchState, write_watch
from runners.memory_wait import MemoryWait, held_before
from runners.requests import Action, put_request

GIB = 1 << 30
MIB = 1 << 20
RUN = "reference-20261124-191300-0a1b"
GONE = ProcessId(pid=1, boot_id="b", start_ticks=0)
HELD = Held(
    process=GONE, wall_s=1000.0, used_bytes=60 * GIB, run_bytes=48 * GIB, baseline_bytes=8 * GIB
)


@pytest.mark.parametrize(
    ("used", "missing"),
    [
        pytest.param(12 * GIB, 0, id="all has come back"),
        pytest.param(12 * GIB + 400 * MIB, 0, id="but for a tolerance"),
        pytest.param(50 * GIB, 38 * GIB, id="most has not"),
        pytest.param(60 * GIB, 48 * GIB, id="nothing has"),
        pytest.param(100 * GIB, 48 * GIB, id="others took more since: no more than it held"),
        pytest.param(3 * GIB, 0, id="others gave theirs back, too"),
    ],
)
def test_what_has_not_come_back(used: int, missing: int) -> None:
    assert missing_bytes(HELD, used) == missing


def test_the_machine_before_the_run_counts_where_that_asks_for_less() -> None:
    assert missing_bytes(replace(HELD, baseline_bytes=30 * GIB), 30 * GIB) == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({}, True, id="moments ago"),
        pytest.param({"wall_s": 1000.0 - 3600}, False, id="an hour ago"),
        pytest.param({"wall_s": 1000.0 + 3600}, False, id="in the future: the clock was set"),
        pytest.param({"process": replace(GONE, boot_id="c")}, False, id="before a restart"),
        pytest.param({"run_bytes": 300 * MIB}, False, id="it held next to nothing"),
    ],
)
def test_only_a_run_of_moments_ago_is_waited_for(change: dict[str, object], found: bool) -> None:
    held = newest_held([replace(HELD, **change)], boot_id="b", wall_s=1060.0)
    assert (held is not None) is found


def test_the_newest_of_several_counts() -> None:
    older = replace(HELD, wall_s=900.0)
    assert newest_held([older, HELD, older], boot_id="b", wall_s=1060.0) is HELD


def test_a_refusal_names_who_holds_it_and_what_to_do() -> None:
    holder = Holder(
        pid=7, name="python3", rss_bytes=GIB, gpu_bytes=40 * GIB, container="4f2a00112233"
    )
    text = refusal(41 * GIB, 180.0, [holder])
    assert "41.0 GiB of the run before did not come back within 180 s" in text
    assert "python3 (7 in container 4f2a00112233: 1.0 GiB resident, 40.0 GiB on the GPU)" in text
    assert "--anyway" in text


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        pytest.param(b"0::/system.slice/docker-" + b"4f2a" * 16 + b".scope\n", "4f2a4f2a4f2a"),
        pytest.param(b"4:memory:/docker/" + b"0b1c" * 16 + b"\n", "0b1c0b1c0b1c"),
        pytest.param(b"0::/user.slice/user-1000.slice/session-3.scope\n", None),
        pytest.param(b"", None),
    ],
)
def test_a_container_by_its_control_group(cgroup: bytes, container: str | None) -> None:
    assert container_of(cgroup) == container


def test_the_largest_processes_of_this_machine() -> None:
    code = "held = bytearray(300 << 20); held[::4096] = b'x' * len(held[::4096]); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: _rss(child.pid) > 300 * MIB)
        holders = read_holders()
        assert holders == tuple(sorted(holders, key=lambda each: -each.held_bytes))
        assert 0 < len(holders) <= 5
        if child.pid in [each.pid for each in holders]:  # others may hold more
            assert next(each for each in holders if each.pid == child.pid).rss_bytes > 300 * MIB
    finally:
        child.communicate(b"\n")


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def leave(folder: Path, *, missing: int, process: ProcessId | None = None) -> None:
    """A run that ended a moment ago and has *missing* bytes not given back."""
    memory = read_memory_fast()
    assert memory is not None
    now = read_now()
    gone = ProcessId(pid=1, boot_id=boot_id(), start_ticks=1)
    held = Held(
        process=process or gone,
        wall_s=now.wall_s,
        used_bytes=memory.used_bytes,
        run_bytes=missing,
        baseline_bytes=0,
    )
    folder.mkdir(parents=True)
    write_json(folder / "run.json", {"run": folder.name}, durable=False)
    state = WatchState(
        pid=1,
        start_ticks=1,
        boot_id=now.boot_id,
        monotonic_s=now.monotonic_s,
        wall_s=now.wall_s,
        verdict=Verdict(liveness=Liveness.FINISHED, reason="done"),
        since_wall=0.0,
        memory=MemoryMarks(held=held),
    )
    write_watch(folder / "watch.json", state)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_wait_ends_in_a_refusal_that_names_processes(tmp_path: Path) -> None:
    leave(tmp_path / RUN, missing=4 * GIB)
    clock = Clock()
    wait = MemoryWait(tmp_path, clock=clock)
    assert wait.missing() > 512 * MIB
    assert not wait.expired
    clock.now = 181.0
    assert wait.missing()
    assert wait.expired
    assert "did not come back within 181 s" in wait.refusal()


def test_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    assert MemoryWait(tmp_path / "none").missing() == 0
    leave(tmp_path / RUN, missing=100 * MIB)
    assert MemoryWait(tmp_path).missing() == 0


def test_a_run_that_lives_is_not_waited_for(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        living = identify(child.pid)
        leave(tmp_path / RUN, missing=4 * GIB, process=living)
        assert held_before(tmp_path, read_now()) is None
    finally:
        child.communicate(b"\n")
    assert held_before(tmp_path, read_now()) is not None


STUB = Path(__file__).parents[1] / "integration" / "stub_lane.py"


def keep(root: Path, *flags: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(STUB), str(root), *flags], stderr=subprocess.DEVNULL
    )


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Path]:
    """A run of the stub lane beside one whose memory has not come back."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(STUB.parent)!r}); import stub_lane; "
            f"from pathlib import Path; stub_lane.make(Path({str(tmp_path / 'stub-1')!r}))",
        ],
        check=True,
    )
    leave(tmp_path / RUN, missing=4 * GIB)
    yield tmp_path / "stub-1"
    watcher = json.loads((tmp_path / "stub-1" / "state.json").read_text()).get("watcher") or {}
    _end(watcher.get("pid"))


def _end(pid: int | None) -> None:
    """End a watcher that the keeper left behind."""
    with contextlib.suppress(OSError):
        if pid and b"monitor.watcher" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


def notes(root: Path) -> list[str]:
    return [event.text for event in read_events(root / "events.jsonl") if event.kind == "note"]


def test_a_keeper_waits_before_it_trains_and_heeds_a_stop(waiting: Path) -> None:
    keeper = keep(waiting)
    try:
        wait_for(lambda: any("that the run before held" in text for text in notes(waiting)))
        time.sleep(0.5)
        assert keeper.poll() is None
        put_request(RunDir(waiting), Action.STOP)
        assert keeper.wait(20) == 0
    finally:
        keeper.kill()
        keeper.wait()
    state = json.loads((waiting / "state.json").read_text())
    assert (state["status"], state["cause"]) == (
        "stopped",
        "stopped by the user before stage train",
    )


def test_anyway_does_not_wait(waiting: Path) -> None:
    keeper = keep(waiting, "--anyway")
    assert keeper.wait(60) == 0
    assert json.loads((waiting / "state.json").read_text())["status"] == "finished"
    assert not any("waits for" in text for text in notes(waiting))


def test_a_run_that_was_queued_waits_for_the_memory_before_its_first_stage(waiting: Path) -> None:
    before = waiting.parent / RUN
    write_json(before / "state.json", {"status": "finished"}, durable=False)
    content = json.loads((waiting / "run.json").read_text())
    write_json(waiting / "run.json", content | {"after": RUN}, durable=False)
    keeper = keep(waiting)
    try:
        wait_for(lambda: any("that the run before held" in text for text in notes(waiting)))
        assert notes(waiting)[:2] == [
            f"queued: waits for the end of {RUN}",
            f"its turn: {RUN} is over (it finished)",
        ]
        put_request(RunDir(waiting), Action.STOP)
        assert keeper.wait(20) == 0
    finally:
        keeper.kill()
        keeper.wait()
    state = json.loads((waiting / "state.json").read_text())
    assert state["cause"] == "stopped by the user before stage fetch"
    assert state["queue"]["over"] is True
