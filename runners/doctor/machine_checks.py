"""What the machine allows: limits, shared memory, the session, the driver, leftovers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.words import gibibytes
from runners.chosen_gpu import named_gpu
from runners.doctor.facts import (
    DriverFacts,
    Facts,
    LaunchFacts,
    LimitFacts,
    SessionFacts,
    told_to_use_the_cpu,
)
from runners.doctor.values import Check, fail, ok, warn

GPU = "gpu"
"""The check of the GPU that a recipe names."""
LEAST_FILES = 1024
LEAST_SHM_BYTES = 64 << 20
LEAST_PROCESSES = 512
LEAST_INSTANCES = 16
FIRST_USER = 1000
"""logind spares system users, whose uids are below."""
CUDA_13_DRIVER = 580
"""The images of both container lanes hold CUDA 13, which no older driver runs."""
HEAVY_BYTES = 256 << 20
"""A process that holds so much of a GPU does more than show a desktop."""


def machine_checks(facts: Facts) -> Iterator[Check]:
    """All that is of the machine and not of memory, disk or Docker."""
    launch = facts.launch
    if "driver" not in facts.unanswered:
        yield driver_check(facts.machine.driver, launch)
        yield from named_gpu_check(facts.machine.driver, launch)
    yield gpu_processes_check(facts)
    yield leftovers_check(facts)
    yield from limit_checks(facts.machine.limits, launch)
    yield session_check(facts.machine.session, launch)


def driver_check(driver: DriverFacts, launch: LaunchFacts | None) -> Check:
    """The driver answers, and is young enough for the lane's image."""
    name, in_container = "driver", launch is not None and launch.in_container
    if driver.problem is not None:
        return fail(name, driver.problem, "start nothing before `nvidia-smi` answers again")
    if driver.version is None:
        if in_container and launch is not None and _needs_a_gpu(launch):
            return fail(
                name, "no NVIDIA driver is loaded", f"the {launch.lane} lane needs one: install it"
            )
        return ok(name, "no NVIDIA driver is loaded; a lane can train on the CPU alone")
    known = driver.version.partition(".")[0]
    seen = f"NVIDIA {driver.version}, {_gpu_names(driver)}"
    if in_container and known.isdigit() and int(known) < CUDA_13_DRIVER:
        return warn(
            name,
            f"{seen}; the lane's image holds CUDA 13",
            f"install driver {CUDA_13_DRIVER} or newer, if the image refuses to start",
        )
    return ok(name, seen)


def named_gpu_check(driver: DriverFacts, launch: LaunchFacts | None) -> Iterator[Check]:
    """The GPU that the recipe names is one of this machine's."""
    named = named_gpu(launch.recipe) if launch is not None else None
    if launch is None or named is None:
        return
    there = {each.index: each.name for each in driver.gpus}
    if int(named) in there:
        yield ok(GPU, f"GPU {named}, {there[int(named)]}")
    elif there:
        have = ", ".join(f"{index} ({name})" for index, name in sorted(there.items()))
        yield fail(GPU, f"there is no GPU {named} here", f"name one of {have}", overridable=False)
    elif driver.version is None:
        remedy = "leave run.gpu out"
        yield fail(GPU, f"GPU {named} is named, but no driver is loaded", remedy, overridable=False)
    else:
        remedy = "`nvidia-smi -L` lists those that there are"
        yield warn(GPU, f"whether there is a GPU {named} could not be read", remedy)


def _needs_a_gpu(launch: LaunchFacts) -> bool:
    return launch.lane != "reference" and not told_to_use_the_cpu(launch.recipe, launch.lane)


def _gpu_names(driver: DriverFacts) -> str:
    return ", ".join(gpu.name for gpu in driver.gpus) or "no GPU read"


def gpu_processes_check(facts: Facts) -> Check:
    """Processes on the GPU that belong to no run of ours."""
    name, ours = "gpu processes", facts.machine.live_pids
    names = {each.pid: each.name for each in facts.machine.holders}
    found = {
        pid: used or 0
        for gpu in facts.machine.driver.gpus
        for pid, used in gpu.process_bytes
        if pid not in ours and (used is None or used >= HEAVY_BYTES)
    }
    if not found:
        return ok(name, "no other program holds a GPU")
    said = ", ".join(
        f"{names.get(pid, 'process')} {pid} ({gibibytes(used) if used else 'size unknown'})"
        for pid, used in sorted(found.items(), key=lambda each: -each[1])
    )
    remedy = "end them if they are not needed: they share the GPU and, on a Spark, the memory"
    return warn(name, f"on the GPU: {said}", remedy)


