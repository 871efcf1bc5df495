"""What a run's screen looks like: in every state at two sizes, on a phone, and each tab once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from run_states import NAMES, full_detail, run_in
from textual.pilot import Pilot

from tui.actions import Action
from tui.app import LanewatchApp
from tui.messages import Sampled
from tui.state import RunDetail
from tui.themes import THEMES

MakeApp = Callable[..., LanewatchApp]
RUN = "nemo-20260521-101112-3fa2"
SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]
TABS = ["training", "machine", "checkpoints", "log", "events", "recipe"]


def refuse(run: str, action: Action) -> str:
    raise AssertionError(f"{action} of {run} was not asked for")


Draw = Callable[..., Any]


@pytest.fixture
def draw(snap_compare: Any, make_app: MakeApp, snap_of: Any, states: Any, details: Any) -> Draw:
    """Compare the screen of a run in a state, at a size, after some keys."""

    def compare(state: str, size: tuple[int, int], *keys: str, **options: Any) -> bool:
        status = run_in(state, states)
        snapshot = snap_of(detail=RunDetail(run=RUN))
        if status is not None:
            snapshot = snap_of(status, detail=full_detail(status, details(status)))
        run = status.run if status else RUN
        app = make_app(run=run, **{"stop": lambda run, save: None, "act": refuse, **options})

        async def run_before(pilot: Pilot[None]) -> None:
            pilot.app.post_message(Sampled(snapshot))
            await pilot.pause()
            await pilot.pause()
            await pilot.press(*keys)
            await pilot.pause()
            await pilot.pause()

        return bool(snap_compare(app, run_before=run_before, terminal_size=size))

    return compare


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", NAMES)
def test_run(draw: Draw, state: str, size: tuple[int, int]) -> None:
    assert draw(state, size)


@pytest.mark.parametrize("state", NAMES)
def test_phone(draw: Draw, state: str) -> None:
    assert draw(state, (50, 18))


@pytest.mark.parametrize("tab", TABS)
def test_phone_tab(draw: Draw, tab: str) -> None:
    assert draw("stalled", (50, 18), str(TABS.index(tab) + 2))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tab", TABS)
def test_tab(draw: Draw, tab: str, size: tuple[int, int]) -> None:
    state = "memory" if tab == "machine" else "training"
    assert draw(state, size, str(TABS.index(tab) + 2))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("tab", "state"),
    [
        ("training", "working"),
        ("checkpoints", "empty"),
        ("checkpoints", "saving"),
        ("checkpoints", "failed"),
        ("machine", "finished"),
        ("events", "log-stuck"),
        ("log", "empty"),
    ],
)
def test_tab_in_another_state(draw: Draw, tab: str, state: str, size: tuple[int, int]) -> None:
    assert draw(state, size, str(TABS.index(tab) + 2))


@pytest.mark.parametrize(
    ("tab", "state"),
    [
        ("training", "failed"),
        ("training", "stalled"),
        ("machine", "empty"),
        ("machine", "failed"),
        ("machine", "watcher-lost"),
        ("machine", "working"),
        ("checkpoints", "memory"),
        ("checkpoints", "stalled"),
        ("checkpoints", "watcher-lost"),
        ("log", "failed"),
        ("log", "log-stuck"),
        ("log", "watcher-lost"),
        ("events", "empty"),
        ("events", "failed"),
        ("events", "memory"),
        ("recipe", "empty"),
        ("recipe", "failed"),
    ],
)
def test_tab_of_a_run_in_trouble(draw: Draw, tab: str, state: str) -> None:
    """Where the tab, or what stands above it, is another than while all is well."""
    assert draw(state, (80, 24), str(TABS.index(tab) + 2))


@pytest.mark.parametrize("theme", [each for each in THEMES if each != "dark"])
def test_theme(draw: Draw, theme: str) -> None:
    assert draw("log-stuck", (120, 40), theme=theme)


@pytest.mark.parametrize("size", [*SIZES, pytest.param((50, 18), id="50x18")])
@pytest.mark.parametrize("key", ["K", "s"])
def test_a_question_while_saving(draw: Draw, key: str, size: tuple[int, int]) -> None:
    assert draw("saving", size, key)


def test_zoomed_smoothed_and_on_a_log_scale(draw: Draw) -> None:
    assert draw("training", (120, 40), "2", "tab", "y", "m", "plus", "left", read_only=True)
