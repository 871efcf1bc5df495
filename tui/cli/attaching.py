"""`lanewatch attach`: watch a training that lanewatch did not start."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.probes.clock import read_now
from monitor.rundir import expanded, runs_root
from runners.attach.attach import AttachOrder, attach, find_watching, with_order
from runners.attach.search import Search
from runners.attach.values import Candidate
from runners.errors import RunnerError
from runners.runs import iter_runs
from tui.cli import exits
from tui.cli.output import complain, out, out_json
from tui.presentation import UNKNOWN, age, ago


def attach_command(options: argparse.Namespace) -> int:
    """Watch the process that was named or picked; without either, list what could be watched."""
    order = _order(options)
    next(iter_runs(order.root), None)  # a root that cannot be listed is told before the search
    search = Search()
    if options.pid is not None:
        chosen = search.candidate(search.by_pid(options.pid))
    elif options.container is not None:
        chosen = search.candidate(search.in_container(options.container))
    else:
        found = [_marked(search.candidate(each), order) for each in search.trainers()]
        if not order.says_anything:
            picked = _pick(found, options)
            if picked is None:
                return exits.OK
            chosen = picked
        else:
            chosen = _the_one(found, order)
    return _attach(with_order(chosen, order), order, options)


def _order(options: argparse.Namespace) -> AttachOrder:
    if options.pid is not None and options.container is not None:
        raise RunnerError("name --pid or --container, not both")
    for name in ("container", "checkpoints", "log", "name"):
        if getattr(options, name) == "":
            raise RunnerError(f"--{name}: it is empty")
    return AttachOrder(
        root=runs_root(),
        checkpoints=_folder(options.checkpoints),
        log=_file(options.log),
        total=options.total,
        name=options.name,
        tables=_tables(options.set),
    )


def _tables(overrides: Sequence[str]) -> dict[str, Any]:
    if not overrides:
        return {}
    from runners.attach.settings import tables_from  # the recipe's model takes long to load

    return tables_from(overrides)


def _folder(text: str | None) -> Path | None:
    if text is None:
        return None
    path = expanded(text).absolute()
    if not path.is_dir():
        raise RunnerError(f"--checkpoints {text}: there is no such folder on this machine")
    return path


def _file(text: str | None) -> Path | None:
    if text is None:
        return None
    path = expanded(text).absolute()
    if not path.is_file():
        what = "it is no regular file" if path.exists() else "there is no such file"
        raise RunnerError(f"--log {text}: {what} on this machine")
    return path


def _marked(candidate: Candidate, order: AttachOrder) -> Candidate:
    run = find_watching(order.root, candidate)
    return replace(candidate, run=run.root.name) if run else candidate


def _the_one(found: Sequence[Candidate], order: AttachOrder) -> Candidate:
    """The candidate that fits what was said of it."""
    fitting = [
        each
        for each in found
        if order.checkpoints is None
        or (each.checkpoints is not None and Path(each.checkpoints.path) == order.checkpoints)
        or (order.log is not None and each.log is not None and Path(each.log.path) == order.log)
    ] or list(found)
    if len(fitting) == 1:
        return fitting[0]
    pids = ", ".join(str(each.pid) for each in fitting)
    which = f"{len(fitting)} trainers run here ({pids})" if fitting else "no trainer was found here"
    raise RunnerError(f"which process? {which}; name it with --pid or --container")


def _pick(found: Sequence[Candidate], options: argparse.Namespace) -> Candidate | None:
    """Ask on a terminal; elsewhere print the list and pick none."""
    if options.json:
        out_json([each.to_json() for each in found])
        return None
    if not found:
        complain(
            "no training was found on this machine; if there is one, name it with --pid or "
            "--container"
        )
        return None
    for number, candidate in enumerate(found, 1):
        for line in candidate_lines(candidate, number):
            out(line)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        complain("attach one with: lanewatch attach --pid PID")
        return None
    return _ask(found)


def _ask(found: Sequence[Candidate]) -> Candidate | None:
    while True:
        sys.stderr.write(f"which one? 1 to {len(found)}, Enter for none: ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if not answer:
            complain("nothing is attached")
            return None
        if answer.isdecimal() and 1 <= int(answer) <= len(found):
            return found[int(answer) - 1]


def _attach(candidate: Candidate, order: AttachOrder, options: argparse.Namespace) -> int:
    if options.pid not in (None, candidate.pid):
        complain(f"process {options.pid} trains nothing itself; {candidate.pid}, below it, does")
    attached = attach(candidate, order)
    run = attached.run.root.name
    if not attached.new:
        complain(f"process {candidate.pid} is watched already: {run}")
    if options.json:
        found: dict[str, Any] = candidate.to_json() | {"run": run}
        out_json({"run": run, "new": attached.new, "folder": str(attached.run.root)} | found)
        return exits.OK
    out(run)
    for line in candidate_lines(candidate):
        complain(line)
    complain(f"watch it: lanewatch {run}")
    return exits.OK


def candidate_lines(candidate: Candidate, number: int | None = None) -> Iterator[str]:
    """What was found of one process, and why; a path stays on its line, whatever it holds."""
    for line in _lines(candidate, number):
        yield "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)


def _lines(candidate: Candidate, number: int | None) -> Iterator[str]:
    head = f"{number}  " if number is not None else "   "
    inside = candidate.container.name if candidate.container else candidate.container_id
    where = f" in container {inside}" if inside else ""
    since = age(ago(candidate.started_wall, read_now().wall_s))
    watched = f", watched as {candidate.run}" if candidate.run else ""
    yield f"{head}pid {candidate.pid}{where}, started {since} ago{watched}"
    yield f"     {candidate.command}"
    lane = candidate.lane or UNKNOWN
    gpu = ", computes on a GPU" if candidate.gpu else ""
    yield f"     lane         {lane}{gpu}"
    for name, found in (("checkpoints", candidate.checkpoints), ("log", candidate.log)):
        yield f"     {name:<12} " + (f"{found.path}  ({found.why})" if found else UNKNOWN)
    total = UNKNOWN if candidate.total is None else f"{candidate.total}  ({candidate.total_why})"
    yield f"     total        {total}"
    for text in candidate.warnings:
        yield f"     warning: {text}"
    for text in candidate.hidden:
        yield f"     hidden: {text}"
