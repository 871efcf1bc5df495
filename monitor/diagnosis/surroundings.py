"""Put together what lies around a run's threads: waits, ranks, the box."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.diagnosis.bounds import Bounds
from monitor.diagnosis.box import Meters, box_lines, faults_rate, read_meters
from monitor.diagnosis.flight_recorder import read_collectives
from monitor.diagnosis.freezer import read_frozen
from monitor.diagnosis.places import FileSystem, Rank, Surroundings
from monitor.diagnosis.rank_processes import read_ranks
from monitor.diagnosis.rights import container_id
from monitor.diagnosis.values import KernelThread
from monitor.diagnosis.waits import read_waits
from monitor.model import GpuReading, ProcessId
from monitor.probes.process import started_s

PROCESSES = 8
"""Of the trainer and its children, the first so many; and every rank."""


class Around:
    """Read once before the samples, and once after."""

    def __init__(self, family: Sequence[int], bounds: Bounds) -> None:
        self.ranks: tuple[Rank, ...] = read_ranks(family)
        ranked = [each.pid for each in self.ranks]
        rest = [pid for pid in family[1:] if pid not in ranked][:PROCESSES]
        self.pids: tuple[int, ...] = tuple(dict.fromkeys([*family[:1], *ranked, *rest]))
        """Whose stacks are taken, the trainer first."""
        self._before: Meters = read_meters(self.pids)
        self._bounds = bounds

    def after(
        self,
        process: ProcessId | None,
        kernel: Sequence[KernelThread],
        gpus: Sequence[GpuReading],
        dead: FileSystem | None = None,
    ) -> Surroundings:
        """What was seen, now that the samples are taken; *dead*: where the checkpoints lie."""
        if not self.pids or process is None:
            return Surroundings()
        now = read_meters(self.pids)
        return Surroundings(
            waits=read_waits(
                (
                    (each.pid, each.tid)
                    for each in sorted(kernel, key=lambda each: each.tid != each.pid)
                    if each.state != "R"
                ),
                self._bounds,
            ),
            ranks=self.ranks,
            collectives=read_collectives(self.ranks),
            checkpoints_silent=dead,
            frozen=read_frozen(self.pids[0]),
            container=container_id(self.pids[0]),
            major_faults_s=faults_rate(self._before, now),
            box=box_lines(self._before, now, self.pids, gpus, started_s(process)),
        )
