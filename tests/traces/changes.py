"""What simulated nights do not do by themselves: endings, oddities of a machine, recordings."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labels import Frames
from night import Fault, Gpu, Night, frames

from monitor.facts import Facts
from monitor.limits import STANDARD
from monitor.model import (
    Checkpoint,
    CheckpointReading,
    GpuReading,
    Heartbeat,
    LogReading,
    MachineReading,
    ProcessReading,
    Status,
)
from monitor.subject import Subject
from monitor.trace import Frame

HERE = Path(__file__).parent
NEMO_S = 32.4
ARTICLE = Gpu(busy_w=45.0, spread_w=9.0)
SHORT = Night(seed=1, step_s=NEMO_S, jitter=0.04, hours=1.3, save_s=12.0, gpu=ARTICLE)


def with_gpu(seen: Frames, since_s: float, aging: float | None = None, **figures: Any) -> Frames:
    for frame in seen:
        machine = frame.facts.machine
        if frame.at_s < since_s or machine is None or not machine.gpus:
            yield frame
            continue
        if aging is not None:
            figures = {"age_s": frame.at_s - aging}
        gpus = tuple(replace(gpu, **figures) for gpu in machine.gpus)
        yield _with(frame, machine=replace(machine, gpus=gpus))


def _with(frame: Frame, **facts: Any) -> Frame:
    return replace(frame, facts=replace(frame.facts, **facts))


def with_process(seen: Frames, since_s: float, **figures: Any) -> Frames:
    for frame in seen:
        process = frame.facts.process
        if frame.at_s < since_s or process is None:
            yield frame
        else:
            yield _with(frame, process=replace(process, **figures))


def ending(seen: Frames, status: Status, cause: str) -> Frames:
    last = None
    for last in seen:
        yield last
    assert last is not None
    subject = replace(last.subject, status=status, cause=cause)
    yield _with(
        replace(last, at_s=last.at_s + 3, subject=subject),
        monotonic_s=last.at_s + 3,
        process=ProcessReading(alive=False),
    )


def reboot(seen: Frames) -> Frames:
    for frame in seen:
        if frame.at_s < 3600:
            yield frame
        elif frame.at_s >= 3690:
            facts = replace(frame.facts, boot_id="another", monotonic_s=frame.at_s - 3650)
            dead = replace(facts, process=ProcessReading(alive=False))
            yield replace(frame, facts=dead, restart=True, last_look_s=3599.0)
            return


def restarted(seen: Frames, since_s: float, until_s: float) -> Frames:
    first = True
    for frame in seen:
        if since_s < frame.at_s < until_s:
            continue
        if frame.at_s >= until_s and first:
            first = False
            frame = replace(frame, restart=True, last_look_s=since_s)
        yield frame


def recovered() -> Frames:
    """Trainer and GPU stand still from 3000 to 3600 s; the watcher sees it all."""
    stopped = replace(SHORT, fault=Fault(name="stopped", at_s=3000.5), after_s=599.0)
    last = None
    for last in frames(stopped):
        yield last
    assert last is not None
    assert last.facts.heartbeat is not None
    done = last.facts.heartbeat.done or 0
    for frame in frames(SHORT):
        beat = frame.facts.heartbeat
        if beat is None or (beat.done or 0) < done + 1 or frame.facts.process is None:
            continue
        at = frame.at_s + 600.0
        if at > 5400:
            return
        beat = replace(beat, monotonic_s=beat.monotonic_s + 600.0)
        yield _with(replace(frame, at_s=at), monotonic_s=at, heartbeat=beat)


def resumed() -> Frames:
    night = replace(SHORT, load_s=300.0, hours=1.5)
    old = Checkpoint(iteration=140, complete=True, size_bytes=149 << 20, modified_wall=-3600.0)
    stale = Heartbeat(
        attempt=1, seq=900, pid=6, boot_id="boot", monotonic_s=-600.0, stage="train",
        phase="iteration", done=151, total=625,
    )  # fmt: skip
    for frame in frames(night):
        beat, reading = frame.facts.heartbeat, frame.facts.checkpoints
        assert reading is not None
        beat = stale if beat is None else replace(beat, attempt=2, done=140 + (beat.done or 0))
        moved = tuple(replace(each, iteration=each.iteration + 140) for each in reading.checkpoints)
        kept = replace(
            reading, checkpoints=(old, *moved), tracker=moved[-1].iteration if moved else 140
        )
        subject = replace(frame.subject, attempt=2, total=625)
        frame = replace(frame, subject=subject)
        # The log goes on from what attempt 1 wrote.
        log = frame.facts.log
        assert log is not None
        log = replace(log, size_bytes=log.size_bytes + 90_000)
        yield _with(frame, attempt=2, heartbeat=beat, checkpoints=kept, log=log)


def clock_jump(seen: Frames) -> Frames:
    year = 365 * 86400.0
    for frame in seen:
        if frame.at_s < 3000:
            yield frame
            continue
        reading, log = frame.facts.checkpoints, frame.facts.log
        assert reading is not None
        assert log is not None
        moved = tuple(
            replace(each, modified_wall=each.modified_wall - year * (each.modified_wall > 3000))
            for each in reading.checkpoints
        )
        log = replace(log, modified_wall=log.modified_wall - year)
        yield _with(frame, checkpoints=replace(reading, checkpoints=moved), log=log)


def pruned(seen: Frames) -> Frames:
    """At second 5500 all checkpoints but the oldest that is there are removed."""
    removed: set[int] = set()
    for frame in seen:
        reading = frame.facts.checkpoints
        assert reading is not None
        if frame.at_s >= 5500 and not removed:
            removed = {each.iteration for each in reading.checkpoints[1:]} or {-1}
        kept = tuple(each for each in reading.checkpoints if each.iteration not in removed)
        yield _with(frame, checkpoints=replace(reading, checkpoints=kept))


def disk_full(seen: Frames) -> Frames:
    kept: Frame | None = None
    for frame in seen:
        if frame.at_s < 3000:
            kept = frame
            yield frame
            continue
        assert kept is not None
        assert frame.facts.machine is not None
        machine = replace(frame.facts.machine, disk_free_bytes=0)
        old = kept.facts
        yield _with(
            frame, heartbeat=old.heartbeat, log=old.log, log_progress=old.log_progress,
            checkpoints=old.checkpoints, machine=machine,
        )  # fmt: skip


def nan(seen: Frames) -> Frames:
    for frame in seen:
        beat, said = frame.facts.heartbeat, frame.facts.log_progress
        if beat is None or (beat.done or 0) < 100 or said is None:
            yield frame
            continue
        yield _with(
            frame,
            heartbeat=replace(beat, loss=None, nan=True),
            log_progress=replace(said, loss=None, nan=True),
        )


def swapping(seen: Frames) -> Frames:
    for frame in seen:
        machine = frame.facts.machine
        if frame.at_s < 50 * NEMO_S or machine is None or machine.memory is None:
            yield frame
            continue
        memory = replace(
            machine.memory, available_bytes=1 << 30, swap_free_bytes=2 << 30,
            psi_some_avg10=45.0, psi_full_avg10=30.0,
        )  # fmt: skip
        yield _with(frame, machine=replace(machine, memory=memory))


def no_checkpoints(seen: Frames) -> Frames:
    for frame in seen:
        subject = replace(frame.subject, save_interval=None)
        yield _with(replace(frame, subject=subject), checkpoints=CheckpointReading())


def import_stage(hangs_at: float | None = None, seconds: int = 560) -> Frames:
    """A stage of its own: it reads and writes much, and says a line now and then."""
    subject = Subject(run="night", status=Status.RUNNING, stage="import", total=625, boot_id="boot")
    for at in range(0, seconds, 30):
        lives = min(float(at), hangs_at if hangs_at is not None else at)
        facts = Frame(
            at_s=float(at),
            facts=_facts(
                float(at),
                stage="import",
                log=LogReading(
                    path="import.log",
                    size_bytes=500 + 90 * int(lives // 120),
                    modified_wall=120.0 * int(lives // 120),
                ),
                process=ProcessReading(
                    alive=True, state="R" if lives == at else "S", cpu_s=round(0.95 * lives, 2),
                    written_bytes=int(lives * 16e6), pids=(7,),
                ),
                machine=MachineReading(cpu_percent=12.0),
            ),
            subject=subject,
            limits=STANDARD,
        )  # fmt: skip
        yield facts


def _facts(at_s: float, **values: Any) -> Facts:
    return Facts(boot_id="boot", monotonic_s=at_s, **values)


RECORDED = HERE / "recorded"
HUNG = frozenset({"HANG", "STOPPED"})
"""What is said in a recording when the trouble begins."""


BEGINS = {"spin": 35.0, "deadlock": 33.0, "sigstop": 26.0}
"""Seconds, of the recordings that say it too late: what they said waited in a buffer."""


def hangs_at(name: str, folder: Path = RECORDED) -> float | None:
    """The second at which a recording begins to hang; None where it never does."""
    if folder == RECORDED and name in BEGINS:
        return BEGINS[name]
    for row in _rows(name, folder):
        if HUNG & set(row["said"]):
            return float(row["t"])
    return None


def _rows(name: str, folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def _recorded_gpu(gpu: Mapping[str, Any], *, began: bool) -> GpuReading:
    held = int(gpu["mem_mib"]) << 20
    return GpuReading(
        index=0,
        name="NVIDIA H200",
        utilisation_percent=int(gpu["util"]),
        power_w=float(gpu["power_w"]),
        temperature_c=int(gpu["temp_c"]),
        sm_clock_mhz=int(gpu["sm_mhz"]),
        memory_used_bytes=held,
        process_bytes=((7, held),) if began else (),
    )


def recorded(name: str, folder: Path = RECORDED) -> Frames:
    """The looks of a recording (bench/gpu_hangs.py), which says each step.

    The trainers of those that say none trained while the GPU drew over 380 W.
    """
    rows = _rows(name, folder)
    done, began, hung = 0, False, False
    beat: Heartbeat | None = None
    prints = any(text.startswith("step ") for row in rows for text in row["said"])
    for row in rows:
        at = float(row["t"])
        gpu, process = next(iter(row["gpus"]), None), row["procs"][0]
        hung = hung or bool(HUNG & set(row["said"]))
        steps = sum(text.startswith("step ") for text in row["said"])
        phase = "iteration"
        if not prints:
            steps = int(gpu is not None and float(gpu["power_w"]) > 380 and not hung)
        if steps:
            began, done = True, done + steps
        elif not began:
            phase = "first_iteration" if gpu and float(gpu["mem_mib"]) else "loading"
        if steps or beat is None or beat.phase != phase:
            beat = Heartbeat(
                attempt=1, seq=int(at * 10) + 1, pid=7, boot_id="boot", monotonic_s=at,
                stage="train", phase=phase, done=done, total=1000,
                step_s=1.0 if done else None,
            )  # fmt: skip
        readings = () if gpu is None else (_recorded_gpu(gpu, began=began),)
        yield Frame(
            at_s=at,
            facts=_facts(
                at,
                stage="train",
                heartbeat=beat,
                process=ProcessReading(
                    alive=True, state=process["state"], cpu_s=float(process["cpu_s"]), pids=(7,)
                ),
                machine=MachineReading(gpus=readings),
            ),
            subject=Subject(
                run="night", status=Status.RUNNING, stage="train", total=1000, boot_id="boot"
            ),
            limits=STANDARD,
        )


SETTLED_S = 6.0
"""After so long a GPU's power is that of the hang."""


