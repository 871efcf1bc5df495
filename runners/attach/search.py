"""Find what could be watched: trainers of this machine, inside containers too, with their files."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from monitor.probes.gpu import GpuSampler
from monitor.probes.text import clean_line
from runners.attach.choose import choose_trainer, plausible, same_launch
from runners.attach.command_line import Hints, Role, folder_changes, lane_of, read_command
from runners.attach.docker_engine import DockerEngine
from runners.attach.expected import Expected, from_checkpoints, from_config, from_log, read_part
from runners.attach.folders import changed_wall, has_megatron_layout, open_folder
from runners.attach.output import Output, find_output, trainer_behind, warnings_of
from runners.attach.place import Place, place_of
from runners.attach.process_table import (
    ProcessTable,
    read_environment,
    read_process_table,
    started_wall,
)
from runners.attach.saving import Claim, choose_folder, claim_of, shared_with
from runners.attach.values import NO_FOLDER, Candidate, Container, Found, Process
from runners.errors import RunnerError

GPU_WAIT_S = 3.0
"""NVML answers within a second; on a wedged box it may never."""
MOST_COMMAND = 300
RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
"""In the environment of each rank of a launch."""
DRIVER = "/dev/nvidia-uvm"
"""Open in what computes; a desktop that only draws has other devices."""


@dataclass
class Search:
    """One search: the process table, the GPUs' users and the engine, each asked at most once."""

    table: ProcessTable = field(default_factory=read_process_table)
    engine: DockerEngine = field(default_factory=DockerEngine)
    _claims: dict[int, Claim] = field(default_factory=dict)

    @cached_property
    def gpu_pids(self) -> frozenset[int]:
        """Processes that compute on a GPU, as far as the driver or their open files say."""
        holding = {
            pid
            for pid in self.table.processes
            if any(each.target.startswith(DRIVER) for each in self.table.open_files(pid) or ())
        }
        return frozenset(holding | set(_driver_users()))

    def trainers(self) -> list[Process]:
        """The trainer of each family that looks like training, the newest first."""
        return self._trainers

    @cached_property
    def _trainers(self) -> list[Process]:
        likely = [each for each in self.table.processes.values() if self._is_likely(each)]
        pids = {each.pid for each in likely}
        tops = [each for each in likely if each.parent not in pids]
        chosen = {
            found.pid: found
            for top in tops
            if (found := choose_trainer(self.table.family(top.pid), self.gpu_pids)) is not None
        }
        return sorted(chosen.values(), key=lambda each: each.start_ticks, reverse=True)

    def by_pid(self, pid: int) -> Process:
        """The trainer that *pid* is, or has started. Raises RunnerError."""
        process = self.table.get(pid)
        if process is None:
            raise RunnerError(f"--pid {pid}: no such process runs a program on this machine")
        role = read_command(process.argv).role
        if role is Role.CLIENT:
            found = self._behind_client(process)
        elif role is Role.TRAINER:
            found = process
        else:
            below = [each for each in self.table.family(pid) if each.pid != os.getpid()]
            found = choose_trainer(below, self.gpu_pids)
        return found or process

    def in_container(self, name: str) -> Process:
        """The trainer inside container *name*. Raises RunnerError."""
        container = self.engine.find(name)
        wanted = container.id if container else name
        inside = [
            each
            for each in self.table.processes.values()
            if each.container is not None
            and (each.container == wanted or (len(name) >= 4 and each.container.startswith(wanted)))
        ]
        if not inside:
            raise RunnerError(self._nothing_in(name, container))
        found = choose_trainer(inside, self.gpu_pids)
        if found is None:
            names = ", ".join(sorted({each.program for each in inside}))
            raise RunnerError(
                f"--container {name}: no trainer runs in it, only {names}; "
                "--pid names one that is not recognised"
            )
        return found

    def candidate(self, process: Process, *, watched_since: float | None = None) -> Candidate:
        """Everything that can be found out about *process*.

        *watched_since*: only a folder that has changed since then is taken to be its own.
        """
        container = self._container(process)
        hints, place = self._read(process)
        output, number = find_output(self.table, process, container)
        began = started_wall(process.start_ticks)
        log = self._log(output, number)
        others = self._other_claims(process)
        saves = choose_folder(
            claim_of(self.table, place, hints, log),
            others,
            began if watched_since is None else watched_since,
            watched=watched_since is not None,
        )
        checkpoints = saves.folder
        expected = expected_of(hints, checkpoints, log, began)
        return Candidate(
            pid=process.pid,
            start_ticks=process.start_ticks,
            command=clean_line(" ".join(process.argv), limit=MOST_COMMAND),
            started_wall=began,
            container=container,
            container_id=process.container,
            gpu=process.pid in self.gpu_pids,
            lane=_lane(hints, container, checkpoints, log),
            checkpoints=checkpoints,
            log=log,
            total=expected.total,
            total_why=expected.total_why,
            save_interval=expected.save_interval,
            warnings=(*_warnings(output, log, saves.doubt), *shared_with(checkpoints, others)),
            hidden=tuple(self._hidden(process, output, checkpoints, log)),
        )

    def _container(self, process: Process) -> Container | None:
        return self.engine.find(process.container) if process.container else None

    def _read(self, process: Process) -> tuple[Hints, Place]:
        """What its command line and those above it say, and how it sees the file system."""
        line = [each.argv for each in (process, *self.table.ancestors(process.pid))]
        hints = _merged(read_command(process.argv), [read_command(each) for each in line[1:]])
        changes = [folder for argv in line for folder in folder_changes(argv)]
        place = place_of(process, self._container(process), changes)
        return _configured(hints, place), place

    def _other_claims(self, process: Process) -> list[Claim]:
        """What the other trainers say of where they save."""
        kin = {each.pid for each in self.table.family(process.pid)}
        kin |= {each.pid for each in self.table.ancestors(process.pid)}
        others = [
            each
            for each in self.trainers()
            # Ranks of one launch save into one folder.
            if each.pid not in kin and not _are_ranks(each, process)
        ]
        return [self._claim(each) for each in others]

    def _claim(self, process: Process) -> Claim:
        if process.pid not in self._claims:
            hints, place = self._read(process)
            self._claims[process.pid] = claim_of(self.table, place, hints)
        return self._claims[process.pid]

    def _is_likely(self, process: Process) -> bool:
        if process.pid == os.getpid():
            return False
        saving = open_folder(self.table.open_files(process.pid)) is not None
        if not (saving or plausible(process, self.gpu_pids)):
            return False
        return "LANEWATCH_RUN" not in read_environment(process.pid)

    def _behind_client(self, client: Process) -> Process | None:
        """What a `docker exec` or `docker run` client has started in its container."""
        for word in client.argv[1:]:
            container = self.engine.find(word) if not word.startswith("-") else None
            if container is not None:
                family = trainer_behind(self.table, client, container)
                return choose_trainer(family, self.gpu_pids) or next(iter(family), None)
        return None

    def _nothing_in(self, name: str, container: Container | None) -> str:
        if container is not None:
            return f"--container {name}: it is not running"
        if self.engine.problem is not None:
            return f"--container {name}: {self.engine.problem}"
        return f"--container {name}: no such container; `docker ps` lists those that run"

    def _log(self, output: Output, number: int) -> Found | None:
        if output.file is None:
            return None
        owner = output.owner
        container = self.engine.find(owner.container) if owner.container else None
        path = place_of(owner, container).on_host(output.file)
        if path is None or (os.path.exists(path) and not os.path.isfile(path)):  # noqa: PTH110, PTH113 - never raise
            return None
        return Found(path, output.why(number))

    def _hidden(self, process: Process, output: Output, *found: Found | None) -> Iterable[str]:
        """What this user may not read, and what to do."""
        if self.table.open_files(process.pid) is None:
            yield (
                f"this user may not read the open files of pid {process.pid} "
                f"(of {_user(process.uid)}): run with sudo, or name --log and --checkpoints if "
                "they are not found"
            )
        if output.hidden and output.owner.pid != process.pid:
            yield output.hidden
        for each in found:
            if each is not None and _is_closed(each.path):
                yield f"this user may not read {each.path}: run with sudo"
        if process.container is not None and self.engine.problem is not None:
            yield self.engine.problem


