"""How long ago each signal last changed, in time that was really observed. Pure.

The one rule: a look adds at most three ticks to the clock. A suspended machine, a jumped clock or
a starved watcher can therefore never make silence that nobody heard; only to a new watcher may the
trainer's own stamps, on the same boot, say what happened while nobody looked.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.activity import activity_marks, idle_power
from monitor.codec import decode
from monitor.facts import Facts, heartbeat_age
from monitor.frozen import replace
from monitor.history import learn, spoke
from monitor.limits import STANDARD, LimitConfig
from monitor.marks import AgeState, Look, Mark
from monitor.model import Ages
from monitor.outside import Moment, Saved

__all__ = ["AgeState", "Mark", "advance", "ages_of", "continued"]

MAX_TICKS = 3
"""One look adds at most this many ticks of silence."""


def advance(
    state: AgeState, facts: Facts, *, now: float, tick_s: float, limits: LimitConfig = STANDARD
) -> AgeState:
    """Return the state after one more look at *now* (CLOCK_MONOTONIC of `facts.boot_id`).

    *limits* are those that the run is judged by: what went beyond them teaches no pace.
    """
    look = _begin(state, facts, now, tick_s)
    marks = _signal_marks(look) | activity_marks(look)
    when = Moment(
        observed_s=look.observed_s,
        since_s=look.observed_s - state.observed_s,
        gap=look.gap,
        first=look.first,
    )
    learnt = learn(state.learnt, facts, when=when, saved=_saved(marks), limits=limits)
    process = facts.process
    return replace(
        state,
        boot_id=facts.boot_id,
        monotonic_s=now,
        observed_s=look.observed_s,
        gaps=state.gaps + look.gap,
        gap_s=state.gap_s + (look.real_s if look.gap else 0.0),
        restored=False,
        attempt=facts.attempt,
        progress_at=_progress_at(look, marks),
        marks={name: mark for name, mark in marks.items() if mark is not None},
        cpu_s=process.cpu_s if process and process.cpu_s is not None else state.cpu_s,
        written_bytes=process.written_bytes
        if process and process.written_bytes is not None
        else state.written_bytes,
        idle_power_w=idle_power(look),
        learnt=learnt,
    )


def continued(marks: object) -> AgeState:
    """Return the state with which a new watcher goes on. Raises ValueError for anything else."""
    return replace(decode(AgeState, marks), restored=True)


def ages_of(state: AgeState) -> Ages:
    """Seconds of observed time since each signal last changed."""

    def age(name: str) -> float | None:
        mark = state.marks.get(name)
        return None if mark is None or mark.at is None else max(0.0, state.observed_s - mark.at)

    since, proven_at = state.progress_at, state.learnt.outside.proven_at
    return Ages(
        progress_s=None if since is None else max(0.0, state.observed_s - since),
        stage_s=age("stage"),
        phase_s=age("phase"),
        heartbeat_s=age("heartbeat"),
        tracker_s=age("tracker"),
        checkpoint_s=age("checkpoints"),
        writing_s=age("writing"),
        log_s=age("log"),
        log_iteration_s=age("log_iteration"),
        iteration_s=None if proven_at is None else max(0.0, state.observed_s - proven_at),
        excluded_s=age("excluded"),
        powered_s=age("powered"),
        computing_s=age("computing"),
        gone_s=age("gone"),
        hint_s=age("hint"),
        cpu_s=age("cpu"),
        written_s=age("written"),
        gpu_s=age("gpu"),
    )


def _begin(state: AgeState, facts: Facts, now: float, tick_s: float) -> Look:
    same_boot = state.boot_id == facts.boot_id and bool(state.marks)
    real_s = max(0.0, now - state.monotonic_s) if same_boot else 0.0
    longest = MAX_TICKS * tick_s
    return Look(
        before=state,
        facts=facts,
        observed_s=state.observed_s + min(real_s, longest),
        real_s=real_s,
        gap=real_s > longest or state.restored,
    )


def _signal_marks(look: Look) -> dict[str, Mark | None]:
    facts, beat = look.facts, look.facts.current_heartbeat
    stamp = _stamp_age(look)
    # A stage, a tracker and a folder carry no stamp that could be trusted: when they change while
    # nobody looks, they changed about when the trainer last wrote.
    unstamped = stamp if look.gap and stamp is not None else 0.0
    reading, log = facts.checkpoints, facts.log
    said, newest = facts.log_progress, reading.last_complete if reading else None
    since_watch = None if look.first else unstamped
    marks = {
        "stage": look.mark("stage", f"{facts.attempt}|{facts.stage}"),
        "heartbeat": look.mark(
            "heartbeat", f"{beat.attempt}|{beat.pid}|{beat.seq}" if beat else None, stamp
        ),
        "phase": look.mark(
            "phase", f"{beat.attempt}|{beat.stage}|{beat.phase}" if beat else None, stamp
        ),
        "beat": look.mark(
            "beat",
            f"{beat.attempt}|{beat.stage}|{beat.phase}|{beat.done}" if beat else None,
            stamp,
        ),
        "checkpoints": look.mark("checkpoints", _folders(look), since_watch),
        "log": look.mark("log", f"{log.path}|{log.size_bytes}" if log else None, since_watch),
        "hint": look.mark("hint", _hint(facts), since_watch),
        "writing": _writing(look),
    }
    marks |= look.rising("log_iteration", said.iteration if said else None, since_watch)
    marks |= look.rising("tracker", reading.tracker if reading else None, since_watch)
    marks |= look.rising("whole", newest.iteration if newest else None, since_watch)
    return _corrected(look, marks) if look.before.restored else marks


def _stamp_age(look: Look) -> float | None:
    """How long ago the heartbeat that is new now was written; None where its stamp says nothing.

    What is seen to be new was written since the last look, whatever the stamp claims. After a gap
    it is as old as one look may make it: who was paused with us could not write a newer one.
    """
    age = heartbeat_age(look.facts)
    if look.first:
        return age
    heard_s = look.real_s if look.before.restored else look.observed_s - look.before.observed_s
    return 0.0 if age is None else min(age, heard_s)


def _saved(marks: Mapping[str, Mark | None]) -> Saved | None:
    """The newest finished checkpoint: the tracker's word counts before a folder's."""
    for name, source in (("tracker", "tracker"), ("whole", "checkpoint")):
        mark = marks.get(name)
        if mark is not None and mark.key.isdigit():
            return Saved(iteration=int(mark.key), source=source)
    return None


def _hint(facts: Facts) -> str | None:
    """What log and folders say of the phase; None where neither can be read."""
    if facts.log_progress is None and facts.checkpoints is None:
        return None
    phase = facts.log_progress.phase if facts.log_progress else None
    writing = facts.checkpoints is not None and facts.checkpoints.writing_bytes is not None
    return f"{phase}|{writing}"


def _writing(look: Look) -> Mark | None:
    """Since when the checkpoint that is being written has not grown."""
    reading, known = look.facts.checkpoints, look.before.marks.get("writing")
    if reading is None:
        return known
    size = reading.writing_bytes
    if size is None:
        return None
    if known is not None and size <= int(known.key):  # what shrinks is tidied up, and no progress
        return known if size == int(known.key) else Mark(str(size), known.at)
    return Mark(str(size), look.observed_s)


def _folders(look: Look) -> str | None:
    reading = look.facts.checkpoints
    if reading is None:
        return None
    total = sum(each.size_bytes for each in reading.checkpoints)
    newest = reading.checkpoints[-1].iteration if reading.checkpoints else None
    return f"{len(reading.checkpoints)}|{newest}|{total}|{reading.writing_bytes}"


def _corrected(look: Look, marks: dict[str, Mark | None]) -> dict[str, Mark | None]:
    """The trainer's own stamp proves its silence also for the time in which nobody watched."""
    if heartbeat_age(look.facts) is None:
        return marks
    unheard = _unheard_s(look)
    for name in ("heartbeat", "phase", "beat"):
        mark = marks[name]
        if mark is not None and mark is look.before.marks.get(name) and mark.at is not None:
            marks[name] = Mark(mark.key, mark.at - unheard)
    return marks


