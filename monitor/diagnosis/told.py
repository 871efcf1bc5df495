"""What a run, its keeper, its log and its checkpoints say, and what the catalogue knows of it.

The rule: a traceback in a log counts only where the recorded cause speaks of the same exception; a
log outlives its attempts.
"""

from __future__ import annotations

from monitor.budget import is_unified
from monitor.diagnosis.catalogue import Said, recognise
from monitor.diagnosis.tracebacks import traceback_of
from monitor.diagnosis.values import Told
from monitor.files import read_json
from monitor.memory_model import MemoryLevel, MemoryVerdict, is_of_others
from monitor.model import FINAL, CheckpointReading, Liveness
from monitor.probes.log import tail
from monitor.probes.text import clean_line
from monitor.rundir import RunDir
from monitor.seen import Seen
from monitor.signatures import holder_of
from monitor.single_look import SingleLook
from monitor.target import WatchTarget
from monitor.watch_state import WatchState

LINES = 400
BYTES = 256 << 10
COMPARED = 40
"""Characters of an exception's message that the recorded cause must hold."""


def read_told(
    target: WatchTarget,
    seen: Seen,
    look: SingleLook,
    state: WatchState | None,
    signature: str | None,
) -> Told:
    """Read what is said of the run of *target*. Never raises."""
    verdict, facts = seen.verdict, look.facts
    holder = holder_of(look.observation)
    lines = tuple(tail(target.log, BYTES, LINES)) if target.log is not None else ()
    cause = clean_line(target.cause or "")
    raised, frames = traceback_of(lines)
    if raised is None or not _is_of(raised, cause):
        raised, frames = None, ()
    machine = state.machine if state is not None else None
    memory = facts.machine.memory if facts.machine is not None else None
    unified = (
        machine is not None and memory is not None and is_unified(machine.gpus, memory.total_bytes)
    )
    kernel = machine.kernel if machine is not None else None
    said = Said(
        lines=lines,
        cause=cause,
        reason=clean_line(verdict.reason),
        hung=verdict.liveness in (Liveness.SUSPECT, Liveness.STALLED),
        over=verdict.liveness in FINAL,
        phase=seen.phase,
        saves=state.history.saves_this_process if state is not None else None,
        signature=verdict.signature or signature,
        machine=_machine_of(target.run_dir),
        unified=bool(unified),
        no_memory_lines=kernel.no_memory_lines if kernel is not None else 0,
    )
    return Told(
        flags=verdict.flags,
        holder=clean_line(holder.words) if holder is not None else None,
        memory=_tight(seen.memory),
        cause=cause or None,
        raised=raised,
        frames=frames,
        pruned=_pruned(facts.checkpoints),
        known=recognise(said),
    )


def _is_of(raised: str, cause: str) -> bool:
    """The exception *raised* is the one that *cause* tells of."""
    name, _, message = raised.partition(": ")
    if message:
        return " ".join(message.split())[:COMPARED] in cause
    return name in cause or (name == "MemoryError" and "out of memory" in cause)


def _tight(memory: MemoryVerdict | None) -> str | None:
    if memory is None or memory.level in (MemoryLevel.OK, MemoryLevel.WARN):
        return None
    return None if is_of_others(memory.run_share) else clean_line(memory.reason)


def _pruned(folder: CheckpointReading | None) -> int | None:
    """Someone took away what the tracker names."""
    if folder is None or not folder.tracker:
        return None
    there = {each.iteration for each in folder.checkpoints}
    return None if folder.tracker in there else folder.tracker


def _machine_of(run: RunDir) -> str:
    versions = (read_json(run.run_json).value or {}).get("versions")
    machine = versions.get("machine") if isinstance(versions, dict) else None
    return machine if isinstance(machine, str) else ""