def _are_ranks(one: Process, other: Process) -> bool:
    """Of one launch, and no command that was given twice."""
    if not same_launch(one, other):
        return False
    known = read_environment(one.pid)
    return not known or any(each in known for each in RANKS)


def _driver_users() -> Iterable[int]:
    """The processes that the driver names; none where it does not answer soon."""
    sampler = GpuSampler()
    sampler.start()
    deadline = time.monotonic() + GPU_WAIT_S
    while not (gpus := sampler.latest()) and sampler.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    sampler.stop(timeout_s=0.0)
    return [pid for gpu in gpus for pid, _ in gpu.process_bytes]


def _merged(own: Hints, above: Iterable[Hints]) -> Hints:
    """What the process itself does not say, its launcher may."""
    for each in above:
        if each.role is not Role.LAUNCHER:
            continue
        own = replace(
            own,
            checkpoints=own.checkpoints or each.checkpoints,
            checkpoints_flag=own.checkpoints_flag or each.checkpoints_flag,
            total=own.total or each.total,
            total_flag=own.total_flag or each.total_flag,
            save_interval=own.save_interval or each.save_interval,
            config=own.config or each.config,
            lane=own.lane or each.lane,
        )
    return own


def _configured(hints: Hints, place: Place) -> Hints:
    """What its command line does not say, the configuration file that it names may."""
    path = place.on_host(hints.config) if hints.config is not None else None
    if path is None:
        return hints
    expected, folder = from_config(read_part(Path(path)))
    return replace(
        hints,
        checkpoints=hints.checkpoints or folder,
        checkpoints_flag=hints.checkpoints_flag or "output_dir of its configuration file",
        total=hints.total or expected.total,
        total_flag=hints.total_flag or "max_steps of its configuration file",
        save_interval=hints.save_interval or expected.save_interval,
    )


