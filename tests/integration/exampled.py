"""The worked examples of docs/diagnose.md that are held to the program word by word.

Each is the facts of a diagnosis: recorded of real processes (`tests/samples/diagnoses.json`), taken
at a moment of a night of `tests/traces`, or made here where neither can be had.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from functools import cache
from pathlib import Path

from traced import facts_of, first_look

from monitor.codec import decode
from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.places import Rank
from monitor.diagnosis.record import Diagnosis
from monitor.diagnosis.stacks import grouped
from monitor.diagnosis.values import DiagnosisFacts, Told
from monitor.model import GpuReading, Liveness, MachineReading
from monitor.readings import PipeReader, PipeReading
from monitor.signatures import Sign, _pipe_sign
from tui.cli.diagnosing import lines_of

SAMPLES = Path(__file__).parents[1] / "samples" / "diagnoses.json"
WIDTH, INDENT, CALLS = 118, 14, 3
NIGHT = "night"


@cache
def recorded() -> dict[str, DiagnosisFacts]:
    """What was seen of real processes, by the cause."""
    content = json.loads(SAMPLES.read_text())
    return {name: decode(DiagnosisFacts, value) for name, value in content.items()}


@cache
def examples() -> dict[str, DiagnosisFacts]:
    """Facts by the heading of their example."""
    return recorded() | _gone() | _ended() | _unwell() | _log_held()


def rendered(facts: DiagnosisFacts) -> str:
    """As the command prints it, with the run's id cut and stacks to their first calls."""
    facts = replace(facts, run=NIGHT)
    groups = [replace(each, frames=each.frames[:CALLS]) for each in grouped(facts.threads)]
    found = Diagnosis(facts=facts, conclusion=conclude(facts), groups=tuple(groups))
    return "\n".join(
        textwrap.fill(
            line,
            WIDTH,
            subsequent_indent=" " * (0 if number == 0 else INDENT),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(lines_of(found))
    )


def _gone() -> dict[str, DiagnosisFacts]:
    """The same ranks as recorded, of which one has ended and NCCL, unlike gloo, does not tell."""
    both = recorded()["rank-behind"]
    first = both.around.ranks[0]
    alone = Rank(rank=first.rank, pid=first.pid, local=first.local, world=first.world)
    return {
        "rank-gone": replace(
            both,
            threads=tuple(each for each in both.threads if each.pid != both.around.ranks[1].pid),
            kernel=tuple(each for each in both.kernel if each.pid != both.around.ranks[1].pid),
            around=replace(both.around, ranks=(alone,), waits=()),
        )
    }


def _over(trace: str, liveness: Liveness) -> DiagnosisFacts:
    facts = facts_of(trace, liveness)
    return replace(facts, alive=False, kernel=(), missing=(), words="")


def _ended() -> dict[str, DiagnosisFacts]:
    killed = _over("crash", Liveness.FAILED)
    full = "disk full: No space left on device while writing checkpoints/iter_0000210/model.pt"
    stopped = _over("stopped-by-the-user", Liveness.STOPPED)
    guard = "stopped by the memory guard in stage train, saved, iteration 109 of 218"
    return {
        "ended": _over("finished", Liveness.FINISHED),
        "killed": replace(killed, told=Told(cause="killed by SIGKILL", pruned=120)),
        "disk-full": replace(
            killed, reason=f"stage train: {full}, iteration 210 of 284", told=Told(cause=full)
        ),
        "machine-restarted": _over("machine-restarted", Liveness.FAILED),
        "stopped-on-request": stopped,
        "memory-limit": replace(stopped, reason=guard, told=Told(cause=guard)),
    }


def _unwell() -> dict[str, DiagnosisFacts]:
    """Runs that get on."""
    well = facts_of("nan-loss", Liveness.TRAINING)
    well = replace(well, missing=(), kernel=(), reason="iteration 53 of 284")
    low = "iteration 53 of 284; 1.2 GiB are free and the next checkpoint takes 1.9 GiB"
    return {
        "loss": replace(well, told=Told(flags=("nan-loss",))),
        "disk-low": replace(well, reason=low, told=Told(flags=("disk-low",))),
        "contention": replace(
            facts_of("thermal-slowness", Liveness.SLOW, _shared), missing=(), kernel=()
        ),
    }


def _shared(machine: MachineReading) -> MachineReading:
    """As warm as ever, and somebody else computes there too."""
    return replace(machine, gpus=tuple(map(_with_a_neighbour, machine.gpus)))


def _with_a_neighbour(gpu: GpuReading) -> GpuReading:
    ours = gpu.process_bytes[:1] or ((4711, 20 << 30),)
    return replace(gpu, throttle=(), process_bytes=(*ours, (5822, 30 << 30)))


def _log_held() -> dict[str, DiagnosisFacts]:
    """Who holds a silent log back, by the processes at the other end of its pipe."""
    readers = {
        "stopped-reader": PipeReader(pid=24390, name="tee", state="T"),
        "stalled-client": PipeReader(pid=24391, name="docker", state="S"),
        "held-by-filter": PipeReader(pid=24392, name="grep", state="S"),
    }
    found = {}
    for name, reader in readers.items():
        sign = _pipe_sign(PipeReading(descriptor=1, readers=(reader,)))
        assert sign is not None
        assert sign.signature == name
        found[name] = _silent(sign)
    return found


def _silent(sign: Sign) -> DiagnosisFacts:
    reason = first_look("log-stuck-from-the-start", Liveness.LOG_STUCK).verdict.reason
    facts = facts_of("log-stuck-from-the-start", Liveness.LOG_STUCK)
    told = Told(flags=("log-stuck",), holder=sign.words)
    return replace(facts, reason=reason, told=told, advanced=True, missing=(), kernel=())
