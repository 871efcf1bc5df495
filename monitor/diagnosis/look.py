"""Look at a run for some seconds from the outside and put the facts of a diagnosis together.

The rule: it takes 15 s at most, pauses nothing, writes nothing, and signals nothing but a run of
ours that hangs, into which nobody may look and whose payload answers.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.diagnosis.bounds import Bounds
from monitor.diagnosis.kernel_threads import read_threads
from monitor.diagnosis.pyspy import HostSpy, Spy
from monitor.diagnosis.reach import Reach
from monitor.diagnosis.sampling import take
from monitor.diagnosis.sources import Sources
from monitor.diagnosis.stacks import compare, with_native
from monitor.diagnosis.surroundings import Around
from monitor.diagnosis.told import read_told
from monitor.diagnosis.values import DiagnosisFacts
from monitor.frozen import replace
from monitor.model import FINAL, CheckpointReading, Heartbeat, Liveness, Observation
from monitor.probes.checkpoints import CheckpointProbe
from monitor.probes.clock import read_now
from monitor.probes.heartbeat import read_heartbeat
from monitor.probes.text import clean_line
from monitor.rundir import RunDir
from monitor.seen import seen_of
from monitor.signatures import Sign, Signature, sign_of
from monitor.single_look import look_once
from monitor.target import WatchTarget, read_target
from monitor.watch_state import WatchRead, read_watch

NOT_ASKED = (
    "stacks that the trainer writes into its log itself: a view that only reads asks for none"
)


def look(
    run: RunDir, spy: Spy | None = None, *, native: bool = False, reads_only: bool = False
) -> DiagnosisFacts:
    """Return the facts of *run*, some seconds later. Raises nothing that its files may cause.

    *spy* takes the stacks, this user's own py-spy by default; *native*: with native calls, for
    which the trainer is paused once, for some 60 ms; *reads_only*: the trainer is asked nothing.
    """
    bounds = Bounds()
    reach = Reach.of(read_target(run.root), bounds)
    target, now, watched = reach.target(), read_now(), read_watch(run.watch)
    seen = seen_of(target, watched, now)
    single = look_once(target, watched.value, now)
    process = single.facts.process
    over = target.final or seen.verdict.liveness in FINAL
    family = process.pids if process is not None and process.alive and not over else ()
    around = Around(family, bounds)
    pids = around.pids
    before = _Progress.of(target)
    taken = take(pids, spy or HostSpy(), native=native, bounds=bounds)
    advanced = before.advanced_to(_Progress.of(target))
    seen_last = seen_of(reach.target(), read_watch(run.watch), read_now())
    verdict = seen_last.verdict
    observed = _with_gpus(single.observation, watched)
    sign, zombies = (
        _seen_twice(observed, lambda: _again(reach.target(), watched)) if pids else _NONE
    )
    hung = verdict.liveness in (Liveness.SUSPECT, Liveness.STALLED) and not advanced
    if not taken.samples and hung and _may_be_asked(target, pids, process.state if process else ""):
        if reads_only:
            taken.missing.append(NOT_ASKED)
        else:
            taken.ask(target, bounds)
    kernel = read_threads(pids, taken.before, taken.after, taken.seconds, bounds)
    sources = Sources(bounds)
    threads = with_native(map(sources.add, compare(taken.samples, kernel)), taken.native)
    last = single.facts.checkpoints.last_complete if single.facts.checkpoints else None
    found = str(sign.signature) if sign.signature else None
    return DiagnosisFacts(
        run=target.run_dir.root.name,
        attempt=target.attempt,
        foreign=target.foreign,
        alive=process.alive if process is not None else None,
        pid=target.process.pid if target.process else None,
        liveness=str(verdict.liveness),
        reason=clean_line(verdict.reason),
        signature=found,
        words=clean_line(sign.words),
        advanced=advanced,
        seconds=taken.seconds,
        samples=len(taken.samples),
        source=taken.source,
        threads=threads,
        kernel=kernel,
        zombies=zombies,
        missing=(*taken.missing, *reach.problems, *seen.problems),
        checkpoint=last.iteration if last else None,
        checkpoint_age_s=max(0.0, now.wall_s - last.modified_wall) if last else None,
        work_s=_work_s(single.observation),
        around=around.after(
            target.process,
            kernel,
            observed.machine.gpus if observed.machine else (),
            reach.checkpoints_silent,
        ),
        told=read_told(reach.target(), seen_last, single, watched.value, found),
    )


_NONE: tuple[Sign, tuple[str, ...]] = (Sign(None, "not seen"), ())
_MOMENTARY = frozenset(
    {Signature.BLOCKED_PIPE, Signature.BLOCKED_TERMINAL, Signature.BLOCKED_IO}
    | {Signature.SAVE_WORKER_DEAD}
)
"""States in which whoever is well may be met for a moment."""


def _seen_twice(
    first: Observation, again: Callable[[], Observation]
) -> tuple[Sign, tuple[str, ...]]:
    """The sign and the dead children of *first*, as far as the look after the samples has them."""
    sign = sign_of(first)
    dead = first.process.zombies if first.process is not None else ()
    if sign.signature not in _MOMENTARY and not dead:
        return sign, ()
    last = again()
    later = sign_of(last)
    still = Counter(last.process.zombies if last.process is not None else ()) & Counter(dead)
    if sign.signature in _MOMENTARY and later.signature != sign.signature:
        sign = later if later.signature not in _MOMENTARY else Sign(None, "it changes")
    return sign, tuple(still.elements())


def _again(target: WatchTarget, watched: WatchRead) -> Observation:
    return _with_gpus(look_once(target, watched.value, read_now()).observation, watched)


def _work_s(observation: Observation) -> float | None:
    """From the newest checkpoint to the last progress; not known while another is half written."""
    ages = observation.ages
    if ages.checkpoint_s is None or ages.progress_s is None or ages.writing_s is not None:
        return None
    return max(0.0, ages.checkpoint_s - ages.progress_s)


def _with_gpus(observation: Observation, watched: WatchRead) -> Observation:
    """Add the GPUs as the watcher last saw them: a driver of one's own is too slow to set up."""
    theirs = watched.value.machine if watched.value else None
    if theirs is None or observation.machine is None:
        return observation
    machine = replace(observation.machine, gpus=theirs.gpus, gpu_problem=theirs.gpu_problem)
    return replace(observation, machine=machine)


