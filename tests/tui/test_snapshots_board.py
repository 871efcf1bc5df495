"""What the board looks like, at two sizes, with its first run in each state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from desks import FakeDesk
from textual.pilot import Pilot

from monitor.model import Liveness, Status
from monitor.status_model import ForeignView, IterationView, KeeperView, RunStatus, WatcherView
from tui.app import LanewatchApp
from tui.messages import Sampled

GIB = 1 << 30
SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]
OVER = ("failed", "finished")
STATES = [
    "empty",
    "working",
    "training",
    "log-stuck",
    "suspect",
    "stalled",
    "saving",
    "memory-warning",
    "failed",
    "finished",
    "watcher-lost",
    "foreign",
]


def _runs(states: dict[str, RunStatus]) -> dict[str, RunStatus]:
    training = states["training"]
    assert training.memory is not None
    return states | {
        "working": replace(
            training,
            verdict=Liveness.WORKING,
            reason="tensor 412 of 833 is imported, the last one 4 s ago",
            stage="import",
            stage_index=3,
            iteration=IterationView(total=625),
            done=412,
            done_total=833,
            unit="tensors",
            step_s=None,
            eta=None,
            checkpoints=(),
        ),
        "suspect": replace(
            training,
            verdict=Liveness.SUSPECT,
            reason="no progress for 6 min, past half the limit of 10 min",
            eta=None,
        ),
        "saving": replace(
            training,
            verdict=Liveness.SAVING,
            reason="checkpoint 280 is being written for 31 s; the longest so far took 41 s",
        ),
        "memory-warning": replace(
            training,
            memory=replace(training.memory, level="high", minutes_to_limit=14.0),
        ),
        "watcher-lost": replace(training, watcher=WatcherView(pid=4712, alive=False, age_s=40.0)),
        "foreign": replace(
            training,
            run="foreign-20260521-101112-3fa2",
            name=None,
            kind="foreign",
            status=None,
            stage_index=None,
            keeper=KeeperView(),
            foreign=ForeignView(pid=4711, container="train"),
        ),
    }


def _shows(snapshot: Any, *keys: str) -> Callable[[Pilot[None]], Any]:
    async def run_before(pilot: Pilot[None]) -> None:
        pilot.app.post_message(Sampled(snapshot))
        await pilot.pause()
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()

    return run_before


def spark(snap_of: Any, *runs: RunStatus, **changes: Any) -> Any:
    """These runs on a machine whose GPU holds 38 GiB of the memory."""
    snapshot = snap_of(*runs, **changes)
    gpu = replace(snapshot.machine.gpus[0], shares_memory=True, process_bytes=((4711, 38 * GIB),))
    return replace(snapshot, machine=replace(snapshot.machine, gpus=(gpu,)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_board(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    states: dict[str, RunStatus],
    state: str,
    size: tuple[int, int],
) -> None:
    known = _runs(states)
    older = [known[name] for name in OVER if name != state]
    runs = [] if state == "empty" else [known[state], *older]
    level = "high" if state == "memory-warning" else "ok"
    app = make_app(launch=FakeDesk, attach=FakeDesk, stop=lambda run, save: None)
    snapshot = spark(snap_of, *runs, memory_level=level)
    assert snap_compare(app, run_before=_shows(snapshot), terminal_size=size)


def test_board_on_a_phone(
    snap_compare: Any, make_app: Callable[..., LanewatchApp], snap_of: Any, training: RunStatus
) -> None:
    queued = replace(training, run="q-1", name="next", status=Status.QUEUED, stage=None)
    snapshot = spark(snap_of, training, queued)
    assert snap_compare(make_app(), run_before=_shows(snapshot, "j"), terminal_size=(50, 18))
