"""Commands that change a run: stop, kill, resume, export, watch, rm."""

from __future__ import annotations

import argparse
import shutil
import sys

from monitor.model import FINAL
from monitor.rundir import RunDir, runs_root
from monitor.watch_state import read_watch
from runners.attach.foreign import ensure_watched, is_foreign, refuse
from runners.box import launching, require_free
from runners.errors import RunnerError, RunStateError
from runners.export import export_checkpoint
from runners.launch import start_keeper
from runners.requests import Action, put_request
from runners.reviving import ensure_keeper
from runners.runs import find_run, has_left, read_run, read_status_word, someone_lives
from tui.cli import exits
from tui.cli.output import complain, out


def stop_command(options: argparse.Namespace) -> int:
    """Ask the trainer to end at its next step."""
    run = find_run(runs_root(), options.run)
    ask_to_stop(run, save=options.save)
    how = "after saving a checkpoint" if options.save else "without saving"
    complain(f"{run.root.name} will stop at its next step, {how}")
    return exits.OK


def ask_to_stop(run: RunDir, *, save: bool) -> None:
    """Request a stop. Raises RunnerError."""
    refuse(run, "stop")
    _request(run, Action.STOP_AND_SAVE if save else Action.STOP)


def kill_command(options: argparse.Namespace) -> int:
    """End the run now; what was not saved is lost."""
    complain(ask_to_kill(find_run(runs_root(), options.run)))
    return exits.OK


def ask_to_kill(run: RunDir) -> str:
    """Request a kill; returns what to tell. Raises RunnerError."""
    refuse(run, "kill")
    _request(run, Action.KILL)
    return f"{run.root.name} is being killed"


def _request(run: RunDir, action: Action) -> None:
    status = read_status_word(run)
    if status is not None and status.final:
        raise RunStateError(f"run {run.root.name} has already ended: {status}")
    put_request(run, action)
    ensure_keeper(run)


def resume_command(options: argparse.Namespace) -> int:
    """Begin the next attempt from the last whole checkpoint."""
    run = find_run(runs_root(), options.run)
    resume_run(run, anyway=options.anyway)
    out(run.root.name)
    return exits.OK


def resume_run(run: RunDir, *, anyway: bool = False) -> None:
    """Start a keeper that goes on from the last whole checkpoint. Raises RunnerError."""
    refuse(run, "resume")
    read_run(run)
    _let_it_leave(run)
    with launching(run.root.parent):
        if not anyway:
            require_free(run.root.parent, itself=run)
        start_keeper(run, "--resume", *(["--anyway"] if anyway else []))


def export_command(options: argparse.Namespace) -> int:
    """Merge one checkpoint of a run that has ended."""
    run = find_run(runs_root(), options.run)
    told = export_run(run, options.iteration, anyway=options.anyway)
    out(run.root.name)
    complain(told)
    return exits.OK


def export_run(run: RunDir, iteration: int | None, *, anyway: bool) -> str:
    """Start to merge a checkpoint, the newest if none is named; returns what to tell.

    Raises RunnerError.
    """
    refuse(run, "export")
    _let_it_leave(run)
    with launching(run.root.parent):
        if not anyway:
            require_free(run.root.parent, itself=run)
        merged = export_checkpoint(run, iteration)
    return f"checkpoint {merged} is being merged into {run.export}, in the place of what is there"


def _let_it_leave(run: RunDir) -> None:
    """A run that has just ended may still have its keeper, saying its last words."""
    status = read_status_word(run)
    if status is not None and status.final:
        has_left(run)


def watch_command(options: argparse.Namespace) -> int:
    """Bring back the keeper and the watcher of a run that lost them."""
    complain(bring_back(find_run(runs_root(), options.run)))
    return exits.OK


def bring_back(run: RunDir) -> str:
    """See to a run's keeper and watcher; returns what to tell. Raises RunnerError."""
    if is_foreign(run):
        return _watch_foreign(run)
    status = read_status_word(run)
    if status is not None and status.final and not someone_lives(run):
        return f"{run.root.name} has ended ({status}); there is nothing to watch"
    if ensure_keeper(run):
        return f"a new keeper took over {run.root.name}"
    put_request(run, Action.WATCH)
    return f"{run.root.name} has its keeper; it was asked to see to the watcher"


def _watch_foreign(run: RunDir) -> str:
    last = read_watch(run.watch).value
    if last is not None and last.verdict.liveness in FINAL:
        return f"{run.root.name} is over ({last.verdict.reason}); there is nothing to watch"
    if started := ensure_watched(run):
        return f"{run.root.name} has a new {' and a new '.join(started)}"
    return f"{run.root.name} has its watcher"


def rm_command(options: argparse.Namespace) -> int:
    """Delete the folder of a run that has ended."""
    run = find_run(runs_root(), options.run)
    _let_it_leave(run)
    if someone_lives(run):
        raise RunStateError(
            f"run {run.root.name} is alive; `lanewatch stop {run.root.name}` it first"
        )
    if not options.yes and not _confirmed(run):
        complain("nothing was deleted")
        return exits.FAILED
    _delete(run)
    out(run.root.name)
    return exits.OK


def _delete(run: RunDir) -> None:
    """Take the folder out of sight first: whoever may still write into it loses its name."""
    away = run.root.with_name(f".deleted-{run.root.name}")
    run.root.rename(away)
    has_left(RunDir(away))
    shutil.rmtree(away)


def _confirmed(run: RunDir) -> bool:
    if not sys.stdin.isatty():
        raise RunnerError(f"rm {run.root.name}: say --yes to delete without being asked")
    if is_foreign(run):
        complain(f"this deletes {run.root} and ends the watch; what it watched is left alone.")
    else:
        complain(f"this deletes {run.root} with its checkpoints, logs and export.")
    sys.stderr.write("type the run id's last four characters to confirm: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == run.root.name[-4:]
