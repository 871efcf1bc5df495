"""NVML may lack figures, fail or hang: a reading then is partial, old or absent, never wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fabricated import wait_for

from monitor.budget import is_unified
from monitor.model import GpuReading
from monitor.probes import gpu
from monitor.probes.gpu import GpuSampler, load_nvml, throttle_names

GIB = 1 << 30
MEM_TOTAL = 127600748 * 1024


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__({3: "Not Supported", 15: "GPU is lost"}.get(value, f"error {value}"))
        self.value = value


class FakeNvml:
    """The part of pynvml that is used, with one GPU; a figure that is an error is raised."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1

    def __init__(self, **figures: Any) -> None:
        self.figures: dict[str, Any] = {
            "Name": "NVIDIA GB10",
            "UtilizationRates": SimpleNamespace(gpu=96, memory=0),
            "PowerUsage": 45_500,
            "Temperature": 61,
            "ClockInfo": 2405,
            "CurrentClocksEventReasons": 0,
            "MemoryInfo": NVMLError(3),
            "ComputeRunningProcesses": [],
        } | figures
        self.inits = 0
        self.shutdowns = 0
        self.init_error: Exception | None = None
        self.blocked = threading.Event()
        self.blocked.set()

    def nvmlInit(self) -> None:
        self.inits += 1
        if self.init_error is not None:
            raise self.init_error

    def nvmlShutdown(self) -> None:
        self.shutdowns += 1

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"handle {index}"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        figure = self.figures[name.removeprefix("nvmlDeviceGet")]

        def call(handle: str, *arguments: int) -> Any:
            self.blocked.wait(30)
            if isinstance(figure, Exception):
                raise figure
            return figure

        return call


Sample = Callable[..., GpuSampler]


@pytest.fixture
def sampler() -> Iterator[Sample]:
    started: list[tuple[GpuSampler, FakeNvml]] = []

    def start(nvml: FakeNvml) -> GpuSampler:
        made = GpuSampler(interval_s=0.005, load=lambda: nvml)
        started.append((made, nvml))
        made.start()
        return made

    yield start
    for made, nvml in started:
        nvml.blocked.set()
        made.stop(10)


def one(sampler: GpuSampler) -> GpuReading:
    wait_for(sampler.latest)
    (reading,) = sampler.latest()
    return reading


def test_a_discrete_gpu(sampler: Sample) -> None:
    nvml = FakeNvml(
        Name=b"NVIDIA H100",
        MemoryInfo=SimpleNamespace(used=20 * GIB, total=80 * GIB, free=60 * GIB),
        CurrentClocksEventReasons=0x4 | 0x20,
        ComputeRunningProcesses=[SimpleNamespace(pid=77, usedGpuMemory=19 * GIB)],
    )
    reading = one(sampler(nvml))
    assert (reading.index, reading.name) == (0, "NVIDIA H100")
    assert (reading.utilisation_percent, reading.power_w) == (96, 45.5)
    assert (reading.temperature_c, reading.sm_clock_mhz) == (61, 2405)
    assert reading.throttle == ("sw-power-cap", "sw-thermal")
    assert (reading.memory_used_bytes, reading.memory_total_bytes) == (20 * GIB, 80 * GIB)
    assert reading.process_bytes == ((77, 19 * GIB),)


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        pytest.param(NVMLError(3), (None, None), id="not supported"),
        pytest.param(SimpleNamespace(used=0, total=0), (None, None), id="a total of 0"),
        pytest.param(
            SimpleNamespace(used=40 * GIB, total=MEM_TOTAL),
            (40 * GIB, MEM_TOTAL),
            id="the machine's own total",
        ),
    ],
)
def test_the_three_shapes_of_unified_memory(
    sampler: Sample, memory: object, expected: tuple[int | None, int | None]
) -> None:
    started = sampler(FakeNvml(MemoryInfo=memory))
    reading = one(started)
    assert (reading.memory_used_bytes, reading.memory_total_bytes) == expected
    assert is_unified((reading,), MEM_TOTAL) is True
    assert reading.power_w == 45.5
    assert started.problem is None


@pytest.mark.parametrize(
    ("memory", "unified"),
    [
        pytest.param(SimpleNamespace(used=GIB, total=80 * GIB), False, id="memory of its own"),
        pytest.param(NVMLError(4), None, id="no permission to ask"),
        pytest.param(NVMLError(15), None, id="the GPU is lost"),
    ],
)
def test_only_these_shapes_are_unified_memory(
    sampler: Sample, memory: object, unified: bool | None
) -> None:
    assert is_unified((one(sampler(FakeNvml(MemoryInfo=memory))),), MEM_TOTAL) is unified


@pytest.mark.parametrize(
    ("figure", "field"),
    [
        ("UtilizationRates", "utilisation_percent"),
        ("PowerUsage", "power_w"),
        ("Temperature", "temperature_c"),
        ("ClockInfo", "sm_clock_mhz"),
    ],
)
def test_a_figure_that_is_not_supported_is_unknown(
    sampler: Sample, figure: str, field: str
) -> None:
    started = sampler(FakeNvml(**{figure: NVMLError(3)}))
    assert getattr(one(started), field) is None
    assert started.problem is None