def expected_of(
    hints: Hints, checkpoints: Found | None, log: Found | None, began_wall: float | None
) -> Expected:
    """Its arguments first, then what its checkpoints and its log say.

    What an earlier training saved there may have had another end and interval; its own will tell.
    """
    folder = Path(checkpoints.path) if checkpoints is not None else None
    changed = changed_wall(folder) if folder is not None else None
    own = changed is not None and (began_wall is None or changed >= began_wall)
    saved = from_checkpoints(folder) if folder is not None and own else Expected()
    total, why = hints.total, f"argument {hints.total_flag}"
    if total is None:
        said = from_log(Path(log.path), began_wall) if log is not None else Expected()
        best = saved if saved.total is not None else said
        total, why = best.total, best.total_why or ""
    return Expected(
        total=total,
        total_why=why if total is not None else None,
        save_interval=hints.save_interval or saved.save_interval,
    )


def _lane(
    hints: Hints, container: Container | None, checkpoints: Found | None, log: Found | None
) -> str | None:
    """A guess: from its command line, its image, its log, the layout of its checkpoints."""
    guess = hints.lane or lane_of(container.image if container else "")
    if guess is None and log is not None:
        guess = lane_of(read_part(Path(log.path)))
    if guess is None and checkpoints is not None:
        guess = "nemo" if has_megatron_layout(Path(checkpoints.path)) else None
    return guess


def _warnings(output: Output, log: Found | None, doubt: str | None) -> Iterable[str]:
    if doubt is not None:
        yield (
            f"{NO_FOLDER} ({doubt}): it is searched for while the run is watched; "
            "--checkpoints names it"
        )
    if log is None and output.end is not None:
        yield f"no log to watch: {output.end}"
    yield from warnings_of(output)


def _is_closed(path: str) -> bool:
    """It is there, or may be, but not for this user."""
    try:
        Path(path).stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(path, os.R_OK)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
