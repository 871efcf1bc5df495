"""The memory judge on simulated runs: silent on normal ones, in time on climbs, never flapping."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_traces import (
    GIB,
    SPARK,
    TOTALS,
    Machine,
    Second,
    alerts,
    lead_of,
    levels,
    normal_run,
)

from monitor.budget import gpu_bytes, is_unified, memory_limit
from monitor.memory_judge import (
    Budget,
    MemoryLevel,
    MemoryLook,
    MemoryState,
    advance_memory,
    judge_memory,
    level_of,
)
from monitor.model import Phase, Stage
from monitor.readings import GpuReading, MemoryReading

TOTAL = int(SPARK * GIB)
SEEDS = range(12)


def memory(used_gib: float, total: int = TOTAL) -> MemoryReading:
    return MemoryReading(
        total_bytes=total,
        available_bytes=total - int(used_gib * GIB),
        free_bytes=0,
        cached_bytes=0,
    )


def gpu(**figures: object) -> GpuReading:
    return GpuReading(index=0, name="NVIDIA GB10", **figures)


@pytest.mark.parametrize(
    ("gpus", "unified"),
    [
        pytest.param((), None, id="no GPU read yet"),
        pytest.param((gpu(shares_memory=True),), True, id="not supported, or a total of 0"),
        pytest.param(
            (gpu(memory_total_bytes=TOTAL, memory_used_bytes=GIB),), True, id="MemTotal itself"
        ),
        pytest.param((gpu(memory_total_bytes=int(0.91 * TOTAL)),), True, id="nearly MemTotal"),
        pytest.param((gpu(memory_total_bytes=80 * GIB),), False, id="memory of its own"),
        pytest.param((gpu(),), None, id="the driver failed to say"),
    ],
)
def test_unified_memory_is_known_by_how_the_driver_answers(
    gpus: tuple[GpuReading, ...], unified: bool | None
) -> None:
    assert is_unified(gpus, TOTAL) is unified


def test_the_gpus_part_is_what_its_processes_hold_and_an_untold_one_is_left_out() -> None:
    gpus = (gpu(process_bytes=((1, 19 * GIB), (2, None), (3, GIB))),)
    assert gpu_bytes(gpus) == 20 * GIB
    assert gpu_bytes(gpus, frozenset({3})) == GIB
    assert gpu_bytes((gpu(process_bytes=((2, None),)),)) is None
    assert gpu_bytes(()) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_normal_run_of_an_8b_model_alerts_nobody(seed: int) -> None:
    rng = random.Random(seed)
    machine = Machine(rng, base_gib=rng.uniform(3, 9), noise_gib=rng.choice((0, 0.05, 0.2)))
    assert alerts(machine, normal_run(rng, peak_gib=48.0, cycles=3)) == []


@pytest.mark.parametrize("seed", [100014, 100019, 100021, 100080, 100120])
def test_a_step_among_noise_is_no_climb(seed: int) -> None:
    """An evaluation that takes 4 GiB more, on a machine whose other use wanders by 0.4 GiB."""
    rng = random.Random(seed)
    machine = Machine(rng, rng.choice(TOTALS), rng.uniform(3, 9), 0.4)
    run = normal_run(rng, peak_gib=rng.choice((24.0, 48.0, 64.0, 80.0)), cycles=4)
    assert alerts(machine, run) == []


@pytest.mark.parametrize(
    ("rate", "headroom", "least_min"),
    [
        pytest.param(0.5, 19.0, 30.0, id="half a GiB a minute, half an hour ahead"),
        pytest.param(0.5, 40.0, 30.0, id="the same from far away"),
        pytest.param(2.0, 12.5, 5.0, id="two GiB a minute, five minutes ahead"),
        pytest.param(2.0, 40.0, 5.0, id="the same from far away"),
        pytest.param(10.0, 14.0, 1.0, id="ten GiB a minute, a minute ahead"),
        pytest.param(10.0, 60.0, 1.0, id="the same from far away"),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_climb_is_told_in_time(
    rate: float, headroom: float, least_min: float, noise: float
) -> None:
    lead = lead_of(Machine(random.Random(5), noise_gib=noise), rate, headroom)
    assert lead.lead_min is not None
    assert lead.lead_min >= least_min


@pytest.mark.parametrize("rate", [0.5, 2.0, 10.0])
def test_with_little_left_at_the_start_it_is_told_within_two_samples(rate: float) -> None:
    machine = Machine(random.Random(1), noise_gib=0.0)
    used = memory_limit(TOTAL) / GIB - 8.0 - machine.base_gib
    seconds = (
        Second(used + rate * second / 60, Stage.TRAIN, Phase.ITERATION, saved=True)
        for second in range(5)
    )
    told = [state.level for _, state in levels(machine, seconds)]
    assert told[1] is MemoryLevel.WARN


def looks(*used: float, start_s: float = 100.0, **changes: object) -> list[MemoryLook]:
    values: dict[str, object] = {
        "gpus": (gpu(shares_memory=True),),
        "stage": Stage.TRAIN,
        "phase": Phase.ITERATION,
        "saved": True,
    }
    return [
        MemoryLook(at_s=start_s + second, memory=memory(gib), **values | changes)
        for second, gib in enumerate(used)
    ]


def fold(
    these: list[MemoryLook], budget: Budget | None = None, state: MemoryState | None = None
) -> MemoryState:
    state = state or MemoryState()
    for look in these:
        state = advance_memory(state, look, budget or Budget())
    return state


@pytest.mark.parametrize(
    ("used", "level"),
    [
        pytest.param(100.0, MemoryLevel.OK, id="18 percent available"),
        pytest.param(101.5, MemoryLevel.WARN, id="under 17 percent"),
        pytest.param(106.5, MemoryLevel.HIGH, id="under 13 percent"),
        pytest.param(110.0, MemoryLevel.LIMIT, id="at the limit"),
    ],
)
def test_what_is_left_on_a_machine_whose_gpu_shares_it(used: float, level: MemoryLevel) -> None:
    assert fold(looks(*[used] * 3)).level is level
    assert level_of(memory(used), memory_limit(TOTAL), unified=True) is level


def test_without_shared_memory_only_the_limit_counts() -> None:
    state = fold(looks(*[104.0] * 3, gpus=(gpu(memory_total_bytes=80 * GIB),)))
    assert state.level is MemoryLevel.OK


def test_one_sample_is_none() -> None:
    assert fold(looks(50, 111, 50, 111, 50)).level is not MemoryLevel.LIMIT
    assert fold(looks(50, 111, 111)).level is MemoryLevel.LIMIT


def test_a_level_that_wavers_is_told_once() -> None:
    state, said = MemoryState(), []
    for look in looks(*[100.9, 101.1] * 200):
        before = state.level
        state = advance_memory(state, look, Budget())
        if state.level is not before:
            said.append(state.level)
    assert len(said) <= 1


def test_a_level_falls_after_a_calm_minute() -> None:
    warned = fold(looks(*[102.0] * 3))
    assert warned.level is MemoryLevel.WARN
    still = fold(looks(*[50.0] * 59, start_s=103.0), state=warned)
    assert still.level is MemoryLevel.WARN
    assert fold(looks(*[50.0] * 5, start_s=162.0), state=still).level is MemoryLevel.OK


def test_a_jump_that_was_seen_warns_while_less_than_it_is_left() -> None:
    jumped = looks(60, 60, 84, 60, 60)
    state = fold([*jumped, *looks(*[88.0] * 3, start_s=200.0)])
    assert state.level is MemoryLevel.WARN
    assert "in this run memory jumped by 24" in state.reason
    assert fold([*jumped, *looks(*[80.0] * 3, start_s=200.0)]).level is MemoryLevel.OK


@pytest.mark.parametrize(
    ("budget", "saved", "level"),
    [
        pytest.param(Budget(), False, MemoryLevel.WARN, id="until it has saved: as elsewhere"),
        pytest.param(Budget(), True, MemoryLevel.OK, id="once its own jumps are known"),
        pytest.param(Budget(jump_bytes=GIB), False, MemoryLevel.OK, id="or an earlier run's are"),
        pytest.param(
            Budget(jump_bytes=20 * GIB), True, MemoryLevel.WARN, id="an earlier run jumped further"
        ),
    ],
)
def test_a_run_whose_jumps_are_not_known(budget: Budget, saved: bool, level: MemoryLevel) -> None:
    assert fold(looks(*[97.0] * 3, saved=saved), budget).level is level


@pytest.mark.parametrize(
    ("plan", "warns"),
    [
        pytest.param(None, False, id="nothing known of it"),
        pytest.param(70 * GIB, False, id="within the estimate"),
        pytest.param(30 * GIB, True, id="beyond the estimate"),
    ],
)
@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.FIRST_ITERATION, Phase.SAVING])
def test_a_load_is_forecast_only_beyond_its_plan(
    plan: int | None, warns: bool, phase: Phase
) -> None:
    climb = [6 + 1.0 * second for second in range(70)]
    state = fold(looks(*climb, phase=phase), Budget(plan_bytes=plan))
    assert (state.level is MemoryLevel.WARN) is warns
    if warns:
        assert "reaches its limit in" in state.reason


def test_a_full_discrete_gpu_warns_and_no_more() -> None:
    full = gpu(memory_total_bytes=80 * GIB, memory_used_bytes=79 * GIB)
    state = fold(looks(*[50.0] * 3, gpus=(full,)))
    assert state.level is MemoryLevel.WARN
    assert "GPU 0 is nearly full" in state.reason
    wide = fold(looks(*[50.0] * 3, gpus=(full,)), Budget(gpu_limit_bytes=80 * GIB))
    assert wide.level is MemoryLevel.OK


def test_what_the_judge_says_of_the_figures() -> None:
    machine = Machine(random.Random(0), noise_gib=0.0)
    seconds = iter([Second(1.0, Stage.PREPARE), *[Second(40.0, Stage.TRAIN, Phase.ITERATION)] * 3])
    *_, (look, state) = levels(machine, seconds)
    said = judge_memory(state, look, Budget())
    assert said.headroom_bytes == said.limit_bytes - said.used_bytes
    assert said.gpu_bytes == 38 * GIB
    assert said.run_bytes == 40 * GIB
    assert said.unified is True
    assert said.run_share == pytest.approx(1.0, abs=0.05)
    assert state.peaks.used_bytes == pytest.approx(40 * GIB, rel=0.05)
    assert state.peaks.gpu_bytes == 38 * GIB
    assert state.held is not None
    assert state.held.run_bytes == 40 * GIB


def test_a_climb_of_others_is_not_explained_by_the_run() -> None:
    machine = Machine(random.Random(0), noise_gib=0.0)
    state, last = MemoryState(), None
    for second in range(300):
        last = machine.look(Second(40.0, Stage.TRAIN, Phase.ITERATION, saved=True))
        others = int(0.1 * second * GIB)
        raised = replace(last.memory, available_bytes=last.memory.available_bytes - others)
        last = replace(last, memory=raised)
        state = advance_memory(state, last, Budget())
    assert last is not None
    share = judge_memory(state, last, Budget()).run_share
    assert share is not None
    assert share < 0.1


def test_what_is_not_known_of_the_run_gives_no_share() -> None:
    state = fold(looks(*[60.0] * 3))
    assert judge_memory(state, looks(60.0)[0], Budget()).run_share is None


@settings(max_examples=60)
@given(
    used=st.lists(st.floats(0, 200), min_size=1, max_size=80),
    own=st.none() | st.integers(1, 200 * GIB),
    phase=st.none() | st.sampled_from(list(Phase)),
)
def test_any_samples_give_a_verdict(
    used: list[float], own: int | None, phase: Phase | None
) -> None:
    budget = Budget(limit_bytes=own)
    these = looks(*[min(each, SPARK) for each in used], phase=phase)
    state = fold(these, budget)
    said = judge_memory(state, these[-1], budget)
    assert (said.reason == "") == (said.level is MemoryLevel.OK)
    assert said.headroom_bytes >= 0
    assert said.minutes_to_limit is None or said.minutes_to_limit >= 0
