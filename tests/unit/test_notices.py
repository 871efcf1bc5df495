"""What must not be missed beside the verdict, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.model import Liveness, Status
from monitor.status_model import AlertsView, KeeperView, MemoryView, RunStatus, WatcherView
from tui.cli.show import status_lines
from tui.glyphs import UNICODE
from tui.notices import memory_sentence, notices

GIB = 1 << 30
CALM = RunStatus(
    run="r",
    verdict=Liveness.TRAINING,
    status=Status.RUNNING,
    reason="iteration 3",
    memory=MemoryView(used_bytes=61 * GIB, limit_bytes=110 * GIB, level="ok"),
    watcher=WatcherView(pid=1, alive=True, age_s=0.0),
    keeper=KeeperView(pid=2, alive=True),
)


def memory(**changes: Any) -> MemoryView:
    assert CALM.memory is not None
    return replace(CALM.memory, **changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, [], id="all is well"),
        pytest.param(
            {"flags": ("saving", "slow"), "verdict": Liveness.SLOW}, [], id="said already"
        ),
        pytest.param({"flags": ("slow",)}, [("also slow", "warn")], id="slow beside it"),
        pytest.param(
            {"flags": ("nan-loss", "disk-low")}, [("also nan-loss, disk-low", "bad")], id="bad ones"
        ),
        pytest.param(
            {"memory": memory(level="high", reason="9.0 GiB left")},
            [("▲ memory high: 9.0 GiB left", "bad")],
            id="memory",
        ),
        pytest.param(
            {"alerts": AlertsView(pending=("stalled",), channels_failing={"ntfy": "no route"})},
            [
                ("alert stalled: lanewatch ack r", "warn"),
                ("alerts do not reach ntfy (no route)", "warn"),
            ],
            id="alerts",
        ),
        pytest.param(
            {"watcher": WatcherView(pid=1, alive=False, age_s=70.0)},
            [("watcher lost 1m ago: lanewatch watch r", "warn")],
            id="a watcher that is gone",
        ),
        pytest.param(
            {"status": Status.FAILED, "memory": memory(level="limit"), "flags": ("slow",)},
            [],
            id="over: nothing of it is news",
        ),
    ],
)
def test_notices(changes: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert notices(replace(CALM, **changes), UNICODE) == told


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({}, "61.0 of 110 GiB", id="calm"),
        pytest.param(
            {"minutes_to_limit": 23.4}, "61.0 of 110 GiB, rising: limit in 23 min", id="climbing"
        ),
        pytest.param({"level": "warn", "reason": "it climbs"}, "it climbs", id="above ok"),
        pytest.param({"level": "warn"}, "61.0 of 110 GiB", id="above ok without a reason"),
        pytest.param({"level": "limit"}, "61.0 of 110 GiB, at its limit", id="at its limit"),
    ],
)
def test_memory_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert memory_sentence(memory(**changes)) == sentence


def test_the_command_line_says_signature_and_level() -> None:
    stalled = replace(
        CALM,
        verdict=Liveness.STALLED,
        signature="blocked-pipe",
        memory=memory(level="warn", reason="it climbs"),
    )
    lines = list(status_lines(stalled))
    assert "  signature   blocked-pipe" in lines
    assert "  memory      warn: it climbs" in lines


def test_in_the_moment_of_its_launch_nobody_is_said_to_be_lost() -> None:
    launched = RunStatus(run="r", verdict=Liveness.STARTING, reason="it has just been launched")
    assert notices(launched, UNICODE) == []
    assert "  keeper      is starting" in list(status_lines(launched))
    later = replace(launched, status=Status.RUNNING)
    assert notices(later, UNICODE)
    assert any(
        "watcher     lost: lanewatch watch r, no word yet" in line for line in status_lines(later)
    )
