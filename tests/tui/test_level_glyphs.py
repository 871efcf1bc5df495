"""The level of the memory by glyph, word and colour, wherever it stands, in every theme."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, show, text_of

from monitor.status_model import RunStatus
from tui.glyphs import ASCII, UNICODE
from tui.widgets.checkpoint_list import CheckpointList
from tui.widgets.checkpoint_view import CheckpointView
from tui.widgets.machine_strip import MachineStrip
from tui.widgets.memory_view import MemoryBudget
from tui.widgets.progress_view import ProgressView
from tui.widgets.run_card import RunCard
from tui.widgets.run_table import RunTable
from tui.widgets.verdict_view import VerdictView

GIB = 1 << 30
THEMES = [("dark", UNICODE), ("mono", UNICODE), ("ascii", ASCII)]


@pytest.fixture
def at_level(training: RunStatus) -> Callable[[str], RunStatus]:
    """The run with its memory at a level."""

    def at_level(level: str) -> RunStatus:
        assert training.memory is not None
        memory = replace(training.memory, used_bytes=101 * GIB, level=level, reason="it climbs")
        return replace(training, memory=memory)

    return at_level


@pytest.mark.parametrize("level", ["warn", "high", "limit"])
@pytest.mark.parametrize(("theme", "glyphs"), THEMES, ids=[name for name, _ in THEMES])
async def test_a_level_has_its_glyph_on_every_screen(
    make_app: MakeApp, snap_of: Any, at_level: Any, level: str, theme: str, glyphs: Any
) -> None:
    run, glyph = at_level(level), glyphs.level(level)
    app = make_app(theme=theme)
    async with app.run_test(size=(190, 40)) as pilot:
        await show(pilot, snap_of(run, opened=run, memory_level=level))
        assert f"GiB {glyph} {level}" in text_of(app, MachineStrip)
        assert f"{glyph} {level} 101 GiB" in text_of(app, RunTable)
        assert f"{glyph} memory {level}: it climbs" in text_of(app, RunCard)
        await pilot.press("enter", "3")
        assert f"{glyph} memory {level}: it climbs" in text_of(app, VerdictView)
        assert f"{glyph} {level}: it climbs" in text_of(app, MemoryBudget)
        word = "at its limit" if level == "limit" else level
        assert f"{glyph} memory {word}" in text_of(app, ProgressView)


@pytest.mark.parametrize(
    ("used", "says"),
    [(61, ""), (90, " △ over 80 %"), (105, " ▲ over 95 %")],
    ids=["roomy", "the last fifth", "the last twentieth"],
)
async def test_a_memory_that_no_watcher_speaks_of_is_told_in_words_too(
    make_app: MakeApp, snap_of: Any, training: RunStatus, used: int, says: str
) -> None:
    machine = training.machine
    assert machine is not None
    assert machine.memory is not None
    memory = replace(machine.memory, available_bytes=machine.memory.total_bytes - used * GIB)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(machine=replace(machine, memory=memory)))
        (row, *_) = pilot.app.screen.query_one(MachineStrip).plain()
        assert row.endswith(f" {used}.0/110 GiB{says}")


@pytest.mark.parametrize("width", [126, 148, 160, 200])
async def test_the_column_of_the_memory_is_wide_enough(
    make_app: MakeApp, snap_of: Any, at_level: Any, width: int
) -> None:
    async with make_app().run_test(size=(width, 10)) as pilot:
        await show(pilot, snap_of(at_level("limit")))
        table = pilot.app.screen.query_one(RunTable)
        assert "memory" not in table.plain()[0] or "■ limit 101 GiB" in table.plain()[1]
        assert width < 200 or "memory" in table.plain()[0]


@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize(("theme", "glyphs"), THEMES, ids=[name for name, _ in THEMES])
async def test_the_state_of_a_checkpoint_has_its_glyph_in_list_and_table(
    make_app: MakeApp, snap_of: Any, training: RunStatus, width: int, theme: str, glyphs: Any
) -> None:
    half = replace(training.checkpoints[-1], iteration=240, complete=False)
    run = replace(training, checkpoints=(*training.checkpoints, half))
    async with make_app(theme=theme, run=run.run).run_test(size=(width, 40)) as pilot:
        await show(pilot, snap_of(run, opened=run))
        marks = glyphs.checkpoints
        at_rest = f"{marks['half-written']} half-written"
        assert width < 120 or at_rest in text_of(pilot.app, CheckpointList)
        await show(pilot, snap_of(replace(run, phase="saving"), opened=run))
        at_work = f"{marks['writing']} writing"
        assert width < 120 or at_work in text_of(pilot.app, CheckpointList)
        await show(pilot, snap_of(run, opened=run))
        await pilot.press("4")
        shown = text_of(pilot.app, CheckpointView)
        assert f" 240 {marks['half-written']} half-written " in shown
        assert f" 210 {marks['whole']} whole " in shown
        assert width < 80 or all(
            each in shown for each in ("save", "since last", " at\n", " 13:13\n")
        )
