"""`doctor --prove`: a tiny random model through a lane for real, from launch to reloaded merge.

The rule: it is the lane's own way on the engine's own terms, in a run root that vanishes; each
step says what was seen, and the first that fails ends the proof.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monitor.files import read_json
from monitor.metrics import read_metrics
from monitor.model import Stage, Status
from monitor.probes.checkpoints import read_checkpoints
from monitor.rundir import RunDir
from monitor.words import duration
from runners.doctor.proof_gpus import GpuWatch
from runners.drills.guardian import guarded
from runners.drills.rehearse import may_rehearse, rehearse
from runners.drills.table import DRILLS
from runners.errors import RunnerError
from runners.launch import LaunchOrder, launch, start_keeper
from runners.requests import Action, put_request
from runners.runs import has_left, iter_runs, read_status_word, someone_lives

ITERATIONS = 5
SAVE_INTERVAL = 3
ITERATING = ("first_iteration", "iteration")
DRILL = "crash"
DRILL_SPEED = 3.0
PATIENCE_S = 600.0
"""Of one part: a container of a large image takes minutes to begin on a cold disk."""
END_S = 30.0
LOOK_S = 0.05
AIM_S = 300.0
"""A proof should take no longer once the image is here; who waits longer is told so."""

ACCUMULATION = {"nemo": 8}
"""Micro-batches that take half a second together, so that a stop which is asked for when the first
iteration begins comes before the last: Megatron's take longer (50 ms were seen on an H100, and a
second on a CPU that stands in for one)."""
USUAL_ACCUMULATION = 16


def overrides(lane: str) -> list[str]:
    """What a proof of *lane* changes of the demo's recipe."""
    return [
        f"train.iterations={ITERATIONS}",
        f"train.save_interval={SAVE_INTERVAL}",
        f"train.accumulation={ACCUMULATION.get(lane, USUAL_ACCUMULATION)}",
        'lanes.reference.device="auto"',
    ]


class ProofFailed(Exception):
    """A step did not come out as it must; its text says what was seen instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was done, and what was seen."""

    name: str
    ok: bool
    seen: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As the report has it."""
        return {
            "step": self.name,
            "ok": self.ok,
            "seen": self.seen,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How it went."""

    lane: str
    engine: str
    image: Mapping[str, Any] | None
    """As the run knows it: name, id, digest; None without containers."""
    steps: tuple[Step, ...]
    seconds: float
    pull_s: float = 0.0
    """Of the seconds, those in which the image was loaded."""
    gpus: tuple[dict[str, Any], ...] = ()
    versions: dict[str, Any] | None = None
    """Of the trainer's libraries, as the trainer says."""

    @property
    def ok(self) -> bool:
        """Every step came out as it must."""
        return bool(self.steps) and all(each.ok for each in self.steps)

    @property
    def overlong(self) -> str | None:
        """That it took longer than a proof should, and where; None where it did not."""
        took = self.seconds - self.pull_s
        if took <= AIM_S:
            return None
        longest = max(self.steps, key=lambda each: each.seconds)
        return (
            f"it took {_exactly(took)}{' after the pull' if self.pull_s else ''}, longer than the "
            f"{_exactly(AIM_S)} that a proof should; the longest step was {longest.name} "
            f"({_exactly(longest.seconds)})"
        )


