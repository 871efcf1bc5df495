"""A look that hangs: nobody waits for it, above all not who quits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from compared import make_run
from launch_form import pause_until
from pressed import Settings
from shown import MakeApp, show

from runners.compare import read
from tui.event_feed import EventFeed
from tui.launching.settings_desk import ChannelLine
from tui.screens.compare import CompareScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.events import EventsScreen


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """Set while nobody hangs any more."""
    released = threading.Event()
    yield released
    released.set()


@pytest.mark.parametrize("which", ["diagnosis", "container", "events", "compare", "settings"])
async def test_what_only_looks_is_on_a_thread_that_does_not_outlive_the_app(
    make_app: MakeApp,
    snap_of: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hung: threading.Event,
    which: str,
) -> None:
    began: list[threading.Thread] = []

    def hang(*_: Any) -> NoReturn:
        began.append(threading.current_thread())
        hung.wait(60)
        raise RuntimeError("too late")

    class Hangs(Settings):
        def channels(self) -> tuple[ChannelLine, ...]:
            hang()

    monkeypatch.setattr(EventFeed, "read", hang)
    monkeypatch.setattr(read, "read_facts", hang)
    app = make_app(settings=Hangs, stop=lambda run, save: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of())
        if which == "diagnosis":
            app.push_screen(DiagnosisScreen("x", tmp_path, look=hang))
        elif which == "container":
            screen = DiagnosisScreen("x", tmp_path, look=lambda how: None, find=hang)
            app.push_screen(screen)
            await pilot.pause()
            screen._search()
        elif which == "events":
            app.push_screen(EventsScreen())
        elif which == "compare":
            app.push_screen(CompareScreen([make_run(tmp_path, "a").root.name]))
        else:
            app.action_settings()
        await pause_until(pilot, lambda: began)
        assert began[0].daemon
        await pilot.press("q")
        assert not hung.is_set()


async def test_a_comparison_that_hangs_is_not_begun_again_and_again(
    make_app: MakeApp,
    snap_of: Any,
    training: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hung: threading.Event,
) -> None:
    began: list[Path] = []

    def hang(run: Any) -> Any:
        began.append(run)
        hung.wait(60)
        raise RuntimeError("too late")

    monkeypatch.setattr(read, "read_facts", hang)
    app = make_app()
    (tmp_path / training.run).mkdir()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(training))
        screen = CompareScreen([training.run])
        app.push_screen(screen)
        await pause_until(pilot, lambda: began)
        before = set(app.workers)
        screen._read_again()
        assert set(app.workers) == before
        assert len(began) == 1
        hung.set()
        await pause_until(pilot, lambda: "too late" in screen.verdict.note)
        screen._read_again()
        await pause_until(pilot, lambda: len(began) == 2)
