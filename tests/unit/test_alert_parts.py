"""The dead man's switch and the outbox, each alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from channels import Receiver, configure, nobody_listens, receiving
from fabricated import wait_for

from monitor import deadman, outbox
from monitor.alert_part import AlertPart, Remembered
from monitor.alert_settings import DEADMAN, DEADMAN_SHAPE, AlertSettings
from monitor.deadman import DeadmanPart, Sign, ping_url, shape_of
from monitor.diagnosis import inquiry
from monitor.model import Liveness, Verdict
from monitor.outbox import BACKOFF_S, MOST_MESSAGES, Outbox
from monitor.probes.clock import Now
from monitor.probes.process import identify
from monitor.quiet import parse_quiet
from monitor.rundir import RunDir

UUID = "https://hc-ping.com/eb095278-f28d-448d-87fb-7b75c171a6aa"


@pytest.fixture
def serve() -> Iterator[Callable[..., Receiver]]:
    yield from receiving()


F, X, T = Sign.CLEAN_END, Sign.BAD_END, Sign.LIFE


@pytest.mark.parametrize(
    ("url", "wanted", "sign", "requested"),
    [
        pytest.param(UUID, "auto", T, UUID + "/start", id="healthchecks by its host"),
        pytest.param(UUID, "auto", F, UUID, id="the sign-off"),
        pytest.param(UUID, "auto", X, UUID + "/fail", id="a failure"),
        pytest.param(UUID, "plain", T, UUID, id="plain if asked"),
        pytest.param("http://a/push/x", "auto", T, "http://a/push/x", id="another service"),
        pytest.param("http://a/push/x", "auto", F, "http://a/push/x", id="its last ping"),
        pytest.param("http://a/x?s=up", "auto", X, "http://a/x/fail?s=up", id="before a query"),
        pytest.param("http://a/x", "healthchecks", T, "http://a/x/start", id="one's own host"),
        pytest.param(
            "https://hc.me/ping/eb095278-f28d-448d-87fb-7b75c171a6aa/",
            "auto",
            T,
            "https://hc.me/ping/eb095278-f28d-448d-87fb-7b75c171a6aa/start",
            id="self-hosted, by its UUID",
        ),
    ],
)
def test_what_is_requested(url: str, wanted: str, sign: Sign, requested: str) -> None:
    assert ping_url(url, shape_of(url, wanted), sign) == requested


class Switch:
    """A dead man's switch on a clock of the test's own."""

    def __init__(self, url: str, shape: str = "plain") -> None:
        self.said: list[str] = []
        environment = {DEADMAN: url, DEADMAN_SHAPE: shape}
        self.part = DeadmanPart(RunDir.__new__(RunDir), self._say, None, environment)

    def _say(self, _kind: str, text: str, _now: object, **_fields: object) -> None:
        self.said.append(text)

    def look(
        self,
        at: float,
        liveness: Liveness = Liveness.TRAINING,
        iteration: int | None = None,
        cause: str | None = None,
    ) -> None:
        tick: Any = SimpleNamespace(
            now=Now(boot_id="b", monotonic_s=at, wall_s=at),
            verdict=Verdict(liveness=liveness, reason="", iteration=iteration),
            observation=SimpleNamespace(total=3000),
            target=SimpleNamespace(cause=cause),
        )
        self.part.tick(tick)


def test_the_switch_is_pinged_once_a_minute_and_signed_off(
    serve: Callable[..., Receiver],
) -> None:
    server = serve()
    switch = Switch(f"http://127.0.0.1:{server.port}/run", "healthchecks")
    for second in range(100, 222):
        switch.look(second)
    wait_for(lambda: len(server.requests) == 3)
    switch.look(222, Liveness.FINISHED)
    switch.look(223, Liveness.FINISHED)
    switch.part.close()
    assert server.paths == ["/run/start"] * 3 + ["/run"]
    assert switch.said == []


@pytest.mark.parametrize(
    ("liveness", "iteration", "cause", "path"),
    [
        pytest.param(Liveness.FINISHED, 3000, None, "/run", id="finished"),
        pytest.param(Liveness.FAILED, 3000, None, "/run/fail", id="failed"),
        pytest.param(Liveness.ENDED, 3000, None, "/run", id="a foreign run at its last iteration"),
        pytest.param(Liveness.ENDED, None, None, "/run", id="nobody knows how far it came"),
        pytest.param(Liveness.ENDED, 67, None, "/run/fail", id="a foreign run at 67 of 3000"),
        pytest.param(Liveness.STOPPED, 67, "by the user", "/run", id="stopped by the user"),
        pytest.param(Liveness.STOPPED, 67, "by SIGTERM from outside", "/run/fail", id="by another"),
    ],
)
def test_only_an_end_that_was_wanted_signs_off(
    serve: Callable[..., Receiver],
    liveness: Liveness,
    iteration: int | None,
    cause: str | None,
    path: str,
) -> None:
    server = serve()
    switch = Switch(f"http://127.0.0.1:{server.port}/run", "healthchecks")
    switch.look(100, liveness, iteration, cause)
    wait_for(lambda: server.paths)
    assert server.paths == [path]


def test_a_sign_off_is_tried_again(serve: Callable[..., Receiver]) -> None:
    server = serve(lambda number: 503 if number == 1 else 200)
    switch = Switch(f"http://127.0.0.1:{server.port}/run")
    switch.look(100, Liveness.FAILED)
    wait_for(lambda: len(server.requests) == 2)
    assert server.paths == ["/run/fail"] * 2


@pytest.mark.parametrize(
    "answer",
    [pytest.param(lambda _: 500, id="refuses"), pytest.param(None, id="nobody listens")],
)
def test_a_failing_switch_is_told_once_and_without_its_url(
    answer: Callable[[int], int] | None, serve: Callable[..., Receiver]
) -> None:
    port = serve(answer).port if answer else int(nobody_listens().rpartition(":")[2].split("/")[0])
    switch = Switch(f"http://127.0.0.1:{port}/sesame")
    for minute in range(3):
        switch.look(1000 + 60 * minute)
        wait_for(lambda: switch.part._pinger and switch.part._pinger._idle.is_set())
        switch.look(1001 + 60 * minute)
    assert len(switch.said) == 1
    assert "sesame" not in switch.said[0]
    assert isinstance(switch.part.remembered()["failing"], str)


def test_a_hanging_switch_holds_up_no_look(
    serve: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadman, "SILENT_S", 0.2)
    server = serve(lambda _: None)
    switch = Switch(f"http://127.0.0.1:{server.port}/run")
    for minute in range(1000):
        switch.look(60.0 * minute)
    assert len(server.requests) <= 1, "one at a time, and no look waits for it"
    wait_for(lambda: (switch.look(59999.0), switch.said)[1])
    assert "no answer" in switch.said[0]


def test_without_a_url_there_is_no_switch() -> None:
    switch = Switch("")
    switch.look(1.0)
    assert switch.part.remembered() is None
    wrong = Switch("sesame")
    wrong.look(1.0)
    assert "must be an http" in wrong.said[0]
    assert "sesame" not in wrong.said[0]


def drained(box: Outbox, at: float = 0.0) -> list[str]:
    """Poll until nothing is being sent."""
    said = list(box.poll(at))
    end = time.monotonic() + 60
    while box.busy:
        assert time.monotonic() < end
        time.sleep(0.02)
        said += box.poll(at)
    return said


def test_an_outbox_without_a_file_of_channels_keeps_nothing() -> None:
    box = Outbox()
    box.put("wake", "t", "b")
    assert box.empty


def test_a_failing_channel_is_retried_with_backoff_and_given_up(
    serve: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda _: 500)
    configure(desk=server.url)
    monkeypatch.setattr(outbox, "BACKOFF_S", BACKOFF_S[:2])
    box, at = Outbox(), 0.0
    box.put("wake", "stalled: r", "b")
    said = drained(box, at)
    for pause in BACKOFF_S[:2]:
        count = len(server.requests)
        assert drained(box, at + 0.9 * pause) == []
        assert len(server.requests) == count, "not before its time"
        at += pause
        said += drained(box, at)
        assert len(server.requests) == count + 1
    assert box.empty
    assert said[0].startswith("alert channel desk fails: ")
    assert said[1:] == ["alert given up after 3 tries: stalled: r"]
    assert "sesame" not in str(said) + str(box.remembered())


def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(desk="json://127.0.0.1")
    sleeper = "import time; time.sleep(600)"
    monkeypatch.setattr(outbox, "ARGV", (outbox.ARGV[0], "-c", sleeper))
    box = Outbox()
    box.put("wake", "t", "b")
    assert list(box.poll(0.0)) == []
    assert list(box.poll(outbox.CHILD_S - 1)) == []
    assert box.busy
    said = list(box.poll(outbox.CHILD_S + 1))
    assert said == [
        f"alert channel sender fails: no answer within {outbox.CHILD_S:.0f} s; it is tried again"
    ]
    assert not box.empty


def test_of_too_many_messages_those_that_wake_are_kept() -> None:
    configure(desk="json://127.0.0.1")
    box = Outbox()
    box.put("wake", "first", "b")
    for number in range(2 * MOST_MESSAGES):
        box.put("tell", str(number), "b")
    kept = box.remembered()["messages"]
    assert len(kept) == MOST_MESSAGES
    assert kept[0]["title"] == "first"


def test_a_hanging_channel_holds_up_neither_a_wake_nor_the_others(
    serve: Callable[..., Receiver],
) -> None:
    healthy, hanging = serve(), serve(lambda _: None)
    configure(desk=healthy.url, far=hanging.url)
    box = Outbox()
    for number in range(20):
        box.put("tell", f"tell {number}", "b")
    list(box.poll(time.monotonic()))
    box.put("wake", "WAKE", "b")

    def heard(title: str) -> bool:
        list(box.poll(time.monotonic()))
        return title in healthy.titles

    wait_for(lambda: heard("WAKE"))
    assert len(healthy.titles) <= 2, "the wake did not wait for the tells before it"
    wait_for(lambda: heard("tell 0"), 90)
    assert len(hanging.requests) < 10, "and these did not wait for the one that hangs"
    box.close()


def test_a_channel_that_fails_still_gets_what_came_meanwhile(
    serve: Callable[..., Receiver],
) -> None:
    server = serve(lambda number: 500 if number == 1 else 200)
    configure(desk=server.url)
    box = Outbox()
    box.put("tell", "first", "b")
    assert len(drained(box)) == 1
    box.put("tell", "second", "b")
    assert drained(box) == ["alert channel desk works again"]
    assert server.titles == ["first", "second"]
    drained(box, BACKOFF_S[0])
    assert server.titles == ["first", "second", "first"]
    assert box.empty


def alert_tick(liveness: Liveness, at: float, wall_s: float, folder: Path) -> Any:
    now = Now(boot_id="b", monotonic_s=at, wall_s=wall_s)
    seen = SimpleNamespace(
        taken_at=at, total=None, checkpoints=None, ages=SimpleNamespace(progress_s=None)
    )
    target = SimpleNamespace(
        run_dir=RunDir(folder),
        attempt=1,
        process=None,
        cause=None,
        name=None,
        foreign=False,
        on_failure=None,
        resumed_by_itself=False,
    )
    return SimpleNamespace(
        now=now,
        target=target,
        observation=seen,
        verdict=Verdict(liveness=liveness, reason="[red]why\x1b[31m"),
        memory=None,
        keeper_lost=None,
    )


def test_after_the_quiet_hours_comes_one_digest(tmp_path: Path) -> None:
    configure(desk="json://127.0.0.1:1")
    said: list[str] = []
    quiet = parse_quiet("00:00-12:00")
    part = AlertPart(
        RunDir(tmp_path / "r"),
        lambda _kind, text, _now, **_: said.append(text),
        None,
        AlertSettings(quiet=quiet, host="spark"),
    )
    noon = datetime(2026, 3, 1, 12, 0).astimezone().timestamp()
    for second, (liveness, wall) in enumerate(
        [(Liveness.SLOW, noon - 7200)] * 3
        + [(Liveness.STALLED, noon - 3600)] * 3
        + [(Liveness.TRAINING, noon - 60)] * 20
    ):
        part.tick(alert_tick(liveness, second, wall, tmp_path / "r"))
    part._outbox.close()
    kept: Any = part.remembered()
    assert kept["held"] == ["slow: r", "recovered (stalled is over): r"]
    assert [each["title"] for each in kept["outbox"]["messages"]] == ["stalled: r"], "it pierces"
    part = AlertPart(RunDir(tmp_path / "r"), lambda *_, **__: None, kept, AlertSettings(host="x"))
    part.tick(alert_tick(Liveness.TRAINING, 99, noon, tmp_path / "r"))
    part._outbox.close()
    after: Any = part.remembered()
    assert after["held"] == []
    assert after["outbox"]["messages"][-1]["title"] == "2 messages from the quiet hours: r"
    assert not any("\x1b" in text for text in said)


@pytest.mark.parametrize("remembered", [None, 3, [], {"messages": 4}, {"state": {"spells": 1}}])
def test_what_cannot_be_used_is_not_remembered(tmp_path: Any, remembered: object) -> None:
    assert Outbox(remembered).empty
    part = AlertPart(RunDir(tmp_path), lambda *_, **__: None, remembered, AlertSettings())
    assert (
        part.remembered()
        == AlertPart(RunDir(tmp_path), lambda *_, **__: None, None, AlertSettings()).remembered()
    )
    assert replace(Remembered()) == Remembered()


def stalled_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: object = None
) -> tuple[AlertPart, list[str], Callable[[Liveness, int], None]]:
    """A part that asks a child which never answers why the run has stalled."""
    monkeypatch.setattr(inquiry, "ARGV", (sys.executable, "-c", "import time; time.sleep(60)"))
    said: list[str] = []
    part = AlertPart(
        RunDir(tmp_path / "r"),
        lambda _kind, text, _now, **_: said.append(text),
        remembered,
        AlertSettings(host="spark"),
    )

    def look(liveness: Liveness, second: int) -> None:
        tick = alert_tick(liveness, second, float(second), tmp_path / "r")
        tick.target.process = identify(os.getpid())
        part.tick(tick)

    return part, said, look


def test_a_stall_waits_for_why_and_what_else_is_due_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "WAIT_S", 1.5)
    _, said, look = stalled_part(tmp_path, monkeypatch)
    for second in range(4):
        look(Liveness.STALLED, second)
    assert said == []
    look(Liveness.FAILED, 4)
    assert [each.partition(":")[0] for each in said] == ["stalled", "failed"], "an end waits not"


def test_a_stall_is_told_without_an_answer_and_by_the_next_watcher_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "WAIT_S", 1.0)
    first, said, look = stalled_part(tmp_path, monkeypatch)
    for second in range(3):
        look(Liveness.STALLED, second)
    assert said == []
    left = first.remembered()
    _, said_next, look_next = stalled_part(tmp_path, monkeypatch, left)
    look_next(Liveness.STALLED, 3)
    assert [each.partition(":")[0] for each in said_next] == ["stalled"]
    wait_for(lambda: not first._inquiry.pending)
    look(Liveness.STALLED, 4)
    look(Liveness.STALLED, 5)
    assert [each.partition(":")[0] for each in said] == ["stalled"], "once"
