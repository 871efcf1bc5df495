"""Which alerts a series of looks makes, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.alert_model import AlertState, Due, Kind, Look, Severity, Trouble
from monitor.alerts import CALM_LOOKS, REARM_S, RECOVERED_LOOKS, advance
from monitor.codec import decode, dumps
from monitor.model import FINAL, Liveness, Verdict
from monitor.troubles import keeper_trouble, memory_trouble

REPEAT_S = 900.0
T, S, X, SAVING, LOST = (
    Liveness.TRAINING,
    Liveness.SUSPECT,
    Liveness.STALLED,
    Liveness.SAVING,
    Liveness.LOST,
)
STUCK, SLOW, FAILED, FINISHED = (
    Liveness.LOG_STUCK,
    Liveness.SLOW,
    Liveness.FAILED,
    Liveness.FINISHED,
)
CALM = [T] * RECOVERED_LOOKS


def look(liveness: Liveness | None, at: float, *flags: str, **changes: Any) -> Look:
    verdict = Verdict(liveness=liveness, reason="why", flags=flags) if liveness else None
    return Look(verdict=verdict, now_s=at, **changes)


class Looks:
    """Takes one look after another, as a watcher does."""

    def __init__(self, step_s: float = 1.0) -> None:
        self.state, self.at, self.step_s = AlertState(), 0.0, step_s
        self.due: list[Due] = []

    def see(self, *verdicts: Liveness | None, flags: tuple[str, ...] = (), **changes: Any) -> None:
        for each in verdicts:
            self.at += self.step_s
            seen = look(each, self.at, *flags, **changes)
            self.state, due = advance(self.state, seen, REPEAT_S)
            self.due += due

    @property
    def told(self) -> list[str]:
        return [f"{each.severity} {each.kind} {each.word}" for each in self.due]


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        pytest.param([T, T, SAVING, T], [], id="a good run is silent"),
        pytest.param([T, *[S] * 500], [], id="suspect never sends"),
        pytest.param([T, *[SAVING] * 500], [], id="saving never sends"),
        pytest.param([T, X, T], [], id="one look is no stall"),
        pytest.param([T, X, X, X, X], ["wake raised stalled"], id="a stall once"),
        pytest.param([T, X, X, T], ["wake raised stalled"], id="one good look is no recovery"),
        pytest.param(
            [T, X, X, *CALM],
            ["wake raised stalled", "tell recovered stalled"],
            id="a stall and its end",
        ),
        pytest.param(
            [T, X, X, *[S] * 500, *[LOST] * 2],
            ["wake raised stalled"],
            id="what is suspect or lost has not recovered",
        ),
        pytest.param(
            [T, X, X, *CALM, X, X],
            ["wake raised stalled", "tell recovered stalled", "wake raised stalled"],
            id="a second stall is new",
        ),
        pytest.param(
            [STUCK, STUCK, *[T] * CALM_LOOKS["log-stuck"]],
            ["tell raised log-stuck", "tell recovered log-stuck"],
            id="log-stuck and its end",
        ),
        pytest.param([STUCK, T, STUCK, T], [], id="a log that stutters"),
        pytest.param(
            [SLOW, SLOW, *[T] * CALM_LOOKS["slow"], SLOW, SLOW, *[T] * CALM_LOOKS["slow"]],
            ["tell raised slow", "tell recovered slow"],
            id="slow again within half an hour is not told again",
        ),
        pytest.param(
            [SLOW, SLOW, X, X, *CALM, *[T] * 60],
            ["tell raised slow", "wake raised stalled", "tell recovered stalled"],
            id="a stall takes the place of slow",
        ),
        pytest.param([T, FINISHED, FINISHED], ["tell ended finished"], id="finished"),
        pytest.param([T, FAILED, FAILED], ["wake ended failed"], id="failed at once, once"),
        pytest.param(
            [X, X, FAILED, FAILED],
            ["wake raised stalled", "wake ended failed"],
            id="a stall that fails did not recover",
        ),
        pytest.param([LOST, LOST], [], id="briefly lost"),
        pytest.param([LOST] * 3, ["tell raised lost"], id="lost"),
    ],
)
def test_verdicts_make_alerts(verdicts: list[Liveness], told: list[str]) -> None:
    looks = Looks()
    looks.see(*verdicts)
    assert looks.told == told


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        pytest.param("nan-loss", "wake raised NaN loss", id="NaN"),
        pytest.param("disk-low", "wake raised disk low", id="disk"),
        pytest.param("exploding-loss", "tell raised loss explodes", id="exploding"),
        pytest.param("log-stuck", "tell raised log-stuck", id="log-stuck as a flag"),
        pytest.param("slow", "tell raised slow", id="slow as a flag"),
    ],
)
def test_flags_make_alerts_beside_a_verdict(flag: str, told: str) -> None:
    looks = Looks()
    looks.see(T, T, T, flags=(flag,))
    assert looks.told == [told]


def test_free_space_that_swings_around_the_threshold_wakes_once() -> None:
    looks = Looks()
    for _ in range(90):
        looks.see(T, T, T, flags=("disk-low",))
        looks.see(*[T] * 37)
    wakes = [each for each in looks.told if each == "wake raised disk low"]
    assert len(wakes) == 1
    looks.see(*[T] * CALM_LOOKS["disk-low"])
    assert looks.told[-1] == "tell recovered disk low"


def test_saving_is_a_flag_that_never_sends() -> None:
    looks = Looks()
    looks.see(*[T] * 9, flags=("saving",))
    assert looks.told == []


def test_memory_rises_by_levels_and_falls_in_silence() -> None:
    looks = Looks()
    for level in ("ok", "warn", "warn", "high", "high", "limit", "limit", "high", "warn"):
        trouble = memory_trouble(level, "climbs")
        looks.see(T, others=(trouble,) if trouble else ())
    looks.see(*[T] * CALM_LOOKS["memory"])
    assert looks.told == [
        "tell raised memory warn",
        "wake raised memory high",
        "wake raised memory at its limit",
        "tell recovered memory warn",
    ]


def test_a_wake_repeats_until_it_is_acknowledged() -> None:
    looks = Looks(step_s=60.0)
    looks.see(*[X] * 60)
    assert looks.told == ["wake raised stalled", *["wake reminder stalled"] * 3]
    assert looks.state.pending == ("stalled",)
    looks.see(X, acknowledged=True)
    looks.see(*[X] * 60)
    assert len(looks.due) == 4
    assert (looks.state.pending, looks.state.acked) == ((), ("stalled",))
    looks.see(*CALM, X, X)
    assert looks.told[4:] == ["tell recovered stalled", "wake raised stalled"]
    assert looks.state.pending == ("stalled",), "a new stall is not acknowledged by the old word"


def test_a_tell_does_not_repeat_and_comes_again_after_its_rest() -> None:
    looks = Looks(step_s=REARM_S / 100)
    looks.see(*[SLOW] * 500)
    assert looks.told == ["tell raised slow"]
    looks.see(*[T] * CALM_LOOKS["slow"], SLOW, SLOW)
    assert looks.told == ["tell raised slow", "tell recovered slow", "tell raised slow"]


def test_a_higher_level_wakes_although_the_lower_was_acknowledged() -> None:
    looks = Looks()
    high, limit = memory_trouble("high", "climbs"), memory_trouble("limit", "climbs")
    assert high is not None
    assert limit is not None
    looks.see(T, others=(high,))
    looks.see(T, others=(high,), acknowledged=True)
    looks.see(T, others=(limit,))
    assert looks.told == ["wake raised memory high", "wake raised memory at its limit"]
    assert looks.state.pending == ("memory",)


def test_memory_that_cannot_be_read_or_is_anothers_to_tell_has_not_recovered() -> None:
    looks = Looks()
    high = memory_trouble("high", "climbs")
    assert high is not None
    looks.see(T, others=(high,))
    looks.see(*[T] * 200, unclear=("memory",))
    assert looks.state.pending == ("memory",)
    looks.see(T, others_speak=("memory",))
    looks.see(*[T] * 200)
    assert looks.told == ["wake raised memory high"]
    assert looks.state.pending == ()


def test_a_lost_keeper_wakes_whatever_the_verdict() -> None:
    looks = Looks()
    looks.see(T, S, S, others=(keeper_trouble("3 keepers ended"),))
    looks.see(*[S] * RECOVERED_LOOKS)
    assert looks.told == ["wake raised keeper lost", "tell recovered keeper lost"]
    assert looks.due[-1].reason == "it was: 3 keepers ended", "not as if it still were so"


def test_a_foreign_run_loses_its_guard() -> None:
    looks = Looks()
    looks.see(T, T, others=(keeper_trouble("3 guards ended", foreign=True),))
    assert looks.told == ["wake raised guard lost"]


def test_a_failure_is_repeated_until_it_is_acknowledged_and_a_resume_ends_it() -> None:
    looks = Looks(step_s=450.0)
    looks.see(FAILED, FAILED, FAILED)
    assert looks.told == ["wake ended failed", "wake reminder failed"]
    assert looks.state.pending == ("failed",)
    looks.see(T, FAILED, attempt=2)
    assert looks.told[2:] == ["wake ended failed"], "no recovery of another attempt is told"
    looks.see(FAILED, attempt=2, acknowledged=True)
    looks.see(*[FAILED] * 9, attempt=2)
    assert len(looks.due) == 3


def test_a_stall_right_after_a_resume_is_new() -> None:
    looks = Looks()
    looks.see(X, X)
    looks.see(T, X, X, attempt=2)
    assert looks.told == ["wake raised stalled"] * 2


def test_a_lost_keeper_stays_lost_over_a_resume() -> None:
    looks = Looks()
    lost = (keeper_trouble("3 keepers ended"),)
    looks.see(T, T, others=lost)
    looks.see(T, T, others=lost, attempt=2)
    assert looks.told == ["wake raised keeper lost"]


@pytest.mark.parametrize(
    ("liveness", "changes", "told"),
    [
        pytest.param(Liveness.STOPPED, {"by_user": True}, [], id="by the person who reads it"),
        pytest.param(Liveness.STOPPED, {}, ["tell ended stopped"], id="from outside"),
        pytest.param(Liveness.FAILED, {}, ["wake ended failed"], id="a failure"),
        pytest.param(Liveness.FAILED, {"again": True}, [], id="a failure, before an export"),
        pytest.param(Liveness.FINISHED, {"again": True}, [], id="success, before an export"),
        pytest.param(Liveness.ENDED, {"total": 9}, ["tell ended ended"], id="at its total"),
        pytest.param(Liveness.ENDED, {"total": 99}, ["wake ended ended"], id="before its total"),
        pytest.param(Liveness.ENDED, {}, ["tell ended ended"], id="no total known"),
        pytest.param(
            Liveness.ENDED,
            {"total": 99, "reached": None},
            ["wake ended ended"],
            id="while it loads",
        ),
    ],
)
def test_other_endings(liveness: Liveness, changes: dict[str, Any], told: list[str]) -> None:
    looks = Looks()
    changes = dict(changes)
    verdict = Verdict(liveness=liveness, reason="why", iteration=changes.pop("reached", 9))
    looks.state, due = advance(looks.state, Look(verdict=verdict, now_s=1.0, **changes), REPEAT_S)
    looks.due += due
    assert looks.told == told


def test_the_next_watcher_sends_nothing_twice() -> None:
    looks = Looks()
    looks.see(T, X, X)
    looks.state = decode(AlertState, json.loads(dumps({"s": looks.state}))["s"])
    looks.see(X, X, X, *CALM)
    assert looks.told == ["wake raised stalled", "tell recovered stalled"]


@example([Liveness.FAILED, *[Liveness.STARTING] * 12])
@given(st.lists(st.sampled_from([*Liveness]), max_size=60))
def test_laws(verdicts: list[Liveness]) -> None:
    looks = Looks()
    for each in verdicts:
        before = set(looks.state.spells)
        count = len(looks.due)
        looks.see(each)
        for due in looks.due[count:]:
            assert due.word not in ("suspect", "saving")
            if due.kind is Kind.RECOVERED:
                assert due.key in before
                assert due.severity is Severity.TELL
    # A failure is told as the run's end; a verdict that is better again takes it back.
    raised = [due.key for due in looks.due if due.kind in (Kind.RAISED, Kind.ENDED)]
    recovered = [due.key for due in looks.due if due.kind is Kind.RECOVERED]
    assert all(recovered.count(key) <= raised.count(key) for key in recovered)
    assert not (set(looks.state.pending) & set(looks.state.acked))
    if not any(each in FINAL for each in verdicts):
        assert not any(due.kind is Kind.ENDED for due in looks.due)


def test_a_trouble_of_the_machine_is_no_business_of_the_verdict() -> None:
    trouble = memory_trouble("high", "climbs")
    assert isinstance(trouble, Trouble)
    assert trouble.apart
