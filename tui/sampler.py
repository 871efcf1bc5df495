"""The thread that reads disk and machine for the screens, and hands over one value a tick.

Its own daemon thread: a call that hangs (a dead network file system, a wedged driver) holds up
neither the screen nor quitting. It writes nothing and starts no process.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui.state import is_over

if TYPE_CHECKING:
    from monitor.model import GpuReading, MachineReading
    from monitor.probes.clock import Now
    from monitor.probes.gpu import GpuSampler
    from monitor.probes.machine import CpuMeter
    from monitor.status_model import RunStatus
    from tui.detail import DetailReader
    from tui.run_list import RunList
    from tui.state import RunDetail, Snapshot

WALL_STEP_S = 5.0
"""The clock that the screens see moves in such steps: a quiet state stays equal to itself."""

HEAD_START_S = 0.1
"""Drawing competes with reading for the interpreter: what was read first is drawn first."""


class Sampler:
    """Calls *emit* with each new state and *fail* with a sentence when reading itself failed."""

    def __init__(
        self,
        root: Path,
        emit: Callable[[Snapshot], object],
        fail: Callable[[str], object],
        *,
        interval_s: float = 1.0,
    ) -> None:
        self._root = root
        self._emit = emit
        self._fail = fail
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._open: str | None = None
        self._last: Snapshot | None = None
        self._problem = ""
        self._machine: _Machine | None = None
        self._runs: RunList | None = None
        self._detail: DetailReader | None = None
        self._whole: tuple[RunStatus, RunStatus] | None = None
        self._ticked_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    @property
    def silent_s(self) -> float:
        """Seconds since the last tick ended, whether or not it had news."""
        return time.monotonic() - self._ticked_s

    @property
    def problem(self) -> str:
        """Why the last tick brought nothing, in one sentence; empty where it did."""
        return self._problem

    def start(self) -> None:
        """Begin to sample, once."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it is not waited for, since a read may hang."""
        self._stopping.set()
        self._wake.set()

    def open(self, run: str | None) -> None:
        """Read the details of *run* too, beginning now; None: of no run."""
        self._open = run
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._tick()
                self._problem = ""
            except Exception as error:  # noqa: BLE001 - the thread's rim: say it and go on
                self._report(error)
            self._ticked_s = time.monotonic()
            self._wake.wait(self._interval_s)
        if self._machine is not None:
            self._machine.stop()

    def _report(self, error: Exception) -> None:
        problem = _sentence(self._root, error)
        if problem != self._problem:
            self._problem = problem
            self._fail(problem)

    def _tick(self) -> None:
        # Imported here and not above: the first paint does not wait for what only this thread uses.
        from monitor.probes.clock import read_now

        if self._runs is None or self._machine is None:
            self._runs, self._machine = _new_run_list(self._root), _Machine(self._root)
        now = read_now()
        runs = self._runs.read(now, lambda part: self._post(part, now.wall_s, scanned=False))
        runs = self._with_the_open_one_whole(runs, now)
        if self._open is not None and (self._detail is None or self._detail.run != self._open):
            # Its verdict need not wait until the past of a long run is read.
            self._post(runs, now.wall_s, scanned=True, detailed=False)
            self._stopping.wait(HEAD_START_S)
        self._post(runs, now.wall_s, scanned=True)

    def _with_the_open_one_whole(
        self, runs: tuple[RunStatus, ...], now: Now
    ) -> tuple[RunStatus, ...]:
        """Of a run that is over the list has the outline; the one on the screen is read whole."""
        from monitor.status import read_status

        outline = next((run for run in runs if run.run == self._open and is_over(run)), None)
        if outline is None:
            self._whole = None
            return runs
        if self._whole is None or self._whole[0] is not outline:
            self._whole = (outline, read_status(self._root / outline.run, now=now))
        whole = self._whole[1]
        return tuple(whole if run is outline else run for run in runs)

    def _post(
        self, runs: tuple[RunStatus, ...], wall_s: float, *, scanned: bool, detailed: bool = True
    ) -> None:
        from tui.snapshot import Snapshot

        assert self._machine is not None
        live = [run for run in runs if not is_over(run)]
        machine = self._machine.read(live, gpus=scanned)
        snapshot = Snapshot(
            taken_wall=math.floor(wall_s / WALL_STEP_S) * WALL_STEP_S,
            root=str(self._root),
            runs=runs,
            machine=machine,
            memory_limit_bytes=_limit(live, machine),
            memory_level=_level(live),
            detail=self._read_detail(runs, wall_s) if scanned and detailed else None,
            scanned=scanned,
        )
        if snapshot != self._last:
            self._last = snapshot
            self._emit(snapshot)

    def _read_detail(self, runs: tuple[RunStatus, ...], wall_s: float) -> RunDetail | None:
        run = self._open
        if run is None:
            self._detail = None
            return None
        from tui.detail import DetailReader  # a board reads none

        if self._detail is None or self._detail.run != run:
            self._detail = DetailReader(self._root / run)
        status = next((each for each in runs if each.run == run), None)
        return self._detail.read(status, wall_s)


class _Machine:
    """The machine's reading; its GPUs come from a run's watcher while one of them is fresh."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._cpu: CpuMeter | None = None
        self._gpus: GpuSampler | None = None

    def read(self, live: list[RunStatus], *, gpus: bool = True) -> MachineReading | None:
        """Read it; without *gpus*, as if it had none: to load what asks the driver takes long."""
        from dataclasses import replace

        from monitor.probes.machine import CpuMeter, read_machine

        self._cpu = self._cpu or CpuMeter()
        folder = self._root if self._root.exists() else Path("/")
        reading = read_machine(folder, cpu=self._cpu).value
        if reading is None or not gpus:
            return reading
        return replace(reading, gpus=self._read_gpus(live))

    def stop(self) -> None:
        if self._gpus is not None:
            self._gpus.stop(timeout_s=0.0)
            self._gpus = None

    def _read_gpus(self, live: list[RunStatus]) -> tuple[GpuReading, ...]:
        """The driver is asked from here only while no watcher does: once a second is enough."""
        watched = next((run for run in live if run.watcher.alive and run.machine), None)
        if watched is not None and watched.machine is not None:
            self.stop()
            return watched.machine.gpus
        if self._gpus is None:
            from monitor.probes.gpu import GpuSampler

            self._gpus = GpuSampler()
            self._gpus.start()
        return self._gpus.latest()


def _sentence(root: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.filename in (None, str(root)):
        return (
            f"The runs in {root} cannot be read: {error.strerror or error}. "
            "LANEWATCH_RUNS names the folder."
        )
    return f"The runs in {root} cannot be read: {type(error).__name__}: {error}"


def _new_run_list(root: Path) -> RunList:
    from monitor.status import OutlineReader
    from tui.run_list import RunList

    return RunList(root, OutlineReader().read)


def _limit(live: list[RunStatus], machine: MachineReading | None) -> int | None:
    """A live run's limit, else the default one of this machine."""
    named = next((run.memory.limit_bytes for run in live if run.memory), None)
    if named is not None or machine is None or machine.memory is None:
        return named
    from monitor.budget import memory_limit

    return memory_limit(machine.memory.total_bytes, None)


def _level(live: list[RunStatus]) -> str:
    """The machine is as near to its limit as the most worried watcher says."""
    order = ("ok", "warn", "high", "limit")
    said = [run.memory.level for run in live if run.memory and run.memory.level in order]
    return max(said, key=order.index, default="ok")
