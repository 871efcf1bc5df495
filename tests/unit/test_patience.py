"""How long one waits for a run that looks busy and shows no progress, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from observed import ALIVE, LEARNT, seen
from watching import Watch, beat

from monitor.learnt import Learnt, Use, with_step
from monitor.limits import LONGEST_WAIT_S, limits_from
from monitor.liveness import judge
from monitor.model import (
    CheckpointReading,
    GpuReading,
    History,
    KernelReading,
    Liveness,
    MachineReading,
    Verdict,
)
from monitor.readings import ProcessReading
from monitor.use import learn_use

LIMITS = limits_from({})
OURS = replace(ALIVE, pids=(7,))
GONE = ProcessReading(alive=False, pids=(7,))
SHARED = MachineReading(
    gpus=(GpuReading(index=0, name="g", process_bytes=((7, None), (99, None))),)
)

# A checkpoint every 2100 s, the last one at iteration 140 of 625; seen from outside.
SAVED = History(
    iteration=140,
    iteration_source="tracker",
    saved=140,
    saves_this_process=2,
    checkpoint_gap_s=2100.0,
)
FOREIGN: dict[str, Any] = {
    "foreign": True,
    "status": None,
    "stage": None,
    "heartbeat": None,
    "save_interval": 70,
    "checkpoints": CheckpointReading(tracker=140),
}


def with_heartbeat(age: float, **changes: Any) -> Verdict:
    """The limit is 100 s."""
    ages = {"progress_s": age} | changes.pop("ages", {})
    return judge(seen(**{"process": OURS, "machine": SHARED, "ages": ages} | changes), LIMITS)


@pytest.mark.parametrize(
    ("age", "changes", "liveness"),
    [
        pytest.param(110, {"ages": {"computing_s": 1.0}}, Liveness.SUSPECT, id="as usual"),
        pytest.param(301, {"ages": {"computing_s": 1.0}}, Liveness.STALLED, id="three times"),
        pytest.param(110, {"ages": {"computing_s": 101.0}}, Liveness.STALLED, id="less for long"),
        pytest.param(110, {}, Liveness.STALLED, id="how much is usual is not known"),
        pytest.param(
            110,
            {"ages": {"computing_s": 1.0}, "process": replace(OURS, state="T")},
            Liveness.STALLED,
            id="stopped",
        ),
        pytest.param(
            110,
            {"ages": {"computing_s": 99.0, "cpu_s": 99.0}},
            Liveness.STALLED,
            id="no CPU time any more",
        ),
        pytest.param(
            110,
            {
                "ages": {"computing_s": 1.0},
                "machine": MachineReading(kernel=KernelReading(gpu_lost=True)),
            },
            Liveness.STALLED,
            id="its GPU is lost",
        ),
        pytest.param(
            110,
            {
                "ages": {"computing_s": 1.0, "powered_s": 120.0},
                "history": replace(LEARNT, power_median_w=50.0),
                "own_power_w": 20.0,
            },
            Liveness.STALLED,
            id="the power of its own GPU counts before CPU time",
        ),
    ],
)
def test_who_uses_the_cpu_as_while_it_trained_is_given_three_times_the_limit(
    age: float, changes: dict[str, Any], liveness: Liveness
) -> None:
    verdict = with_heartbeat(age, **changes)
    assert verdict.liveness is liveness, verdict.reason
    if liveness is Liveness.SUSPECT:
        assert "as much CPU time as when it trains" in verdict.reason


def slow(clock_mhz: int) -> dict[str, Any]:
    gpu = GpuReading(
        index=0,
        name="g",
        utilisation_percent=96,
        sm_clock_mhz=clock_mhz,
        process_bytes=((7, None),),
    )
    return {
        "machine": MachineReading(gpus=(gpu,)),
        "own_power_w": 20.0,
        "process": OURS,
        "history": replace(
            SAVED,
            power_median_w=45.0,
            power_low_w=30.0,
            power_spread_w=8.0,
            clock_median_mhz=2281.0,
            recent_power_w=20.0,
            recent_spread_w=0.5,
            recent_busy_percent=96.0,
        ),
    }


def outside(age: float, **changes: Any) -> Verdict:
    ages = {"progress_s": age, "iteration_s": age, "tracker_s": age, "log_s": age}
    ages |= changes.pop("ages", {})
    return judge(seen(**FOREIGN | {"process": OURS, "ages": ages} | changes), LIMITS)


def test_a_gpu_at_a_low_clock_is_slow_and_not_called_spinning() -> None:
    # The next checkpoint is due after 2100 s and stalled after 4050 s; slowed 2.2 times it comes
    # after 4620 s.
    verdict = outside(4700, **slow(799))
    assert (verdict.liveness, verdict.signature) == (Liveness.SUSPECT, "power-state")
    assert "runs at only 799 MHz, a stuck power state: it may be slow" in verdict.reason
    verdict = outside(4700, **slow(2281))
    assert (verdict.liveness, verdict.signature) == (Liveness.STALLED, "spinning")


def test_a_clock_far_under_its_own_is_low_whatever_the_gpu_is() -> None:
    fast = slow(1500)  # no GB10 in a stuck power state, but this GPU usually has 2281
    assert outside(4700, **fast).liveness is Liveness.SUSPECT
    usual = replace(fast["history"], clock_median_mhz=1600.0)
    assert outside(4700, **fast | {"history": usual}).liveness is Liveness.STALLED


def test_where_only_checkpoints_are_seen_it_says_that_only_time_can_tell() -> None:
    verdict = outside(5000, history=SAVED, log=None)
    assert verdict.liveness is Liveness.SUSPECT
    assert "nothing but its checkpoints can be seen, so only time can tell" in verdict.reason
    assert "give it a heartbeat or a log" in verdict.reason


def test_twelve_times_is_counted_from_its_best_pace() -> None:
    slowed = replace(SAVED, checkpoint_gap_s=20_000.0, checkpoint_gap_least_s=2100.0)
    assert outside(29_000, history=slowed).liveness is Liveness.SUSPECT
    assert outside(41_000, history=slowed).liveness is Liveness.STALLED


def test_nobody_waits_longer_than_a_day_for_a_checkpoint() -> None:
    rare = replace(SAVED, checkpoint_gap_s=30_000.0)
    assert outside(LONGEST_WAIT_S - 10, history=rare).liveness is Liveness.SUSPECT
    assert outside(LONGEST_WAIT_S + 10, history=rare).liveness is Liveness.STALLED
    rarer = replace(SAVED, checkpoint_gap_s=90_000.0)
    assert outside(LONGEST_WAIT_S + 10, history=rarer).liveness is not Liveness.STALLED


def test_ten_idle_minutes_count_before_a_state_that_lasts_not_long_enough() -> None:
    """The iteration limit without a heartbeat is ten minutes, and the looks come on top."""
    idle = {"cpu_s": 596.0, "written_s": 596.0, "excluded_s": 596.0}
    verdict = outside(596, ages=idle, process=replace(OURS, state="T"))
    assert (verdict.liveness, verdict.signature) == (Liveness.STALLED, "stopped")


@pytest.mark.parametrize(
    ("gone_s", "changes", "liveness"),
    [
        pytest.param(5.0, {}, Liveness.LOST, id="its last checkpoint may still show"),
        pytest.param(71.0, {}, Liveness.ENDED, id="it does not"),
        pytest.param(None, {}, Liveness.ENDED, id="it was never seen to live"),
        pytest.param(5.0, {"saves_late": False}, Liveness.ENDED, id="on a local disk"),
        pytest.param(5.0, {"saves_visible": False}, Liveness.ENDED, id="nobody knows where"),
        pytest.param(5.0, {"total": 625}, Liveness.ENDED, id="far from its total"),
        pytest.param(
            5.0,
            {"history": replace(SAVED, iteration=200, saved=200)},
            Liveness.FINISHED,
            id="its last checkpoint is there",
        ),
        pytest.param(
            5.0,
            {"machine": MachineReading(kernel=KernelReading(oom_kills=(7,)))},
            Liveness.FAILED,
            id="the kernel killed it",
        ),
    ],
)
def test_a_foreign_end_waits_for_a_checkpoint_that_a_file_server_hides(
    gone_s: float | None, changes: dict[str, Any], liveness: Liveness
) -> None:
    base: dict[str, Any] = {"process": GONE, "history": SAVED, "total": 200}
    verdict = outside(100, ages={"gone_s": gone_s}, **base | changes)
    assert verdict.liveness is liveness
    if liveness is Liveness.LOST:
        assert "its process is gone; waiting for its last checkpoint to show" in verdict.reason


def test_when_a_process_was_last_seen_is_remembered() -> None:
    watch = Watch()
    watch.look(process=GONE)
    assert watch.ages.gone_s is None
    watch.pass_(3, process=ALIVE)
    watch.pass_(5, process=GONE)
    assert watch.ages.gone_s == 4.0
    watch.restart()
    watch.pass_(5, process=GONE)
    assert watch.ages.gone_s == 9.0
    watch.pass_(1, process=ALIVE)
    assert watch.ages.gone_s is None


def test_the_usual_cpu_use_is_learnt_from_iterations_alone() -> None:
    watch, cpu = Watch(), 0.0
    for done in range(1, 12):
        for _ in range(10):
            watch.now, cpu = watch.now + 1, cpu + 0.8
            process = replace(ALIVE, cpu_s=cpu)
            watch.look(beat(watch.now - 0.5, done=done), process=process)
    assert watch.state.learnt.use.cores.median() == pytest.approx(0.8, abs=0.01)
    values = watch.state.learnt.use.cores.values
    for _ in range(30):  # a hang teaches nothing, and uses less than 70 % of that
        watch.now, cpu = watch.now + 1, cpu + 0.5
        watch.look(beat(watch.now - 0.5, done=11), process=replace(ALIVE, cpu_s=cpu))
    assert watch.state.learnt.use.cores.values == values
    assert watch.ages.computing_s == 30.0
    watch.now, cpu = watch.now + 1, cpu + 0.7
    watch.look(beat(watch.now - 0.5, done=11), process=replace(ALIVE, cpu_s=cpu))
    assert watch.ages.computing_s == 0.0


def test_fast_iterations_are_measured_together_and_a_gap_measures_nothing() -> None:
    use = learn_use(Use(), 1.0, None, at=0.0, broken=False, advanced=True)
    assert learn_use(use, 1.5, 2000.0, at=1.0, broken=False, advanced=True) is use
    learnt = learn_use(use, 7.0, 2000.0, at=6.0, broken=False, advanced=True)
    assert (learnt.cores.values, learnt.clock.values) == ((1.0,), (2000.0,))
    gap = learn_use(learnt, 99.0, 2000.0, at=7.0, broken=True, advanced=True)
    assert (gap.since, gap.cores) == (None, learnt.cores)


@pytest.mark.parametrize(
    ("count", "largest"),
    [
        pytest.param(19, 9.0, id="the largest of a few"),
        pytest.param(20, 4.0, id="one slow iteration in twenty is no pace"),
        pytest.param(100, 2.0, id="two in a hundred are none"),
    ],
)
def test_a_few_slow_iterations_are_no_pace(count: int, largest: float) -> None:
    learnt = Learnt(step_count=count)
    for interval in (2.0, 9.0, 1.0, 4.0, 2.0):
        learnt = with_step(learnt, interval, is_pace=False)
    assert learnt.step_max_s == largest
    assert with_step(learnt, 7.0, is_pace=True).step_max_s == 7.0


def test_a_machine_that_slept_in_the_first_iteration_of_all_teaches_no_pace() -> None:
    watch = Watch()
    first = beat(watch.now, done=1)
    watch.look(first)
    watch.now += 9000
    watch.look(first)
    watch.now += 2
    watch.look(beat(watch.now, done=2))
    for done in range(3, 24):
        watch.now += 2
        watch.look(beat(watch.now, done=done))
    assert watch.history.step_max_s == 2.0


@pytest.mark.parametrize(("age", "told"), [(2 * 4050.0 - 1.0, False), (2 * 4050.0 + 1.0, True)])
def test_of_what_only_time_can_tell_somebody_is_told_that_it_is_slow_at_best(
    age: float, told: bool
) -> None:
    # A cadence of 2100 s: due, half of it and the limit of a save, 900 s, twice.
    ages = {"progress_s": age, "cpu_s": 0.0}
    verdict = judge(seen(**FOREIGN | {"process": OURS, "history": SAVED, "ages": ages}), LIMITS)
    assert verdict.liveness is Liveness.SUSPECT
    assert (Liveness.SLOW in verdict.flags) is told


@pytest.mark.parametrize(
    ("age", "liveness"),
    [(1790, Liveness.TRAINING), (1810, Liveness.SUSPECT), (80_000, Liveness.SUSPECT)],
)
def test_a_foreign_run_that_lingers_after_its_last_iteration_is_doubted(
    age: float, liveness: Liveness
) -> None:
    done = replace(SAVED, iteration=625, saved=625)
    verdict = outside(age, history=done, log=None, total=625)
    assert verdict.liveness is liveness
    assert ("may evaluate, merge or hang" in verdict.reason) is (liveness is Liveness.SUSPECT)
