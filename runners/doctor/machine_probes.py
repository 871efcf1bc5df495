"""Look at the machine: limits, session, driver, memory, who holds it. Reads; starts nothing."""

from __future__ import annotations

import configparser
import os
import platform
import pwd
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from monitor.memory_return import Holder
from monitor.probes.gpu import BLOCKED_S, GpuSampler
from monitor.probes.holders import read_holders
from monitor.probes.process import find_by_environment
from monitor.probes.raw import read_proc
from monitor.rundir import RunDir
from runners.doctor.facts import DiskFacts, DriverFacts, LimitFacts, SessionFacts
from runners.doctor.landmines import OOM_DAEMONS
from runners.runs import iter_runs, read_status_word, someone_lives

GPU_WAIT_S = 6.0
SILENT = f"the GPU driver has not answered within {BLOCKED_S:g} s"
MANY = 64
LARGE_ORDER = 9
"""Of 4 KiB pages: 2 MiB."""
SHM = Path("/dev/shm")  # noqa: S108 - it is looked at, nothing is made in it
LOGIND = (
    "/usr/lib/systemd/logind.conf.d",
    "/usr/local/lib/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d",
    "/etc/systemd/logind.conf.d",
)
"""Later folders win over earlier ones, and all over logind.conf itself."""


def read_limits() -> LimitFacts:
    """What this user may use. Raises nothing."""
    shm = _space(SHM)
    return LimitFacts(
        open_files=_limit(resource.RLIMIT_NOFILE),
        locked_bytes=_limit(resource.RLIMIT_MEMLOCK),
        address_bytes=_limit(resource.RLIMIT_AS),
        processes=_limit(resource.RLIMIT_NPROC),
        shm_bytes=shm[0] if shm else None,
        shm_free_bytes=shm[1] if shm else None,
        inotify_watches=_number("/proc/sys/fs/inotify/max_user_watches"),
        inotify_instances=_number("/proc/sys/fs/inotify/max_user_instances"),
        cores=len(os.sched_getaffinity(0)),
    )


def _limit(which: int) -> int | None:
    """The hard limit: the soft one can be raised to it."""
    hard = resource.getrlimit(which)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def _number(path: str) -> int | None:
    try:
        return int(read_proc(path, 64))
    except (OSError, ValueError):
        return None


def _space(path: Path) -> tuple[int, int] | None:
    """(size, free for this user) of the file system of *path*, in bytes."""
    try:
        stat = os.statvfs(path)
    except OSError:
        return None
    return stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize


def read_session(root: Path = Path("/")) -> SessionFacts:
    """What logind does at the last logout; *root* is another file system's, for tests."""
    uid = os.geteuid()
    logind = (root / "run/systemd/seats").exists() or (root / "run/systemd/users").exists()
    settings = logind_settings(_configurations(root))
    return SessionFacts(
        kill_user_processes=settings.get("killuserprocesses", False),
        remove_ipc=settings.get("removeipc", True),
        linger=(root / "var/lib/systemd/linger" / _user(uid)).exists(),
        logind=logind,
        uid=uid,
    )


def _configurations(root: Path) -> Iterable[str]:
    files = [root / "etc/systemd/logind.conf"]
    for folder in LOGIND:
        files += sorted((root / folder.lstrip("/")).glob("*.conf"))
    for path in files:
        try:
            yield path.read_text(errors="replace")
        except OSError:
            continue


def logind_settings(texts: Iterable[str]) -> dict[str, bool]:
    """The switches of section [Login], later texts winning; pure."""
    found: dict[str, bool] = {}
    for text in texts:
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for key, value in parser.items("Login") if parser.has_section("Login") else ():
            word = (value or "").strip().lower()
            if word in ("yes", "true", "on", "1", "no", "false", "off", "0"):
                found[key] = word in ("yes", "true", "on", "1")
    return found


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def read_driver(wait_s: float = GPU_WAIT_S) -> DriverFacts:
    """The driver's version from /proc, and its GPUs if it answers within *wait_s*."""
    version = _driver_version()
    sampler = GpuSampler()
    sampler.start()
    deadline = time.monotonic() + wait_s
    while sampler.running and not sampler.latest() and time.monotonic() < deadline:
        time.sleep(0.02)
    gpus, problem = sampler.latest(), sampler.problem
    if not gpus and version is not None and problem is None and sampler.running:
        # Without its persistence mode a driver takes seconds to come up: no fault in a short look.
        problem = SILENT if wait_s >= BLOCKED_S else None
    sampler.stop(0.1)
    return DriverFacts(version=version, gpus=gpus, problem=None if gpus else problem)


def _driver_version() -> str | None:
    try:
        words = read_proc("/proc/driver/nvidia/version", 1024).split()
    except OSError:
        return None
    return next(
        (each.decode("ascii", "replace") for each in words if b"." in each and each[:1].isdigit()),
        None,
    )


def read_large_blocks() -> int | None:
    """Free blocks of 2 MiB and more, by /proc/buddyinfo."""
    try:
        lines = read_proc("/proc/buddyinfo").decode("ascii", "replace").splitlines()
    except OSError:
        return None
    return large_blocks(lines)


def large_blocks(lines: Iterable[str]) -> int | None:
    """Count them in the lines "Node 0, zone Normal 1 2 3 …", a figure for each order; pure."""
    total = None
    for line in lines:
        figures = line.partition("zone")[2].split()[1:]
        if len(figures) > LARGE_ORDER and all(each.isdigit() for each in figures):
            orders = enumerate(map(int, figures))
            blocks = sum(n << (order - LARGE_ORDER) for order, n in orders if order >= LARGE_ORDER)
            total = (total or 0) + blocks
    return total


def read_all_holders() -> tuple[Holder, ...]:
    """Who holds memory now, most first."""
    return read_holders(MANY)


def read_daemons() -> frozenset[str]:
    """Which of the processes that landmines ask for run here."""
    found = set()
    with os.scandir("/proc") as entries:
        pids = [entry.name for entry in entries if entry.name.isdigit()]
    for pid in pids:
        try:
            name = read_proc(f"/proc/{pid}/comm", 64).decode("utf-8", "replace").strip()
        except OSError:
            continue
        found.add(name)
    return frozenset(found & OOM_DAEMONS)


def read_kernel() -> tuple[str, str]:
    """(release, command line)."""
    try:
        command = read_proc("/proc/cmdline", 8192).decode("utf-8", "replace").strip()
    except OSError:
        command = ""
    return platform.release(), command


def read_live(root: Path) -> tuple[frozenset[str], frozenset[int]]:
    """(runs below *root* in which somebody lives, the processes of their stages)."""
    live = [run for run in iter_runs(root) if _lives(run)]
    pids = {
        each.pid
        for run in live
        for each in find_by_environment({"LANEWATCH_RUN_DIR": str(run.root)})
    }
    return frozenset(run.root.name for run in live), frozenset(pids)


def _lives(run: RunDir) -> bool:
    status = read_status_word(run)
    return status is not None and not status.final and someone_lives(run)


def read_disk(path: Path) -> DiskFacts:
    """The file system that *path* lies on, or will once it is made."""
    from monitor.probes.filesystem import filesystem_type, is_local_filesystem

    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    problem = None
    if not there.is_dir():
        problem = f"{there} is no folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        problem = f"this user may not write to {there}"
    space = _space(there)
    try:
        device = there.stat().st_dev
    except OSError:
        device = None
    return DiskFacts(
        path=str(path),
        free_bytes=space[1] if space else None,
        device=device,
        kind=filesystem_type(there),
        local=is_local_filesystem(there),
        problem=problem,
    )
