"""The memory of a machine as one bar: its parts, its width, its mark."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.model import GpuReading, MachineReading, MemoryReading
from tui.glyphs import ASCII, UNICODE
from tui.lines import joined
from tui.memory_bar import memory_bar, memory_legend, memory_shares

GIB = 1 << 30


def _machine(total: int, available: int, free: int, gpu: int, *, unified: bool) -> MachineReading:
    memory = MemoryReading(
        total_bytes=total * GIB,
        available_bytes=available * GIB,
        free_bytes=free * GIB,
        cached_bytes=0,
    )
    reading = GpuReading(
        index=0, name="x", shares_memory=unified, process_bytes=((1, gpu * GIB), (2, None))
    )
    return MachineReading(memory=memory, gpus=(reading,))


@pytest.mark.parametrize(
    ("machine", "shares"),
    [
        pytest.param(_machine(120, 59, 20, 38, unified=True), (23, 38, 39, 20), id="unified"),
        pytest.param(_machine(120, 59, 20, 38, unified=False), (61, 0, 39, 20), id="its own"),
        pytest.param(
            _machine(120, 59, 20, 500, unified=True), (0, 61, 39, 20), id="more than there is"
        ),
        pytest.param(_machine(120, 200, 150, 0, unified=True), (0, 0, 0, 120), id="nonsense"),
    ],
)
def test_the_parts_of_the_memory_are_all_of_it(
    machine: MachineReading, shares: tuple[int, ...]
) -> None:
    found = memory_shares(machine)
    assert found is not None
    parts = (found.processes, found.gpu, found.cache, found.free)
    assert tuple(each // GIB for each in parts) == shares
    assert machine.memory is not None
    assert found.total == machine.memory.total_bytes


@pytest.mark.parametrize("width", [1, 8, 33, 60])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_the_bar_has_its_width_and_one_mark(width: int, glyphs: Any) -> None:
    found = memory_shares(_machine(120, 59, 20, 38, unified=True))
    assert found is not None
    drawn = joined(memory_bar(found, 110 * GIB, width, glyphs))
    assert len(drawn) == width
    assert drawn.count(glyphs.mark) == 1
    if width == 60:
        assert drawn.index(glyphs.mark) == 55
        named = " ".join(text for text, _ in memory_legend(found, glyphs))
        assert all(each in named for each in ("processes 23", "gpu 38", "cache 39", "free 20 GiB"))
