"""A run's memory against its budget: the bar, who holds what, the forecast, what the guard did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.glyphs import UNICODE, Glyphs, bar
from tui.lines import Line, Span, fit, wrap
from tui.notices import memory_sentence
from tui.presentation import memory_tone, part, percent, size, used_of
from tui.state import is_over
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.readings import GpuReading
    from monitor.status_model import MemoryView, RunStatus

MOST_GPUS = 4
UNREAD = "memory has not been read"


class MemoryBudget(LineView):
    """The first row is the budget; a figure that is not known is left out."""

    status: reactive[RunStatus | None] = reactive(None, repaint=False)

    def watch_status(self) -> None:
        self.update_lines()

    @staticmethod
    def rows_needed(status: RunStatus | None) -> int:
        """Rows for all there is to say."""
        if status is None:
            return 1
        gpus = len(status.machine.gpus[:MOST_GPUS]) if status.machine else 0
        memory = status.memory
        if memory is None:
            return 1 + gpus
        return 1 + bool(_shares(memory)) + len(_told(status)) + bool(_peaks(status)) + gpus

    def lines(self, width: int, height: int) -> list[Line]:
        status = self.status
        if status is None:
            return []
        machine = status.machine
        gpus = [_gpu(each, width) for each in (machine.gpus[:MOST_GPUS] if machine else ())]
        memory = status.memory
        if memory is None:
            said = "no peak of its memory was recorded" if is_over(status) else UNREAD
            return [fit(_peaks(status), width) or ((said, "muted"),), *gpus][:height]
        rows = [self._bar(memory, width)]
        if shares := _shares(memory):
            rows.append(fit(shares, width))
        rows += [
            ((row, tone),)
            for text, tone in _told(status, self.glyphs)
            for row in wrap(text, width, 1, self.glyphs.ellipsis)
        ]
        if peaks := _peaks(status):
            rows.append(fit(peaks, width))
        return [*rows, *gpus][:height]

    def _bar(self, memory: MemoryView, width: int) -> Line:
        figures = f"   {used_of(memory.used_bytes, memory.limit_bytes)} of its budget"
        tone = memory_tone(memory.level)
        fraction = part(memory.used_bytes, memory.limit_bytes)
        length = min(60, width - len(figures) - len("memory "))
        shown = bar(fraction, length, self.glyphs) if length >= 6 else ""
        return (("memory ", ""), (shown, tone or "accent"), (figures, tone))


def _told(status: RunStatus, glyphs: Glyphs = UNICODE) -> list[tuple[str, str]]:
    """Forecast and guard in words."""
    memory = status.memory
    if memory is None or is_over(status):
        return []
    said = []
    if memory.level != "ok" or memory.minutes_to_limit is not None:
        level = memory.level
        word = "" if level == "ok" else f"{glyphs.level(level)} {level}: "
        said.append((f"{word}{memory_sentence(memory)}", memory_tone(memory.level) or "warn"))
    if memory.guard:
        said.append((f"guard: {memory.guard}", "accent"))
    return said


def _shares(memory: MemoryView) -> list[Span]:
    """Who holds what."""
    shares = (
        ("trainer", memory.process_bytes),
        ("on the GPU", memory.gpu_bytes),
        ("page cache", memory.cache_bytes),
        ("available", memory.available_bytes),
    )
    known = [f"{name} {size(value)}" for name, value in shares if value is not None]
    return [(text, "") for text in known]


def _peaks(status: RunStatus) -> list[Span]:
    now, left = status.memory, status.peaks
    found: tuple[int | None, ...] = ()
    if left is not None:
        found = (left.machine_bytes, left.run_bytes, left.process_bytes, left.gpu_bytes)
    elif now is not None:
        found = (now.peak_bytes, now.run_peak_bytes, now.process_peak_bytes, now.gpu_peak_bytes)
    peaks = zip(("machine", "this run", "its trainer", "on the GPU"), found, strict=False)
    known = [f"{name} {size(value)}" for name, value in peaks if value is not None]
    return [("peaks:", "muted"), *((text, "muted") for text in known)] if known else []


def _gpu(gpu: GpuReading, width: int) -> Line:
    """The figures that move first; a sensor that is missing is absent."""
    parts: list[Span] = [
        (f"gpu {gpu.index}", ""),
        (percent(gpu.utilisation_percent) if gpu.utilisation_percent is not None else "", ""),
        (f"{gpu.power_w:.0f} W" if gpu.power_w is not None else "", ""),
        (f"{gpu.sm_clock_mhz} MHz" if gpu.sm_clock_mhz is not None else "", ""),
        (f"{gpu.temperature_c} °C" if gpu.temperature_c is not None else "", ""),
        (f"throttled: {', '.join(gpu.throttle)}" if gpu.throttle else "", "warn"),
        (gpu.name, "muted"),
    ]
    return fit(parts, width)