def leftovers_check(facts: Facts) -> Check:
    """Containers of runs that are over, and containers that start again by themselves."""
    name, live = "leftover containers", facts.machine.live_runs
    left = [
        each.name
        for each in facts.docker.containers
        if each.run is not None and each.root == facts.machine.root and each.run not in live
    ]
    if left:
        return warn(
            name,
            f"of runs that are over: {', '.join(left[:4])}",
            f"`docker rm --force {' '.join(left[:4])}` frees what they hold",
        )
    again = [
        each.name
        for each in facts.docker.containers
        if each.running and each.restart in ("always", "unless-stopped") and each.run is None
    ]
    if again:
        return ok(name, f"none of ours; starting again by themselves: {', '.join(again[:4])}")
    return ok(name, "none")


def limit_checks(limits: LimitFacts, launch: LaunchFacts | None) -> Iterator[Check]:
    """ulimits and shared memory."""
    problems: list[tuple[str, str]] = []
    if limits.address_bytes is not None:
        problems.append(
            (
                f"address space is limited to {gibibytes(limits.address_bytes)}",
                "ulimit -v unlimited",
            )
        )
    if limits.open_files is not None and limits.open_files < LEAST_FILES:
        problems.append((f"only {limits.open_files} open files", f"ulimit -n {LEAST_FILES}"))
    if limits.processes is not None and limits.processes < LEAST_PROCESSES:
        problems.append((f"only {limits.processes} processes", "ulimit -u 4096"))
    for seen, command in problems:
        yield warn("ulimits", f"{seen} are allowed", f"`{command}` before the launch")
    if not problems:
        yield ok("ulimits", "open files, processes and address space suffice")
    if limits.inotify_instances is not None and limits.inotify_instances < LEAST_INSTANCES:
        yield warn(
            "inotify",
            f"only {limits.inotify_instances} inotify instances are allowed",
            "`sudo sysctl fs.inotify.max_user_instances=128`",
        )
    yield _shm_check(limits, launch)


def _shm_check(limits: LimitFacts, launch: LaunchFacts | None) -> Check:
    name = "shared memory"
    if launch is not None and launch.in_container:
        return ok(name, "the container has its own")
    if limits.shm_bytes is None:
        remedy = "mount a tmpfs on it: data loaders need it"
        return warn(name, "/dev/shm is not there", remedy)  # noqa: S108 - it is only named
    free = limits.shm_free_bytes or 0
    seen = f"{gibibytes(free)} of {gibibytes(limits.shm_bytes)} are free in /dev/shm"
    if free < LEAST_SHM_BYTES:
        return warn(name, seen, "`sudo mount -o remount,size=8G /dev/shm`, or clear it out")
    return ok(name, seen)


def session_check(session: SessionFacts, launch: LaunchFacts | None) -> Check:
    """What logind ends with the last logout."""
    name = "logout"
    if not session.logind:
        return ok(name, "no logind here: nothing ends with a session")
    if launch is not None and launch.in_container:
        if session.linger is False and session.kill_user_processes:
            return warn(
                name,
                "KillUserProcesses=yes ends keeper and watcher at logout; the container goes on",
                "`sudo loginctl enable-linger $USER`",
            )
        return ok(name, "a container outlives the session")
    if session.linger:
        return ok(name, "linger is on")
    if session.kill_user_processes:
        return warn(
            name,
            "KillUserProcesses=yes and no linger: a logout ends the run",
            "`sudo loginctl enable-linger $USER`",
        )
    if session.remove_ipc is not False and session.uid >= FIRST_USER:
        return warn(
            name,
            "RemoveIPC=yes and no linger: a logout takes the shared memory of data loaders away",
            "`sudo loginctl enable-linger $USER`",
        )
    return ok(name, "processes outlive the session")
