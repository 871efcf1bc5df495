"""How long ago each signal last changed, in time that was really observed. Pure.

The one rule: a look adds at most three ticks to the clock. A suspended machine, a jumped clock, a
starved or a dead watcher can therefore never make silence that nobody heard; only the trainer's own
stamps, on the same boot, may say what happened while nobody looked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from monitor.codec import decode
from monitor.facts import Facts, heartbeat_age
from monitor.history import Learnt, learn
from monitor.limits import STANDARD, LimitConfig
from monitor.model import Ages

MAX_TICKS = 3
"""One look adds at most this many ticks of silence."""
CPU_IDLE_SHARE = 0.05
"""Of one core: what the housekeeping threads of a deadlocked trainer may use."""
WRITTEN_IDLE_BYTES = 4096.0
"""Per second: threads wake one another through descriptors even when nothing is written."""
GPU_IDLE_PERCENT = 5
POWER_IDLE_FACTOR = 1.2
"""Times the lowest power seen, for a GPU that gives no utilisation."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a signal last said, and the observed time at which it began to say so.

    `at` is None for what was there when the watch began: nobody knows since when.
    """

    key: str
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeState:
    """All marks of one run; kept in watch.json so that a new watcher continues them."""

    boot_id: str = ""
    monotonic_s: float = 0.0
    """Of the last look."""
    observed_s: float = 0.0
    gaps: int = 0
    """How often more than three ticks passed between two looks."""
    gap_s: float = 0.0
    restored: bool = False
    """Read back from disk: the next look is the first of a new watcher."""
    attempt: int = 0
    progress_at: float | None = None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    cpu_s: float | None = None
    written_bytes: float | None = None
    idle_power_w: float | None = None
    learnt: Learnt = field(default_factory=Learnt)


@dataclass(frozen=True, slots=True)
class _Look:
    """The clockwork of one look: what was before it and how much time it adds."""

    before: AgeState
    facts: Facts
    observed_s: float
    real_s: float
    """Monotonic seconds since the last look; 0 for the first one of a boot."""
    gap: bool

    @property
    def first(self) -> bool:
        return not self.before.marks

    def mark(self, name: str, key: str | None, age_s: float | None = 0.0) -> Mark | None:
        """Return the mark of a signal that says *key* now and has said it for *age_s*."""
        known = self.before.marks.get(name)
        if key is None or (known is not None and known.key == key):
            return known
        return Mark(key, None if age_s is None else self.observed_s - age_s)


def advance(
    state: AgeState, facts: Facts, *, now: float, tick_s: float, limits: LimitConfig = STANDARD
) -> AgeState:
    """Return the state after one more look at *now* (CLOCK_MONOTONIC of `facts.boot_id`).

    *limits* are those that the run is judged by: what went beyond them teaches no pace.
    """
    look = _begin(state, facts, now, tick_s)
    marks = _signal_marks(look) | _activity_marks(look)
    learnt = learn(state.learnt, facts, observed_s=look.observed_s, gap=look.gap, limits=limits)
    process, gpus = facts.process, facts.machine.gpus if facts.machine else ()
    powers = [gpu.power_w for gpu in gpus if gpu.power_w is not None]
    if state.idle_power_w is not None:
        powers.append(state.idle_power_w)
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
        idle_power_w=min(powers) if powers else None,
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

    since = state.progress_at
    return Ages(
        progress_s=None if since is None else max(0.0, state.observed_s - since),
        stage_s=age("stage"),
        phase_s=age("phase"),
        heartbeat_s=age("heartbeat"),
        tracker_s=age("tracker"),
        checkpoint_s=age("checkpoints"),
        log_s=age("log"),
        cpu_s=age("cpu"),
        written_s=age("written"),
        gpu_s=age("gpu"),
    )


def _begin(state: AgeState, facts: Facts, now: float, tick_s: float) -> _Look:
    same_boot = state.boot_id == facts.boot_id and bool(state.marks)
    real_s = max(0.0, now - state.monotonic_s) if same_boot else 0.0
    longest = MAX_TICKS * tick_s
    return _Look(
        before=state,
        facts=facts,
        observed_s=state.observed_s + min(real_s, longest),
        real_s=real_s,
        gap=real_s > longest or state.restored,
    )


def _signal_marks(look: _Look) -> dict[str, Mark | None]:
    facts, beat = look.facts, look.facts.current_heartbeat
    stamp = _stamp_age(look)
    # A stage, a tracker and a folder carry no stamp that could be trusted: when they change while
    # nobody looks, they changed about when the trainer last wrote.
    unstamped = stamp if look.gap and stamp is not None else 0.0
    reading, log = facts.checkpoints, facts.log
    tracker = reading.tracker if reading else None
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
        "tracker": look.mark("tracker", None if tracker is None else str(tracker), since_watch),
        "whole": _whole_mark(look, since_watch),
        "checkpoints": look.mark("checkpoints", _folders(look), since_watch),
        "log": look.mark("log", f"{log.path}|{log.size_bytes}" if log else None, since_watch),
    }
    return _corrected(look, marks) if look.before.restored else marks


def _stamp_age(look: _Look) -> float | None:
    """How long ago the heartbeat that is new now was written; None where its stamp says nothing.

    What is seen to be new was written since the last look, whatever the stamp claims.
    """
    age = heartbeat_age(look.facts)
    if look.first:
        return age
    return 0.0 if age is None else min(age, look.real_s)


def _whole_mark(look: _Look, age_s: float | None) -> Mark | None:
    """Only a checkpoint that was not there before is progress: rotation takes away old ones."""
    reading = look.facts.checkpoints
    newest = reading.last_complete if reading else None
    known = look.before.marks.get("whole")
    if newest is None:
        return known
    if known is not None and known.key.isdigit() and int(known.key) > newest.iteration:
        # An older one is the newest now: the newer was removed, which is no progress.
        return Mark(str(newest.iteration), known.at)
    return look.mark("whole", str(newest.iteration), age_s)


def _folders(look: _Look) -> str | None:
    reading = look.facts.checkpoints
    if reading is None:
        return None
    total = sum(each.size_bytes for each in reading.checkpoints)
    newest = reading.checkpoints[-1].iteration if reading.checkpoints else None
    return f"{len(reading.checkpoints)}|{newest}|{total}|{reading.writing_bytes}"


def _corrected(look: _Look, marks: dict[str, Mark | None]) -> dict[str, Mark | None]:
    """The trainer's own stamp proves its silence also for the time in which nobody watched."""
    if heartbeat_age(look.facts) is None:
        return marks
    unheard = _unheard_s(look)
    for name in ("heartbeat", "phase", "beat"):
        mark = marks[name]
        if mark is not None and mark is look.before.marks.get(name) and mark.at is not None:
            marks[name] = Mark(mark.key, mark.at - unheard)
    return marks


