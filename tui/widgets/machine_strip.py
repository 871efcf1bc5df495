"""The machine in one or two lines: memory against its limit, GPUs if there are any, CPU, disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.glyphs import bar
from tui.lines import Line, Span, fit, width_of
from tui.presentation import age, memory_tone, part, percent, size, used_of
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.model import GpuReading, MachineReading

STALE_GPU_S = 5.0
"""The driver answers within a second; older than this, the reading's age is shown."""


class MachineStrip(LineView):
    """A sensor that the machine lacks is absent, not zero."""

    machine: reactive[MachineReading | None] = reactive(None, repaint=False)
    limit_bytes: reactive[int | None] = reactive(None, repaint=False)

    level: reactive[str] = reactive("ok", repaint=False)
    """What the watchers of live runs say of the memory."""

    def watch_level(self) -> None:
        self.update_lines()

    def watch_machine(self) -> None:
        self.update_lines()

    def watch_limit_bytes(self) -> None:
        self.update_lines()

    @staticmethod
    def rows(machine: MachineReading | None) -> int:
        """Rows that the strip needs: one, and one for each GPU."""
        return 1 + (len(machine.gpus) if machine else 0)

    def lines(self, width: int, height: int) -> list[Line]:
        machine = self.machine
        if machine is None:
            return [(("machine: not read yet", "muted"),)]
        rows = [self._host(machine, width)]
        rows += [_gpu(gpu, width) for gpu in machine.gpus]
        return rows[:height]

    def _host(self, machine: MachineReading, width: int) -> Line:
        parts = [
            (f"cpu {percent(_steady(machine.cpu_percent))}", ""),
            (f"disk {size(machine.disk_free_bytes)} free", ""),
            (f"load {machine.load1:.1f}" if machine.load1 is not None else "", ""),
        ]
        rest = fit(parts, max(0, width - 27))
        memory = self._memory(machine, width - width_of(rest) - 3)
        return (*memory, ("   ", ""), *rest) if rest else memory

    def _memory(self, machine: MachineReading, width: int) -> Line:
        memory = machine.memory
        if memory is None:
            return (("memory", ""), (" not readable", "muted"))
        limit = self.limit_bytes or memory.total_bytes
        figures = f" {used_of(memory.used_bytes, limit)}"
        if tone := memory_tone(self.level):
            figures += f" {self.level}"
        fraction = part(memory.used_bytes, limit)
        tone = tone or _alarm(fraction)
        length = min(40, width - len("memory ") - len(figures))
        shown = bar(fraction, length, self.glyphs) if length >= 6 else ""
        return (("memory ", ""), (shown, tone or "accent"), (figures, tone))


def _steady(cpu_percent: float | None) -> float | None:
    """In steps of 5 %: an idle machine's flicker is no news."""
    return None if cpu_percent is None else round(cpu_percent / 5) * 5


def _alarm(fraction: float | None) -> str:
    """Colour for the last fifth before the limit, and for the last twentieth."""
    if fraction is None or fraction < 0.8:
        return ""
    return "warn" if fraction < 0.95 else "bad"


def _gpu(gpu: GpuReading, width: int) -> Line:
    used = gpu.memory_used_bytes
    parts: list[Span] = [
        (f"gpu {gpu.index}", ""),
        (percent(gpu.utilisation_percent) if gpu.utilisation_percent is not None else "", ""),
        (f"{gpu.temperature_c} C" if gpu.temperature_c is not None else "", ""),
        (f"{gpu.power_w:.0f} W" if gpu.power_w is not None else "", ""),
        (used_of(used, gpu.memory_total_bytes) if used is not None else "", ""),
        (f"throttled: {', '.join(gpu.throttle)}" if gpu.throttle else "", "warn"),
        (f"{gpu.sm_clock_mhz} MHz" if gpu.sm_clock_mhz is not None else "", "muted"),
        (f"read {age(gpu.age_s)} ago" if gpu.age_s >= STALE_GPU_S else "", "warn"),
        (gpu.name, "muted"),
    ]
    return fit(parts, width)
