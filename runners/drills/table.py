"""What each drill does and which verdicts it must bring. Pure.

The rule: all times are seconds of the judged clock, the same as on a real box: a save of 300 s is
judged by the real limit of a first save, however fast the drill is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from monitor.model import Liveness


class Then(StrEnum):
    """What is done once a verdict was seen: by it a drill ends, or shows the recovery."""

    CONTINUE = "continue"
    """SIGCONT to whatever the drill has stopped."""
    KILL = "kill"
    RESUME = "resume"


class Right(StrEnum):
    """What a drill may not be allowed to do here; without it a recording is replayed."""

    MOUNT = "mount a disk"
    TIME_NAMESPACE = "make a time namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One verdict or flag that must be seen, after those before it."""

    verdict: Liveness | None = None
    flag: str | None = None
    signature: str | None = None
    """A value of `monitor.signatures.Signature`."""
    says: str | None = None
    """Words that its reason must hold."""
    then: Then | None = None
    cause: str | None = None
    """What a diagnosis must name once this was seen; None: it is not diagnosed then."""
    blames: str | None = None
    """Words of its sentence: the function and file that are to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One rehearsal."""

    name: str
    about: str
    expect: tuple[Step, ...]
    allowed: frozenset[str] = frozenset()
    """Verdicts and flags that may be seen besides the expected and the calm ones."""
    healthy: bool = False
    """Nothing is wrong, though it may look so."""
    wakes: bool = False
    """An alert must wake someone; in all other drills none may."""
    trainer: Mapping[str, Any] = field(default_factory=dict)
    """See `runners.drills.script.Script`."""
    foreign: bool = False
    """lanewatch does not start the trainer, which writes no heartbeat; it is attached."""
    late_s: float = 12.0
    """How long after its limit a stall may be called: some looks of a busy machine; and the time
    in which a foreign trainer goes on unseen, filling a pipe."""
    rate: float = 20.0
    """Judged seconds per second. Less where the machine itself cannot be that much faster."""
    needs: Right | None = None
    budget_bytes: int | None = None
    """How much more than now the machine may use before the memory limit is reached."""
    at_limit: str = "notify"
    """How far the memory guard may go."""


CALM = frozenset({"starting", "training", "saving", "slow"})
"""Always allowed. `slow` too: the machine of a rehearsal may be busy with something else."""


def _ends(*, at: int = 40, cause: str | None = None) -> Step:
    return Step(verdict=Liveness.FINISHED, says=f"iteration {at} of {at}", cause=cause)


def _trains(*, cause: str | None = None) -> Step:
    return Step(verdict=Liveness.TRAINING, cause=cause)


def _fails(says: str, cause: str, blames: str | None = None, then: Then | None = None) -> Step:
    return Step(verdict=Liveness.FAILED, says=says, cause=cause, blames=blames, then=then)


def _stalls(
    signature: str,
    then: Then,
    says: str | None = None,
    cause: str | None = None,
    blames: str | None = None,
) -> tuple[Step, ...]:
    """*cause*: what the diagnosis calls it, where that is not the signature."""
    return (
        _trains(),
        Step(verdict=Liveness.SUSPECT),
        Step(
            verdict=Liveness.STALLED,
            signature=signature,
            says=says,
            then=then,
            cause=cause or signature,
            blames=blames,
        ),
    )


def _reached(total: int) -> Step:
    return Step(verdict=Liveness.FINISHED, says=f"reached {total} of {total}")


_FOREIGN: Mapping[str, Any] = {
    "silent": True,
    "iterations": 120,
    "save_interval": 20,
    "first_save_s": 3,
}
_STOPPED = Step(verdict=Liveness.STOPPED, says="killed by the user")
_FINISHES = (_trains(), _ends())
_LOG_STUCK = Step(
    verdict=Liveness.LOG_STUCK, says="which is stopped", then=Then.CONTINUE, cause="log-stuck"
)