def test_a_process_whose_memory_is_not_told(sampler: Sample) -> None:
    processes = [SimpleNamespace(pid=5, usedGpuMemory=None)]
    reading = one(sampler(FakeNvml(ComputeRunningProcesses=processes)))
    assert reading.process_bytes == ((5, None),)


def test_an_older_driver_knows_the_old_name_of_the_reasons(sampler: Sample) -> None:
    nvml = FakeNvml(CurrentClocksEventReasons=NVMLError(13), CurrentClocksThrottleReasons=0x80)
    assert one(sampler(nvml)).throttle == ("hw-power-brake",)


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (None, ()),
        (0, ()),
        (0x1, ()),
        (0x8, ("hw-slowdown",)),
        (0x40, ("hw-thermal",)),
        (0x61, ("sw-thermal", "hw-thermal")),
        (0x400, ("reliability",)),
        (1 << 40, ()),
    ],
)
def test_throttle_bits(bits: int | None, names: tuple[str, ...]) -> None:
    assert throttle_names(bits) == names


def test_a_lost_gpu_is_named(sampler: Sample) -> None:
    started = sampler(FakeNvml(PowerUsage=NVMLError(15)))
    assert one(started).power_w is None
    wait_for(lambda: started.problem)
    assert "GPU is lost" in str(started.problem)


def test_a_driver_that_hangs_leaves_the_last_reading_and_its_age(
    sampler: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml = FakeNvml()
    started = sampler(nvml)
    one(started)
    monkeypatch.setattr(gpu, "BLOCKED_S", 0.05)
    nvml.blocked.clear()
    wait_for(lambda: started.problem)
    assert "has not answered" in str(started.problem)
    (before,) = started.latest()
    (after,) = started.latest()
    assert after.age_s >= before.age_s >= 0.05
    assert after.power_w == 45.5
    nvml.blocked.set()
    wait_for(lambda: started.problem is None and started.latest()[0].age_s < after.age_s)


def test_the_problem_of_a_driver_that_hangs_is_the_same_as_long_as_it_lasts() -> None:
    sampler = GpuSampler()
    told = set()
    for waited_s in (60.0, 600.0):
        sampler._asked_at = time.monotonic() - waited_s
        told.add(sampler.problem)
    assert len(told) == 1
    assert None not in told


def test_a_driver_that_hangs_from_the_start_gives_nothing_and_says_so(
    sampler: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "BLOCKED_S", 0.05)
    nvml = FakeNvml()
    nvml.blocked.clear()
    started = sampler(nvml)
    wait_for(lambda: started.problem)
    assert started.latest() == ()


def test_stopping_does_not_wait_for_a_driver_that_hangs(sampler: Sample) -> None:
    nvml = FakeNvml()
    nvml.blocked.clear()
    started = sampler(nvml)
    wait_for(lambda: nvml.inits)
    started.stop(timeout_s=0.01)
    assert started._thread is not None
    assert started._thread.is_alive()
    assert started._thread.daemon


def test_a_driver_that_fails_is_set_up_again(
    sampler: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "RETRY_S", 0.005)
    nvml = FakeNvml()
    nvml.init_error = NVMLError(9)
    started = sampler(nvml)
    wait_for(lambda: nvml.inits > 2)
    assert started.latest() == ()
    assert started.problem is not None
    nvml.init_error = None
    one(started)
    wait_for(lambda: started.problem is None)


def test_stopping_closes_nvml(sampler: Sample) -> None:
    nvml = FakeNvml()
    started = sampler(nvml)
    one(started)
    started.stop(10)
    assert nvml.inits == nvml.shutdowns == 1


def test_without_the_driver_s_library_nothing_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", missing)
    monkeypatch.setitem(__import__("sys").modules, "pynvml", object())
    assert load_nvml() is None
    sampler = GpuSampler(load=load_nvml)
    sampler.start()
    sampler.stop(10)
    assert sampler.latest() == ()
    assert sampler.problem is None


def test_the_binding_has_every_name_that_is_used() -> None:
    pynvml = pytest.importorskip("pynvml")
    fake = FakeNvml(CurrentClocksThrottleReasons=0)
    names = [f"nvmlDeviceGet{figure}" for figure in fake.figures]
    names += [name for name in dir(FakeNvml) if name.startswith(("nvml", "NVML"))]
    assert [name for name in names if not hasattr(pynvml, name)] == []
    quiet = {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION}
    assert quiet | {pynvml.NVML_ERROR_FUNCTION_NOT_FOUND} == gpu._QUIET_ERRORS
    reasons = {
        value
        for name, value in vars(pynvml).items()
        if name.startswith("nvmlClocksThrottleReason") and not name.endswith(("None", "All"))
    }
    assert set(gpu.THROTTLE_BITS) == reasons - {pynvml.nvmlClocksThrottleReasonGpuIdle}
