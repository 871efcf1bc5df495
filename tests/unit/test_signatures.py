"""What a stall, a slowness and a silent log look like, by the name for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from observed import ALIVE, LEARNT, beat, seen

from monitor.limits import limits_from
from monitor.liveness import judge
from monitor.model import (
    CheckpointReading,
    GpuReading,
    KernelReading,
    Liveness,
    MachineReading,
    MemoryReading,
    PipeReader,
    PipeReading,
    Verdict,
)

OURS = replace(ALIVE, pids=(7,))
BUSY = GpuReading(
    index=0, name="g", utilisation_percent=96, power_w=22.0, process_bytes=((7, None),)
)
# A GB10 at work: 45 W, seldom under 25; then 96 % at an even 22 W.
AT_WORK = replace(LEARNT, power_median_w=45.0, power_low_w=25.0, power_spread_w=12.0)
HUNG = replace(AT_WORK, recent_power_w=22.5, recent_spread_w=0.5, recent_busy_percent=96.0)
SWAPPING = MemoryReading(
    total_bytes=9,
    available_bytes=1,
    free_bytes=1,
    cached_bytes=0,
    swap_total_bytes=9,
    swap_free_bytes=1,
    psi_some_avg10=60.0,
    psi_full_avg10=45.0,
)


def stalled(**changes: Any) -> Verdict:
    changes = {"ages": {"progress_s": 400.0}, "process": OURS} | changes
    return judge(seen(**changes), limits_from({}))


def on(gpu: GpuReading) -> MachineReading:
    return MachineReading(gpus=(gpu,))


TERMINAL = PipeReading(descriptor=1, terminal="/dev/pts/3", writer_blocked=True)
TMUX = PipeReader(pid=9, name="tmux: server", state="T")
SCRIPT = PipeReader(pid=9, name="script", state="S", terminal="/dev/pts/8")


@pytest.mark.parametrize(
    ("changes", "signature", "words"),
    [
        pytest.param(
            {"process": replace(OURS, state="T")}, "stopped", "`kill -CONT 7`", id="stopped"
        ),
        pytest.param(
            {"process": replace(OURS, wchan="anon_pipe_write")},
            "blocked-pipe",
            "a pipe that nobody reads",
            id="blocked in a pipe",
        ),
        pytest.param(
            {
                "process": replace(
                    OURS,
                    pipe=PipeReading(
                        descriptor=1,
                        writer_blocked=True,
                        readers=(PipeReader(pid=9, name="tee", state="T"),),
                    ),
                )
            },
            "blocked-pipe",
            "read by tee (pid 9, state T), which is stopped: `kill -CONT 9`",
            id="blocked by a stopped tee",
        ),
        pytest.param(
            {"process": replace(OURS, pipe=TERMINAL)},
            "blocked-terminal",
            "in its write to the terminal /dev/pts/3: Ctrl-Q there lets it go on, if Ctrl-S held",
            id="its terminal's flow is held",
        ),
        pytest.param(
            {"process": replace(OURS, pipe=replace(TERMINAL, readers=(TMUX,)))},
            "blocked-terminal",
            "shown by tmux: server (pid 9, state T), which is stopped: `kill -CONT 9`",
            id="the program of its terminal is stopped",
        ),
        pytest.param(
            {"process": replace(OURS, pipe=replace(TERMINAL, readers=(SCRIPT,)))},
            "blocked-terminal",
            "Ctrl-Q in the terminal /dev/pts/8 that this writes to",
            id="the program of its terminal is held by a terminal itself",
        ),
        pytest.param(
            {"process": replace(OURS, state="D", wchan="folio_wait")},
            "blocked-io",
            "state D in folio_wait",
            id="blocked on I/O",
        ),
        pytest.param({"machine": on(BUSY), "history": HUNG}, "spinning", "an even 22 W", id="spin"),
        pytest.param({"machine": on(BUSY)}, "spinning", "gets nowhere", id="spin, power not known"),
        pytest.param(
            {"ages": {"progress_s": 400.0, "cpu_s": 300.0}}, "idle-deadlock", "waits", id="idle"
        ),
        pytest.param(
            {"machine": MachineReading(memory=SWAPPING)}, "swap-thrash", "swaps", id="thrash"
        ),
        pytest.param(
            {
                "machine": MachineReading(memory=SWAPPING),
                "process": replace(OURS, state="D", wchan="folio_wait"),
            },
            "swap-thrash",
            "swaps",
            id="thrash, which keeps it in state D",
        ),
        pytest.param(
            {"machine": MachineReading(kernel=KernelReading(xids=(31, 79), gpu_lost=True))},
            "gpu-lost",
            "(Xid 79)",
            id="the GPU fell off the bus",
        ),
        pytest.param(
            {"machine": MachineReading(kernel=KernelReading(xids=(119,)))},
            "gpu-lost",
            "Xid 119",
            id="a grave Xid",
        ),
        pytest.param(
            {"machine": MachineReading(kernel=KernelReading(xids=(31,), no_memory_lines=55))},
            "spinning",
            "gets nowhere",
            id="an application's Xid and 0x51 lines are no lost GPU",
        ),
        pytest.param(
            {"machine": MachineReading(kernel=KernelReading(xids=(63, 92, 94)))},
            "spinning",
            "gets nowhere",
            id="what a GPU mends by itself is no lost GPU",
        ),
        pytest.param(
            {"machine": MachineReading(gpu_problem="GPU 0: GPU is lost")},
            "gpu-lost",
            "GPU is lost",
            id="NVML says so",
        ),
        pytest.param(
            {"machine": MachineReading(gpu_problem="the GPU driver has not answered for over 5 s")},
            "driver-stuck",
            "not answered",
            id="NVML does not answer",
        ),
        pytest.param(
            {"machine": on(replace(BUSY, process_bytes=())), "history": AT_WORK},
            "busy-without-process",
            "with no process on it",
            id="utilisation is latched",
        ),
        pytest.param(
            {"heartbeat": beat("saving"), "process": replace(OURS, zombies=("python",))}
            | {"ages": {"progress_s": 2000.0}},
            "save-worker-dead",
            "python has died (a zombie)",
            id="a dead save worker",
        ),
        pytest.param(
            {"checkpoints": CheckpointReading(writing_bytes=5)}
            | {"history": replace(LEARNT, save_missing=1)},
            "save-worker-dead",
            "ended while a checkpoint was being written",
            id="a save worker that is gone, of an asynchronous save",
        ),
        pytest.param(
            {"process": replace(OURS, zombies=("git",))},
            "spinning",
            "gets nowhere",
            id="a dead child while nothing is saved means nothing",
        ),
    ],
)
def test_the_signature_of_a_stall(changes: dict[str, Any], signature: str, words: str) -> None:
    verdict = stalled(**changes)
    assert verdict.signature == signature
    assert words in verdict.reason
    assert verdict.liveness in (Liveness.STALLED, Liveness.SUSPECT)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(replace(HUNG, recent_power_w=26.0), id="at its usual low"),
        pytest.param(replace(HUNG, recent_spread_w=9.0), id="its power still moves"),
        pytest.param(replace(HUNG, recent_busy_percent=60.0), id="it was idle in between"),
        pytest.param(replace(HUNG, recent_power_w=None), id="not yet three minutes"),
    ],
)
def test_a_spin_needs_low_and_even_power_while_busy(history: Any) -> None:
    assert "yet draws" not in stalled(history=history, machine=on(BUSY)).reason


def test_on_a_shared_gpu_power_and_utilisation_say_nothing() -> None:
    verdict = stalled(machine=on(BUSY), gpu_shared=True)
    assert "say nothing about this run" in verdict.reason
    assert "96 %" not in verdict.reason
    (gpu,) = [each for each in verdict.evidence if each.signal == "gpu0"]
    assert gpu.supports == "nothing: it is shared"


@pytest.mark.parametrize(
    ("machine", "signature"),
    [
        pytest.param(on(replace(BUSY, throttle=("sw-thermal",))), "thermal", id="hot"),
        pytest.param(on(replace(BUSY, sm_clock_mhz=799)), "power-state", id="clocked down"),
        pytest.param(
            on(replace(BUSY, sm_clock_mhz=1200, throttle=("sw-power-cap",))), None, id="capped"
        ),
        pytest.param(MachineReading(memory=SWAPPING), "swap-thrash", id="swapping"),
        pytest.param(MachineReading(cpu_percent=99.0), "contention", id="busy cores"),
        pytest.param(MachineReading(), None, id="no cause to be seen"),
    ],
)
def test_the_signature_of_a_slow_run(machine: MachineReading, signature: str | None) -> None:
    slow = replace(LEARNT, step_recent_s=25.0)
    verdict = stalled(history=slow, machine=machine, ages={"progress_s": 4.0})
    assert verdict.liveness is Liveness.SLOW
    assert verdict.signature == signature


def piped(*readers: PipeReader, **changes: Any) -> PipeReading:
    return PipeReading(descriptor=1, readers=readers, **changes)


@pytest.mark.parametrize(
    ("pipe", "signature", "words"),
    [
        pytest.param(None, None, "training is not", id="a file"),
        pytest.param(piped(PipeReader(pid=9, name="tee")), None, "is not", id="a tee that reads"),
        pytest.param(
            piped(PipeReader(pid=9, name="tee", state="T")),
            "stopped-reader",
            "tee (pid 9, state T), which is stopped: `kill -CONT 9`",
            id="a stopped tee",
        ),
        pytest.param(
            piped(PipeReader(pid=8, name="grep"), PipeReader(pid=9, name="tee")),
            "held-by-filter",
            "grep (pid 8), which holds lines back",
            id="a filter",
        ),
        pytest.param(
            piped(PipeReader(pid=8, name="docker", state="T"), through_container=True),
            "stalled-client",
            "docker (pid 8, state T), which is stopped",
            id="a stopped docker exec",
        ),
        pytest.param(
            piped(through_container=True), "stalled-client", "docker exec", id="a client unseen"
        ),
        pytest.param(
            piped(PipeReader(pid=9, name="tee", state="T"), writer_blocked=True),
            "blocked-pipe",
            "64 KiB): that run WILL stop",
            id="the pipe is full",
        ),
        pytest.param(
            piped(
                PipeReader(pid=9, name="tee", state="S", terminal="/dev/pts/3"),
                PipeReader(pid=8, name="tmux: server", state="T"),
                writer_blocked=False,
            ),
            "stopped-reader",
            "tmux: server (pid 8, state T), which is stopped",
            id="the terminal of a tee is stopped",
        ),
        pytest.param(
            piped(PipeReader(pid=9, name="tee", state="S", terminal="/dev/pts/3")),
            "blocked-terminal",
            "tee (pid 9, state S), held in its write to the terminal /dev/pts/3: Ctrl-Q there",
            id="a tee whose terminal is held",
        ),
        pytest.param(
            replace(TERMINAL, writer_blocked=False), None, "stdout is stuck", id="a terminal"
        ),
    ],
)
def test_the_holder_of_a_silent_log(
    pipe: PipeReading | None, signature: str | None, words: str
) -> None:
    verdict = stalled(
        ages={"progress_s": 4.0, "log_s": 720.0},
        history=replace(LEARNT, iterations_since_log=125),
        process=replace(OURS, pipe=pipe),
    )
    assert verdict.liveness is Liveness.LOG_STUCK
    assert verdict.signature == signature
    assert words in verdict.reason
