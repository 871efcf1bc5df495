"""Facts of a diagnosis as of the moment at which a recorded or simulated night first goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from monitor.diagnosis.look import _work_s
from monitor.diagnosis.values import DiagnosisFacts, KernelThread
from monitor.model import Liveness, MachineReading
from monitor.replay import Look, Replay
from monitor.signatures import sign_of
from monitor.trace import read_trace

TRACES = Path(__file__).parents[1] / "traces"
PID = 4711
BUSY = 0.9
Change = Callable[[MachineReading], MachineReading]


def _unchanged(machine: MachineReading) -> MachineReading:
    return machine


def first_look(name: str, liveness: Liveness, change: Change = _unchanged) -> Look:
    """The first look of trace *name* at which the verdict is *liveness*.

    From the hang on (`fault_at` of its label) the machine is what *change* makes of it.
    """
    with (TRACES / f"{name}.jsonl").open(encoding="utf-8") as stream:
        trace = read_trace(stream)
        replay = Replay(trace.header.tick_s, trace.header.wall_s)
        since = (trace.header.label or {}).get("fault_at", 0.0)
        for frame in trace.frames:
            seen = frame.facts.machine
            if seen is not None and frame.at_s >= since:
                frame = replace(frame, facts=replace(frame.facts, machine=change(seen)))
            for look in replay.take(frame):
                if look.verdict.liveness is liveness:
                    return look
    raise AssertionError(f"{name} is never {liveness}")


def facts_of(
    name: str, liveness: Liveness = Liveness.STALLED, change: Change = _unchanged
) -> DiagnosisFacts:
    """As a diagnosis would find them by itself, without stacks: nobody looks into a recording."""
    look = first_look(name, liveness, change)
    seen = look.judged.observation
    sign = sign_of(seen)
    last = seen.checkpoints.last_complete if seen.checkpoints else None
    spins = "uses CPU time" in sign.words
    state = (seen.process.state if seen.process else None) or "S"
    return DiagnosisFacts(
        run=name,
        attempt=1,
        foreign=False,
        alive=True,
        pid=PID,
        liveness=str(look.verdict.liveness),
        reason=look.verdict.reason,
        signature=str(sign.signature) if sign.signature else None,
        words=sign.words,
        advanced=False,
        seconds=3.1,
        samples=0,
        source=None,
        kernel=(KernelThread(pid=PID, tid=PID, state=state, cpu_share=BUSY if spins else 0.0),),
        missing=("stacks: the trainer is not of this machine",),
        checkpoint=last.iteration if last else None,
        checkpoint_age_s=seen.ages.checkpoint_s if last else None,
        work_s=_work_s(seen),
    )