@dataclass(frozen=True, slots=True)
class _Progress:
    """What counts as progress: iterations and finished checkpoints."""

    beat: Heartbeat | None
    folder: CheckpointReading | None

    @classmethod
    def of(cls, target: WatchTarget) -> _Progress:
        beat = read_heartbeat(target.run_dir.heartbeat).value
        return cls(beat, CheckpointProbe(target.checkpoints).read().value)

    def advanced_to(self, later: _Progress) -> bool:
        if (
            self.beat is not None
            and later.beat is not None
            and (later.beat.done or 0) > (self.beat.done or 0)
        ):
            return True
        old, new = self.folder, later.folder
        if old is None or new is None:
            return False
        saved = [each.iteration for each in (old.last_complete, new.last_complete) if each]
        return (new.tracker or 0) > (old.tracker or 0) or (len(saved) == 2 and saved[1] > saved[0])


def _may_be_asked(target: WatchTarget, pids: Sequence[int], state: str | None) -> bool:
    """See the rule of `monitor.diagnosis.faulthandler_dump`."""
    if target.foreign or target.process is None or target.log is None or state in ("T", "t", "Z"):
        return False
    return bool(pids) and _writes_to_log(target.process.pid, target.log)


def _writes_to_log(pid: int, log: Path) -> bool:
    """Its stderr is the log; where that may not be seen, it is as the keeper started it."""
    try:
        there = os.stat(f"/proc/{pid}/fd/2")  # noqa: PTH116 - a link of /proc, not a path
    except PermissionError:
        return log.exists()
    except OSError:
        return False
    return stat.S_ISREG(there.st_mode) and log.exists() and os.path.samestat(there, log.stat())
