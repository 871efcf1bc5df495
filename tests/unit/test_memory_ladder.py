"""How far the memory guard goes: only as far as it may, only on a run that is the cause."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated import FabricatedRun, wait_for

from monitor.end_process import send
from monitor.memory_ladder import AtLimit, Rung, at_limit_from, due
from monitor.memory_model import MemoryLevel, MemoryVerdict
from monitor.model import History
from monitor.probes.process import identify

GIB = 1 << 30
HISTORY = History(step_recent_s=30.0, save_max_s=20.0)
MINUTE = GIB / 60
"""A GiB a minute, in bytes a second."""


def memory(
    level: MemoryLevel, left_gib: float = 5.0, climb: float | None = MINUTE
) -> MemoryVerdict:
    return MemoryVerdict(
        level=level,
        reason="why",
        used_bytes=int((110 - left_gib) * GIB),
        limit_bytes=110 * GIB,
        climb_bytes_s=climb,
        run_share=0.9,
    )


OK, WARN, HIGH, LIMIT = MemoryLevel
SAVES, STOPS = AtLimit.SAVE_AND_STOP, AtLimit.STOP_NOW


@pytest.mark.parametrize(
    ("seen", "allowed", "rung", "refused"),
    [
        pytest.param(memory(LIMIT, 0), AtLimit.NOTIFY, Rung.NONE, None, id="not asked to act"),
        pytest.param(memory(OK), STOPS, Rung.NONE, None, id="calm"),
        pytest.param(memory(WARN, 15), STOPS, Rung.NONE, None, id="a warning, and time enough"),
        pytest.param(memory(WARN, 1.5), SAVES, Rung.SAVE, None, id="twice the time of a save left"),
        pytest.param(memory(HIGH), SAVES, Rung.SAVE, None, id="at high at the latest"),
        pytest.param(memory(HIGH, climb=None), STOPS, Rung.SAVE, None, id="high without a climb"),
        pytest.param(memory(HIGH, 0.7), STOPS, Rung.SAVE, "no time", id="a save would not end"),
        pytest.param(memory(LIMIT, 0), STOPS, Rung.STOP, None, id="at the limit"),
        pytest.param(memory(LIMIT, 0), SAVES, Rung.SAVE, "no time", id="it may only save"),
        pytest.param(
            replace(memory(LIMIT, 0), run_share=0.3), STOPS, Rung.STOP, "only 30%", id="others'"
        ),
        pytest.param(
            replace(memory(HIGH), run_share=None), STOPS, Rung.SAVE, "cannot be read", id="unknown"
        ),
    ],
)
def test_the_rung_that_is_due(
    seen: MemoryVerdict, allowed: AtLimit, rung: Rung, refused: str | None
) -> None:
    step = due(seen, HISTORY, allowed)
    assert step.rung is rung
    assert (refused or "") in (step.refused or "")
    assert (step.refused is None) is (refused is None)


def test_a_word_that_is_not_known_allows_nothing() -> None:
    assert at_limit_from("shoot") is AtLimit.NOTIFY
    assert at_limit_from(None) is AtLimit.NOTIFY
    assert at_limit_from("stop-now") is STOPS


def test_only_the_very_process_is_signalled() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        process = identify(child.pid)
        assert process is not None
        other = replace(process, start_ticks=process.start_ticks + 1)
        assert send(other, signal.SIGKILL) == "it has ended"
        assert child.poll() is None
        assert send(process, signal.SIGKILL) is None
        assert child.wait(10) == -signal.SIGKILL
        assert send(process, signal.SIGKILL) is not None
    finally:
        child.kill()


CLIMBER = """
import json, os, signal, sys, time
from pathlib import Path
root, boot, megabytes, pause = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
def end(number, frame):
    (root / "asked").write_text(str(number))
    if (root / "obeys").exists():
        sys.exit(0)