def _unheard_s(look: Look) -> float:
    """Real seconds of the gap that the observed clock leaves out."""
    return look.real_s - (look.observed_s - look.before.observed_s)


def _progress_at(look: Look, marks: Mapping[str, Mark | None]) -> float | None:
    """The newest of: heartbeat's attempt, stage, phase or done; tracker; a finished checkpoint.

    Where no heartbeat was ever written also: an iteration that the log tells of.
    """
    before, facts = look.before, look.facts
    since = before.progress_at
    if since is not None and before.restored and heartbeat_age(facts) is not None:
        since -= _unheard_s(look)
    names = ["beat", "tracker", "whole"]
    if not look.first:
        names.append("stage")  # a stage that began while we looked: the one before it got done
    if facts.current_heartbeat is None and not spoke(before.learnt, facts.attempt):
        names.append("log_iteration")
    changed = [at for name in names if (at := _changed_at(before, name, marks[name])) is not None]
    # What changed is later than all before, also when its stamp lies deep in a gap.
    return max(changed) if changed else since


def _changed_at(before: AgeState, name: str, mark: Mark | None) -> float | None:
    """When *name* got on; None unless that is new with this look."""
    known = before.marks.get(name)
    if mark is None or (known is not None and (known.key == mark.key or known.at == mark.at)):
        return None
    return mark.at
