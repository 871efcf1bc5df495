"""Scenes of logs: quiet by design, stuck from the start, held by who reads; evaluations unsaid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from changes import NEMO_S, SHORT, with_process
from labels import ALARMS, TROUBLE, Frames, changed, expect, forbid, healthy
from night import CHECKPOINTS, LOG, frames

from monitor.model import LogProgress, PipeReader, PipeReading

LOG_ONLY = replace(SHORT, mode=LOG)
FAST = replace(LOG_ONLY, step_s=1.0, save_interval=70, save_s=3.0, eval_interval=700, log_every=10)
"""Megatron at one second a step: its evaluations, of which the log says nothing, are long."""


def add() -> None:
    """All of them."""
    quiet_by_design()
    stuck_from_the_start()
    held()
    evaluations()
    saves()


def quiet_by_design() -> None:
    night = replace(SHORT, step_s=5.0, save_interval=400, hours=0.75)
    second = SHORT.load_s + SHORT.first_iteration_s + 215 * 5.0
    changed(
        "quiet-log-after-first-lines",
        "a line at each of the first 5 iterations, then one every 100",
        lambda: spoken(frames(night), lambda done: min(done, 5) + done // 100),
        forbid=(*forbid(*TROUBLE), *forbid("log-stuck", start=second)),
    )
    healthy(
        "quiet-log-by-design-no-heartbeat",
        "a line every 50 iterations, a foreign run",
        replace(night, mode=LOG, log_every=50, hours=0.7),
        strict=False,
    )


def stuck_from_the_start() -> None:
    first = SHORT.load_s + SHORT.first_iteration_s
    hundred = first + 100 * NEMO_S
    changed(
        "log-stuck-from-the-start",
        "the log says what is loaded and not a line more; the heartbeat goes on",
        lambda: frames(replace(SHORT, log_stops_at=1)),
        expect("log-stuck", hundred, hundred + 300),
        forbid=(*forbid(*TROUBLE), *forbid("log-stuck", until=hundred - 60)),
    )
    third = first + 210 * NEMO_S
    changed(
        "log-stuck-from-the-start-no-heartbeat",
        "the same, a foreign run that saves every 70 iterations",
        lambda: frames(replace(LOG_ONLY, log_stops_at=2, hours=2.4)),
        expect("log-stuck", third - 300, third + 600),
        forbid=forbid(*ALARMS),
    )


def held() -> None:
    third = SHORT.load_s + SHORT.first_iteration_s + 3 * NEMO_S
    stopped = PipeReading(descriptor=1, readers=(PipeReader(pid=9, name="tee", state="T"),))
    changed(
        "reader-stopped-early",
        "the tee that writes the log is stopped at iteration 3: nothing of its pace is known yet",
        lambda: with_process(
            frames(replace(SHORT, log_stops_at=3, hours=0.5)), third - NEMO_S, pipe=stopped
        ),
        expect("log-stuck", third, third + 120),
        forbid=forbid(*TROUBLE),
    )
    save = third + 67 * NEMO_S
    changed(
        "reader-stopped-early-no-heartbeat",
        "the same, a foreign run: its first checkpoint proves that it went on",
        lambda: with_process(
            frames(replace(LOG_ONLY, log_stops_at=3, hours=0.8)), third - NEMO_S, pipe=stopped
        ),
        expect("log-stuck", save, save + 300),
        forbid=forbid(*ALARMS),
    )
    scrolled = PipeReading(descriptor=1, terminal="/dev/pts/3", writer_blocked=True)
    changed(
        "terminal-held",
        "somebody pressed Ctrl-S in the trainer's terminal at iteration 60 and went home",
        lambda: with_process(
            frozen(frames(replace(LOG_ONLY, hours=1.3)), 2100.0),
            2100.0,
            pipe=scrolled,
            wchan="wait_woken",
            state="S",
            cpu_s=5000.0,
            written_bytes=1 << 20,
        ),
        expect("stalled", 2100, 2100 + 300),
        forbid=forbid(*ALARMS, until=2100),
        fault_at=2100.0,
    )


def evaluations() -> None:
    for mode, name in ((LOG, "no-heartbeat"), (CHECKPOINTS, "checkpoints-only")):
        night = replace(SHORT, mode=mode, eval_interval=10, eval_s=200.0, hours=2.6)
        settled = 1300.0 if mode == LOG else 3900.0
        changed(
            f"eval-every-10-steps-{name}",
            "an evaluation of 200 s every 10 iterations, of which the log says nothing",
            lambda night=night: frames(night),
            forbid=(*forbid(*ALARMS), *forbid("suspect", start=settled)),
        )
    for minutes, hours in ((6, 0.9), (15, 1.2)):
        night = replace(FAST, eval_s=60.0 * minutes, hours=hours)
        changed(
            f"eval-{minutes}-min-fast-steps-no-heartbeat",
            f"1 s a step, saved every 70, and an evaluation of {minutes} min that nothing tells of",
            lambda night=night: frames(night),
            forbid=(*forbid(*ALARMS), *forbid("suspect", start=900.0 + 60 * minutes + 120)),
        )


def saves() -> None:
    healthy(
        "save-10-min-no-heartbeat",
        "each save takes 10 minutes, a foreign run whose log says nothing meanwhile",
        replace(LOG_ONLY, save_s=600.0, hours=2.2),
        expect("saving", 70 * NEMO_S, 70 * NEMO_S + 700),
    )


def spoken(seen: Frames, lines: Callable[[int], int]) -> Frames:
    """The log has so many *lines* once so many iterations are done."""
    said, last = -1, 0
    for frame in seen:
        beat, log = frame.facts.heartbeat, frame.facts.log
        done = (beat.done or 0) if beat else 0
        if lines(done) != said:
            said, last = lines(done), done
        assert log is not None
        facts = replace(
            frame.facts,
            log=replace(log, size_bytes=400 + 96 * said, modified_wall=0.0),
            log_progress=LogProgress(iteration=last) if last else None,
        )
        yield replace(frame, facts=facts)


def frozen(seen: Frames, since_s: float) -> Frames:
    """From then on nothing comes of the trainer, whatever the machine shows."""
    kept = None
    for frame in seen:
        if frame.at_s < since_s or kept is None:
            kept = frame
            yield frame
            continue
        facts = replace(
            frame.facts,
            log=kept.facts.log,
            log_progress=kept.facts.log_progress,
            checkpoints=kept.facts.checkpoints,
        )
        yield replace(frame, facts=facts)
