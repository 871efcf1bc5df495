"""What the terminal is told of alerts, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, show, text_of

from monitor.model import Liveness, Status
from monitor.status_model import AlertsView, AlertView, RunStatus
from tui.alert_notice import TEXT_LIMIT, arrived, sequences
from tui.widgets.verdict_view import VerdictView


def alerted(status: RunStatus, number: int = 1, key: str = "stalled", **changes: Any) -> RunStatus:
    last = AlertView(number=number, key=key, severity="wake", title=f"{key}: p65", wall_s=1.0)
    return replace(status, alerts=AlertsView(pending=(key,), last=last), **changes)


def failed(status: RunStatus) -> RunStatus:
    return replace(status, verdict=Liveness.FAILED, status=Status.FAILED, alerts=AlertsView())


def test_an_alert_is_told_once(training: RunStatus, snap_of: Any) -> None:
    calm, stalled = snap_of(training), snap_of(alerted(training))
    again = snap_of(alerted(training, number=2))
    assert arrived(None, stalled) == (), "what was there before this window is no news"
    assert arrived(snap_of(), stalled) == ()
    assert arrived(calm, calm) == ()
    assert arrived(calm, stalled) == ("stalled: p65",)
    assert arrived(stalled, stalled) == ()
    assert arrived(stalled, again) == ("stalled: p65",), "a reminder"


def test_an_end_is_told_once_whether_or_not_the_run_is_open(
    training: RunStatus, snap_of: Any
) -> None:
    over = failed(training)
    whole = alerted(over, key="failed")
    assert arrived(snap_of(training), snap_of(over)) == ("failed: p65",)
    assert arrived(snap_of(over), snap_of(whole)) == ()


@pytest.mark.parametrize(
    ("term", "osc", "bell", "written"),
    [
        pytest.param("foot", "auto", False, "\x1b]777;notify;lanewatch;t\x1b\\", id="foot"),
        pytest.param("xterm-kitty", "auto", False, "\x1b]9;lanewatch: t\x1b\\", id="kitty"),
        pytest.param("linux", "auto", True, "\a", id="the console knows a bell only"),
        pytest.param("xterm-256color", "off", True, "\a", id="turned off"),
        pytest.param("xterm-256color", "off", False, "", id="both turned off"),
        pytest.param("linux", "777", False, "\x1b]777;notify;lanewatch;t\x1b\\", id="asked for"),
        pytest.param(
            "xterm-256color",
            "auto",
            True,
            "\x1b]9;lanewatch: t\x1b\\\x1b]777;notify;lanewatch;t\x1b\\\a",
            id="one that does not say what it knows",
        ),
    ],
)
def test_what_is_written(term: str, osc: str, bell: bool, written: str) -> None:
    assert sequences(("t",), term=term, osc=osc, bell=bell) == written


def test_no_title_leaves_its_sequence() -> None:
    title = "a\x1b]0;owned\x07b;c\x9cd\ne" + "x" * 999
    text = sequences((title,), term="foot", osc="auto", bell=False)
    inner = text.removeprefix("\x1b]777;notify;lanewatch;").removesuffix("\x1b\\")
    assert inner.isprintable()
    assert ";" not in inner
    assert len(inner) <= TEXT_LIMIT
    assert sequences((), term="foot", osc="auto", bell=True) == ""


async def test_the_screen_says_how_to_acknowledge(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        assert "ack" not in text_of(app, VerdictView)
        told = alerted(training)
        await show(pilot, snap_of(told, opened=told))
        assert f"alert stalled: lanewatch ack {training.run}" in text_of(app, VerdictView)