_ALL = (
    Drill(
        name="log-stuck",
        about="the filter that stdout is piped through stops; the trainer goes on",
        trainer={"faults": ((12, "stop_reader"),), "pipe": True, "iterations": 80},
        expect=(
            _trains(),
            _LOG_STUCK,
            _trains(),
            _ends(at=80),
        ),
    ),
    Drill(
        name="blocked-pipe",
        wakes=True,
        about="the same with a talkative trainer: 64 KiB later it is blocked in its own print",
        trainer={
            "faults": ((12, "stop_reader"),),
            "pipe": True,
            "line_bytes": 8192,
            "line_bytes_from": 10,
        },
        expect=(*_stalls("blocked-pipe", Then.CONTINUE, "which is stopped"), *_FINISHES),
        allowed=frozenset({"log-stuck"}),
    ),
    Drill(
        name="attached-log-stuck",
        about="a trainer that lanewatch did not start: its log stops, its checkpoints go on",
        trainer={**_FOREIGN, "iterations": 180, "faults": ((50, "stop_reader"),)},
        foreign=True,
        expect=(
            _trains(),
            _LOG_STUCK,
            _trains(),
            _reached(180),
        ),
    ),
    Drill(
        name="attached-blocked-pipe",
        wakes=True,
        about="the same with a talkative trainer, until it is blocked in its own print",
        trainer={
            **_FOREIGN,
            "faults": ((50, "stop_reader"),),
            "line_bytes": 8192,
            "line_bytes_from": 48,
        },
        foreign=True,
        expect=(
            *_stalls("blocked-pipe", Then.CONTINUE, "which is stopped"),
            _trains(),
            _reached(120),
        ),
        allowed=frozenset({"log-stuck"}),
        late_s=60,
    ),
    Drill(
        name="sigstop",
        wakes=True,
        about="someone stops the trainer (SIGSTOP), and continues it after the alarm",
        trainer={"faults": ((12, "stop_self"),)},
        expect=(*_stalls("stopped", Then.CONTINUE), *_FINISHES),
    ),
    Drill(
        name="deadlock",
        wakes=True,
        about="two threads wait for each other's lock",
        trainer={"faults": ((12, "deadlock"),)},
        expect=(
            *_stalls(
                "idle-deadlock", Then.KILL, cause="deadlock", blames="deadlock (drills/faults.py:"
            ),
            _STOPPED,
        ),
    ),
    Drill(
        name="spin",
        wakes=True,
        about="a thread burns CPU and never gets on",
        trainer={"faults": ((12, "spin"),)},
        expect=(
            *_stalls("spinning", Then.KILL, blames="spin.<locals>.turn (drills/faults.py:"),
            _STOPPED,
        ),
        late_s=180,  # it uses the CPU as while it trained: three times the limit of 60 s
    ),
    Drill(
        name="slow-save",
        about="the first save takes 5 minutes, 50 times a later one",
        trainer={"first_save_s": 300, "save_s": 6},
        expect=(_trains(), Step(verdict=Liveness.SAVING, cause="healthy"), *_FINISHES),
        healthy=True,
    ),
    Drill(
        name="slow-first-step",
        about="the first iteration compiles for 5 minutes",
        trainer={"first_step_s": 300},
        expect=(
            Step(verdict=Liveness.STARTING, says="first iteration", cause="healthy"),
            *_FINISHES,
        ),
        healthy=True,
    ),
    Drill(
        name="long-eval",
        about="an evaluation takes 6 minutes",
        trainer={"eval_interval": 20, "eval_s": 360},
        expect=(Step(verdict=Liveness.TRAINING, says="evaluation", cause="healthy"), *_FINISHES),
        healthy=True,
    ),
    Drill(
        name="long-import",
        about="importing and loading take 9 minutes",
        trainer={"load_s": 540},
        expect=(
            Step(verdict=Liveness.STARTING, says="loads the model", cause="healthy"),
            *_FINISHES,
        ),
        healthy=True,
    ),
    Drill(
        name="memory-climb",
        wakes=True,
        about="memory climbs with each iteration; the guard may save and stop the run",
        # More of both than it comes to: a neighbour that frees memory meanwhile delays the limit.
        trainer={"faults": ((12, "climb"),), "iterations": 2000, "most_bytes": 4 << 30},
        budget_bytes=768 << 20,
        at_limit="save-and-stop",
        expect=(
            _trains(),
            Step(flag="memory-warn"),
            Step(flag="memory-high"),
            Step(
                verdict=Liveness.STOPPED,
                says="memory guard in stage train, saved",
                cause="memory-limit",
            ),
        ),
        allowed=frozenset({"memory-limit"}),  # where a neighbour takes the rest
    ),
    Drill(
        name="memory-burst",
        wakes=True,
        about="memory jumps over the limit at once; the guard may stop the run without saving",
        trainer={
            "faults": ((12, "burst"),),
            "iterations": 100,
            "load_s": 1,
            "first_step_s": 1,
            "step_s": 0.5,
            "first_save_s": 0.5,
            "save_s": 0.5,
            "most_bytes": 1100 << 20,
        },
        budget_bytes=768 << 20,
        rate=2.0,
        at_limit="stop-now",
        expect=(
            _trains(),
            Step(flag="memory-limit"),
            Step(verdict=Liveness.STOPPED, says="memory", cause="memory-limit"),
        ),
        allowed=frozenset({"memory-warn", "memory-high"}),
    ),
    Drill(
        name="crash",
        wakes=True,
        about="the trainer dies of an exception",
        trainer={"faults": ((12, "crash"),)},
        expect=(
            _trains(),
            _fails("shapes cannot be multiplied", "crashed", "crash (drills/faults.py:"),
        ),
    ),
    Drill(
        name="oom-exit",
        wakes=True,
        about="the trainer runs out of memory",
        trainer={"faults": ((12, "exhaust_memory"),)},
        expect=(_trains(), _fails("out of memory", "out-of-memory")),
    ),
    Drill(
        name="nan-loss",
        wakes=True,
        about="the learning rate is far too large: the loss becomes no number",
        trainer={"faults": ((12, "diverge"),)},
        expect=(_trains(), Step(flag="nan-loss"), _ends(cause="loss")),
        allowed=frozenset({"exploding-loss"}),
    ),
    Drill(
        name="disk-full",
        wakes=True,
        about="the disk of the run fills up; then someone makes room",
        trainer={"faults": ((13, "fill_disk"),)},
        expect=(_trains(), _fails("disk full", "disk-full")),
        allowed=frozenset({"disk-low"}),
        needs=Right.MOUNT,
    ),
    Drill(
        name="checkpoint-pruned",
        wakes=True,
        about="someone deletes the newest checkpoint; the trainer dies later and is resumed",
        trainer={"save_interval": 8, "faults": ((17, "lose_checkpoint"), (23, "die"))},
        expect=(
            _trains(),
            _fails("SIGKILL", "killed", then=Then.RESUME),
            *_FINISHES,
        ),
    ),
    Drill(
        name="clock-jump",
        about="the trainer's clocks jump an hour ahead and half an hour back",
        trainer={"faults": ((13, "clock_ahead"), (22, "clock_back"))},
        expect=(_trains(cause="healthy"), _ends()),
        healthy=True,
        needs=Right.TIME_NAMESPACE,
    ),
    Drill(
        name="exit-zero-but-dead",
        wakes=True,
        about="the process that trains is killed, and the script around it exits with 0",
        trainer={"faults": ((12, "die"),), "wrapped": True},
        expect=(_trains(), _fails("never said that it had finished", "silent-end")),
    ),
    Drill(
        name="slow-but-fine",
        about="iterations become six times slower, little by little",
        trainer={"iterations": 70, "slower": ((40, 8), (48, 14), (56, 24))},
        expect=(_trains(), Step(verdict=Liveness.SLOW, cause="healthy"), _ends(at=70)),
        healthy=True,
    ),
    Drill(
        name="quiet-log-by-design",
        about="the log speaks once in eight iterations",
        trainer={"log_interval": 8},
        expect=(_trains(cause="healthy"), _ends()),
        healthy=True,
    ),
    Drill(
        name="bursty-loading",
        about="the model is loaded in bursts of memory, the data in bursts of iterations",
        trainer={"iterations": 20, "load_s": 60, "burst_bytes": 192 << 20, "data_wait_s": 10},
        budget_bytes=2 << 30,
        rate=5.0,  # what others take meanwhile would climb twenty times as fast
        expect=(
            Step(verdict=Liveness.STARTING, says="loads the model", cause="healthy"),
            _trains(),
            _ends(at=20),
        ),
        healthy=True,
    ),
)

DRILLS: Mapping[str, Drill] = {drill.name: drill for drill in _ALL}
