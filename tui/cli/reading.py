"""Commands that only read: runs, status, events, logs, wait. None of them starts a process."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path

from monitor.events import Event, EventFollower, read_whole
from monitor.files import read_json
from monitor.model import Stage, Status
from monitor.probes.clock import read_now
from monitor.probes.follow import LineFollower
from monitor.probes.log import tail
from monitor.probes.text import clean_line
from monitor.rundir import RunDir, runs_root
from monitor.status import list_runs, read_status
from monitor.status_model import RunStatus
from monitor.target import read_target
from runners.attach.foreign import is_foreign
from runners.errors import RunnerError, RunNotFoundError
from runners.runs import find_run, has_left, iter_runs, read_status_word, someone_lives
from tui.cli import exits
from tui.cli.output import complain, out, out_json, out_json_line
from tui.cli.show import projection_text, runs_table, status_lines
from tui.presentation import UNKNOWN

FOLLOW_S = 0.25
WAIT_S = 0.25
FOREIGN_WAIT_S = 1.0
"""Where no keeper writes an end, the whole status is looked at."""

FIRST_BYTES = 200_000
"""How far before its end a followed log is begun: what one look reads."""

MOST_BYTES = 16 << 20
"""How far back from its end a log is read at most."""

GONE_S = 5.0
"""A run that is not final, yet nobody has lived in for this long, will not end by itself."""

BRIEF = ("run", "name", "lane", "engine", "status", "verdict", "stage", "attempt")


def runs_command(options: argparse.Namespace) -> int:
    """List every run, newest first."""
    runs_root_is_readable()
    runs = sorted(list_runs(runs_root(), read_now()), key=lambda each: each.run, reverse=True)
    runs.sort(key=lambda each: each.created_wall or 0.0, reverse=True)
    if options.json:
        out_json([_brief(each) for each in runs])
    elif not runs:
        complain(f"no runs in {runs_root()}; `lanewatch demo` makes one")
    else:
        for line in runs_table(runs):
            out(line)
    return exits.OK


def runs_root_is_readable() -> None:
    """A root that is not there yet holds no runs; one that cannot be listed is an error.

    Raises RunnerError.
    """
    next(iter_runs(runs_root()), None)


def _brief(status: RunStatus) -> dict[str, object]:
    whole = status.to_json()
    view = status.iteration
    return {key: whole[key] for key in BRIEF} | {"iteration": view.value, "total": view.total}


def status_command(options: argparse.Namespace) -> int:
    """Show one run."""
    run = find_run(runs_root(), options.run)
    status = read_status(run.root, now=read_now())
    if options.json:
        out_json(status.to_json())
    else:
        for line in status_lines(status):
            out(line)
        _show_projection(run)
    return exits.OK


def _show_projection(run: RunDir) -> None:
    for line in projection_text(read_json(run.summary).value or {}):
        out(line)


def events_command(options: argparse.Namespace) -> int:
    """Show what happened to a run, oldest first."""
    run = find_run(runs_root(), options.run)
    if options.trace == "":
        raise RunnerError("--trace: it is empty; name a file, or - for stdout")
    if options.trace is not None:
        if options.follow or options.json:
            raise RunnerError("--trace is all that was recorded: without --follow and --json")
        from tui.cli.replaying import export_trace

        return export_trace(run, options.trace)
    _must_be_readable(run.run_json, run.state, run.events)
    if not options.follow:
        events, foreign = read_whole(run.events)
        if options.json:
            out_json([event.to_json() for event in events])
        else:
            for event in events:
                _show_event(event)
        _tell_foreign(run, foreign)
        return exits.OK
    follower = EventFollower(run.events)

    def show() -> bool:
        events = follower.read()
        for event in events:
            if options.json:
                out_json_line(event.to_json())
            else:
                _show_event(event)
        return bool(events)

    _follow(run, show)
    _tell_foreign(run, follower.foreign)
    return exits.OK


def _tell_foreign(run: RunDir, count: int) -> None:
    if count:
        lines = f"{count} line is no event" if count == 1 else f"{count} lines are no events"
        complain(f"{lines} and left out: {run.events}")


def _must_be_readable(*paths: Path) -> None:
    """A file that this user may not open tells of no end, and no event. Raises OSError."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _show_event(event: Event) -> None:
    moment = UNKNOWN
    if event.wall_s is not None:
        try:
            local = datetime.datetime.fromtimestamp(event.wall_s).astimezone()
            moment = f"{local:%Y-%m-%d %H:%M:%S}"
        except (OverflowError, OSError, ValueError):
            moment = "(no date)"
    out(f"{moment}  {event.kind:<10}  {event.text}")


def logs_command(options: argparse.Namespace) -> int:
    """Show the end of a stage's log, control sequences neutralised."""
    run = find_run(runs_root(), options.run)
    path = _log(run, options.stage)
    shown = max(1, options.lines)
    if options.follow:
        tell = _tell_json if options.json else out
        _follow(run, _LogFollower(run, options.stage, shown, tell).show)
        return exits.OK
    lines = _last_lines(path, shown)
    if options.json:
        out_json({"run": run.root.name, "stage": path.stem, "path": str(path), "lines": lines})
        return exits.OK
    for line in lines:
        out(line)
    return exits.OK


def _tell_json(line: str) -> None:
    out_json_line({"line": clean_line(line)})


