"""What happened while one was away: every key, on real files that a thread reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from shown import MakeApp, screen_text, show
from textual import events
from textual.pilot import Pilot
from waiting import settled

from monitor.events import Event
from monitor.samples import Sample
from monitor.telemetry_file import TelemetryFile
from tui.event_feed import EventFeed, severity_of
from tui.looked import looked_file, read_looked, write_looked
from tui.screens.board import BoardScreen
from tui.screens.events import EventsScreen
from tui.screens.help import HelpScreen
from tui.screens.log import LogScreen
from tui.screens.run import RunScreen

NOW = 1_779_370_200.0
RUN = "nemo-20260521-101112-3fa2"
OTHER = "unsloth-20260520-220000-9c01"
SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]

NIGHT: list[tuple[str, float, str, str, dict[str, Any]]] = [
    (OTHER, -30_000, "stage", "stage train (4 of 5) began", {}),
    (OTHER, -9_000, "checkpoint", "checkpoint 210 is whole (0.1 GiB)", {"iteration": 210}),
    (OTHER, -7_203, "verdict", "failed: signal 9 (killed)", {"verdict": "failed"}),
    (OTHER, -7_200, "alert", "p64 failed: out of memory", {"severity": "wake", "about": "raised"}),
    (RUN, -12_000, "verdict", "training: iteration 3", {"verdict": "training"}),
    (RUN, -4_000, "verdict", "log-stuck: the log is silent", {"verdict": "log-stuck"}),
    (RUN, -3_900, "note", "unreadable: heartbeat.json is not JSON", {}),
    (RUN, -600, "checkpoint", "checkpoint 210 is whole (0.1 GiB)\x1b[2J [b]x[/b]", {}),
]


def put(root: Path, run: str, ago_s: float, kind: str, text: str, fields: Any) -> None:
    path = root / run / "events.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    event = {"wall_s": NOW + ago_s, "source": "watcher", "kind": kind, "text": text, **fields}
    with path.open("a") as file:
        file.write(json.dumps(event) + "\n")


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with the events of two runs, and a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    for each in NIGHT:
        put(tmp_path, *each)
    return tmp_path


async def opened(pilot: Pilot[None], snapshot: Any, key: str = "v") -> EventsScreen:
    await show(pilot, snapshot)
    await pilot.press(key)
    await settled(pilot, lambda: isinstance(pilot.app.screen, EventsScreen))
    screen = pilot.app.screen
    assert isinstance(screen, EventsScreen)
    await settled(pilot, lambda: screen.rows.selected or "No events" in screen.rows.empty_text)
    return screen


def texts(screen: EventsScreen) -> list[str]:
    return [row for row in screen.rows.plain() if row]


async def test_newest_first_over_all_runs_and_foreign_text_is_text(
    make_app: MakeApp, snap_of: Any, states: Any, night: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, snap_of(states["training"], states["failed"]))
        rows = texts(screen)
        assert len(rows) == len(NIGHT)
        assert "checkpoint 210" in rows[0]
        assert "[b]x[/b]" in rows[0]
        assert "\x1b" not in rows[0]
        assert "stage train" in rows[-1]
        assert "p65" in rows[0]
        await pilot.press("j", "j", "j")
        assert "urgent" in screen.whole.plain()[0]
        assert "p64 failed: out of memory" in screen.whole.plain()[1]


async def test_a_wide_name_pushes_no_text_out_of_its_row(
    make_app: MakeApp, snap_of: Any, states: Any, night: Path
) -> None:
    training = replace(states["training"], name="🚀🔥 夜の実行")
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, snap_of(training))
        rows = [each for each in texts(screen) if "🚀🔥" in each]
        assert rows
        assert all(cell_len(each) <= screen.rows.size.width for each in rows)


async def test_the_divider_is_where_one_last_looked_and_moves_on_leaving(
    make_app: MakeApp, snap_of: Any, states: Any, night: Path
) -> None:
    write_looked(night, NOW - 5_000)
    snapshot = snap_of(states["training"])
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, snapshot)
        rows = texts(screen)
        assert "you last looked 12:06" in rows[3]
        assert "3 since you last looked" in screen_text(app)
        await pilot.press("escape")
        await settled(pilot, lambda: read_looked(night) == NOW - 600)
        put(night, RUN, -10, "note", "new since then", {})
        screen = await opened(pilot, snapshot)
        await settled(pilot, lambda: "1 since you last looked" in screen_text(app))
        assert "you last looked" in texts(screen)[1]
        await pilot.press("m")
        assert "since you last looked" not in screen_text(app)
        assert read_looked(night) == NOW - 10
    assert looked_file().stat().st_mode & 0o777 == 0o600


async def test_a_read_only_view_or_one_run_alone_moves_no_divider(
    make_app: MakeApp, snap_of: Any, states: Any, night: Path
) -> None:
    async with make_app(read_only=True).run_test(size=(80, 24)) as pilot:
        await opened(pilot, snap_of(states["training"]))
        await pilot.press("m", "escape")
    async with make_app().run_test(size=(80, 24)) as pilot:
        await opened(pilot, snap_of(states["training"]), "V")
        await pilot.press("m", "escape")
    assert read_looked(night) is None


async def test_every_key(make_app: MakeApp, snap_of: Any, states: Any, night: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, snap_of(states["training"], states["failed"]))

        def at() -> str:
            chosen = screen.rows.selected
            return chosen.text if chosen else ""

        assert at().startswith("checkpoint")
        for key, expected in (
            ("j", "unreadable"),
            ("down", "log-stuck"),
            ("k", "unreadable"),
            ("up", "checkpoint"),
            ("G", "stage train"),
            ("g", "checkpoint"),
            ("end", "stage train"),
            ("home", "checkpoint"),
            ("pagedown", "stage train"),
            ("pageup", "checkpoint"),
            ("space", "stage train"),
            ("ctrl+u", "checkpoint"),
            ("ctrl+d", "stage train"),
        ):
            await pilot.press(key)
            assert at().startswith(expected), key
        await pilot.press("f")
        assert len(texts(screen)) == 4
        assert "warnings and urgent" in screen_text(app)
        await pilot.press("f")
        assert len(texts(screen)) == 2
        await pilot.press("f")
        assert len(texts(screen)) == 8
        await pilot.press("3")
        assert len(texts(screen)) == 2
        await pilot.press("2", "1")
        assert len(texts(screen)) == 8
        await pilot.press("slash", *"whole", "enter")
        assert len(texts(screen)) == 2
        await pilot.press("3")
        assert "No event passes the filter" in screen_text(app)
        await pilot.press("escape")
        assert len(texts(screen)) == 8
        await pilot.press("g", "r")
        await settled(pilot, lambda: len(texts(screen)) == 4)
        assert "events of p65" in screen_text(app)
        await pilot.press("r")
        await settled(pilot, lambda: len(texts(screen)) == 8)
        await pilot.press("v", "question_mark")
        await settled(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape", "o")
        await settled(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("escape", "escape")
        await settled(pilot, lambda: isinstance(app.screen, BoardScreen))


async def test_enter_shows_the_log_as_it_was_at_that_moment(
    make_app: MakeApp, snap_of: Any, states: Any, night: Path
) -> None:
    log = night / RUN / "logs" / "train.log"
    log.parent.mkdir()
    log.write_text("".join(f"line {at:04d}\n" for at in range(1000)))
    file = TelemetryFile(night / RUN / "telemetry.sqlite3")
    file.write(
        [
            Sample(
                boot_id="b",
                monotonic_s=float(at),
                wall_s=NOW - 4_000 + at,
                stage="train",
                log_bytes=10 * (400 + at),
            )
            for at in range(-30, 30)
        ]
    )
    file.close()
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, snap_of(states["training"]))
        await pilot.press("j", "j", "enter")
        await settled(pilot, lambda: isinstance(app.screen, LogScreen))
        await settled(pilot, lambda: "line 0399" in screen_text(app))
        assert "line 0999" not in screen_text(app)
        await pilot.press("escape", "g", "enter")
        await settled(pilot, lambda: isinstance(app.screen, LogScreen))
        await settled(pilot, lambda: "no telemetry was kept" in screen_text(app))
        assert "line 0999" in screen_text(app)


async def test_the_mouse_chooses_opens_scrolls_and_filters(
    make_app: MakeApp, snap_of: Any, states: Any, night: Path
) -> None:
    write_looked(night, NOW - 5_000)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, snap_of(states["training"]))
        await pilot.click("#events", offset=(30, 1))
        assert screen.rows.selected is not None
        assert screen.rows.selected.text.startswith("unreadable")
        await pilot.click("#events", offset=(30, 3))
        assert screen.rows.selected.text.startswith("unreadable")
        await pilot.click("#title")
        assert "warnings and urgent" in screen_text(app)
        await pilot.click("#title")
        await pilot.click("#title")
        at = (screen.rows, 1, 1)
        screen.rows.post_message(events.MouseScrollDown(*at, 0, 1, 0, False, False, False))
        await settled(pilot, lambda: "failed" in str(screen.rows.selected))
        screen.rows.post_message(events.MouseScrollUp(*at, 0, -1, 0, False, False, False))
        await settled(pilot, lambda: "checkpoint" in str(screen.rows.selected))
        await pilot.click("#events", offset=(30, 1), times=2)
        await settled(pilot, lambda: isinstance(app.screen, LogScreen))


async def test_no_events_yet(
    make_app: MakeApp, snap_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    async with (app := make_app()).run_test(size=(80, 24)) as pilot:
        await opened(pilot, snap_of())
        assert "No events: they come" in screen_text(app)


def test_only_what_has_grown_is_read_again(night: Path) -> None:
    feed = EventFeed(night)
    first = feed.read()
    assert feed.read() is first
    put(night, RUN, -5, "note", "later", {})
    assert [each.text for each in feed.read()][:1] == ["later"]
    (night / OTHER / "events.jsonl").unlink()
    assert {each.run for each in feed.read()} == {RUN}
    (night / RUN / "events.jsonl").write_bytes(b"\xff\x00{]\n")
    assert feed.read() == ()
    assert EventFeed(night / "nowhere").read() == ()


@pytest.mark.parametrize(
    ("kind", "text", "fields", "severity"),
    [
        pytest.param("alert", "x", {"severity": "wake"}, "urgent", id="wakes"),
        pytest.param("alert", "x", {"severity": "tell"}, "warning", id="tells"),
        pytest.param("alert", "x", {"severity": "wake", "about": "recovered"}, "info", id="over"),
        pytest.param(
            "alert", "x", {"severity": "wake", "about": "ended"}, "urgent", id="cut-short"
        ),
        pytest.param("alert", "x", {"severity": "tell", "about": "ended"}, "info", id="done"),
        pytest.param("verdict", "x", {"verdict": "stalled"}, "urgent", id="stalled"),
        pytest.param("verdict", "x", {"verdict": "suspect"}, "warning", id="suspect"),
        pytest.param("verdict", "failed: x", {"verdict": "finished"}, "info", id="finished"),
        pytest.param("action", "the run failed: x", {}, "urgent", id="keeper-says-failed"),
        pytest.param("action", "the watcher died", {}, "warning", id="died"),
        pytest.param("checkpoint", "checkpoint 5 is whole", {}, "info", id="checkpoint"),
        pytest.param("verdict", "x", {"verdict": ["odd"]}, "info", id="foreign"),
    ],
)
def test_how_much_an_event_matters(
    kind: str, text: str, fields: dict[str, Any], severity: str
) -> None:
    event = Event(
        wall_s=None,
        boot_id=None,
        monotonic_s=None,
        source="watcher",
        kind=kind,
        text=text,
        fields=fields,
    )
    assert severity_of(event) == severity


def test_a_broken_or_missing_mark_means_never_looked(night: Path) -> None:
    assert read_looked(night) is None
    looked_file().parent.mkdir(parents=True)
    for content in ("", "[]", '{"roots": 3}', json.dumps({"roots": {str(night): "x"}})):
        looked_file().write_text(content)
        assert read_looked(night) is None
    write_looked(night, 5.0)
    assert read_looked(night) == 5.0


def shows(snapshot: Any, *keys: str) -> Any:
    async def run_before(pilot: Pilot[None]) -> None:
        await opened(pilot, snapshot)
        await pilot.press(*keys)
        await pilot.pause()

    return run_before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param((), id="divided"),
        pytest.param(("j", "j", "j"), id="urgent-chosen"),
        pytest.param(("3", "slash", *"zz"), id="nothing-passes"),
    ],
)
def test_looks(
    snap_compare: Any,
    make_app: MakeApp,
    snap_of: Any,
    states: Any,
    night: Path,
    keys: Any,
    size: Any,
) -> None:
    write_looked(night, NOW - 5_000)
    ready = shows(snap_of(states["training"], states["failed"]), *keys)
    assert snap_compare(make_app(), run_before=ready, terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
def test_looks_when_nothing_happened(
    snap_compare: Any,
    make_app: MakeApp,
    snap_of: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: Any,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    assert snap_compare(make_app(), run_before=shows(snap_of()), terminal_size=size)


async def test_events_that_break_the_reader_are_said_and_looked_at_again(
    make_app: MakeApp, snap_of: Any, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        with monkeypatch.context() as broken:
            broken.setattr("tui.event_feed.read_events", lambda *_, **__: 1 / 0)
            await show(pilot, snap_of())
            await pilot.press("v")
            await settled(pilot, lambda: "could not be read: ZeroDivisionError" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, EventsScreen)
        screen._read()
        await settled(pilot, lambda: bool(screen.rows.selected))


async def test_of_a_run_whose_folder_is_gone_it_is_not_said_that_nothing_happened(
    make_app: MakeApp, snap_of: Any, states: Any, tmp_path: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(states["training"]))
        await pilot.press("V")
        await settled(pilot, lambda: "is gone: esc goes back" in screen_text(app))
