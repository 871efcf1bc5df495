"""The machine's memory as one bar: who has it, what is free, where the budget ends. Pure.

On a unified machine the GPU's part is a part of what is used; on any other the GPU has its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from tui.glyphs import Glyphs
from tui.lines import Line, Span, fit
from tui.presentation import part, size
from tui.state import is_over

if TYPE_CHECKING:
    from monitor.model import MachineReading
    from monitor.status_model import RunStatus

_GIB = 1 << 30
GAP = "  "
"""Between two entries of the legend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryShares:
    """Bytes of the machine's memory by who has them; together they are all of it."""

    processes: int
    gpu: int
    cache: int
    free: int

    @property
    def total(self) -> int:
        """All of the machine's memory."""
        return self.processes + self.gpu + self.cache + self.free


def memory_shares(machine: MachineReading) -> MemoryShares | None:
    """Split the memory; None where it is not known. No part is ever more than there is."""
    memory = machine.memory
    if memory is None:
        return None
    from monitor.budget import is_unified

    used = min(max(0, memory.used_bytes), memory.total_bytes)
    gpu = 0
    if machine.gpus and is_unified(machine.gpus, memory.total_bytes):
        held = (count or 0 for each in machine.gpus for _, count in each.process_bytes)
        gpu = min(used, sum(held))
    free = min(memory.free_bytes, memory.total_bytes - used)
    cache = memory.total_bytes - used - free
    return MemoryShares(processes=used - gpu, gpu=gpu, cache=cache, free=free)


def memory_bar(shares: MemoryShares, limit: int | None, width: int, glyphs: Glyphs) -> Line:
    """The bar in *width* columns, with a mark where *limit* bytes in use would end."""
    drawn = "".join(
        glyph * columns
        for glyph, columns in zip(
            glyphs.shares,
            _columns([shares.processes, shares.gpu, shares.cache, shares.free], width),
            strict=True,
        )
    )
    at = part(limit, shares.total)
    spans: list[Span] = []
    tones = dict(zip(glyphs.shares, ("accent", "good", "muted", "rule"), strict=True))
    mark = None if at is None else min(width - 1, int(at * width))
    for column, glyph in enumerate(drawn):
        cell: Span = (glyphs.mark, "strong") if column == mark else (glyph, tones[glyph])
        if spans and spans[-1][1] == cell[1]:
            spans[-1] = (spans[-1][0] + cell[0], cell[1])
        else:
            spans.append(cell)
    return tuple(spans)


def memory_legend(shares: MemoryShares, limit: int | None, glyphs: Glyphs) -> dict[str, Span]:
    """What each glyph of the bar is, with its size; a part that is not there is absent."""
    named = zip(
        glyphs.shares,
        ("processes", "gpu", "cache", "free"),
        (shares.processes, shares.gpu, shares.cache, shares.free),
        ("accent", "good", "muted", "muted"),
        strict=True,
    )
    legend = {
        name: (f"{glyph} {name} {_gib(count)}{' GiB' if name == 'free' else ''}", tone)
        for glyph, name, count, tone in named
        if count or name == "free"
    }
    if limit:
        legend["budget"] = (f"{glyphs.mark} budget {size(limit)}", "muted")
    return legend


def fitted_legend(legend: dict[str, Span], width: int, indent: int) -> Line:
    """*legend* in *width* columns, under the bar where it can be; free and budget stay longest."""
    kept = dict(legend)
    for dropped in ("", "cache", "gpu", "processes"):
        kept.pop(dropped, None)
        needed = sum(cell_len(text) + len(GAP) for text, _ in kept.values()) - len(GAP)
        if needed <= width:
            indent = indent if needed + indent <= width else 0
            break
    else:
        indent = 0
    return ((" " * indent, ""), *fit(list(kept.values()), width - indent, gap=GAP))


def memory_forecast(runs: Iterable[RunStatus]) -> str:
    """In words, how soon the limit is reached, by the watcher that expects it first."""
    expected = [
        (run.memory.minutes_to_limit, run.memory.level)
        for run in runs
        if not is_over(run) and run.memory and run.memory.minutes_to_limit is not None
    ]
    if not expected:
        return ""
    minutes, level = min(expected)
    if minutes <= 0:  # the level's own word says it, once the watcher is sure
        return "" if level == "limit" else "at the limit"
    soonest = max(1, round(minutes))
    return f"reaches the limit in {soonest} min" if soonest < 120 else "rises slowly"


def _columns(sizes: list[int], width: int) -> list[int]:
    """Whole columns for each of *sizes*, *width* in all; rounding errors do not add up."""
    total = sum(sizes) or 1
    ends = [round(width * sum(sizes[: at + 1]) / total) for at in range(len(sizes))]
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _gib(count: int) -> str:
    """Whole GiB on a large machine: a tenth flickers, and says nothing."""
    gib = count / _GIB
    return f"{gib:.0f}" if gib >= 10 else f"{gib:.1f}"
