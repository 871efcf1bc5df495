"""The memory of a machine as one bar: its parts, its width, its mark."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.model import GpuReading, MachineReading, MemoryReading
from tui.glyphs import ASCII, UNICODE
from tui.lines import joined
from tui.memory_bar import fitted_legend, memory_bar, memory_legend, memory_shares

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
        named = " ".join(text for text, _ in memory_legend(found, None, glyphs).values())
        assert all(each in named for each in ("processes 23", "gpu 38", "cache 39", "free 20 GiB"))
        assert "budget" not in named


ALL = "█ processes 23  ▓ gpu 38  ▒ cache 39  ░ free 20 GiB  ┃ budget 110 GiB"


@pytest.mark.parametrize(
    ("width", "says"),
    [
        pytest.param(78, f"       {ALL}", id="80 columns"),
        pytest.param(72, ALL, id="not under the bar"),
        pytest.param(
            60, "█ processes 23  ▓ gpu 38  ░ free 20 GiB  ┃ budget 110 GiB", id="no cache"
        ),
        pytest.param(48, "█ processes 23  ░ free 20 GiB  ┃ budget 110 GiB", id="50 columns"),
        pytest.param(40, "       ░ free 20 GiB  ┃ budget 110 GiB", id="40 columns"),
        pytest.param(31, "░ free 20 GiB  ┃ budget 110 GiB", id="just these"),
        pytest.param(20, "░ free 20 GiB", id="free alone"),
    ],
)
def test_free_and_the_budgets_mark_stay_longest_in_the_legend(width: int, says: str) -> None:
    found = memory_shares(_machine(120, 59, 20, 38, unified=True))
    assert found is not None
    legend = memory_legend(found, 110 * GIB, UNICODE)
    assert joined(fitted_legend(legend, width, len("memory "))) == says


@pytest.mark.parametrize("width", range(31, 120))
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_the_legend_never_is_wider_than_its_room(width: int, glyphs: Any) -> None:
    found = memory_shares(_machine(120, 59, 20, 38, unified=True))
    assert found is not None
    shown = joined(fitted_legend(memory_legend(found, 110 * GIB, glyphs), width, 7))
    assert len(shown) <= width
    assert "free 20 GiB" in shown
    assert f"{glyphs.mark} budget 110 GiB" in shown
