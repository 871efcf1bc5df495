"""Which process of a family, or of a container, is the trainer. Pure.

The rule: never the one that only starts or feeds it. PID 1 of a container may sleep, a shell may
wait, tee may copy; the trainer is the program that computes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from runners.attach.command_line import Hints, Role, read_command
from runners.attach.values import Process

OWN = ("monitor.watcher", "runners.keeper", "runners.attach", "lanewatch_payload")
"""In the command lines of what lanewatch itself starts."""
RANK = re.compile(r"--local[-_]rank=")


def choose_trainer(processes: Sequence[Process], gpu_pids: Collection[int] = ()) -> Process | None:
    """Return the trainer among *processes*; None where there is nothing that could be one."""
    hints = {each.pid: read_command(each.argv) for each in processes}
    able = [each for each in processes if hints[each.pid].role in (Role.TRAINER, Role.LAUNCHER)]
    able = _without_workers(able, gpu_pids)
    able = _without_launchers(able, hints)
    if not able:
        able = [each for each in processes if each.pid in gpu_pids]
    if not able:
        return None
    best = max(able, key=lambda each: _rank(each, hints[each.pid], gpu_pids))
    # Ranks of one launch are equals: the first one writes the log.
    return min((each for each in able if same_launch(each, best)), key=lambda each: each.pid)


def same_launch(one: Process, other: Process) -> bool:
    """True for the ranks of one launch: they differ in what deepspeed tells each at the most."""
    return one.parent == other.parent and _without_rank(one.argv) == _without_rank(other.argv)


def _without_rank(argv: Sequence[str]) -> list[str]:
    return [each for each in argv if not RANK.match(each)]


def plausible(process: Process, gpu_pids: Collection[int] = ()) -> bool:
    """True for what is worth a look without being named: it says it trains, or uses a GPU."""
    if any(own in word for word in process.argv for own in OWN):
        return False
    hints = read_command(process.argv)
    if hints.role in (Role.TRAINER, Role.LAUNCHER) and hints.trains:
        return True
    return process.pid in gpu_pids and hints.role not in (Role.SERVER, Role.WRAPPER)


def _rank(process: Process, hints: Hints, gpu_pids: Collection[int]) -> tuple[object, ...]:
    return process.pid in gpu_pids, hints.trains, process.cpu_s, process.rss_bytes


def _without_workers(able: Sequence[Process], gpu_pids: Collection[int]) -> list[Process]:
    """A fork (a data loader's worker) has its parent's command line, and the parent matters."""
    by_pid = {each.pid: each for each in able}
    return [each for each in able if not _is_fork(each, by_pid, gpu_pids)]


def _is_fork(each: Process, by_pid: Mapping[int, Process], gpu_pids: Collection[int]) -> bool:
    parent = by_pid.get(each.parent)
    if parent is None or parent.argv != each.argv:
        # multiprocessing's spawn has a command line of its own.
        return "multiprocessing" in " ".join(each.argv[:4]) and parent is not None
    return not (each.pid in gpu_pids and parent.pid not in gpu_pids)


def _without_launchers(able: Sequence[Process], hints: Mapping[int, Hints]) -> list[Process]:
    """A launcher counts only while it has started nobody."""
    parents = {each.pid: each.parent for each in able}
    busy: set[int] = set()
    for each in able:
        above = each.parent
        while above in parents and above not in busy:
            busy.add(above)
            above = parents[above]
    return [
        each for each in able if not (hints[each.pid].role is Role.LAUNCHER and each.pid in busy)
    ]
