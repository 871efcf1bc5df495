"""The trainer of a drill: `python -m runners.drills.trainer RUN_FOLDER`, started as a stage.

The rule: it keeps the contract as every lane does, with real files and a real (tiny) regression;
only its script says how long things take, and which fault happens at which iteration.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from monitor.probes.clock import RATE
from runners.drills.notes import Notes
from runners.drills.script import Script, script_from
from runners.payload.contract import STOP_NOW, Contract, run_stage, say

SLICE_S = 0.02
"""Real seconds of sleep between two descents: a trainer that is at work uses some CPU time."""
BREADTH = 16
READER_VARIABLE = "LANEWATCH_DRILL_READER"
"""Pid of a filter that was started beside us, as in a shell's pipe."""


class FastContract(Contract):
    """Stamps by the judged clock, as everything else in a drill."""

    def _stamp(self) -> dict[str, Any]:
        return super()._stamp() | {"monotonic_s": time.monotonic() * RATE}


class SilentContract(FastContract):
    """Of a trainer that knows nothing of lanewatch: it saves checkpoints and prints."""

    def heartbeat(self, **_: Any) -> None:
        """There is none."""

    def metric(self, iteration: int, **values: Any) -> None:
        """There is none."""

    def finish(self, ok: bool, outcome: str, cause: str | None = None, **fields: Any) -> None:
        """Nobody will ask."""


class Regression:
    """Fits a line through noisy points by gradient descent."""

    def __init__(self) -> None:
        self.weights = [0.0] * BREADTH
        self.rate = 0.01
        self._draw = random.Random(16)  # noqa: S311 - no secret is made of it
        self._truth = [self._draw.gauss(0, 1) for _ in self.weights]

    def descend(self) -> float:
        """Take one step and return the loss before it; a rate too large makes it no number."""
        inputs = [self._draw.gauss(0, 1) for _ in self.weights]
        error = sum(
            (w - t) * x for w, t, x in zip(self.weights, self._truth, inputs, strict=True)
        ) + self._draw.gauss(0, 0.1)
        self.weights = [
            w - self.rate * error * x for w, x in zip(self.weights, inputs, strict=True)
        ]
        return error * error


