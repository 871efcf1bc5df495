"""A sensor that the machine lacks is absent: no dash, no empty graph, no row of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, show, text_of

from monitor.model import MachineReading
from monitor.status_model import PeaksView, RunStatus
from tui.presentation import UNKNOWN
from tui.screens.run import RunScreen
from tui.state import Point, RunDetail
from tui.widgets.graph import Graph
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.run_card import RunCard

SIZES = [pytest.param(size, id=f"{size[0]}x{size[1]}") for size in ((50, 18), (80, 24), (120, 40))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("field", "word"), [("cpu_percent", "cpu"), ("disk_free_bytes", "disk"), ("load1", "load")]
)
async def test_the_strip_leaves_out_what_nobody_can_read(
    make_app: MakeApp, snap_of: Any, training: RunStatus, size: Any, field: str, word: str
) -> None:
    assert training.machine is not None
    async with make_app().run_test(size=size) as pilot:
        await show(pilot, snap_of(training, machine=replace(training.machine, **{field: None})))
        strip = text_of(pilot.app, MachineStrip)
        assert word not in strip
        assert UNKNOWN not in strip
        await show(pilot, snap_of(training))
        assert size[0] < 120 or word in text_of(pilot.app, MachineStrip)


@pytest.mark.parametrize("size", SIZES)
async def test_a_machine_of_which_nothing_is_read_has_one_row(
    make_app: MakeApp, snap_of: Any, training: RunStatus, size: Any
) -> None:
    async with make_app().run_test(size=size) as pilot:
        await show(pilot, snap_of(training, machine=MachineReading()))
        strip = pilot.app.screen.query_one(MachineStrip)
        assert strip.plain() == ["memory not readable"]
        await show(pilot, snap_of(training, machine=MachineReading(cpu_percent=40.0)))
        assert strip.plain() == ["memory not readable   cpu 40 %"]


def _graphs(app: Any) -> list[str]:
    shown = [each for each in app.screen.tab.query(Graph) if each.display and each.series]
    return [each.series.title for each in shown]


@pytest.mark.parametrize("over", [False, True])
async def test_no_graph_of_a_memory_that_was_never_read(
    make_app: MakeApp, snap_of: Any, training: RunStatus, states: Any, over: bool
) -> None:
    run = states["finished"] if over else replace(training, memory=None)
    history = (Point(wall_s=1_779_370_000.0, gpu_percent=90.0),)
    app = make_app(run=run.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(run, detail=RunDetail(run=run.run, history=history)))
        assert isinstance(app.screen, RunScreen)
        assert _graphs(app) == ["loss", "gpu"]
        await pilot.press("3")
        assert _graphs(app) == ["gpu"]
        await show(pilot, snap_of(run, detail=RunDetail(run=run.run)))
        assert _graphs(app) == []
        assert not any(each.display for each in app.screen.tab.query(Graph))


async def test_the_graph_of_a_memory_that_is_read_now_has_its_place(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        detail = RunDetail(run=training.run)
        await show(pilot, snap_of(replace(training, memory=None), detail=detail))
        await pilot.press("3")
        assert _graphs(app) == []
        await show(pilot, snap_of(training, detail=detail))
        assert _graphs(app) == ["memory"]


async def test_the_card_of_a_run_without_a_peak_has_no_row_for_it(
    make_app: MakeApp, snap_of: Any, states: Any
) -> None:
    bare = replace(states["finished"], peaks=PeaksView(gpu_bytes=1))
    async with make_app().run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(bare))
        card = text_of(pilot.app, RunCard)
        assert "peak" not in card
        assert UNKNOWN not in card
