"""Every verdict, from the observation that a person would find on the machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from observed import ALIVE, GONE, LEARNT, beat, seen

from monitor.limits import limits_from
from monitor.liveness import judge
from monitor.model import (
    Checkpoint,
    CheckpointReading,
    GpuReading,
    History,
    Liveness,
    LogProgress,
    MachineReading,
    MemoryReading,
    PipeReading,
    Status,
    Verdict,
)

LIMITS = limits_from({})
GIB = 1 << 30


def verdict_of(**changes: Any) -> Verdict:
    return judge(seen(**changes), LIMITS)


SILENT = {"cpu_s": 700.0, "written_s": 700.0, "log_s": 700.0}


@pytest.mark.parametrize(
    ("changes", "liveness", "words"),
    [
        pytest.param({}, Liveness.TRAINING, "iteration 241 of 625", id="it trains"),
        pytest.param(
            {"heartbeat": None, "log": None, "process": None},
            Liveness.STARTING,
            "no heartbeat",
            id="nothing but the keeper's word",
        ),
        pytest.param(
            {"heartbeat": beat("loading", 0)}, Liveness.STARTING, "loads the model", id="loading"
        ),
        pytest.param(
            {"heartbeat": beat("first_iteration", 0), "ages": {"progress_s": 800.0}},
            Liveness.STARTING,
            "first iteration",
            id="compiling for 13 minutes",
        ),
        pytest.param(
            {"heartbeat": beat(attempt=1), "attempt": 2, "ages": {"progress_s": 0.0}},
            Liveness.STARTING,
            "no heartbeat",
            id="a resumed attempt has not spoken yet",
        ),
        pytest.param(
            {"stage": "merge", "heartbeat": beat(stage="merge", done=3, total=9, unit="tensors")},
            Liveness.WORKING,
            "3 of 9 tensors",
            id="a stage that counts tensors",
        ),
        pytest.param(
            {
                "stage": "pull",
                "heartbeat": beat(stage="pull", done=9 << 20, total=70 << 30, unit="bytes"),
            },
            Liveness.WORKING,
            "9 MiB of 70.0 GiB;",
            id="a stage that counts bytes",
        ),
        pytest.param(
            {"stage": "pull", "heartbeat": None, "ages": {"progress_s": 2000.0, "log_s": 5.0}},
            Liveness.WORKING,
            "stage pull",
            id="a stage whose log alone advances",
        ),
        pytest.param(
            {"heartbeat": beat("saving"), "ages": {"progress_s": 50.0, "phase_s": 50.0}},
            Liveness.SAVING,
            "saving for 50 s",
            id="saving",
        ),
        pytest.param(
            {"heartbeat": beat("stopping")}, Liveness.SAVING, "before it stops", id="stopping"
        ),
        pytest.param(
            {"heartbeat": beat("evaluating"), "ages": {"progress_s": 900.0}},
            Liveness.TRAINING,
            "evaluation",
            id="a long evaluation",
        ),
        pytest.param(
            {
                "ages": {"log_s": 720.0},
                "history": replace(LEARNT, iterations_since_log=125),
            },
            Liveness.LOG_STUCK,
            "silent for 12 min, but by the heartbeat the trainer reached iteration 241 4 s ago: "
            "stdout is stuck, training is not",
            id="stdout is stuck and training is not",
        ),
        pytest.param(
            {"ages": {"log_s": 720.0}, "history": replace(LEARNT, log_cadence_s=None)},
            Liveness.TRAINING,
            "iteration 241",
            id="a log that never spoke is not stuck",
        ),
        pytest.param(
            {
                "ages": {"log_s": 720.0},
                "history": replace(LEARNT, log_gap_iterations=100, iterations_since_log=110),
            },
            Liveness.TRAINING,
            "iteration 241",
            id="a log that speaks every hundred iterations is not stuck either",
        ),
        pytest.param(
            {
                "history": replace(LEARNT, step_recent_s=25.0),
                "machine": MachineReading(
                    gpus=(GpuReading(index=0, name="g", throttle=("sw-thermal",)),)
                ),
            },
            Liveness.SLOW,
            "GPU 0 is throttled (sw-thermal)",
            id="slow, and hot",
        ),
        pytest.param(
            {"ages": {"progress_s": 51.0}}, Liveness.SUSPECT, "limit is", id="past half the limit"
        ),
        pytest.param(
            {"ages": {"progress_s": 101.0, "cpu_s": 101.0}},
            Liveness.STALLED,
            "no CPU time for 2 min: it waits (a deadlock?)",
            id="a deadlock",
        ),
        pytest.param(
            {"ages": {"progress_s": 101.0}},
            Liveness.STALLED,
            "it uses CPU time and gets nowhere: it spins",
            id="a spinning process",
        ),
        pytest.param(
            {"ages": {"progress_s": 101.0}, "process": replace(ALIVE, state="T")},
            Liveness.STALLED,
            "stopped (state T)",
            id="somebody pressed Ctrl-Z",
        ),
        pytest.param(
            {"ages": {"progress_s": 101.0}, "process": replace(ALIVE, wchan="pipe_write")},
            Liveness.STALLED,
            "a pipe that nobody reads",
            id="stdout is a full pipe",
        ),
        pytest.param(
            {"ages": {"progress_s": 101.0}, "process": replace(ALIVE, state="D", wchan="nfs_wait")},
            Liveness.STALLED,
            "state D in nfs_wait",
            id="a dead file server",
        ),
        pytest.param(
            {"heartbeat": beat("first_iteration", 0), "ages": {"progress_s": 700.0} | SILENT},
            Liveness.STALLED,
            "no progress for 12 min",
            id="absence of all activity beats a generous limit",
        ),
        pytest.param(
            {"heartbeat": beat("saving"), "ages": {"progress_s": 700.0, "cpu_s": 700.0}}
            | {"history": replace(LEARNT, saves_this_process=0)},
            Liveness.SAVING,
            "saving",
            id="a long first save that still writes",
        ),
        pytest.param(
            {"ages": {"progress_s": 101.0}, "process": None},
            Liveness.SUSPECT,
            "cannot be seen",
            id="who cannot be seen to live is never stalled",
        ),
        pytest.param(
            {"heartbeat": None, "ages": {"progress_s": 9000.0}},
            Liveness.SUSPECT,
            "no heartbeat",
            id="without a heartbeat silence is at most suspect",
        ),
        pytest.param(
            {"ages": {"progress_s": 150.0}, "own_power_w": 400.0}
            | {"history": replace(LEARNT, power_median_w=500.0)},
            Liveness.SUSPECT,
            "as much power as when it trains",
            id="a GPU of its own at full power postpones the stall",
        ),
        pytest.param(
            {"ages": {"progress_s": 301.0}, "own_power_w": 400.0}
            | {"history": replace(LEARNT, power_median_w=500.0)},
            Liveness.STALLED,
            "no progress",
            id="but only to three times the limit",
        ),
        pytest.param(
            {"process": GONE}, Liveness.LOST, "has not recorded how yet", id="dead, no word yet"
        ),
        pytest.param(
            {"process": GONE, "foreign": True, "status": None},
            Liveness.ENDED,
            "reached 241 of 625, exit status not observable",
            id="a foreign process is gone",
        ),
        pytest.param(
            {"status": Status.FINISHED, "process": GONE},
            Liveness.FINISHED,
            "every stage is done",
            id="finished",
        ),
        pytest.param(
            {"status": Status.FAILED, "cause": "out of memory", "process": GONE},
            Liveness.FAILED,
            "out of memory, iteration 241 of 625",
            id="failed, with its cause",
        ),
        pytest.param(
            {"status": Status.STOPPED, "ages": {"progress_s": 9999.0}},
            Liveness.STOPPED,
            "stopped on request",
            id="stopped",
        ),
        pytest.param(
            {"boot_changed": True, "process": GONE, "last_sample_wall": 0.0},
            Liveness.FAILED,
            "the machine was restarted while the run was in stage train, iteration 241 of 625; "
            "last seen 1970-01-01 00:00 UTC",
            id="a power cut",
        ),
        pytest.param(
            {"status": None, "stage": None, "heartbeat": None, "process": None, "log": None}
            | {"unreadable": ("state.json is not JSON",)},
            Liveness.LOST,
            "state.json is not JSON",
            id="a folder of garbage",
        ),
        pytest.param(
            {"heartbeat": None, "log": None, "process": None, "ages": {"progress_s": 1801.0}},
            Liveness.LOST,
            "no sign of the stage's process",
            id="a stage that never showed a sign",
        ),
    ],
)
def test_the_verdict(changes: dict[str, Any], liveness: Liveness, words: str) -> None:
    verdict = verdict_of(**changes)
    assert verdict.liveness is liveness
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("blocked", "progress_s", "said"),
    [
        pytest.param(True, 31.0, "the trainer waits in its write", id="held for three steps"),
        pytest.param(True, 20.0, "training is not", id="held, but not longer than a step takes"),
        pytest.param(False, 31.0, "training is not", id="not held"),
    ],
)
def test_a_trainer_that_is_held_in_its_write_is_not_said_to_train(
    blocked: bool, progress_s: float, said: str
) -> None:
    pipe = PipeReading(descriptor=1, writer_blocked=blocked)
    verdict = verdict_of(
        ages={"log_s": 720.0, "progress_s": progress_s},
        history=replace(LEARNT, iterations_since_log=50),
        process=replace(ALIVE, pipe=pipe),
    )
    assert verdict.liveness is Liveness.LOG_STUCK
    assert said in verdict.reason


FOREIGN: dict[str, Any] = {"foreign": True, "status": None, "stage": None, "heartbeat": None}


@pytest.mark.parametrize(
    ("changes", "liveness", "said"),
    [
        pytest.param(
            {"log_progress": LogProgress(epoch=0.5, loss=1.25, phase="iteration")},
            Liveness.TRAINING,
            "no iteration can be read from its log (epoch 0.5, loss 1.25)",
            id="a log that counts epochs only",
        ),
        pytest.param(
            {"log_progress": LogProgress(phase="iteration"), "log": None},
            Liveness.TRAINING,
            "no iteration can be read from a log, none is known",
            id="no log",
        ),
        pytest.param(
            {"process": GONE}, Liveness.ENDED, "how far it got is not known", id="ended unseen"
        ),
    ],
)
def test_a_foreign_run_whose_iterations_nothing_tells(
    changes: dict[str, Any], liveness: Liveness, said: str
) -> None:
    verdict = verdict_of(**FOREIGN, history=History(), **changes)
    assert verdict.liveness is liveness
    assert said in verdict.reason
    assert "no iteration yet" not in verdict.reason


def test_an_iteration_proven_by_the_tracker_names_its_error() -> None:
    folders = tuple(
        Checkpoint(iteration=each, complete=True, size_bytes=1, modified_wall=0.0)
        for each in (70, 140, 210)
    )
    reading = CheckpointReading(tracker=210, checkpoints=folders)
    verdict = verdict_of(heartbeat=None, checkpoints=reading)
    assert (verdict.iteration, verdict.iteration_error) == (210, 70)
    assert verdict.iteration_source == "tracker"


def test_saving_with_a_stuck_log_carries_both_flags() -> None:
    verdict = verdict_of(
        heartbeat=beat("saving"),
        ages={"log_s": 720.0},
        history=replace(LEARNT, iterations_since_log=50),
    )
    assert verdict.liveness is Liveness.SAVING
    assert set(verdict.flags) == {"saving", "log-stuck"}


def test_evidence_names_every_signal_and_what_cannot_be_read() -> None:
    memory = MemoryReading(
        total_bytes=100 * GIB,
        available_bytes=40 * GIB,
        free_bytes=0,
        cached_bytes=0,
        swap_total_bytes=8 * GIB,
        swap_free_bytes=6 * GIB,
        psi_some_avg10=12.0,
    )
    gpu = GpuReading(index=0, name="g", utilisation_percent=96, power_w=13.0, sm_clock_mhz=799)
    verdict = verdict_of(
        process=replace(ALIVE, hidden=("io",)),
        machine=MachineReading(memory=memory, gpus=(gpu,), cpu_percent=7.0),
        memory_limit_bytes=92 * GIB,
        unreadable=("heartbeat.json is not JSON",),
    )
    signals = {each.signal: each for each in verdict.evidence}
    expected = ["heartbeat", "tracker", "checkpoints", "log", "process", "cpu", "written", "gpu0"]
    assert list(signals) == [*expected, "memory", "cores", "unreadable"]
    assert signals["heartbeat"].supports == "training"
    assert "may not read: io" in signals["process"].detail
    assert "proof" in signals["gpu0"].supports
    assert signals["gpu0"].detail == "96 %, 13 W, 799 MHz"
    assert signals["memory"].detail == (
        "60.0 GiB of 92.0 GiB used, 40.0 GiB available, 2.0 GiB swapped, "
        "12 % of the time waited for"
    )
    assert signals["cores"].detail == "7 % busy"
    assert signals["unreadable"].detail == "heartbeat.json is not JSON"


def test_a_gpu_that_stopped_answering_is_no_silence_of_the_trainer() -> None:
    stale = GpuReading(index=0, name="g", age_s=300.0, utilisation_percent=0)
    ages = {"progress_s": 700.0, "gpu_s": 700.0} | SILENT
    changes: dict[str, Any] = {"heartbeat": beat("first_iteration", 0), "ages": ages}
    blocked = verdict_of(machine=MachineReading(gpus=(stale,)), **changes)
    idle = verdict_of(machine=MachineReading(gpus=(replace(stale, age_s=0.0),)), **changes)
    assert blocked.liveness is Liveness.STARTING
    assert idle.liveness is Liveness.STALLED
