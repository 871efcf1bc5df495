"""/proc/meminfo alone, several times a second, while memory is short: a thread of its own.

The rule: it only reads and remembers. It wakes the watcher when two samples in a row are over the
limit; what follows from that is decided there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from monitor.probes.clock import read_now
from monitor.probes.memory import read_memory_fast
from monitor.readings import MemoryReading

FAST_S = 0.15
"""Between 5 and 10 times a second."""
KEPT = 64
"""Samples that wait for the watcher: ten seconds of them."""


class FastMemory:
    """Samples while it is armed. `arm`, `take` and `stop` from one thread."""

    def __init__(
        self,
        wake: threading.Event,
        interval_s: float = FAST_S,
        read: Callable[[], MemoryReading | None] = read_memory_fast,
    ) -> None:
        self._wake = wake
        self._interval_s = interval_s
        self._read = read
        self._samples: deque[tuple[float, MemoryReading]] = deque(maxlen=KEPT)
        self._limit: int | None = None
        self._over = 0
        self._armed = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.urgent = False
        """Two samples in a row were over the limit, and nobody has taken them yet."""

    @property
    def armed(self) -> bool:
        """Whether it samples now."""
        return self._armed.is_set()

    def arm(self, limit_bytes: int | None) -> None:
        """Sample against *limit_bytes*; None: rest. The thread begins with the first need."""
        self._limit = limit_bytes
        if limit_bytes is None:
            self._armed.clear()
            self._over = 0
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
            self._thread.start()
        self._armed.set()

    def take(self) -> list[tuple[float, MemoryReading]]:
        """The samples since the last call, oldest first, each with its CLOCK_MONOTONIC."""
        self.urgent = False
        taken = []
        while self._samples:
            taken.append(self._samples.popleft())
        return taken

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread."""
        self._stopping = True
        self._armed.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._armed.wait()
            if self._stopping:
                return
            self._sample()
            time.sleep(self._interval_s)

    def _sample(self) -> None:
        reading, limit = self._read(), self._limit
        if reading is None or limit is None:
            return
        self._samples.append((read_now().monotonic_s, reading))
        self._over = self._over + 1 if reading.used_bytes >= limit else 0
        if self._over == 2:  # once for each time that the limit is reached
            self.urgent = True
            self._wake.set()
