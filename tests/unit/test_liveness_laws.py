"""Laws of the judge: they hold for every observation that can be made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.limits import limits_from
from monitor.liveness import judge
from monitor.model import (
    FINAL,
    Ages,
    Checkpoint,
    CheckpointReading,
    GpuReading,
    Heartbeat,
    History,
    Liveness,
    LogReading,
    MachineReading,
    Observation,
    ProcessReading,
    Stage,
    Status,
)
from monitor.silence import progress_age

LIMITS = limits_from({})
LIVING = frozenset(Liveness) - FINAL - {Liveness.LOST}
TROUBLE = {Liveness.SUSPECT, Liveness.STALLED}


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


seconds = st.floats(0, 1e5)
counts = st.integers(0, 1000)
heartbeats = st.builds(
    Heartbeat,
    attempt=st.integers(1, 2),
    seq=counts,
    pid=counts,
    boot_id=st.just("b"),
    monotonic_s=seconds,
    stage=st.sampled_from(["train", "merge", "prepare"]),
    phase=st.sampled_from(
        ["loading", "first_iteration", "iteration", "saving", "evaluating", "stopping", "odd"]
    ),
    done=optional(counts),
    total=optional(counts),
    loss=optional(seconds),
)
checkpoints = st.builds(
    CheckpointReading,
    tracker=optional(counts),
    checkpoints=st.lists(
        st.builds(
            Checkpoint,
            iteration=counts,
            complete=st.booleans(),
            size_bytes=counts,
            modified_wall=seconds,
        ),
        max_size=3,
    ).map(tuple),
)
processes = st.builds(
    ProcessReading,
    alive=st.booleans(),
    state=st.sampled_from([None, "R", "S", "D", "T"]),
    cpu_s=optional(seconds),
    written_bytes=optional(counts),
    wchan=st.sampled_from([None, "pipe_write", "0"]),
)
machines = st.builds(
    MachineReading,
    gpus=st.lists(
        st.builds(
            GpuReading,
            index=st.just(0),
            name=st.just("g"),
            age_s=st.floats(0, 100),
            utilisation_percent=optional(st.integers(0, 100)),
        ),
        max_size=1,
    ).map(tuple),
)
ages = st.builds(
    Ages,
    **{name: optional(seconds) for name in Ages.__dataclass_fields__},
)
histories = st.builds(
    History,
    step_max_s=optional(seconds),
    step_count=counts,
    step_median_s=optional(seconds),
    step_recent_s=optional(seconds),
    save_max_s=optional(seconds),
    save_count=counts,
    saves_this_process=st.integers(0, 3),
    log_cadence_s=optional(seconds),
    log_growths=counts,
    iterations_since_log=counts,
    power_median_w=optional(seconds),
)
observations = st.builds(
    Observation,
    run=st.just("r"),
    taken_at=seconds,
    status=optional(st.sampled_from(Status)),
    stage=optional(st.sampled_from(["train", "merge", "pull"])),
    attempt=st.integers(1, 2),
    total=optional(counts),
    boot_changed=st.booleans(),
    heartbeat=optional(heartbeats),
    checkpoints=optional(checkpoints),
    log=optional(
        st.builds(LogReading, path=st.just("l"), size_bytes=counts, modified_wall=seconds)
    ),
    process=optional(processes),
    machine=optional(machines),
    ages=ages,
    history=histories,
    unreadable=st.lists(st.text(max_size=9), max_size=2).map(tuple),
    foreign=st.booleans(),
    own_power_w=optional(seconds),
    held=optional(st.booleans()),
)
law = settings(max_examples=150)


@law
@given(observations)
def test_nothing_without_evidence_of_trouble_is_stalled(observation: Observation) -> None:
    """Stalled needs a process that is seen to live, and silence past half of some limit."""
    verdict = judge(observation, LIMITS)
    if verdict.liveness is not Liveness.STALLED:
        return
    age = progress_age(observation)
    assert observation.process is not None
    assert observation.process.alive
    assert verdict.limit_s is not None
    assert age is not None
    assert age > verdict.limit_s or age >= 600
    assert not (observation.status and observation.status.final)


@law
@given(observations)
def test_a_dead_process_never_has_a_living_verdict(observation: Observation) -> None:
    dead = replace(observation, process=ProcessReading(alive=False))
    assert judge(dead, LIMITS).liveness not in LIVING


@law
@given(observations)
def test_where_nobody_lives_no_verdict_is_a_living_one(observation: Observation) -> None:
    empty = replace(observation, process=None, held=False, foreign=False)
    assert judge(empty, LIMITS).liveness not in LIVING


@law
@given(observations, seconds)
def test_the_same_observation_has_the_same_verdict_whatever_the_loss(
    observation: Observation, loss: float
) -> None:
    verdict = judge(observation, LIMITS)
    assert judge(observation, LIMITS) == verdict
    if observation.heartbeat is not None:
        beat = replace(observation.heartbeat, loss=loss, lr=loss, grad_norm=loss)
        assert judge(replace(observation, heartbeat=beat), LIMITS) == verdict


@law
@given(observations, st.floats(0, 29))
def test_fresh_progress_is_never_suspect_or_stalled(observation: Observation, age: float) -> None:
    fresh = replace(observation, ages=replace(observation.ages, progress_s=age))
    assert judge(fresh, LIMITS).liveness not in TROUBLE


@law
@given(observations, st.sampled_from([each for each in Status if each.final]))
def test_a_final_status_is_always_the_verdict(observation: Observation, status: Status) -> None:
    assert judge(replace(observation, status=status), LIMITS).liveness == status.value


@law
@given(observations, st.text(max_size=20))
def test_an_unreadable_source_changes_no_verdict(observation: Observation, name: str) -> None:
    worse = replace(observation, unreadable=(*observation.unreadable, name))
    assert judge(worse, LIMITS).liveness is judge(observation, LIMITS).liveness


@law
@given(observations, seconds)
def test_more_silence_never_turns_a_stall_into_training(
    observation: Observation, more: float
) -> None:
    train = replace(observation, stage=Stage.TRAIN)
    if judge(train, LIMITS).liveness is not Liveness.STALLED:
        return
    known = train.ages
    older = replace(
        known,
        progress_s=None if known.progress_s is None else known.progress_s + more,
        stage_s=None if known.stage_s is None else known.stage_s + more,
    )
    assert judge(replace(train, ages=older), LIMITS).liveness is Liveness.STALLED


@law
@given(observations)
def test_silence_alone_never_ends_a_run(observation: Observation) -> None:
    status = observation.status
    open_end = (status is None or not status.final) and not observation.boot_changed
    alive = observation.process is None or observation.process.alive
    if open_end and alive:
        assert judge(observation, LIMITS).liveness not in FINAL
