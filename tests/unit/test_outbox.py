"""The outbox: what was to be sent is sent, by children that may hang, die and fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from channels import Receiver, configure, receiving
from fabricated import wait_for

from monitor import outbox
from monitor.alert_model import Due, Kind, Severity
from monitor.alert_text import Text
from monitor.outbox import BACKOFF_S, MOST_MESSAGES, Outbox


@pytest.fixture
def serve() -> Iterator[Callable[..., Receiver]]:
    yield from receiving()


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


def test_a_channel_that_was_away_gets_the_last_reminder_alone_and_none_once_it_is_over(
    serve: Callable[..., Receiver],
) -> None:
    away = [True]
    server = serve(lambda _: 500 if away[0] else 200)
    configure(desk=server.url)
    box = Outbox()

    def send(kind: Kind, title: str, key: str = "stalled") -> None:
        due = Due(key=key, severity=Severity.WAKE, kind=kind, word=key, reason="why")
        box.send(due, Text(title, "b"))
        drained(box)

    def came_back() -> list[str]:
        away[0], heard = False, len(server.titles)
        drained(box, 1e6)
        assert box.empty
        away[0] = True
        return sorted(server.titles[heard:])

    send(Kind.RAISED, "stalled")
    for number in range(3):
        send(Kind.REMINDER, f"still stalled {number}")
    send(Kind.REMINDER, "still nan", "nan")
    assert came_back() == ["stalled", "still nan", "still stalled 2"]

    send(Kind.REMINDER, "still stalled 3")
    send(Kind.REMINDER, "still nan", "nan")
    send(Kind.RECOVERED, "recovered")
    assert came_back() == ["recovered", "still nan"]

    send(Kind.REMINDER, "still stalled 4")
    box = Outbox(box.remembered())
    box.forget_reminders()
    assert box.empty, "acknowledged"