signal.signal(signal.SIGTERM, end)
held = []
for done in range(1, 400):
    beat = root / "heartbeat.json.t"
    beat.write_text(json.dumps({"schema": 1, "attempt": 1, "seq": done, "pid": os.getpid(),
        "boot_id": boot, "monotonic_s": time.monotonic(), "stage": "train", "phase": "iteration",
        "done": done, "total": 400, "unit": "iterations", "step_s": pause}))
    beat.replace(root / "heartbeat.json")
    if (root / "climb").exists():
        held.append(bytearray(os.urandom(1) * (megabytes << 20)))
    time.sleep(pause)
"""


class ClimbingRun(FabricatedRun):
    """A real trainer that takes memory for as long as it lives, against a lowered budget."""

    def climb(self, *, budget_mib: int, at_limit: str, keeper: bool) -> None:
        used = _used_bytes()
        memory = {"at_limit": at_limit}
        recipe = {"train": {"save_interval": 5}, "memory": memory}
        self.write_run(recipe=recipe, memory_limit_bytes=used + (budget_mib << 20))
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.trainer = subprocess.Popen(
            [sys.executable, "-c", CLIMBER, str(self.root), boot, "24", "0.15"],
            start_new_session=True,
        )
        self.processes.append(self.trainer)
        wait_for(lambda: self.read("heartbeat.json") is not None)
        self.write_state() if keeper else self.write_state(keeper=None)
        self.watch(tick=0.1)
        wait_for(lambda: self.watched("memory", "held"))
        (self.root / "climb").touch()

    def said(self) -> list[str]:
        """What the guard did; others act as well."""
        texts = [event["text"] for event in self.events("action")]
        return [text for text in texts if "memory guard" in text]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


def _used_bytes() -> int:
    words = dict(
        line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line
    )
    total, available = (int(words[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    return (total - available) << 10


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ClimbingRun]:
    made = ClimbingRun(tmp_path / "runs" / "reference-1")
    yield made
    made.close()


def test_a_real_climb_is_saved_and_stopped_before_the_limit(run: ClimbingRun) -> None:
    (run.root / "obeys").touch()
    run.climb(budget_mib=700, at_limit="save-and-stop", keeper=False)
    wait_for(lambda: run.trainer.poll() is not None, seconds=60)
    assert (run.root / "asked").read_text() == str(int(signal.SIGTERM))
    (save,) = [event for event in run.events("action") if event.get("rung") == "save"]
    assert "saves and stops the run" in save["text"]


def test_a_real_climb_that_goes_on_is_stopped_at_the_limit(run: ClimbingRun) -> None:
    """No keeper lives, and the trainer does not heed the first rung: the guard kills it itself."""
    run.climb(budget_mib=500, at_limit="stop-now", keeper=False)
    wait_for(lambda: run.trainer.poll() is not None, seconds=60)
    assert run.trainer.returncode == -signal.SIGKILL
    wait_for(lambda: any("stops the run at once" in text for text in run.said()))
    # More than one where a neighbour gives memory back for a moment.
    limits = [event for event in run.events("memory") if event["level"] == "limit"]
    (stop,) = [event for event in run.events("action") if event.get("rung") == "stop"]
    after_s = [stop["monotonic_s"] - each["monotonic_s"] for each in limits]
    assert min(each for each in after_s if each >= 0) < 1.0
    assert "reached its limit" in stop["text"]


def test_a_real_climb_is_asked_of_the_keeper_in_one_request(run: ClimbingRun) -> None:
    run.climb(budget_mib=500, at_limit="stop-now", keeper=True)
    wait_for(lambda: run.read("request.json") is not None, seconds=60)
    wait_for(lambda: (run.read("request.json") or {}).get("action") == "kill", seconds=60)
    request = run.read("request.json")
    assert request is not None
    assert request["by"] == "memory guard"
    assert "limit" in request["why"]


def test_a_real_climb_that_may_only_be_told_is_left_alone(run: ClimbingRun) -> None:
    run.climb(budget_mib=400, at_limit="notify", keeper=False)
    wait_for(lambda: run.watched("memory_verdict", "level") == "limit", seconds=60)
    time.sleep(0.5)
    assert run.trainer.poll() is None
    assert run.read("request.json") is None
    assert run.events("memory")
    assert run.said() == []
