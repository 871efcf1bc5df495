"""What NVML gives of each GPU while a proof trains: which figures, not how large.

A GB10, a card and a driver to come differ in what they answer; this is what a report tells of them.
"""

from __future__ import annotations

from typing import Any

from monitor.budget import is_unified
from monitor.probes.gpu import GpuSampler
from monitor.probes.memory import read_memory_fast
from monitor.readings import GpuReading

FIGURES = (
    "utilisation_percent",
    "power_w",
    "temperature_c",
    "sm_clock_mhz",
    "memory_used_bytes",
    "memory_total_bytes",
    "shares_memory",
)


class GpuWatch:
    """Reads the GPUs while it is asked to look; keeps, for each, all that was ever given."""

    def __init__(self) -> None:
        self._sampler = GpuSampler()
        self._seen: dict[int, dict[str, Any]] = {}

    def start(self) -> None:
        """Begin to sample."""
        self._sampler.start()

    def stop(self) -> None:
        """End it."""
        self._sampler.stop(0.1)

    def look(self) -> None:
        """Take what the sampler has."""
        for gpu in self._sampler.latest():
            self._seen[gpu.index] = shape_of(gpu, self._seen.get(gpu.index))

    def shapes(self) -> tuple[dict[str, Any], ...]:
        """What each GPU gave."""
        return tuple(self._seen[index] for index in sorted(self._seen))

    def say(self) -> str:
        """The same in a sentence."""
        self.look()
        if not self._seen:
            return self._sampler.problem or "there is no GPU that NVML knows: trained on the CPU"
        memory = read_memory_fast()
        said = []
        for shape in self.shapes():
            missing = [name for name in FIGURES if not shape["given"][name]]
            without = f", without {', '.join(missing)}" if missing else ""
            said.append(f"{shape['name']}: {shape['processes']}{without}")
        unified = is_unified(self._sampler.latest(), memory.total_bytes) if memory else None
        word = {True: "shared", False: "its own", None: "not known"}[unified]
        return f"{'; '.join(said)}; memory {word}"


def shape_of(gpu: GpuReading, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Which figures a reading has, with those of *before* kept; pure."""
    earlier = (before or {}).get("given", {})
    given = {name: bool(earlier.get(name)) or getattr(gpu, name) is not None for name in FIGURES}
    sized = any(used is not None for _, used in gpu.process_bytes)
    processes = "processes with their bytes" if sized else "no bytes by process"
    if (before or {}).get("processes") == "processes with their bytes":
        processes = "processes with their bytes"
    return {"index": gpu.index, "name": gpu.name, "given": given, "processes": processes}