def _exactly(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


Show = Callable[[Step], None]


def prove(order: LaunchOrder, show: Show) -> Proof:
    """Do it; *show* is told each step as it ends. Raises RunnerError where it cannot begin."""
    folder = Path(tempfile.mkdtemp(prefix="lanewatch-proof-"))
    began = time.monotonic()
    proving = _Proving(replace(order, root=folder / "runs"), show)
    try:
        with guarded(lambda: clear(folder)):
            proving.go()
        return Proof(
            lane=order.lane,
            engine=order.engine,
            image=proving.image,
            steps=tuple(proving.steps),
            seconds=time.monotonic() - began,
            pull_s=proving.pull_s,
            gpus=proving.gpus.shapes(),
            versions=proving.versions or None,
        )
    finally:
        proving.gpus.stop()
        clear(folder)


def clear(folder: Path) -> None:
    """End what is left of a proof in *folder*, and remove it; whoever was killed leaves this."""
    for run in iter_runs(folder / "runs"):
        status = read_status_word(run)
        if status is None or not status.final:
            put_request(run, Action.KILL)
            deadline = time.monotonic() + END_S
            while someone_lives(run) and time.monotonic() < deadline:
                time.sleep(LOOK_S)
        has_left(run)
    shutil.rmtree(folder, ignore_errors=True)


class _Proving:
    """One proof under way."""

    def __init__(self, order: LaunchOrder, show: Show) -> None:
        self._order, self._show = order, show
        self.steps: list[Step] = []
        self.gpus = GpuWatch()
        self.pull_s = 0.0
        self.versions: dict[str, Any] = {}
        self._run: RunDir | None = None

    def go(self) -> None:
        """Take the steps until one fails."""
        self.gpus.start()
        for name, step in self._steps():
            began = time.monotonic()
            try:
                seen, ok = step(), True
            except (ProofFailed, RunnerError, OSError) as error:
                seen, ok = str(error), False
            self.steps.append(Step(name=name, ok=ok, seen=seen, seconds=time.monotonic() - began))
            self._show(self.steps[-1])
            if not ok:
                return

    def _steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "launch", self._launch
        yield "stop --save", self._stop
        yield "resume", self._resume
        yield "checkpoints", self._checkpoints
        yield "merge and reload", self._merge
        yield "gpus", self.gpus.say
        yield f"drill {DRILL}", self._drill

    @property
    def image(self) -> Mapping[str, Any] | None:
        """What the containers were made from, as far as it is known by now."""
        info = (read_json(self._run.run_json).value if self._run else None) or {}
        image = info.get("image")
        names = ("name", "id", "digest")
        return {name: image.get(name) for name in names} if isinstance(image, Mapping) else None

    @property
    def run(self) -> RunDir:
        """The run of this proof."""
        assert self._run is not None
        return self._run

    def _launch(self) -> str:
        self._run = launch(self._order)
        self._until(self._trains, "the beginning of the first iteration")
        return f"the {self._order.lane} lane trains on the {self._order.engine} engine"

    def _trains(self) -> bool:
        beat = read_json(self.run.heartbeat).value or {}
        if self._final():
            raise ProofFailed(self._how_it_ended())
        return beat.get("stage") == Stage.TRAIN and beat.get("phase") in ITERATING

    def _stop(self) -> str:
        put_request(self.run, Action.STOP_AND_SAVE)
        self._until(self._final, "the end after stop --save")
        status, saved = read_status_word(self.run), self._saved()
        if status is not Status.STOPPED or not saved:
            raise ProofFailed(f"it was to stop with a checkpoint, but {self._how_it_ended()}")
        self._note_versions()
        return f"saved and stopped at iteration {saved[-1]} of {ITERATIONS}"

    def _resume(self) -> str:
        before = self._saved()[-1]
        has_left(self.run)
        start_keeper(self.run, "--resume", "--anyway")
        self._until(self._final, "the end of the resumed run")
        if read_status_word(self.run) is not Status.FINISHED:
            raise ProofFailed(f"it was to finish, but {self._how_it_ended()}")
        seen = read_metrics(self.run.metrics).iterations
        second = [each.iteration for each in seen if each.attempt == 2]
        if [each.iteration for each in seen] != list(range(1, ITERATIONS + 1)):
            raise ProofFailed(f"iterations {[each.iteration for each in seen]} were recorded")
        return f"went on from iteration {before} with {second or 'nothing'}, to the end"

    def _checkpoints(self) -> str:
        saved = self._saved()
        if len(saved) < 2 or saved[-1] != ITERATIONS:
            raise ProofFailed(f"checkpoints {saved} are whole, the last was to be {ITERATIONS}")
        return f"checkpoints {', '.join(map(str, saved))} are whole"

    def _merge(self) -> str:
        result = read_json(self.run.result).value or {}
        merged = self.run.export / "merged-hf-bf16"
        self._note_versions()
        if result.get("stage") != Stage.MERGE or result.get("reloaded") is not True:
            raise ProofFailed(f"the merged model was not loaded again: {result.get('cause')}")
        for name in ("config.json", "tokenizer.json"):
            if not (merged / name).is_file():
                raise ProofFailed(f"the merged model has no {name}")
        if not list((self.run.export / "adapter-hf").glob("adapter_model.safetensors")):
            raise ProofFailed("no adapter was exported")
        return f"{result.get('tensors')} tensors merged in bf16, loaded again, logits finite"

    def _note_versions(self) -> None:
        """Of the trainer, and of what merges: that may use fewer libraries."""
        found = (read_json(self.run.result).value or {}).get("versions")
        self.versions |= found if isinstance(found, dict) else {}

    def _drill(self) -> str:
        drill = DRILLS[DRILL]
        if not may_rehearse(drill):
            return "this user may not rehearse it here"
        rehearsed = rehearse(drill, rate=drill.rate * DRILL_SPEED, keep=False, show=lambda _: None)
        if not rehearsed.as_expected:
            raise ProofFailed("; ".join(rehearsed.problems))
        return "judged as expected"

    def _saved(self) -> list[int]:
        reading = read_checkpoints(self.run.checkpoints).value
        return [each.iteration for each in reading.checkpoints if each.complete] if reading else []

    def _final(self) -> bool:
        status = read_status_word(self.run)
        return status is not None and status.final

    def _how_it_ended(self) -> str:
        state = read_json(self.run.state).value or {}
        return f"it {state.get('status')}: {state.get('cause') or 'no cause is known'}"

    def _until(self, true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        looked = time.monotonic()
        deadline = looked + patience_s
        while not true():
            before, looked = looked, time.monotonic()
            if (read_json(self.run.state).value or {}).get("stage") == Stage.PULL:
                deadline = looked + patience_s  # 20 GB take as long as they take
                self.pull_s += looked - before
            if looked > deadline:
                raise ProofFailed(f"not within {duration(patience_s)}: {what}")
            self.gpus.look()
            time.sleep(LOOK_S)
