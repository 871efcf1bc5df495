"""From a run's recipe to the requests an engine starts, and which stages need not run again.

A stage is skipped when its record (work/STAGE.done.json) says it was made from the same inputs and
every file the record lists is there with its size.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monitor.files import read_json, write_json
from monitor.model import Stage
from monitor.probes.checkpoints import read_checkpoints
from monitor.rundir import SCHEMA, RunDir, cache_root
from runners.checkpoint_files import damage, unresumable
from runners.chosen_gpu import insisting, named_gpu, only
from runners.engines.base import Access, Container, Gpu, Need, StageRequest
from runners.errors import RunnerError, RunStateError
from runners.lanes import get_lane
from runners.lanes.base import StagePlan
from runners.save_grace import save_grace_s
from runners.trackers import tracker_modules

SHM_GIB = 8

HUB_TOKENS = ("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN")
"""What the stage that asks the hub, and no other, may inherit."""
PAYLOAD_PACKAGE = "lanewatch_payload"
"""The name the payload folder gets inside a run, where it is imported without this package."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of one run, with what each needs to be started."""

    run: RunDir
    info: Mapping[str, Any]
    """run.json."""

    @property
    def stages(self) -> tuple[StagePlan, ...]:
        """In order, as the lane gives them."""
        smoke = self.info.get("kind") == "smoke"
        own = get_lane(self.info["lane"]).stages(self._recipe, smoke=smoke)
        return (*self._before(), *own)

    def _before(self) -> Iterator[StagePlan]:
        """What comes before any lane's own stages: image and base, where they must be got."""
        if self.info.get("image"):
            yield StagePlan(stage=Stage.PULL, module="runners.pull", on_host=True)
        if self.info.get("fetch"):
            yield StagePlan(
                stage=Stage.FETCH, module="runners.fetch", on_host=True, secrets=HUB_TOKENS
            )

    @property
    def need(self) -> Need:
        """What the run needs of its engine, now as when it was launched."""
        lane, image = get_lane(self.info["lane"]), self.info.get("image") or {}
        return Need(
            lane=lane.name,
            modules=lane.modules,
            extra=lane.extra,
            python=self.info.get("python") or sys.executable,
            image=image.get("id") or image.get("name"),
            pull=self._docker.get("pull") != "never",
            trackers=tracker_modules(self.info["recipe"], lane.name),
        )

    def requests(self, attempt: int) -> list[StageRequest]:
        """What the engine is asked for in all of an attempt, whether a stage is whole or not."""
        return [self.request(plan, attempt) for plan in self.stages]

    def request(self, plan: StagePlan, attempt: int) -> StageRequest:
        """What the engine is asked to start."""
        env = dict(plan.env) | {"PYTHONUNBUFFERED": "1"}
        if plan.on_host:
            argv: tuple[str, ...] = (sys.executable, "-P", "-m", plan.module, str(self.run.root))
        else:
            argv = (*self._python(plan), "-m", plan.module)
            given = plan.env.get("PYTHONPATH")
            env["PYTHONPATH"] = f"{self.run.payload}:{given}" if given else str(self.run.payload)
            env |= self._gpu_environment(plan)
        return StageRequest(
            run=self.run.root.name,
            folder=self.run.root,
            attempt=attempt,
            stage=plan.stage,
            argv=argv,
            env=env,
            cwd=self.run.work,
            log=self.run.log(plan.stage),
            lock=self.run.run_lock,
            container=self._container(plan),
            secrets=plan.secrets,
        )

    def _python(self, plan: StagePlan) -> tuple[str, ...]:
        if not self.info.get("image"):
            return (plan.python or self.info.get("python") or sys.executable, "-P")
        # No -P: an image's Python may be older than 3.11, and PYTHONSAFEPATH says it to the others.
        return (plan.python or self._docker.get("python") or "python3",)

    def _gpu_environment(self, plan: StagePlan) -> dict[str, str]:
        """The named GPU alone for a process of this host; a container is handed no other one."""
        named = named_gpu(self.info["recipe"])
        if named is None or self.info.get("image") or plan.gpu is Gpu.NONE:
            return {}
        return only(named)

    @property
    def _recipe(self) -> Mapping[str, Any]:
        """What lane and payload are told."""
        return insisting(self.info["recipe"])

    @property
    def _docker(self) -> Mapping[str, Any]:
        """The recipe's table of that name; runs of before there was one have none."""
        table = self.info["recipe"].get("docker")
        return table if isinstance(table, dict) else {}

    def _container(self, plan: StagePlan) -> Container | None:
        """What the stage may see and use where it runs in a container; else None."""
        image = self.info.get("image")
        if plan.on_host or not image:
            return None
        read_only = [self.run.data, self.run.payload, *map(Path, self._docker.get("read_only", ()))]
        if plan.stage is Stage.FETCH:
            read_only.append(Path(self.info["recipe"]["data"]["path"]))  # the tiny model's corpus
        elif plan.packages is None:  # what installs packages may come before there is a base
            read_only.append(Path(self.info["paths"]["base"]))
        writable = [self.run.root]
        if plan.cache is not Access.NONE:
            (writable if plan.cache is Access.WRITE else read_only).append(self._cache)
        if plan.packages is not None and self.info.get("wheelhouse"):
            read_only.append(Path(self.info["wheelhouse"]))
        return Container(
            image=image.get("id") or image.get("name"),
            read_only=tuple(read_only),
            writable=tuple(writable),
            read_whole=tuple(each for each in read_only if each in self._foreign),
            gpu=plan.gpu,
            gpu_id=named_gpu(self.info["recipe"]),
            network=plan.network and not self.info.get("wheelhouse"),
            shm_bytes=int(float(self._docker.get("shm_gib") or SHM_GIB) * 2**30),
            stop_timeout_s=save_grace_s(self.run),
        )

    @property
    def _foreign(self) -> tuple[Path, ...]:
        """What was there before lanewatch came, and every file of which is read."""
        return Path(self.info["paths"]["base"]), Path(self.info["recipe"]["data"]["path"])

    @property
    def _cache(self) -> Path:
        """What runs share, as it was when this one was launched."""
        return Path(self.info["paths"].get("cache") or cache_root())

    def write_job(self, plan: StagePlan, attempt: int, *, iteration: int | None = None) -> None:
        """Write work/job.json, all that the payload needs to know. Raises OSError.

        *iteration* is the checkpoint to merge; None: the one that the tracker names.
        """
        job = self.job(plan, attempt) | {"iteration": iteration}
        write_json(self.run.work / "job.json", job, durable=False)

    def job(self, plan: StagePlan, attempt: int) -> dict[str, Any]:
        """The content of work/job.json for one stage."""
        train = self.info["recipe"]["train"]
        automatic = train["iterations"] == "auto"
        return {
            "schema": SCHEMA,
            "run": self.run.root.name,
            "attempt": attempt,
            "stage": plan.stage.value,
            "recipe": self._recipe,
            "recipe_hash": self.info["recipe_hash"],
            "paths": {
                "run": str(self.run.root),
                "base": self.info["paths"]["base"],
                "data": str(self.run.data),
                "checkpoints": str(self.run.checkpoints),
                "work": str(self.run.work),
                "export": str(self.run.export),
                "cache": str(self._cache),
            },
            "iterations": None if automatic else train["iterations"],
            "save_interval": train["save_interval"],
            "resume_from": self.resume_from() if plan.stage is Stage.TRAIN else None,
            "calibrate": _calibration(train) if automatic else None,
            "smoke": self.info.get("smoke"),
            "packages": self._packages(plan),
        }

    def _packages(self, plan: StagePlan) -> dict[str, Any] | None:
        if plan.packages is None:
            return None
        image = self.info.get("image") or {}
        given = {"lane": self.info["lane"], "wheelhouse": self.info.get("wheelhouse")}
        return asdict(plan.packages) | given | {"image": image.get("id")}

    def resume_from(self) -> int | None:
        """The iteration of the newest checkpoint to go on from, if there is one."""
        return newest_whole(self.run, unresumable)

    def begins_where(self) -> str | None:
        """What a person should know of where the training of a resume begins.

        Raises RunStateError where it would begin anew though checkpoints are there.
        """
        training = [plan for plan in self.stages if plan.stage is Stage.TRAIN]
        faults = passed_over(self.run)
        if not faults or all(self.is_done(plan) for plan in training):
            return None
        last = self.resume_from()
        if last is not None:
            return f"the training goes on from checkpoint {last}: {faults[0]}"
        raise RunStateError(
            f"run {self.run.root.name} has checkpoints, but none to go on from: {faults[0]}; "
            "`lanewatch export` can still merge one; to begin anew, launch it again"
        )

    def is_done(self, plan: StagePlan) -> bool:
        """True when the stage's output is whole and was made from the same inputs.

        An image is looked at anew each time: it is outside the run, and to look takes a moment.
        """
        if plan.stage is Stage.PULL:
            return False
        record = read_json(self._record(plan.stage)).value
        if record is None or record.get("inputs") != self.inputs(plan.stage):
            return False
        if plan.stage is Stage.PREPARE and not self._data_unchanged():
            return False
        outputs = record.get("outputs")
        if not isinstance(outputs, dict) or not outputs:
            return False
        return all(_size(self.run.root / name) == size for name, size in outputs.items())

    def mark_done(self, plan: StagePlan) -> None:
        """Record that the stage's output is whole. Raises OSError."""
        outputs = {
            str(path.relative_to(self.run.root)): path.stat().st_size
            for folder in self._outputs(plan.stage)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        content = {"schema": SCHEMA, "inputs": self.inputs(plan.stage), "outputs": outputs}
        write_json(self._record(plan.stage), content, durable=True)

    def forget(self, plan: StagePlan) -> None:
        """Unsay that the stage's output is whole. Raises OSError."""
        self._record(plan.stage).unlink(missing_ok=True)

    def inputs(self, stage: Stage) -> str:
        """SHA-256 over all that *stage* makes its output from: recipe, payload, stages before."""
        before = [plan.stage.value for plan in self.stages]
        content = {
            "recipe": self.info["recipe_hash"],
            "payload": self.info.get("payload_hash"),
            "kind": self.info.get("kind"),
            "base": self.info["paths"]["base"],
            "stages": before[: before.index(stage.value) + 1],
            "data": self._ids_hash() if stage in (Stage.TRAIN, Stage.MERGE) else None,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _data_unchanged(self) -> bool:
        """True while the rows and the tokenizer are those that `prepare` read."""
        # Loaded here: a keeper that does not resume needs none of jinja2 and tokenizers.
        from runners.prepare import prepare_inputs, prepare_is_whole

        try:
            return prepare_is_whole(self.run.root, prepare_inputs(self.run.root))
        except (RunnerError, OSError):
            return False

    def _ids_hash(self) -> object:
        return (read_json(self.run.data / "manifest.json").value or {}).get("ids_sha256")

    def _record(self, stage: Stage) -> Path:
        return self.run.work / f"{stage.value}.done.json"

    def _outputs(self, stage: Stage) -> list[Path]:
        if stage is Stage.TRAIN:
            last = self.resume_from()
            return [] if last is None else [self.run.checkpoint(last)]
        if stage is Stage.IMPORT:
            return []  # shared, and anyone may have pruned it: the stage itself looks, at once
        if stage is Stage.PULL:
            return []
        folders = {
            Stage.FETCH: Path(self.info["paths"]["base"]),
            Stage.PREPARE: self.run.data,
            Stage.MERGE: self.run.export,
        }
        return [folders[stage]]


def passed_over(run: RunDir) -> list[str]:
    """Why no training goes on from the checkpoints newer than the one it goes on from."""
    faults: list[str] = []
    reading = read_checkpoints(run.checkpoints).value
    for each in reversed(reading.checkpoints if reading else ()):
        folder = run.checkpoint(each.iteration)
        why = unresumable(folder) or (None if each.complete else f"{folder.name} is not whole")
        if why is None:
            break
        faults.append(why)
    return faults


def newest_whole(run: RunDir, fault: Callable[[Path], str | None] = damage) -> int | None:
    """The iteration of the newest checkpoint of *run* that can be read and has no *fault*."""
    reading = read_checkpoints(run.checkpoints).value
    for each in reversed(reading.checkpoints if reading else ()):
        if each.complete and not fault(run.checkpoint(each.iteration)):
            return each.iteration
    return None


def _calibration(train: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "steps": 5,
        "seconds": train["auto_seconds"],
        "min_iterations": train["auto_min_iterations"],
        "checkpoints": train["auto_checkpoints"],
    }


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def copy_payload(run: RunDir) -> str:
    """Copy the payload into the run, so that a later upgrade of this package cannot change it.

    Returns the SHA-256 over its files. Raises OSError.
    """
    source = Path(__file__).parent / "payload"
    target = run.payload / PAYLOAD_PACKAGE
    run.payload.mkdir(mode=0o700)
    target.mkdir(mode=0o700)
    digest = hashlib.sha256()
    for path in sorted([*source.glob("*.py"), *source.glob("*.lock.txt")]):
        content = path.read_bytes()
        digest.update(path.name.encode() + b"\0" + content)
        descriptor = os.open(target / path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
    return digest.hexdigest()
