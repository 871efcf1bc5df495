"""What the board says of itself: what is left out, which keys there are, where room is scarce."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from shown import MakeApp, show, text_of
from waiting import settled

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


@pytest.mark.parametrize(("columns", "said"), [(50, "1 of 3"), (80, "run 1 of 3 /beta")])
async def test_a_list_that_is_narrowed_says_so(
    make_app: MakeApp,
    snap_of: Any,
    training: RunStatus,
    states: dict[str, RunStatus],
    columns: int,
    said: str,
) -> None:
    """A run that needs somebody may be among those that are left out."""
    beta = replace(states["stalled"], run="b-run", name="beta")
    app = make_app()
    async with app.run_test(size=(columns, 24)) as pilot:
        await show(pilot, snap_of(training, beta, states["finished"]))
        table = app.screen.query_one(RunTable)
        assert " of 3" not in table.plain()[0]
        await pilot.press("slash", *"beta", "enter")
        await settled(pilot, lambda: len(table.visible_runs) == 1)
        assert said in table.plain()[0]
        widths = {len(row.rstrip()) <= columns - 2 for row in table.plain()}
        assert widths == {True}
        await pilot.press("escape", "l")
        await settled(pilot, lambda: "2 of 3" in table.plain()[0])
        assert (" live" in table.plain()[0]) == (columns == 80)
        await pilot.press("escape")
        await settled(pilot, lambda: " of 3" not in table.plain()[0])


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_view_in_which_nothing_is_changed_names_no_key_that_would(
    make_app: MakeApp, snap_of: Any, states: Any, read_only: bool
) -> None:
    app = make_app(read_only=read_only)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of())
        assert ("n launches one from here" in " ".join(text_of(app, RunCard).split())) != read_only
        await show(pilot, snap_of(states["failed"]))
        card = " ".join(text_of(app, RunCard).split())
        assert "mend the cause, then resume" in card
        assert ("(R)" in card) != read_only
        await show(pilot, snap_of(replace(states["training"], verdict=Liveness.SLOW)))
        assert "(tab" not in text_of(app, RunCard)
