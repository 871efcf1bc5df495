"""What to do about a conclusion, in order, and what each way loses. Pure.

The rule: what loses nothing comes first, then what loses time, then what loses work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.diagnosis.ends import Found
from monitor.diagnosis.values import Cause, DiagnosisFacts, Remedy
from monitor.model import FINAL, Liveness
from monitor.signatures import Signature
from monitor.words import duration

_CONTINUE = re.compile(r"`(kill -CONT [0-9 ]+)`")
_DEAF = frozenset(
    {Cause.DEADLOCK, Cause.SPINNING, Cause.PAUSED, Cause.LOCK_HELD, Cause.FILE_SYSTEM}
    | {Cause.RANK_BEHIND, Cause.RANK_GONE, Cause.COLLECTIVES_DIFFER}
    | {Signature.BLOCKED_IO, Signature.STOPPED}
)
"""Whoever stands like that does not come to the end of an iteration, at which it would save."""
SLOWED = frozenset({Signature.THERMAL, Signature.POWER_STATE})
"""What slows a GPU and hangs nothing."""
_READER = frozenset({Signature.BLOCKED_PIPE, Signature.BLOCKED_TERMINAL, Cause.LOG_STUCK})


def remedies(facts: DiagnosisFacts, found: Found) -> Iterator[Remedy]:
    """Return what can be done, the least costly first."""
    if found.cause == Cause.HEALTHY:
        yield Remedy(do="leave it alone", loses="nothing")
    elif facts.liveness in FINAL:
        yield from _after_its_end(facts, found)
    elif facts.liveness == Liveness.SLOW and found.cause in SLOWED:
        yield Remedy(do=_HINTS[found.cause], loses="nothing")
        yield Remedy(do="leave it alone", loses="time only: it gets on")
    elif found.cause not in (Cause.ENDED, Cause.UNKNOWN):
        yield from _continue(facts, found)
        yield from _end_it(facts, found)


def _after_its_end(facts: DiagnosisFacts, found: Found) -> Iterator[Remedy]:
    if facts.liveness == Liveness.FINISHED or found.cause == Cause.ENDED:
        return
    for each in facts.told.known:
        yield Remedy(do=each.remedy, loses="nothing")
    if not facts.told.known and (first := _MENDS.get(found.cause)):
        yield Remedy(do=first, loses="nothing")
    if not facts.foreign:
        yield _resume(facts)


_MENDS = {
    str(Cause.DISK_FULL): "make room: `lanewatch du` shows what runs hold, `lanewatch prune` frees",
    str(Cause.OUT_OF_MEMORY): "free memory, or lower micro_batch or sequence_length",
    str(Cause.MEMORY_LIMIT): "lower micro_batch or sequence_length, or raise memory.limit_gib",
    str(Cause.CRASHED): "mend what raised it: going on would meet it again",
    str(Cause.SILENT_END): "let the script around it end with the trainer's exit status (exec, or "
    "set -e)",
}


_HINTS = {
    str(Signature.GPU_LOST): "`nvidia-smi` says whether the GPU is there; else restart the machine",
    str(Signature.DRIVER_STUCK): "start nothing else on the GPU; a driver that stays silent takes "
    "a restart of the machine",
    str(Signature.SWAP_THRASH): "end what else takes memory on this machine",
    str(Signature.BLOCKED_IO): "see to the disk or the file server that it waits for",
    str(Signature.THERMAL): "let the machine cool: its fans, the room, another load on it",
    str(Signature.POWER_STATE): "let it save and stop, take the machine off mains power for a "
    "minute, resume",
}
_NO_USE_TO_WAIT = frozenset(
    {Signature.STOPPED, Signature.GPU_LOST, Signature.SAVE_WORKER_DEAD, Cause.WORKER_DEAD}
    | {Cause.LOG_STUCK, Cause.LOSS, Cause.MEMORY_LIMIT, Cause.DISK_LOW}
)


def _continue(facts: DiagnosisFacts, found: Found) -> Iterator[Remedy]:
    """What lets it go on, or waits for that."""
    command = _CONTINUE.findall(f"{facts.words} {found.sentence}")
    if command:
        argv = tuple(command[-1].split())
        yield Remedy(do=command[-1].strip(), loses="nothing", commands=(argv,))
    elif found.cause == Cause.PAUSED:
        container = facts.around.container
        argv = ("docker", "unpause", container or "")
        yield Remedy(
            do=" ".join(argv) if container else f"thaw the control group {facts.around.frozen}",
            loses="nothing",
            commands=(argv,) if container else (),
        )
        return
    elif found.cause == Signature.BLOCKED_TERMINAL:
        yield Remedy(do="Ctrl-Q in its terminal, if Ctrl-S holds it", loses="nothing")
    elif found.cause in _READER:
        yield Remedy(do="let the reader of its output read again", loses="nothing")
    if found.cause == Cause.LOG_STUCK:
        yield Remedy(do="or leave it: its checkpoints go on", loses="nothing but the log's news")
    elif (hint := _HINTS.get(found.cause)) is not None:
        yield Remedy(do=hint, loses="nothing")
    if found.cause not in _NO_USE_TO_WAIT:
        yield Remedy(do="wait", loses="time only; it may go on by itself, if this is wrong")
    if found.cause == Cause.DISK_LOW:
        yield Remedy(do=_MENDS[Cause.DISK_FULL], loses="nothing")
    if found.cause == Cause.LOSS:
        yield Remedy(do="lower train.lr and begin anew", loses="the run: no later iteration mends")


def _end_it(facts: DiagnosisFacts, found: Found) -> Iterator[Remedy]:
    """Stop with a save where it may still answer; else kill and go on from the checkpoint."""
    if found.cause == Cause.LOG_STUCK:
        return
    if facts.foreign:
        yield Remedy(
            do="end it where it was started; lanewatch does not own it", loses=_loss(facts)
        )
        return
    if found.cause not in _DEAF and not _silent(facts):
        yield Remedy(
            do=f"lanewatch stop {facts.run} --save",
            loses="nothing, if it still comes to the end of an iteration",
            commands=(("lanewatch", "stop", facts.run, "--save"),),
        )
    kill, resume = ("lanewatch", "kill", facts.run), ("lanewatch", "resume", facts.run)
    yield Remedy(
        do=f"lanewatch kill {facts.run}, then lanewatch resume {facts.run}",
        loses=_loss(facts),
        commands=(kill, resume),
    )


def _silent(facts: DiagnosisFacts) -> bool:
    """Nothing of it ran while it was looked at: it would not hear a request either."""
    return facts.liveness == Liveness.STALLED and not any(
        each.cpu_share > 0 for each in facts.kernel
    )


def _resume(facts: DiagnosisFacts) -> Remedy:
    from_ = "anew" if facts.checkpoint is None else f"from iteration {facts.checkpoint}"
    return Remedy(
        do=f"lanewatch resume {facts.run}, {from_}",
        loses=_loss(facts),
        commands=(("lanewatch", "resume", facts.run),),
    )


def _loss(facts: DiagnosisFacts) -> str:
    if facts.checkpoint is None:
        return "all of it: there is no whole checkpoint"
    age = facts.checkpoint_age_s if facts.work_s is None else facts.work_s
    since = "" if age is None or facts.liveness in FINAL else f": {duration(age)} of work"
    return f"what was done since checkpoint {facts.checkpoint}{since}"