class Trainer:
    """One attempt at one drill."""

    def __init__(self, contract: Contract, script: Script, begin: int) -> None:
        self.contract = contract
        self.script = script
        self.notes = Notes(contract.run_dir)
        self.model = Regression()
        self.begin = begin
        self.reader: int | None = None
        """Pid of the filter that reads our stdout."""
        self.held: list[bytearray] = []
        self.maps: list[mmap.mmap] = []
        self._saves = 0

    def train(self, faults: Mapping[str, Callable[[Trainer], None]]) -> Mapping[str, Any]:
        """Train to the end."""
        script, contract = self.script, self.contract
        self._load()
        contract.heartbeat(phase="first_iteration", done=self.begin)
        for iteration in range(self.begin + 1, script.iterations + 1):
            self._iterate(iteration)
            fault = script.fault_of(iteration) if contract.attempt == 1 else None
            if fault is not None:
                faults[fault](self)
            if script.eval_interval and iteration % script.eval_interval == 0:
                self._evaluate(iteration)
            if iteration % script.save_interval == 0:
                self._save(iteration)
            if contract.stop_requested:
                return self._stop(iteration)
        return {"iteration": script.iterations}

    def work(self, judged_s: float) -> float:
        """Work for so long and return the last loss."""
        deadline = time.monotonic() + judged_s / RATE
        while True:
            losses = [self.model.descend() for _ in range(20)]
            left = deadline - time.monotonic()
            if left <= 0:
                return sum(losses) / len(losses)
            time.sleep(min(SLICE_S, left))

    def _load(self) -> None:
        script = self.script
        self.contract.heartbeat(phase="loading", total=script.iterations)
        say("loading the model")
        if not script.burst_bytes:
            self.work(script.load_s)
            return
        for _ in range(3):
            self.held = [bytearray(os.urandom(4096) * (script.burst_bytes // 4096))]
            self.work(script.load_s / 6)
            self.held = []
            self.work(script.load_s / 6)

    def _iterate(self, iteration: int) -> None:
        script = self.script
        first = iteration == self.begin + 1
        seconds = script.first_step_s if first else script.seconds_of(iteration)
        began = time.monotonic()
        loss = self.work(seconds)
        step_s = (time.monotonic() - began) * RATE
        # The contract takes a loss that is no number for what it is.
        self.contract.metric(iteration, loss=loss, lr=self.model.rate, step_s=round(step_s, 3))
        self.contract.heartbeat(
            phase="iteration", done=iteration, loss=loss, lr=self.model.rate, step_s=step_s
        )
        if iteration % script.log_interval == 0:
            long = script.line_bytes if iteration >= script.line_bytes_from else 0
            line = megatron_line if script.silent else own_line
            say(line(iteration, script.iterations, loss, self.model.rate, step_s).ljust(long))

    def _evaluate(self, iteration: int) -> None:
        self.contract.heartbeat(phase="evaluating")
        self.contract.metric(iteration, eval_loss=self.work(self.script.eval_s))
        self.contract.heartbeat(phase="iteration")

    def _save(self, iteration: int) -> None:
        self.contract.heartbeat(phase="saving")
        began = time.monotonic()
        source = self.contract.work / f"save-{iteration}"
        source.mkdir(exist_ok=True)
        (source / "weights.json").write_text(json.dumps(self.model.weights))
        self.work(self.script.save_s if self._saves else self.script.first_save_s)
        (source / "trainer_state.json").write_text(json.dumps({"global_step": iteration}))
        self.contract.publish(source, iteration)
        self._saves += 1
        self.contract.metric(iteration, save_s=round((time.monotonic() - began) * RATE, 3))
        self.contract.heartbeat(phase="iteration")

    def _stop(self, iteration: int) -> Mapping[str, Any]:
        if self.contract.stop_requested != STOP_NOW:
            self._save(iteration)
        return {"iteration": iteration, "outcome": "stopped"}


def own_line(iteration: int, total: int, loss: float, lr: float, step_s: float) -> str:
    """As the reference lane prints it."""
    return (
        f"iteration {iteration}/{total} | loss {loss:.4f} | lr {lr:.1e} | grad norm 1.00 | "
        f"step {step_s:.2f} s"
    )


def megatron_line(iteration: int, total: int, loss: float, lr: float, step_s: float) -> str:
    """As Megatron-Bridge prints it."""
    return (
        f" [2026-11-23 19:31:44] iteration {iteration:8}/{total:8} | consumed samples: "
        f"{iteration * 8:12} | elapsed time per iteration (ms): {step_s * 1000:.1f} | "
        f"learning rate: {lr:.6E} | global batch size: {8:5} | lm loss: {loss:.6E} | "
        f"loss scale: 1.0 | grad norm: 1.000 | number of skipped iterations:   0 | "
        f"number of nan iterations:   0 |"
    )


def main(run_folder: str) -> int:
    """Be the stage that the keeper started."""
    script, begin = _job(Path(run_folder))
    if script.wrapped and (child := os.fork()):
        _, status = os.waitpid(child, 0)
        say(f"train.sh: the trainer has ended ({status}), all done")
        return 0
    reader = _pipe_stdout() if script.pipe else None

    def train(contract: Contract) -> Mapping[str, Any]:
        from runners.drills.faults import FAULTS

        trainer = Trainer(contract, script, begin)
        named = os.environ.get(READER_VARIABLE)
        trainer.reader = reader.pid if reader else int(named) if named else None
        if begin:
            trainer.notes.say(f"it resumes from the checkpoint of iteration {begin}")
        return trainer.train(FAULTS)

    code = run_stage(train, SilentContract if script.silent else FastContract)
    if reader is not None:
        sys.stdout.flush()
        os.close(1)
        os.close(2)
        reader.wait()
    return code


def _job(run: Path) -> tuple[Script, int]:
    job = json.loads((run / "work" / "job.json").read_text())
    return script_from(job["recipe"]["drill"]["trainer"]), int(job["resume_from"] or 0)


def _pipe_stdout() -> subprocess.Popen[bytes]:
    """Put a filter between us and the log, as a person does with `| tee`."""
    reading, writing = os.pipe()
    reader = subprocess.Popen([shutil.which("cat") or "/bin/cat"], stdin=reading)
    os.close(reading)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    return reader


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
