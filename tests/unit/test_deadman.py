"""The dead man's switch: it lives while the watch does, and signs off only a wanted end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from channels import Receiver, nobody_listens, receiving
from fabricated import wait_for

from monitor import deadman
from monitor.alert_settings import DEADMAN, DEADMAN_SHAPE
from monitor.deadman import LAST_TRIES, DeadmanPart, Sign, ping_url, shape_of
from monitor.model import Liveness, Verdict
from monitor.probes.clock import Now
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

    def __init__(self, url: str, shape: str = "plain", run: Path = Path("/")) -> None:
        self.said: list[str] = []
        environment = {DEADMAN: url, DEADMAN_SHAPE: shape}
        self.part = DeadmanPart(RunDir(run), self._say, None, environment)

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
        pytest.param(Liveness.ENDED, None, None, "/run/fail", id="no iteration was ever seen"),
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


def test_a_sign_off_that_nobody_took_outlives_the_watch(
    serve: Callable[..., Receiver], tmp_path: Path
) -> None:
    server = serve(lambda number: 503 if number <= LAST_TRIES else 200)
    switch = Switch(f"http://127.0.0.1:{server.port}/run", "healthchecks", tmp_path)
    switch.look(100, Liveness.FINISHED)
    wait_for(lambda: len(server.requests) == LAST_TRIES)
    switch.part.close()
    wait_for(lambda: len(server.requests) > LAST_TRIES)
    assert server.paths == ["/run"] * (LAST_TRIES + 1)


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
