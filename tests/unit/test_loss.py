"""A loss that is none and a loss that explodes are told; spikes, noise and hard data are not."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watching import Watch, beat

from monitor.codec import decode, dumps
from monitor.grammar import begin, fold
from monitor.history import history_of
from monitor.limits import STANDARD
from monitor.liveness import judge
from monitor.loss import (
    CLEAN,
    LONG,
    Loss,
    LossState,
    LossTrouble,
    describe_loss,
    follow,
    judge_loss,
    loss_of,
)
from monitor.model import Observation
from monitor.readings import LogProgress

LOGS = Path(__file__).parent.parent / "samples" / "logs"


def followed(losses: Sequence[float | None], state: LossState | None = None) -> LossState:
    state = state or LossState()
    first = 0 if state.iteration is None else state.iteration + 1
    for iteration, value in enumerate(losses, first):
        state = follow(state, Loss(iteration, value, nan=value is None, key=str(iteration)))
    return state


def troubles(losses: Sequence[float | None]) -> list[int]:
    """Iterations at which the series was called trouble."""
    state, found = LossState(), []
    for iteration, value in enumerate(losses):
        state = follow(state, Loss(iteration, value, nan=value is None, key=str(iteration)))
        if judge_loss(state) is not None:
            found.append(iteration)
    return found


def curve(
    count: int = 625, start: float = 2.0, end: float = 0.9, noise: float = 0.1, seed: int = 1
) -> list[float]:
    """A healthy training: it falls, and every batch is another one."""
    chance = random.Random(seed)
    levels = (end + (start - end) * math.exp(-each / 60) for each in range(count))
    return [level * math.exp(chance.gauss(0, noise)) for level in levels]


def with_spikes(losses: list[float], every: int, times: float) -> list[float]:
    return [each * times if at % every == 0 else each for at, each in enumerate(losses)]


def from_log(name: str) -> list[float | None]:
    losses, state = [], begin()
    for line in re.split(rb"[\r\n]", (LOGS / name).read_bytes()):
        state = fold(state, line)
        if b"loss" in line and state.progress.loss is not None:
            losses.append(state.progress.loss)
    return losses


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param(from_log("megatron-bridge-0.4.2-train.log"), id="Megatron on an H100"),
        pytest.param(from_log("unsloth-2026.10.9.log"), id="Unsloth on an H100"),
        pytest.param(from_log("transformers-5.17-evaluation.log"), id="transformers"),
        pytest.param(curve(), id="falling"),
        pytest.param(curve(noise=0.35), id="noisy"),
        pytest.param(curve(start=12.1, end=8.5), id="a tiny model"),
        pytest.param(with_spikes(curve(), 10, 8.0), id="every tenth batch a spike"),
        pytest.param([9.0, 40.0, 300.0, 12.0] * 5 + curve(), id="a wild start"),
        pytest.param(curve(200) + [1.6 * each for each in curve(60, 0.9)], id="harder data"),
        pytest.param(curve(300, 0.7, 0.01), id="learnt by heart"),
        pytest.param([0.02] * 100 + [0.3] * 100, id="twice as much of nothing"),
        pytest.param([abs(math.sin(each)) * 0.1 for each in range(300)], id="around zero"),
        pytest.param([0.0] * 200, id="zero"),
    ],
)
def test_healthy_losses_are_no_trouble(losses: list[float | None]) -> None:
    assert troubles(losses) == []


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([7.0] * 40, id="at once"),
        pytest.param([0.9 + 0.2 * each for each in range(40)], id="little by little"),
        pytest.param([10.0 ** (each + 1) for each in range(40)], id="without bounds"),
        pytest.param([3.0, 9.0] * 20, id="up and down"),
    ],
)
def test_a_loss_that_explodes_is_told_within_some_iterations(after: list[float]) -> None:
    losses = curve(150) + after
    found = troubles(losses)
    assert 150 < found[0] < 175
    assert found[-1] == len(losses) - 1
    state = followed(losses)
    assert judge_loss(state) is LossTrouble.EXPLODING
    assert state.high_since is not None
    assert f"since iteration {state.high_since}" in describe_loss(state)
    assert 150 <= state.high_since <= found[0]


def test_a_training_that_diverges_in_its_warm_up_is_told() -> None:
    chance = random.Random(3)
    losses = [1.5 + chance.gauss(0, 0.1) for _ in range(14)]
    losses += [8.0 + chance.gauss(0, 0.3) for _ in range(60)]
    assert LONG < troubles(losses)[0] < LONG + 15


def test_an_explosion_that_goes_back_is_over_and_not_before() -> None:
    state = followed(curve(150) + [7.0] * 40)
    assert judge_loss(followed([2.0] * 4, state)) is LossTrouble.EXPLODING
    state = followed([1.0] * 20, state)
    assert judge_loss(state) is None
    assert describe_loss(state) == ""
    assert judge_loss(followed([7.0] * 20, state)) is LossTrouble.EXPLODING


def test_nan_is_told_at_once_and_over_after_a_clean_spell() -> None:
    state = followed([1.0, 0.9, None])
    assert judge_loss(state) is LossTrouble.NAN
    assert describe_loss(state).startswith("the loss is no number since iteration 2")
    assert judge_loss(followed([0.9] * (CLEAN - 1), state)) is LossTrouble.NAN
    assert judge_loss(followed([0.9] * CLEAN, state)) is None
    assert followed([0.9, None], state).nan_since == 2


def test_nan_comes_before_exploding() -> None:
    assert judge_loss(followed([*curve(150), *[7.0] * 40, None])) is LossTrouble.NAN


def test_gradients_that_are_none_are_trouble_only_in_a_row() -> None:
    """Loss scaling tries a scale that is too large, skips the iteration and goes on."""
    state = LossState()
    for iteration, bad in enumerate([True, True, False, True, True]):
        state = follow(state, Loss(iteration, 1.0, grad_nan=bad, key=str(iteration)))
    assert judge_loss(state) is None
    state = follow(state, Loss(5, 1.0, grad_nan=True, key="5"))
    assert judge_loss(state) is LossTrouble.NAN


def test_an_iteration_that_is_seen_again_counts_once() -> None:
    loss = Loss(7, 1.0, key="7")
    once = follow(LossState(), loss)
    assert follow(once, loss) is once
    assert follow(once, None) is once


def test_a_resumed_training_begins_anew_but_knows_its_best() -> None:
    state = followed(curve(150) + [7.0] * 40)
    state = follow(state, Loss(100, 1.0, key="again"))
    assert judge_loss(state) is None
    assert state.recent == (1.0,)
    assert state.best is not None


@pytest.mark.parametrize(
    ("heartbeat", "progress", "expected"),
    [
        pytest.param(None, None, None, id="nothing"),
        pytest.param(None, LogProgress(iteration=3), None, id="a log without a loss"),
        pytest.param(
            None,
            LogProgress(iteration=3, loss=1.5),
            Loss(3, 1.5, key="log|3|None"),
            id="the log alone",
        ),
        pytest.param(
            None,
            LogProgress(epoch=0.4, nan=True),
            Loss(None, None, nan=True, key="log|None|0.4"),
            id="the log without iterations",
        ),
        pytest.param(
            beat(1, done=9, loss=0.5),
            LogProgress(iteration=3, nan=True),
            Loss(9, 0.5, key="1|9"),
            id="the heartbeat comes first",
        ),
        pytest.param(
            beat(1, done=9, nan=True), None, Loss(9, None, nan=True, key="1|9"), id="its NaN"
        ),
        pytest.param(
            beat(1, done=0, phase="loading"),
            LogProgress(iteration=3, nan=True),
            None,
            id="an earlier attempt's log says nothing beside it",
        ),
        pytest.param(
            beat(1, done=9),
            LogProgress(iteration=9, nan=True),
            Loss(9, None, nan=True, key="log|9|None"),
            id="a heartbeat without losses, a log of the same iteration",
        ),
        pytest.param(beat(1, stage="merge", loss=1.0), None, None, id="another stage"),
    ],
)
def test_where_a_loss_is_taken_from(heartbeat: Any, progress: Any, expected: Loss | None) -> None:
    assert loss_of(heartbeat, progress) == expected


def test_a_verdict_carries_the_flag_and_the_evidence() -> None:
    watch = Watch()
    for done in range(1, 6):
        watch.now += 1
        watch.look(beat(watch.now, done=done, loss=None if done > 3 else 1.0, nan=done > 3))
    history = history_of(watch.state.learnt)
    seen = Observation(run="r", taken_at=0, stage="train", history=history)
    verdict = judge(seen, STANDARD)
    assert verdict.flags == ("nan-loss",)
    (evidence,) = [each for each in verdict.evidence if each.signal == "loss"]
    assert (evidence.supports, "iteration 4" in evidence.detail) == ("nan-loss", True)
    assert judge(replace(seen, history=replace(history, loss_trouble=None)), STANDARD).flags == ()


def test_the_state_survives_a_restart_of_the_watcher() -> None:
    state = followed([*curve(150), *[7.0] * 40, None])
    assert decode(LossState, json.loads(dumps({"state": state}))["state"]) == state
    watch = Watch()
    watch.look(beat(watch.now, done=3, nan=True))
    watch.restart()
    watch.look(beat(watch.now, done=3, nan=True))
    assert watch.history.loss_trouble == "nan-loss"


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=120))
def test_any_losses_are_followed_in_bounded_memory(losses: list[float | None]) -> None:
    state = followed(losses)
    assert len(state.recent) <= LONG
    assert decode(LossState, json.loads(dumps({"state": state}))["state"]) == state
    assert (judge_loss(state) is None) == (describe_loss(state) == "")


@given(st.floats(0.01, 12), st.integers(0, 200))
def test_a_constant_loss_is_never_trouble(value: float, count: int) -> None:
    assert troubles([value] * count) == []
