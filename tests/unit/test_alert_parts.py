"""The part that alerts: quiet hours, what it remembers, and a stall that waits for why."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from channels import configure
from fabricated import wait_for

from monitor.alert_part import AlertPart, Remembered
from monitor.alert_settings import AlertSettings
from monitor.diagnosis import inquiry
from monitor.model import Liveness, ProcessReading, Verdict
from monitor.outbox import Outbox
from monitor.probes.clock import Now
from monitor.probes.process import identify
from monitor.quiet import parse_quiet
from monitor.rundir import RunDir
from monitor.troubles import UNTOLD_LOOKS


def alert_tick(liveness: Liveness, at: float, wall_s: float, folder: Path) -> Any:
    now = Now(boot_id="b", monotonic_s=at, wall_s=wall_s)
    seen = SimpleNamespace(
        taken_at=at,
        total=None,
        checkpoints=None,
        ages=SimpleNamespace(progress_s=None),
        process=None,
    )
    target = SimpleNamespace(
        run_dir=RunDir(folder),
        attempt=1,
        process=None,
        cause=None,
        exported=False,
        name=None,
        foreign=False,
        on_failure=None,
        resumed_by_itself=False,
    )
    return SimpleNamespace(
        now=now,
        target=target,
        observation=seen,
        verdict=Verdict(liveness=liveness, reason="[red]why\x1b[31m"),
        memory=None,
        keeper_lost=None,
    )


def test_after_the_quiet_hours_comes_one_digest(tmp_path: Path) -> None:
    configure(desk="json://127.0.0.1:1")
    said: list[str] = []
    quiet = parse_quiet("00:00-12:00")
    part = AlertPart(
        RunDir(tmp_path / "r"),
        lambda _kind, text, _now, **_: said.append(text),
        None,
        AlertSettings(quiet=quiet, host="spark"),
    )
    noon = datetime(2026, 3, 1, 12, 0).astimezone().timestamp()
    for second, (liveness, wall) in enumerate(
        [(Liveness.SLOW, noon - 7200)] * 3
        + [(Liveness.STALLED, noon - 3600)] * 3
        + [(Liveness.TRAINING, noon - 60)] * 20
    ):
        part.tick(alert_tick(liveness, second, wall, tmp_path / "r"))
    part._outbox.close()
    kept: Any = part.remembered()
    assert kept["held"] == ["slow: r", "recovered (stalled is over): r"]
    assert [each["title"] for each in kept["outbox"]["messages"]] == ["stalled: r"], "it pierces"
    part = AlertPart(RunDir(tmp_path / "r"), lambda *_, **__: None, kept, AlertSettings(host="x"))
    part.tick(alert_tick(Liveness.TRAINING, 99, noon, tmp_path / "r"))
    part._outbox.close()
    after: Any = part.remembered()
    assert after["held"] == []
    assert after["outbox"]["messages"][-1]["title"] == "2 messages from the quiet hours: r"
    assert not any("\x1b" in text for text in said)


@pytest.mark.parametrize(
    ("gone", "woken"),
    [
        pytest.param(True, ["lost: r", "ended, untold how: r"], id="its trainer is gone"),
        pytest.param(False, ["lost: r"], id="it cannot be seen"),
    ],
)
def test_an_end_that_nobody_records_wakes_after_a_while(
    tmp_path: Path, gone: bool, woken: list[str]
) -> None:
    configure(desk="json://127.0.0.1:1")
    part = AlertPart(
        RunDir(tmp_path / "r"), lambda *_, **__: None, None, AlertSettings(host="spark")
    )
    for second in range(UNTOLD_LOOKS + 5):
        tick = alert_tick(Liveness.LOST, second, float(second), tmp_path / "r")
        tick.observation.process = ProcessReading(alive=not gone)
        part.tick(tick)
    part._outbox.close()
    kept: Any = part.remembered()
    assert [each["title"] for each in kept["outbox"]["messages"]] == woken
    assert kept["outbox"]["messages"][-1]["severity"] == ("wake" if gone else "tell")


@pytest.mark.parametrize("remembered", [None, 3, [], {"messages": 4}, {"state": {"spells": 1}}])
def test_what_cannot_be_used_is_not_remembered(tmp_path: Any, remembered: object) -> None:
    assert Outbox(remembered).empty
    part = AlertPart(RunDir(tmp_path), lambda *_, **__: None, remembered, AlertSettings())
    assert (
        part.remembered()
        == AlertPart(RunDir(tmp_path), lambda *_, **__: None, None, AlertSettings()).remembered()
    )
    assert replace(Remembered()) == Remembered()


def stalled_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: object = None
) -> tuple[AlertPart, list[str], Callable[[Liveness, int], None]]:
    """A part that asks a child which never answers why the run has stalled."""
    monkeypatch.setattr(inquiry, "ARGV", (sys.executable, "-c", "import time; time.sleep(60)"))
    said: list[str] = []
    part = AlertPart(
        RunDir(tmp_path / "r"),
        lambda _kind, text, _now, **_: said.append(text),
        remembered,
        AlertSettings(host="spark"),
    )

    def look(liveness: Liveness, second: int) -> None:
        tick = alert_tick(liveness, second, float(second), tmp_path / "r")
        tick.target.process = identify(os.getpid())
        part.tick(tick)

    return part, said, look


def test_a_stall_waits_for_why_and_what_else_is_due_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "WAIT_S", 1.5)
    _, said, look = stalled_part(tmp_path, monkeypatch)
    for second in range(4):
        look(Liveness.STALLED, second)
    assert said == []
    look(Liveness.FAILED, 4)
    assert [each.partition(":")[0] for each in said] == ["stalled", "failed"], "an end waits not"


def test_a_stall_is_told_without_an_answer_and_by_the_next_watcher_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "WAIT_S", 1.0)
    first, said, look = stalled_part(tmp_path, monkeypatch)
    for second in range(3):
        look(Liveness.STALLED, second)
    assert said == []
    left = first.remembered()
    _, said_next, look_next = stalled_part(tmp_path, monkeypatch, left)
    look_next(Liveness.STALLED, 3)
    assert [each.partition(":")[0] for each in said_next] == ["stalled"]
    wait_for(lambda: not first._inquiry.pending)
    look(Liveness.STALLED, 4)
    look(Liveness.STALLED, 5)
    assert [each.partition(":")[0] for each in said] == ["stalled"], "once"