def stretched(name: str, *, trained_s: float, after_s: float) -> Frames:
    """A recording of a minute as a longer one: its training goes round, then what came after it.

    Power, utilisation, clock, process state and CPU time stay as they were from second to second.
    """
    seen = list(recorded(name))
    at = hangs_at(name) or seen[-1].at_s + 1
    begun = next(n for n, frame in enumerate(seen) if _beat(frame).done >= 2)
    training = [n for n in range(begun, len(seen)) if seen[n].at_s < at]
    after = [n for n in range(len(seen)) if seen[n].at_s >= at + SETTLED_S]
    order = [*range(begun), *itertools.islice(itertools.cycle(training), int(trained_s))]
    if after:
        order += itertools.islice(itertools.cycle(after), int(after_s))
    cpu_s, beat = 0.0, _beat(seen[0])
    for second, n in enumerate(order):
        frame, now = seen[n], float(second)
        if _beat(frame).monotonic_s == frame.at_s:
            done = beat.done + int(_beat(frame).done > 0)
            beat = replace(_beat(frame), monotonic_s=now, seq=second + 1, done=done)
        process = frame.facts.process
        assert process is not None
        if n:
            cpu_s += _cpu_s(frame) - _cpu_s(seen[n - 1])
        facts = replace(
            frame.facts, monotonic_s=now, heartbeat=beat, process=replace(process, cpu_s=cpu_s)
        )
        yield replace(frame, at_s=now, facts=facts)


def _beat(frame: Frame) -> Heartbeat:
    assert frame.facts.heartbeat is not None
    return frame.facts.heartbeat


def _cpu_s(frame: Frame) -> float:
    assert frame.facts.process is not None
    return frame.facts.process.cpu_s or 0.0
