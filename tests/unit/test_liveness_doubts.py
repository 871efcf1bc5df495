"""Who may be called stalled, and who lost, where a signal is missing or cannot be believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from observed import ALIVE, GONE, LEARNT, beat, seen

from monitor.limits import limits_from
from monitor.liveness import judge
from monitor.model import GpuReading, History, Liveness, LogProgress, MachineReading, Verdict

NOBODY: dict[str, Any] = {"process": None, "held": False}
MUTE: dict[str, Any] = {"heartbeat": None, "history": History()}
OWN_GPU = replace(LEARNT, power_median_w=500.0)
OLD_GPU = MachineReading(gpus=(GpuReading(index=0, name="g", age_s=99.0),))
NEW_GPU = MachineReading(gpus=(GpuReading(index=0, name="g"),))


def verdict_of(**changes: Any) -> Verdict:
    return judge(seen(**changes), limits_from({}))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"heartbeat": None, "log": None}, id="the launch died"),
        pytest.param({"stage": "merge"}, id="the keeper died between two stages"),
        pytest.param({}, id="both died, and a heartbeat is left"),
        pytest.param({"process": GONE}, id="the trainer died after its keeper"),
    ],
)
def test_where_nobody_lives_the_run_is_lost(changes: dict[str, Any]) -> None:
    verdict = verdict_of(**NOBODY | changes)
    assert verdict.liveness is Liveness.LOST
    assert "nobody lives" in verdict.reason
    assert "`lanewatch resume r` goes on" in verdict.reason


@pytest.mark.parametrize("held", [True, None])
def test_a_lock_that_is_held_or_cannot_be_seen_changes_nothing(held: bool | None) -> None:
    assert verdict_of(process=None, held=held).liveness is Liveness.TRAINING


def test_a_foreign_run_has_no_locks_to_miss() -> None:
    assert verdict_of(**NOBODY, foreign=True).liveness is Liveness.TRAINING


@pytest.mark.parametrize(
    ("changes", "liveness"),
    [
        pytest.param({}, Liveness.STALLED, id="seen for longer than the limit"),
        pytest.param(
            {"ages": {"progress_s": None, "stage_s": 1700.0}}, Liveness.SUSPECT, id="not that long"
        ),
        pytest.param(
            {"ages": {"progress_s": 1900.0, "stage_s": 9000.0}},
            Liveness.SUSPECT,
            id="a checkpoint came meanwhile: its cadence is not known",
        ),
        pytest.param({"foreign": True}, Liveness.SUSPECT, id="a run that is not ours"),
        pytest.param({"process": None}, Liveness.SUSPECT, id="not seen to live"),
    ],
)
def test_a_trainer_that_spins_before_its_first_heartbeat(
    changes: dict[str, Any], liveness: Liveness
) -> None:
    ages = {"progress_s": None, "stage_s": 5.5 * 3600}
    assert verdict_of(**MUTE | {"ages": ages} | changes).liveness is liveness


def test_an_iteration_as_long_as_the_first_one_is_no_stall() -> None:
    changes: dict[str, Any] = {"history": History(), "ages": {"progress_s": 1501.0}}
    assert verdict_of(heartbeat=beat(done=1, step_s=900.0), **changes).liveness is Liveness.TRAINING
    assert verdict_of(heartbeat=beat(done=1), **changes).liveness is Liveness.STALLED


@pytest.mark.parametrize(
    ("silent_s", "cpu_s", "history", "liveness"),
    [
        pytest.param(700.0, 0.0, History(), Liveness.SUSPECT, id="it computes"),
        pytest.param(1201.0, 0.0, History(), Liveness.STALLED, id="for twice the limit"),
        pytest.param(700.0, 100.0, History(), Liveness.STALLED, id="it uses nothing"),
        pytest.param(700.0, 0.0, LEARNT, Liveness.STALLED, id="its pace is learnt"),
    ],
)
def test_an_early_iteration_may_take_twelve_times_as_long(
    silent_s: float, cpu_s: float, history: History, liveness: Liveness
) -> None:
    """At 45 s an iteration that is more than the ten minutes which stand until a pace is learnt."""
    ages = {"progress_s": silent_s, "cpu_s": cpu_s}
    verdict = verdict_of(heartbeat=beat(done=1), history=history, ages=ages)
    assert verdict.liveness is liveness


@pytest.mark.parametrize(
    ("machine", "age", "liveness"),
    [
        pytest.param(None, 150.0, Liveness.SUSPECT, id="nobody reads it"),
        pytest.param(OLD_GPU, 150.0, Liveness.SUSPECT, id="its driver does not answer"),
        pytest.param(None, 301.0, Liveness.STALLED, id="but only to three times the limit"),
        pytest.param(NEW_GPU, 150.0, Liveness.STALLED, id="it is read, and shared"),
    ],
)
def test_a_gpu_of_its_own_that_cannot_be_read_postpones_the_stall(
    machine: MachineReading | None, age: float, liveness: Liveness
) -> None:
    verdict = verdict_of(history=OWN_GPU, machine=machine, ages={"progress_s": age})
    assert verdict.liveness is liveness
    assert ("cannot be read now" in verdict.reason) == (liveness is Liveness.SUSPECT)


def test_on_a_full_disk_a_silent_heartbeat_is_at_most_suspect() -> None:
    full, room = MachineReading(disk_free_bytes=0), MachineReading(disk_free_bytes=1 << 30)
    verdict = verdict_of(machine=full, ages={"progress_s": 500.0})
    assert verdict.liveness is Liveness.SUSPECT
    assert "the disk of the run is full" in verdict.reason
    assert verdict_of(machine=room, ages={"progress_s": 500.0}).liveness is Liveness.STALLED
    idle = {"progress_s": 700.0, "cpu_s": 700.0, "written_s": 700.0, "log_s": 700.0}
    verdict = verdict_of(machine=full, process=ALIVE, ages=idle)
    assert verdict.liveness is Liveness.STALLED, "its CPU time needs no disk to be seen"


@pytest.mark.parametrize(
    ("told", "told_s", "liveness"),
    [
        pytest.param(260, 9.0, Liveness.SUSPECT, id="the log goes on"),
        pytest.param(260, 101.0, Liveness.STALLED, id="the log went on, and stopped as well"),
        pytest.param(241, 9.0, Liveness.STALLED, id="the log says late what the heartbeat said"),
        pytest.param(None, None, Liveness.STALLED, id="the log counts no iterations"),
    ],
)
def test_a_heartbeat_that_cannot_be_written_is_no_stall_while_the_log_goes_on(
    told: int | None, told_s: float | None, liveness: Liveness
) -> None:
    verdict = verdict_of(
        ages={"progress_s": 900.0, "log_iteration_s": told_s},
        log_progress=LogProgress(iteration=told),
    )
    assert verdict.limit_s == 100
    assert verdict.liveness is liveness
    assert ("can it write its heartbeat?" in verdict.reason) is (liveness is Liveness.SUSPECT)


@pytest.mark.parametrize(
    ("watts", "spins"),
    [
        pytest.param(480.0, False, id="as at work"),
        pytest.param(200.0, True, id="far less"),
    ],
)
def test_what_draws_as_much_as_at_work_is_not_said_to_spin(watts: float, spins: bool) -> None:
    verdict = verdict_of(ages={"progress_s": 60.0}, history=OWN_GPU, own_power_w=watts)
    assert verdict.liveness is Liveness.SUSPECT
    assert (verdict.signature == "spinning") is spins
    assert ("it spins" in verdict.reason) is spins
    assert ("as much power as when it trains" in verdict.reason) is not spins