def _last_lines(path: Path, count: int) -> list[str]:
    """Read back only as far as *count* lines need, a log may be of any size."""
    reach = 64 << 10
    while len(lines := tail(path, max_bytes=reach, max_lines=count)) < count and reach < MOST_BYTES:
        if path.stat().st_size <= reach:
            break
        reach *= 4
    return lines


class _LogFollower:
    """Follows a log; where no stage was named, the next stage's once that begins."""

    def __init__(
        self, run: RunDir, stage: str | None, shown: int, tell: Callable[[str], None]
    ) -> None:
        self._run, self._stage = run, stage
        self._path = _log(run, stage)
        self._lines = LineFollower(self._path, tail_bytes=FIRST_BYTES)
        self._tell = tell
        for line in self._lines.read().lines[-shown:]:
            tell(line.decode(errors="replace"))

    def show(self) -> bool:
        """Show what is new; True if there was anything."""
        new = self._lines.read().lines
        for line in new:
            self._tell(line.decode(errors="replace"))
        newest = _log(self._run, self._stage)
        if new or newest == self._path:
            return bool(new)
        self._path, self._lines = newest, LineFollower(newest)
        return True


def _log(run: RunDir, stage: str | None) -> Path:
    if is_foreign(run):
        return _foreign_log(run)
    if stage is not None:
        path = run.log(stage)
        if stage not in list(Stage) or not path.exists():
            have = ", ".join(each for each in Stage if run.log(each).exists()) or "none"
            raise RunnerError(f"run {run.root.name} has no log of stage {stage!r}; it has: {have}")
        return path
    named = (read_json(run.state).value or {}).get("stage")
    if isinstance(named, str) and named in list(Stage) and run.log(named).exists():
        return run.log(named)
    logs = [run.log(each) for each in Stage if run.log(each).exists()]
    if not logs:
        raise RunnerError(f"run {run.root.name} has no log in {run.logs}")
    return max(logs, key=lambda path: path.stat().st_mtime)


def _foreign_log(run: RunDir) -> Path:
    path = read_target(run.root).log
    if path is None:
        raise RunnerError(
            f"run {run.root.name} was attached without a log; "
            "`lanewatch attach --log FILE` names one"
        )
    if not path.is_file():
        raise RunnerError(f"the log of run {run.root.name} is not there: {path}")
    return path


def _follow(run: RunDir, show: Callable[[], bool]) -> None:
    """Show what is new until the run has ended and all of it was shown."""
    while True:
        ended = _ended(run)
        if not show() and ended:
            return
        time.sleep(FOLLOW_S)


def _ended(run: RunDir) -> bool:
    status = read_status_word(run)
    if not run.root.exists():
        raise RunNotFoundError(f"the folder of run {run.root.name} was deleted")
    if is_foreign(run):
        return _names_no_process(run) or read_status(run.root, now=read_now()).final
    return (status is not None and status.final) or not someone_lives(run)


def _names_no_process(run: RunDir) -> bool:
    """A foreign run without the process that it watches: nobody will ever see its end."""
    return read_target(run.root).process is None


def wait_command(options: argparse.Namespace) -> int:
    """Wait for the end: 0 finished, 1 any other end, 75 timed out."""
    run = find_run(runs_root(), options.run)
    _must_be_readable(run.run_json, run.state)
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    if is_foreign(run):
        return _wait_foreign(run, deadline, options)
    gone_since: float | None = None
    while True:
        status = read_status_word(run)
        if status is not None and status.final:
            has_left(run)  # a script that goes on after `wait` finds nobody in its way
            break
        if not run.root.exists():
            raise RunNotFoundError(f"the folder of run {run.root.name} was deleted")
        now = time.monotonic()
        gone_since = None if someone_lives(run) else gone_since or now
        if gone_since is not None and now - gone_since > GONE_S:
            raise RunnerError(
                f"nobody keeps run {run.root.name} any more and it has not ended; "
                f"`lanewatch watch {run.root.name}` finds out how it stands"
            )
        if deadline is not None and now >= deadline:
            return _timed_out(run, options)
        time.sleep(WAIT_S)
    return _tell_end(run, status, options)


def _timed_out(run: RunDir, options: argparse.Namespace) -> int:
    complain(f"{run.root.name} has not ended within {options.timeout:g} s; it goes on")
    return exits.TIMED_OUT


def _wait_foreign(run: RunDir, deadline: float | None, options: argparse.Namespace) -> int:
    """Wait until its process is gone: 0 if it got to its total, 1 if not or if that is unknown."""
    if _names_no_process(run):
        raise RunnerError(f"{run.run_json} names no process to wait for; it was changed by hand?")
    while not (seen := read_status(run.root, now=read_now())).final:
        if not run.root.exists():
            raise RunNotFoundError(f"the folder of run {run.root.name} was deleted")
        if deadline is not None and time.monotonic() >= deadline:
            return _timed_out(run, options)
        time.sleep(FOREIGN_WAIT_S)
    has_left(run)
    if options.json:
        out_json(seen.to_json())
    else:
        out(f"{run.root.name} {seen.verdict}: {seen.reason}")
    return exits.OK if seen.succeeded else exits.FAILED


def _tell_end(run: RunDir, status: Status, options: argparse.Namespace) -> int:
    final = read_status(run.root, now=read_now())
    if options.json:
        out_json(final.to_json())
    else:
        out(f"{run.root.name} {status}" + (f": {final.cause}" if final.cause else ""))
        _show_projection(run)
    return exits.OK if status is Status.FINISHED else exits.FAILED
