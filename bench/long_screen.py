"""A child of tui.py: twelve hours of a run's screen in some minutes, and what they leave in memory.

Prints a JSON object. The screen is drawn without a terminal; the files of the run grow as a trainer
and a watcher would let them, and are read by the sampler's own reader.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from measure import memory

from monitor.model import Liveness, Status
from monitor.probes.clock import read_now
from monitor.status import read_status
from monitor.status_model import IterationView, RunStatus
from tui.app import LanewatchApp
from tui.detail import DetailReader
from tui.messages import Sampled
from tui.state import Snapshot

LOOK_S = 5.0
STEP_S = 2.0
"""An iteration every other second: over twenty thousand in a night."""
TOTAL = 100_000
SETTLED_S = 1800.0
"""Until then what every screen needs has been loaded, and its caches are full."""
TABS = "1234567"


class Night:
    """A run folder that grows."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.folder = folder
        for name in ("run.json", "state.json"):
            (folder / name).write_bytes((template / name).read_bytes())
        (folder / "logs").mkdir()
        self._made = random.Random(3407)
        self._metrics = (folder / "metrics.jsonl").open("a")
        self._log = (folder / "logs" / "train.log").open("a")
        self._status = read_status(template, now=read_now())
        self.iteration = 0

    def pass_until(self, night_s: float, wall_s: float) -> RunStatus:
        """Let the files grow until *night_s*; returns what a watcher would say then."""
        while self.iteration < night_s / STEP_S:
            self.iteration += 1
            loss = 1 + 4 / (1 + self.iteration / 500) + self._made.random() / 10
            line = {"attempt": 1, "iteration": self.iteration, "loss": loss, "lr": 1e-4}
            line |= {"grad_norm": self._made.random(), "step_s": STEP_S, "wall_s": wall_s}
            self._metrics.write(json.dumps(line) + "\n")
            self._log.write(f"iteration {self.iteration}/{TOTAL} loss {loss:.4f}\n")
        self._metrics.flush()
        self._log.flush()
        machine = self._status.machine
        return replace(
            self._status,
            run=self.folder.name,
            stage="train",
            status=Status.RUNNING,
            verdict=Liveness.TRAINING,
            reason=f"iteration {self.iteration} of {TOTAL}",
            iteration=IterationView(value=self.iteration, total=TOTAL, source="heartbeat"),
            loss=loss_of(self.iteration),
            machine=replace(machine, cpu_percent=100 * self._made.random()) if machine else None,
            ended_wall=None,
        )


def loss_of(iteration: int) -> float:
    """About what the metrics say."""
    return 1 + 4 / (1 + iteration / 500)


async def screen_for(template: Path, hours: float) -> dict[str, float]:
    """PSS in MiB after half an hour and after *hours*, all tabs having been open in between."""
    with tempfile.TemporaryDirectory(prefix="lanewatch-bench-") as root:
        folder = Path(root) / template.name
        folder.mkdir()
        night, reader = Night(template, folder), DetailReader(folder)
        app = LanewatchApp(Path(root), folder.name, sampling=False)
        settled = 0.0
        begun = read_now().wall_s
        async with app.run_test(size=(160, 48)) as pilot:
            for look in range(1, int(hours * 3600 / LOOK_S) + 1):
                wall_s = begun + look * LOOK_S
                status = night.pass_until(look * LOOK_S, wall_s)
                detail = reader.read(status, wall_s)
                app.post_message(
                    Sampled(Snapshot(taken_wall=wall_s, runs=(status,), detail=detail))
                )
                await pilot.pause()
                if look % 20 == 0:
                    await pilot.press(TABS[look // 20 % len(TABS)])
                if look * LOOK_S == SETTLED_S:
                    gc.collect()
                    settled = memory(os.getpid()).pss
            gc.collect()
            return {"settled_mib": settled, "end_mib": memory(os.getpid()).pss}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(screen_for(Path(sys.argv[1]), float(sys.argv[2])))))
