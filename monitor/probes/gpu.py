"""The GPUs through NVML, on a thread of their own: the driver of a wedged box blocks for minutes.

The rule: whoever asks gets the last good reading at once, with its age; a figure that this GPU
does not give is None. On a GB10 that is its memory (NotSupported, or a total of 0).
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from monitor.model import GpuReading

BLOCKED_S = 5.0
"""A call that takes longer is named as a driver that does not answer."""

RETRY_S = 30.0
"""How long to wait before NVML is set up again after it failed."""

THROTTLE_BITS = {
    0x2: "application-clocks",
    0x4: "sw-power-cap",
    0x8: "hw-slowdown",
    0x10: "sync-boost",
    0x20: "sw-thermal",
    0x40: "hw-thermal",
    0x80: "hw-power-brake",
    0x100: "display-clock",
    0x200: "board-limit",
    0x400: "reliability",
}
"""nvmlClocksEventReason* of nvidia-ml-py 13.615; 0x1 (idle) is no throttling and is left out."""

SLOWDOWNS = frozenset({"hw-slowdown", "sw-thermal", "hw-thermal", "hw-power-brake"})
"""Of these names, the ones that explain a slow run; a power cap is normal under full load."""

_LIBRARY = "libnvidia-ml.so.1"
_PROCESSES_LIMIT = 64
_NOT_SUPPORTED = 3
_QUIET_ERRORS = frozenset(
    {_NOT_SUPPORTED, 4, 13}
)  # not supported, no permission, function not found


def load_nvml() -> Any | None:
    """Import pynvml, but only where the driver's library is: the import alone takes memory."""
    try:
        ctypes.CDLL(_LIBRARY)
        import pynvml
    except (OSError, ImportError):
        return None
    return pynvml


class GpuSampler:
    """Reads all GPUs every *interval_s* seconds until it is stopped."""

    def __init__(self, interval_s: float = 1.0, load: Callable[[], Any | None] = load_nvml) -> None:
        self._interval_s = interval_s
        self._load = load
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        # One reference each, replaced as a whole: readers need no lock.
        self._good: tuple[float, tuple[GpuReading, ...]] | None = None
        self._asked_at: float | None = None
        self._failure: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the readings are old or missing; None also where there is no GPU at all."""
        asked_at = self._asked_at
        if asked_at is not None and time.monotonic() - asked_at > BLOCKED_S:
            # The same words as long as it lasts: one problem, not a new one at each look.
            return f"the GPU driver has not answered for over {BLOCKED_S:.0f} s"
        return self._failure

    @property
    def alive(self) -> bool:
        """False before it was started, and once there turned out to be no driver to ask."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def running(self) -> bool:
        """False once there is no driver to ask, or it was stopped."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to sample, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gpu", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Ask the thread to end; one that the driver holds is left behind."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def latest(self) -> tuple[GpuReading, ...]:
        """The last good readings with their age, at once; empty when there are none."""
        good = self._good
        if good is None:
            return ()
        age_s = max(0.0, time.monotonic() - good[0])
        return tuple(replace(reading, age_s=age_s) for reading in good[1])

    def _run(self) -> None:
        nvml = self._load()
        while nvml is not None and not self._stopping.is_set():
            try:
                self._session(nvml)
            except Exception as error:  # noqa: BLE001 - the thread's rim: a driver may do anything
                self._failure = f"the GPU driver failed: {error}"
            finally:
                self._asked_at = None
            self._stopping.wait(RETRY_S)

    def _session(self, nvml: Any) -> None:
        """Set NVML up (in the thread that uses it) and sample until it fails or we are stopped."""
        self._asked_at = time.monotonic()
        nvml.nvmlInit()
        try:
            handles = [
                nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())
            ]
            devices = [_Device(nvml, index, handle) for index, handle in enumerate(handles)]
            while True:
                self._asked_at = time.monotonic()
                readings = tuple(device.read() for device in devices)
                self._good = (time.monotonic(), readings)
                self._asked_at = None
                self._failure = next((each.failure for each in devices if each.failure), None)
                if self._stopping.wait(self._interval_s):
                    return
        finally:
            nvml.nvmlShutdown()


@dataclass(slots=True)
class _Device:
    """One GPU and how to ask it."""

    nvml: Any
    index: int
    handle: Any
    name: str | None = None
    failure: str | None = None

    def read(self) -> GpuReading:
        """Ask for every figure; those it does not give are None."""
        self.failure = None
        nvml = self.nvml
        if self.name is None:
            self.name = _text(self._ask(nvml.nvmlDeviceGetName))
        utilisation = self._ask(nvml.nvmlDeviceGetUtilizationRates)
        power_mw = self._ask(nvml.nvmlDeviceGetPowerUsage)
        used, total, shares = self._memory()
        return GpuReading(
            index=self.index,
            name=self.name or f"GPU {self.index}",
            utilisation_percent=None if utilisation is None else int(utilisation.gpu),
            power_w=None if power_mw is None else power_mw / 1000,
            temperature_c=self._ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
            sm_clock_mhz=self._ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
            throttle=throttle_names(self._reasons()),
            memory_used_bytes=used,
            memory_total_bytes=total,
            process_bytes=self._processes(),
            shares_memory=shares,
        )

    def _memory(self) -> tuple[int | None, int | None, bool | None]:
        """(used, total, whether the driver says that there is none of its own)."""
        try:
            memory = self.nvml.nvmlDeviceGetMemoryInfo(self.handle)
        except self.nvml.NVMLError as error:
            # Not supported is how a GB10 answers; any other error says nothing about the memory.
            value = getattr(error, "value", None)
            if value not in _QUIET_ERRORS:
                self.failure = f"GPU {self.index}: {error}"
            return None, None, True if value == _NOT_SUPPORTED else None
        used, total = memory_figures(memory)
        return used, total, True if total is None else None

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any | None:
        try:
            return function(self.handle, *arguments)
        except self.nvml.NVMLError as error:
            if getattr(error, "value", None) not in _QUIET_ERRORS:
                self.failure = f"GPU {self.index}: {error}"
            return None

    def _reasons(self) -> int | None:
        """The call was renamed in driver 535; an older one knows only the old name."""
        reasons = self._ask(self.nvml.nvmlDeviceGetCurrentClocksEventReasons)
        if reasons is None:
            reasons = self._ask(self.nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        return reasons

    def _processes(self) -> tuple[tuple[int, int | None], ...]:
        found = self._ask(self.nvml.nvmlDeviceGetComputeRunningProcesses) or []
        return tuple((each.pid, each.usedGpuMemory) for each in found[:_PROCESSES_LIMIT])


def throttle_names(reasons: int | None) -> tuple[str, ...]:
    """Name the bits of nvmlDeviceGetCurrentClocksEventReasons."""
    return tuple(name for bit, name in THROTTLE_BITS.items() if (reasons or 0) & bit)


def memory_figures(memory: Any | None) -> tuple[int | None, int | None]:
    """(used, total) bytes; a total of 0 is what a GPU without memory of its own says."""
    if memory is None or not memory.total:
        return None, None
    return int(memory.used), int(memory.total)


def _text(name: Any) -> str | None:
    """Old bindings give bytes."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
