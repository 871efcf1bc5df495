"""What was seen of the machine and of what a launch needs, as frozen values. Pure.

`None` means *not known*: it could not be read, or nobody asked. What cannot be asked at all has its
reason beside it, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.memory_return import Holder
from monitor.readings import GpuReading, MemoryReading
from runners.doctor.base_shape import BaseShape
from runners.doctor.memory_estimate import MemoryEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """One container of the engine, running or not."""

    id: str
    name: str
    image: str = ""
    running: bool = False
    run: str | None = None
    """The run id of its label; None: lanewatch did not start it."""
    root: str | None = None
    """The folder of runs that this one is of, by its label."""
    restart: str = ""
    """Its restart policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerFacts:
    """The Docker engine of this machine."""

    problem: str | None = None
    """Why it cannot be asked."""
    version: str | None = None
    runtimes: tuple[str, ...] = ()
    cdi_gpus: tuple[str, ...] = ()
    """GPUs that it offers through CDI, by name."""
    gpu_hook: bool = False
    """NVIDIA's container toolkit is installed, by which an engine hands out GPUs without more."""
    live_restore: bool | None = None
    rootless: bool = False
    userns: bool = False
    data_root: str | None = None
    data_free_bytes: int | None = None
    containers: tuple[ContainerFacts, ...] = ()

    @property
    def gives_gpus(self) -> bool:
        """A container can have a GPU."""
        return "nvidia" in self.runtimes or self.gpu_hook or bool(self.cdi_gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The image of a lane."""

    name: str
    local: bool | None = None
    pull_bytes: int | None = None
    """Compressed, as the registry says; asked only where it is not local."""
    problem: str | None = None
    """Why the registry does not give its manifest."""
    remedy: str | None = None
    """What to do about that, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """Where a run writes."""

    path: str
    free_bytes: int | None = None
    device: int | None = None
    """Two paths on one device share what is free."""
    kind: str | None = None
    """Its file system, "ext4"."""
    local: bool = True
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseFacts:
    """The base model."""

    name: str
    folder: str | None = None
    problem: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """Its config.json."""
    template: str = ""
    """Its chat template; empty where there is none."""
    bytes: int | None = None
    """Of its weights on disk."""
    largest_file_bytes: int | None = None
    hub: str | None = None
    """Its name on the hub, where a stage is to fetch it."""
    made_here: bool = False
    """The tiny one, which a stage makes."""
    shape: BaseShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFacts:
    """What the kernel allows this user. None in a limit: unlimited, or not known."""

    open_files: int | None = None
    locked_bytes: int | None = None
    address_bytes: int | None = None
    processes: int | None = None
    shm_bytes: int | None = None
    shm_free_bytes: int | None = None
    inotify_watches: int | None = None
    inotify_instances: int | None = None
    cores: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What ends with this user's session. None: not known, or no logind here."""

    kill_user_processes: bool | None = None
    remove_ipc: bool | None = None
    linger: bool | None = None
    logind: bool = False
    uid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFacts:
    """The NVIDIA driver."""

    version: str | None = None
    gpus: tuple[GpuReading, ...] = ()
    problem: str | None = None
    """Why it does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """The machine, whatever is launched on it."""

    memory: MemoryReading | None = None
    limit_bytes: int | None = None
    unified: bool | None = None
    """The GPU shares the memory; None where no GPU was read."""
    holders: tuple[Holder, ...] = ()
    """All that hold much, most first."""
    limits: LimitFacts = field(default_factory=LimitFacts)
    session: SessionFacts = field(default_factory=SessionFacts)
    driver: DriverFacts = field(default_factory=DriverFacts)
    kernel: str = ""
    kernel_command: str = ""
    large_blocks: int | None = None
    """Free blocks of 2 MiB and more."""
    daemons: frozenset[str] = frozenset()
    """Names of running processes that the landmines ask for."""
    root: str | None = None
    """The folder of runs that is looked at."""
    live_runs: frozenset[str] = frozenset()
    """Runs of this root in which somebody lives."""
    live_pids: frozenset[int] = frozenset()
    """Their processes."""


def told_to_use_the_cpu(recipe: Mapping[str, Any], lane: str) -> bool:
    """The recipe wants the *lane* to train without a GPU, even where there is one."""
    table = (recipe.get("lanes") or {}).get(lane)
    return isinstance(table, Mapping) and table.get("device") == "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFacts:
    """What is to be launched; None where the machine alone is examined."""

    recipe: Mapping[str, Any]
    """A dumped Recipe."""
    lane: str
    engine: str
    base: BaseFacts
    runs: DiskFacts
    cache: DiskFacts
    image: ImageFacts | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions in the trainer's Python, of the packages that matter; local engine alone."""
    estimate: MemoryEstimate | None = None
    on_gpu: bool = False
    waits: bool = False
    """It begins after another run (`--after`): what is held now is no guide."""

    @property
    def in_container(self) -> bool:
        """Its stages run in containers."""
        return self.engine == "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it."""

    machine: MachineFacts
    docker: DockerFacts
    launch: LaunchFacts | None = None
    unanswered: tuple[str, ...] = ()
    """Probes that did not answer within their deadline."""