def _unheard_s(look: _Look) -> float:
    """Real seconds of the gap that the observed clock leaves out."""
    return look.real_s - (look.observed_s - look.before.observed_s)


def _progress_at(look: _Look, marks: Mapping[str, Mark | None]) -> float | None:
    """The newest of: heartbeat's attempt, stage, phase or done; tracker; a finished checkpoint."""
    before = look.before
    since = before.progress_at
    if since is not None and before.restored and heartbeat_age(look.facts) is not None:
        since -= _unheard_s(look)
    names = ["beat", "tracker", "whole"]
    if not look.first:
        names.append("stage")  # a stage that began while we looked: the one before it got done
    changed = [
        mark.at
        for name in names
        if (mark := marks[name]) and mark is not before.marks.get(name) and mark.at is not None
    ]
    # What changed is later than all before, also when its stamp lies deep in a gap.
    return max(changed) if changed else since


def _activity_marks(look: _Look) -> dict[str, Mark | None]:
    """Marks that move while something is used; the first reading counts as use."""
    process = look.facts.process
    cpu = process.cpu_s if process else None
    written = process.written_bytes if process else None
    return {
        "cpu": _used(look, "cpu", cpu, look.before.cpu_s, CPU_IDLE_SHARE),
        "written": _used(look, "written", written, look.before.written_bytes, WRITTEN_IDLE_BYTES),
        "gpu": _gpu_mark(look),
    }


def _used(
    look: _Look, name: str, total: float | None, before: float | None, idle: float
) -> Mark | None:
    """A total that rose faster than *idle* per second; one that fell is another process's."""
    known = look.before.marks.get(name)
    if total is None:
        return known
    if known is None or before is None or total < before:
        return Mark("", look.observed_s)
    if look.real_s <= 0 or (total - before) / look.real_s <= idle:
        return known
    return Mark("", look.observed_s)


def _gpu_mark(look: _Look) -> Mark | None:
    known = look.before.marks.get("gpu")
    machine = look.facts.machine
    if machine is None or not machine.gpus:
        return known
    idle_w = look.before.idle_power_w
    for gpu in machine.gpus:
        if gpu.utilisation_percent is not None:
            if gpu.utilisation_percent > GPU_IDLE_PERCENT:
                return Mark("", look.observed_s)
        elif gpu.power_w is not None and idle_w and gpu.power_w > POWER_IDLE_FACTOR * idle_w:
            return Mark("", look.observed_s)
    return known or Mark("", look.observed_s)
