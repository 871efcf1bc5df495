"""The machine: its memory as one bar against the budget, CPU and disk, a line for each GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive

from tui.lines import Line, Span, fit, width_of
from tui.presentation import age, memory_tone, part, percent, size, used_of
from tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from monitor.model import GpuReading, MachineReading

STALE_GPU_S = 5.0
"""The driver answers within a second; older than this, the reading's age is shown."""


WIDE = 110
LEAST_BAR, WISHED_BAR, MOST_BAR = 8, 20, 60


class MachineStrip(LineView):
    """A sensor that the machine lacks is absent, not zero."""

    machine: reactive[MachineReading | None] = reactive(None, repaint=False)
    limit_bytes: reactive[int | None] = reactive(None, repaint=False)

    level: reactive[str] = reactive("ok", repaint=False)
    """What the watchers of live runs say of the memory."""

    forecast: reactive[str] = reactive("", repaint=False)
    """How soon the limit is reached, in words; empty where it is not expected."""

    def watch_forecast(self) -> None:
        self.update_lines()

    def watch_level(self) -> None:
        self.update_lines()

    def watch_machine(self) -> None:
        self.update_lines()

    def watch_limit_bytes(self) -> None:
        self.update_lines()

    @staticmethod
    def rows(machine: MachineReading | None) -> int:
        """Rows that the strip needs: the memory's, its legend's, and one for each GPU."""
        if machine is None:
            return 1
        return (1 if machine.memory is None else 2) + len(machine.gpus)

    def lines(self, width: int, height: int) -> list[Line]:
        machine = self.machine
        if machine is None:
            return [(("machine: not read yet", "muted"),)]
        rows = [self._host(machine, width)]
        if height > 1 and machine.memory is not None:
            rows.append(self._legend(machine, width))
        rows += [_gpu(gpu, width) for gpu in machine.gpus]
        if 2 < height < len(rows):
            more = len(rows) - height + 1
            rows[height - 1] = ((f"and {more} more GPUs", "muted"),)
        return rows[:height]

    def _host(self, machine: MachineReading, width: int) -> Line:
        """The bar has the room; what stands beside it takes what that leaves."""
        figures = self._figures(machine)
        wished = WISHED_BAR if machine.memory is not None else 0
        taken = len("memory ") + width_of(figures) + wished + len("   ")
        here = width < WIDE or machine.memory is None
        rest = fit(_beside(machine), max(0, width - taken)) if here else ()
        memory = self._memory(machine, figures, width - width_of(rest) - 3)
        return (*memory, ("   ", ""), *rest) if rest else memory

    def _figures(self, machine: MachineReading) -> Line:
        memory = machine.memory
        if memory is None:
            return ((" not readable", "muted"),)
        limit = self.limit_bytes or memory.total_bytes
        text = f" {used_of(memory.used_bytes, limit)}"
        level, word = self.level, self.level
        if level == "ok":
            level, word = _fullness(part(memory.used_bytes, limit))
        if tone := memory_tone(level):
            text += f" {self.glyphs.level(level)} {word}"
        forecast: Line = ((f", {self.forecast}", "warn"),) if self.forecast else ()
        return ((text, tone), *forecast)

    def _memory(self, machine: MachineReading, figures: Line, width: int) -> Line:
        from tui.memory_bar import memory_bar, memory_shares

        shares = memory_shares(machine)
        room = width - len("memory ") - width_of(figures)
        if room < LEAST_BAR:
            figures = figures[:1]
            room = width - len("memory ") - width_of(figures)
        if shares is None or room < LEAST_BAR:
            return (("memory", ""), *fit(figures, width - len("memory"), gap=""))
        length = min(MOST_BAR, room)
        return (
            ("memory ", ""),
            *memory_bar(shares, self.limit_bytes, length, self.glyphs),
            *figures,
        )

    def _legend(self, machine: MachineReading, width: int) -> Line:
        """What the bar's parts are, and on a wide screen the rest of the machine."""
        from tui.memory_bar import GAP, fitted_legend, memory_legend, memory_shares

        shares = memory_shares(machine)
        if shares is None:
            return ()
        legend = memory_legend(shares, self.limit_bytes, self.glyphs)
        shown = fitted_legend(legend, width, len("memory "))
        if width < WIDE:
            return shown
        rest = fit(_beside(machine), width - width_of(shown) - len(GAP), gap=GAP)
        return (*shown, (GAP, ""), *rest) if rest else shown


def _beside(machine: MachineReading) -> list[Span]:
    cpu, disk = _steady(machine.cpu_percent), machine.disk_free_bytes
    return [
        (f"cpu {percent(cpu)}" if cpu is not None else "", ""),
        (f"disk {size(disk)} free" if disk is not None else "", ""),
        (f"load {machine.load1:.1f}" if machine.load1 is not None else "", ""),
    ]


def _steady(cpu_percent: float | None) -> float | None:
    """In steps of 5 %: an idle machine's flicker is no news."""
    return None if cpu_percent is None else round(cpu_percent / 5) * 5


def _fullness(fraction: float | None) -> tuple[str, str]:
    """Level and word of the last fifth before the limit, and of the last twentieth."""
    if fraction is None or fraction < 0.8:
        return "ok", ""
    return ("warn", "over 80 %") if fraction < 0.95 else ("high", "over 95 %")


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
