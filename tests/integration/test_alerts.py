"""Alerts as a watcher sends them: to real servers, through a real child, from a real run."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from channels import Receiver, configure, nobody_listens, receiving
from fabricated import FabricatedRun, wait_for

from monitor.probes.clock import read_now
from monitor.probes.process import find_by_environment
from monitor.status import read_status
from tui.cli.main import run as lanewatch

FAST = {
    "train": {"save_interval": 5},
    "liveness": {
        "iteration_default_s": 1.0,
        "iteration_floor_s": 1.0,
        "first_iteration_default_s": 1.0,
    },
}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / "reference-20260101-000000-abcd")
    fabricated.write_run(recipe=FAST)
    yield fabricated
    fabricated.close()
    for left in find_by_environment({"LANEWATCH_RUNS": os.environ["LANEWATCH_RUNS"]}):
        if b"monitor.alert_" in Path(f"/proc/{left.pid}/cmdline").read_bytes():
            os.kill(left.pid, signal.SIGKILL)


@pytest.fixture
def serve() -> Iterator[Callable[..., Receiver]]:
    yield from receiving()


def stall(run: FabricatedRun) -> None:
    """Let it train a little, then stop it as a person's `kill -STOP` would."""
    run.train(step=0.05, save=5)
    wait_for(lambda: (run.watched("verdict", "iteration") or 0) > 8)
    run.trainer.send_signal(signal.SIGSTOP)


def status(run: FabricatedRun) -> dict[str, object]:
    return read_status(run.root, now=read_now()).to_json()["alerts"]


