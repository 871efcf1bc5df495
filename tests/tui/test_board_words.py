"""What the board says stays true where it has little room, and where keys do nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from shown import MakeApp, screen_text, show, text_of

from monitor.model import GpuReading, Liveness
from monitor.status_model import CheckpointView, IterationView, MemoryView, RunStatus
from tui.glyphs import UNICODE
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.run_card import RunCard
from tui.widgets.run_columns import columns_for
from tui.widgets.run_table import RunTable

GIB = 1 << 30


@pytest.mark.parametrize(("gpus", "last"), [(8, "gpu 7"), (16, "and 9 more GPUs")])
async def test_no_gpu_is_left_out_without_a_word(
    make_app: MakeApp, snap_of: Any, training: RunStatus, gpus: int, last: str
) -> None:
    cards = tuple(GpuReading(index=at, name="H200", utilisation_percent=90.0) for at in range(gpus))
    snapshot = snap_of(training)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, replace(snapshot, machine=replace(snapshot.machine, gpus=cards)))
        await pilot.pause()
        assert text_of(app, MachineStrip).splitlines()[-1].startswith(last)
        assert "training" in text_of(app, RunTable)


LONG = (
    pytest.param({"iteration": IterationView(value=12_345, total=100_000)}, "12 %", id="total"),
    pytest.param({"iteration": IterationView(value=123_456_789)}, "123456789", id="no total"),
    pytest.param(
        {
            "checkpoints": (
                CheckpointView(iteration=12_000, age_s=12_240.0, size_bytes=1, complete=True),
            )
        },
        "12000, 3h",
        id="checkpoint",
    ),
    pytest.param(
        {"memory": MemoryView(used_bytes=88 * GIB, limit_bytes=88 * GIB, level="limit")},
        "■ limit 88.0 GiB",
        id="memory",
    ),
)


@pytest.mark.parametrize(("changes", "says"), LONG)
def test_no_figure_is_cut(training: RunStatus, changes: Any, says: str) -> None:
    run = replace(training, **changes)
    cells = {
        column.title: (column.cell(run, 0.0, UNICODE)[0], column.width)
        for column in columns_for(200)
        if column.width and not column.middle
    }
    assert says in [text for text, _ in cells.values()]
    assert all(cell_len(text) <= width for text, width in cells.values())


@pytest.mark.parametrize("read_only", [True, False])
async def test_no_key_is_advised_that_does_nothing(
    make_app: MakeApp, snap_of: Any, states: dict[str, RunStatus], read_only: bool
) -> None:
    app = make_app(read_only=read_only)
    async with app.run_test(size=(120, 30)) as pilot:
        await show(pilot, snap_of(states["failed"]))
        assert ("resume (R): it goes on" in " ".join(text_of(app, RunCard).split())) != read_only
        slow = replace(states["training"], verdict=Liveness.SLOW)
        await show(pilot, snap_of(slow))
        assert "(tab" not in text_of(app, RunCard)


async def test_that_runs_are_left_out_of_the_list_stands_above_it(
    make_app: MakeApp, snap_of: Any, states: dict[str, RunStatus]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(states["training"], states["failed"]))
        before = screen_text(app)
        await pilot.press("l", "slash", *"p6", "enter")
        await pilot.pause()
        heading = app.screen.query_one(RunTable).plain()[0]
        assert "run: live, /p6" in heading
        await pilot.press("escape")
        await pilot.pause()
        assert screen_text(app) == before
