"""What an alert says: a title and at most six lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alert_aftermath import aged
from monitor.alert_model import Due, Kind, Severity
from monitor.alert_text import LINE_LIMIT, Facts, compose, digest

FACTS = Facts(
    run="reference-20260101-000000-abcd",
    host="spark",
    name="night",
    iteration=241,
    iteration_error=3,
    iteration_source="heartbeat",
    total=625,
    checkpoint=210,
    checkpoint_age_s=2520.0,
    progress_age_s=660.0,
)


def due(key: str, word: str | None = None, kind: Kind = Kind.RAISED, **changes: Any) -> Due:
    values = {"severity": Severity.WAKE, "reason": "no progress for 11 min", "reminders": 2}
    return Due(key=key, kind=kind, word=word or key, **values | changes)


@pytest.mark.parametrize(
    ("due", "facts", "title", "body"),
    [
        pytest.param(
            due("stalled"),
            FACTS,
            "stalled: night (reference-20260101-000000-abcd)",
            [
                "no progress for 11 min",
                "iteration 241 of 625 (proven by heartbeat, up to 3 more)",
                "last checkpoint 210, 42 min old",
                "lost so far: 11 min without progress, 42 min since that checkpoint",
                "first: lanewatch kill reference-20260101-000000-abcd, then lanewatch resume "
                "reference-20260101-000000-abcd",
                "ssh -t spark lanewatch reference-20260101-000000-abcd",
            ],
            id="a stall",
        ),
        pytest.param(
            due("stalled", kind=Kind.REMINDER),
            replace(FACTS, name=None, run="r", resumes_itself=True),
            "still stalled (reminder 2): r",
            [
                "no progress for 11 min",
                "iteration 241 of 625 (proven by heartbeat, up to 3 more)",
                "last checkpoint 210, 42 min old",
                "lost so far: 11 min without progress, 42 min since that checkpoint",
                "first: nothing; its keeper ends it and resumes it once (lanewatch events r)",
                "ssh -t spark lanewatch r",
            ],
            id="a reminder of one that its keeper resumes",
        ),
        pytest.param(
            due("stalled"),
            Facts(run="r", host="spark", signature="stopped"),
            "stalled: r",
            [
                "no progress for 11 min",
                "no iteration proven yet",
                "no whole checkpoint yet",
                "first: kill -CONT its process (lanewatch status r names it); something stopped it",
                "ssh -t spark lanewatch r",
            ],
            id="a process that was stopped",
        ),
        pytest.param(
            due("memory", "memory high", reason="4 GiB left"),
            Facts(run="r", host="spark", memory_share=0.0, memory_holder="ollama (77) 61.0 GiB"),
            "memory high: r",
            [
                "4 GiB left",
                "no iteration proven yet",
                "no whole checkpoint yet",
                "first: look at ollama (77) 61.0 GiB; this run explains 0% of the climb",
                "ssh -t spark lanewatch r",
            ],
            id="memory that others take",
        ),
        pytest.param(
            due("failed", kind=Kind.ENDED, reason="stage train: killed by SIGKILL"),
            Facts(run="r", host="spark"),
            "failed: r",
            [
                "stage train: killed by SIGKILL",
                "no iteration proven yet",
                "no whole checkpoint yet",
                "first: lanewatch logs r; there is nothing to resume from",
                "ssh -t spark lanewatch r",
            ],
            id="a failure of which little is known",
        ),
        pytest.param(
            due("memory", "memory high", reason="103 of 110 GiB"),
            Facts(run="r", host="spark", iteration=5, iteration_source="tracker", checkpoint=5),
            "memory high: r",
            [
                "103 of 110 GiB",
                "iteration 5 (proven by tracker)",
                "last checkpoint 5",
                "first: lanewatch stop r --save",
                "ssh -t spark lanewatch r",
            ],
            id="memory",
        ),
        pytest.param(
            due("stalled", kind=Kind.RECOVERED, reason="iteration 242"),
            replace(FACTS, name=None, run="r"),
            "recovered (stalled is over): r",
            [
                "iteration 242",
                "iteration 241 of 625 (proven by heartbeat, up to 3 more)",
                "last checkpoint 210, 42 min old",
                "ssh -t spark lanewatch r",
            ],
            id="recovered",
        ),
        pytest.param(
            due("stalled"),
            Facts(run="r", host="spark", foreign=True, progress_age_s=60.0),
            "stalled: r",
            [
                "no progress for 11 min",
                "no iteration proven yet",
                "no whole checkpoint yet",
                "lost so far: 1 min without progress",
                "first: look at it, then end it where it was started; lanewatch does not own it",
                "ssh -t spark lanewatch r",
            ],
            id="a foreign run",
        ),
    ],
)
def test_the_text(due: Due, facts: Facts, title: str, body: list[str]) -> None:
    text = compose(due, facts)
    assert text.title == title
    assert text.body.splitlines() == body


@given(st.sampled_from(["stalled", "failed", "memory", "x"]), st.sampled_from([*Kind]), st.text())
def test_a_text_fits_a_phone(key: str, kind: Kind, reason: str) -> None:
    text = compose(due(key, kind=kind, reason=reason), FACTS)
    assert len(text.title) <= 100
    assert len(text.body.split("\n")) <= 6
    assert all(len(line) <= LINE_LIMIT for line in text.body.split("\n"))


@pytest.mark.parametrize("count", [1, 5, 6, 50])
def test_a_digest_fits_too(count: int) -> None:
    text = digest(tuple(f"slow {number}" for number in range(count)), FACTS)
    lines = text.body.splitlines()
    assert len(lines) <= 6
    assert lines[-1].startswith("ssh -t spark")
    assert text.title.startswith(f"{count} message")
    assert (f"and {count - 4} more" in text.body) == (count > 5)


@pytest.mark.parametrize(
    ("signature", "sign"),
    [
        pytest.param(
            "stopped",
            "its process is stopped (state T), `kill -CONT 4711` lets it go on",
            id="the process",
        ),
        pytest.param(
            "blocked-pipe",
            "it is blocked writing into a pipe that nobody reads; its log is read by less "
            "(pid 4711, state T), which is stopped: `kill -CONT 4711`",
            id="the reader of its log",
        ),
    ],
)
def test_the_command_is_in_the_remedy_whatever_the_reason_is_cut_to(
    signature: str, sign: str
) -> None:
    reason = f"no progress for 11 min: {'longer than it ever took, ' * 5}{sign}"
    text = compose(due("stalled", reason=reason), replace(FACTS, signature=signature))
    told, remedy = text.body.splitlines()[0], text.body.splitlines()[-2]
    assert remedy.startswith("first: kill -CONT 4711; ")
    assert len(told) <= LINE_LIMIT
    assert told.endswith("…")
    assert reason.startswith(told[:-1])
    assert reason[len(told) - 1] in " ,;:", "cut between two words"


@pytest.mark.parametrize(
    ("signature", "sign", "remedy"),
    [
        pytest.param(None, "", "first: nothing; training goes on", id="nobody is seen to hold it"),
        pytest.param(
            "held-by-filter", "; its log goes through grep", "first: nothing;", id="a filter"
        ),
        pytest.param(
            "stopped-reader",
            "; its log is read by tee (pid 9, state T), which is stopped: `kill -CONT 9`",
            "first: kill -CONT 9; the reader of its output is stopped",
            id="a stopped reader: the run will stop once the pipe is full",
        ),
        pytest.param(
            "blocked-terminal",
            "; its log is read by tee, held in its write to the terminal /dev/pts/3",
            "first: Ctrl-Q in its terminal",
            id="a terminal that takes nothing",
        ),
    ],
)
def test_what_to_do_about_a_silent_log_depends_on_who_holds_it(
    signature: str | None, sign: str, remedy: str
) -> None:
    reason = f"iteration 9; stdout is stuck, training is not{sign}"
    text = compose(due("log-stuck", reason=reason), replace(FACTS, signature=signature))
    assert text.body.splitlines()[-2].startswith(remedy)


def test_a_reminder_after_the_end_counts_on() -> None:
    facts = replace(FACTS, checkpoint=140, checkpoint_age_s=60.0, progress_age_s=None)
    text = compose(due("failed"), aged(facts, 900.0))
    assert "last checkpoint 140, 16 min old" in text.body
    assert "lost so far: 16 min since that checkpoint" in text.body


def test_why_it_stalled_is_the_second_of_still_six_lines() -> None:
    why = "a deadlock: thread MainThread at step (a/train.py:10) (likely)"
    plain = compose(due("stalled"), FACTS).body.splitlines()
    lines = compose(due("stalled"), replace(FACTS, diagnosis=why)).body.splitlines()
    assert (lines[0], lines[1]) == (plain[0], why)
    assert lines[2] == f"{plain[1]}; {plain[2]}"
    assert lines[3:] == plain[3:]
    assert len(lines) == len(plain) <= 6