def test_a_stall_is_sent_once_repeated_until_acknowledged_and_its_end_told(
    run: FabricatedRun,
    serve: Callable[..., Receiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANEWATCH_ALERTS_HOST", "spark")
    monkeypatch.setenv("LANEWATCH_ALERTS_REPEAT_MINUTES", "0.05")
    server = serve()
    configure(desk=server.url)
    run.watch()
    stall(run)
    wait_for(lambda: len(server.titles) >= 2)
    assert server.titles[0] == f"stalled: {run.root.name}"
    assert server.titles[1] == f"still stalled (reminder 1): {run.root.name}"
    lines = server.bodies[0].splitlines()
    assert len(lines) <= 6
    told = "\n".join(lines[1:3])  # where it is known why it stalled, a line says both
    assert re.search(r"(^|\n)iteration [0-9]+", told)
    assert "last checkpoint" in told
    assert "without progress" in lines[3]
    assert lines[-1] == f"ssh -t spark lanewatch {run.root.name}"
    assert status(run)["pending"] == ("stalled",)
    assert lanewatch(["ack", run.root.name]) == 0
    wait_for(lambda: run.watched("parts", "alerts", "acked") == ["stalled"])
    sent = len(run.events("alert"))
    seen = run.watched("observed_s")
    wait_for(lambda: run.watched("observed_s") > seen + 4)
    assert len(run.events("alert")) == sent, "acknowledged: no reminder, though one was due"
    run.trainer.send_signal(signal.SIGCONT)
    wait_for(lambda: any(title.startswith("recovered") for title in server.titles))
    assert [event["about"] for event in run.events("alert")][-1] == "recovered"
    written = [path for path in run.root.rglob("*") if path.is_file()]
    assert not [path for path in written if b"sesame" in path.read_bytes()], "a URL is a secret"


def test_a_watcher_that_is_restarted_sends_nothing_twice(
    run: FabricatedRun, serve: Callable[..., Receiver]
) -> None:
    server = serve()
    configure(desk=server.url)
    first = run.watch()
    stall(run)
    wait_for(lambda: server.titles and run.watched("parts", "alerts", "outbox", "messages") == [])
    first.kill()
    first.wait()
    second = run.watch()
    wait_for(lambda: run.watched("pid") == second.pid and run.verdict() == "stalled")
    seen = run.watched("observed_s")
    wait_for(lambda: run.watched("observed_s") > seen + 2)
    assert len(server.titles) == 1
    assert len(run.events("alert")) == 1


def test_a_message_that_a_killed_watcher_did_not_get_rid_of_is_sent_by_the_next(
    run: FabricatedRun, serve: Callable[..., Receiver]
) -> None:
    server = serve(lambda number: 500 if number == 1 else 200)
    configure(desk=server.url)
    first = run.watch()
    stall(run)
    wait_for(lambda: run.watched("parts", "alerts", "channels_failing", "desk"))
    first.kill()
    first.wait()
    run.watch()
    wait_for(lambda: len(server.titles) == 2)
    assert len(set(server.titles)) == 1
    wait_for(lambda: run.watched("parts", "alerts", "channels_failing") == {})
    notes = [event["text"] for event in run.events("note") if "alert channel" in event["text"]]
    assert notes[0].startswith("alert channel desk fails: ")
    assert notes[1:] == ["alert channel desk works again"]


def test_channels_that_fail_delay_neither_the_others_nor_a_look(
    run: FabricatedRun, serve: Callable[..., Receiver]
) -> None:
    """One takes, one answers 500, one hangs, one refuses; the watch goes on as fast as before."""
    good, broken, hangs = serve(), serve(lambda _: 500), serve(lambda _: None)
    configure(good=good.url, broken=broken.url, hangs=hangs.url, gone=nobody_listens())
    run.watch()
    run.train(step=0.05, save=5)
    wait_for(lambda: (run.watched("verdict", "iteration") or 0) > 8)
    quiet = looks_in(run, 3.0)
    run.trainer.send_signal(signal.SIGSTOP)
    wait_for(lambda: hangs.requests)
    busy = looks_in(run, 3.0)
    assert busy > 0.7 * quiet, "a hanging channel slows the watch"
    assert run.verdict() == "stalled"
    wait_for(lambda: good.titles)
    failing = {"broken", "hangs", "gone"}
    wait_for(lambda: set(status(run)["channels_failing"]) == failing, 60)
    told = [event["text"] for event in run.events("note") if "fails:" in event["text"]]
    assert len(told) == len(failing), "once per spell"
    assert len(good.titles) == 1, "what one took is not sent to it again"


def looks_in(run: FabricatedRun, seconds: float) -> int:
    """How many looks the telemetry got over *seconds* of the watcher's own time."""
    begin = run.watched("monotonic_s")
    count, last = 0, begin
    while last < begin + seconds:
        now = run.watched("monotonic_s") or last
        count += now != last
        last = now
    return count


def test_a_failure_is_sent_after_the_watcher_has_ended_and_repeated_until_ack(
    run: FabricatedRun, serve: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANEWATCH_ALERTS_REPEAT_MINUTES", "0.05")
    server = serve(lambda number: 500 if number == 1 else 200)
    configure(desk=server.url)
    watcher = run.watch()
    run.train(step=0.05, save=5)
    wait_for(lambda: run.verdict() == "training")
    run.trainer.kill()
    run.trainer.wait()
    run.write_state("failed", cause="killed by SIGKILL", process=None)
    watcher.communicate(timeout=30)
    wait_for(lambda: any("reminder 2" in title for title in server.titles), 60)
    assert server.titles[0].startswith("failed: ")
    assert status(run)["pending"] == ("failed",)
    assert lanewatch(["ack", run.root.name]) == 0
    wait_for(lambda: not aftermaths(run))
    assert status(run)["pending"] == ()
    assert status(run)["acked"] == ("failed",)


def aftermaths(run: FabricatedRun) -> list[int]:
    found = find_by_environment({"LANEWATCH_RUNS": os.environ["LANEWATCH_RUNS"]})
    return [
        each.pid
        for each in found
        if b"monitor.alert_aftermath" in Path(f"/proc/{each.pid}/cmdline").read_bytes()
    ]


def test_without_a_channel_an_alert_is_an_event_and_no_process(run: FabricatedRun) -> None:
    watcher = run.watch()
    stall(run)
    wait_for(lambda: run.events("alert"))
    run.write_state("failed", cause="gone", process=None)
    watcher.communicate(timeout=30)
    assert [event["key"] for event in run.events("alert")] == ["stalled", "failed"]
    assert aftermaths(run) == []


def test_in_quiet_hours_wake_pierces_and_tell_waits(
    run: FabricatedRun, serve: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now().astimezone()
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
    monkeypatch.setenv("LANEWATCH_ALERTS_QUIET", f"{begin:%H:%M}-{end:%H:%M}")
    server = serve()
    configure(desk=server.url)
    run.watch()
    stall(run)
    wait_for(lambda: server.titles)
    run.trainer.send_signal(signal.SIGCONT)
    wait_for(lambda: run.watched("parts", "alerts", "held"))
    assert [title.partition(":")[0] for title in server.titles] == ["stalled"]


def test_apprise_is_loaded_by_the_process_that_sends_alone() -> None:
    code = (
        "import sys, monitor.watcher, monitor.alert_aftermath, monitor.alert_send, runners.keeper;"
        "import tui.app, tui.cli.alerting; assert 'apprise' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_alert_rings_the_terminal_that_shows_the_run(run: FabricatedRun) -> None:
    run.watch()
    run.train(step=0.05, save=5)
    wait_for(lambda: run.verdict() == "training")
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    screen = subprocess.Popen(
        [sys.executable, "-m", "tui", run.root.name],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=os.environ | {"TERM": "xterm-kitty"},
        start_new_session=True,
    )
    os.close(follower)
    os.set_blocking(leader, False)
    written = bytearray()
    try:
        wait_for(lambda: b"training" in read_all(leader, written), 60)
        assert b"lanewatch: " not in written, bytes(written)[-2000:]
        run.trainer.send_signal(signal.SIGSTOP)
        wait_for(lambda: b"\x1b]9;lanewatch: stalled: " in read_all(leader, written), 60)
        wait_for(lambda: b"\x1b\\\x07" in read_all(leader, written))
    finally:
        screen.kill()
        screen.wait()
        os.close(leader)


def read_all(descriptor: int, so_far: bytearray) -> bytearray:
    """What was written to the terminal until now."""
    with suppress(BlockingIOError):
        while chunk := os.read(descriptor, 65536):
            so_far += chunk
    return so_far
