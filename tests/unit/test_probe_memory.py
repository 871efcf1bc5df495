"""Memory as the kernel says it; what it does not say is unknown, never zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.probes.memory import parse_meminfo, parse_pressure, read_memory

GIB = 1 << 30

# As on a box with unified memory: 119 GiB less 30 for the GPU, 16 GiB of swap.
UNIFIED = b"""MemTotal:       127600748 kB
MemFree:         2894404 kB
MemAvailable:   23600100 kB
Buffers:          512004 kB
Cached:         21034500 kB
SwapCached:            0 kB
Active:         12000000 kB
Shmem:            340000 kB
SReclaimable:     800000 kB
SwapTotal:      16777212 kB
SwapFree:       16000000 kB
HugePages_Total:       0
DirectMap2M:    127926272 kB
"""


def test_a_unified_memory_box() -> None:
    reading = parse_meminfo(UNIFIED, 0.5)
    assert reading is not None
    assert reading.total_bytes == 127600748 * 1024
    assert reading.used_bytes == (127600748 - 23600100) * 1024
    assert reading.cached_bytes == (21034500 + 512004 - 340000) * 1024
    assert reading.swap_free_bytes == 16000000 * 1024
    assert reading.free_bytes < 3 * GIB < reading.available_bytes
    assert reading.psi_some_avg10 == 0.5


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"MemTotal: 100 kB\n", id="a kernel without MemAvailable"),
        pytest.param(b"MemTotal: 0 kB\nMemAvailable: 0 kB\n", id="no memory at all"),
        pytest.param(b"MemTotal: -5 kB\nMemAvailable: 3 kB\n", id="negative"),
        pytest.param(UNIFIED[:20], id="cut short"),
    ],
)
def test_without_total_and_available_there_is_none(raw: bytes) -> None:
    assert parse_meminfo(raw) is None


@given(st.binary(max_size=200))
def test_any_bytes_never_raise(raw: bytes) -> None:
    parse_pressure(raw)
    parse_pressure(b"some avg10=" + raw)
    reading = parse_meminfo(b"MemTotal: 10 kB\nMemAvailable: 99 kB\n" + raw)
    assert reading is None or reading.used_bytes >= 0


@pytest.mark.parametrize(
    ("raw", "percent"),
    [
        (b"some avg10=1.25 avg60=0.10 avg300=0.00 total=99\nfull avg10=0.0\n", 1.25),
        (b"full avg10=3.00 avg60=0.00\n", None),
        (b"some avg10=nan\n", None),
        (b"some avg10=\n", None),
        (b"", None),
    ],
)
def test_pressure(raw: bytes, percent: float | None) -> None:
    assert parse_pressure(raw) == percent


def test_this_machine() -> None:
    read = read_memory()
    assert read.problem is None
    assert read.value is not None
    assert 0 < read.value.used_bytes < read.value.total_bytes
