"""The keeper alerts where the watcher cannot: of the watcher's loss, and of an end it missed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from channels import Receiver, configure
from conftest import end, read, state, until
from stub_lane import make

from monitor.events import read_events
from monitor.probes.process import find_by_environment
from monitor.rundir import RunDir
from monitor.status import read_status
from tui.cli.main import run as lanewatch

STUB = Path(__file__).parent / "stub_lane.py"
RUN = "stub-20260101-000000-abcd"


def test_a_watcher_that_is_lost_wakes_and_so_does_the_end_that_it_missed(tmp_path: Path) -> None:
    server = Receiver()
    configure(desk=server.url)
    run = RunDir(tmp_path / "runs" / RUN)
    make(run.root)
    keeper = subprocess.Popen(
        [sys.executable, str(STUB), str(run.root)],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"STUB_PAUSE": "300", "LANEWATCH_ALERTS_REPEAT_MINUTES": "0.05"},
    )
    try:
        until(lambda: read(run.heartbeat).get("done") == 0, "the stage")

        def given_up() -> bool:
            watcher = state(run).get("watcher") or {}
            if watcher.get("lost"):
                return True
            with suppress(ProcessLookupError, KeyError):
                os.kill(watcher["pid"], signal.SIGKILL)
            return False

        until(given_up, "the keeper gives up on the watcher")
        until(lambda: any("reminder" in title for title in server.titles), "a reminder")
        assert server.titles[0] == f"watcher lost: {RUN}"
        assert f"first: lanewatch watch {RUN}" in server.bodies[0]
        assert read_status(run.root).alerts.pending == ("watcher-lost",)
        assert lanewatch(["ack", RUN]) == 0
        os.kill(read(run.heartbeat)["pid"], signal.SIGKILL)
        assert keeper.wait(60) == 0
        until(lambda: any(title == f"failed: {RUN}" for title in server.titles), "the end")
        said = [each for each in read_events(run.events) if each.kind == "alert"]
        assert {each.source for each in said} == {"keeper"}
        assert [each.fields["key"] for each in said if each.fields["about"] == "ended"] == [
            "failed"
        ]
    finally:
        keeper.kill()
        keeper.wait()
        for process in find_by_environment({"LANEWATCH_RUN_DIR": str(run.root)}):
            os.kill(process.pid, signal.SIGKILL)
        end(state(run).get("watcher"))
        server.close()
        lanewatch(["ack", RUN])
