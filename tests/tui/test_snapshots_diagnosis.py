"""What the screen of a diagnosis looks like, at two sizes, and its question before a remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fabricated_diagnoses import DEADLOCK, DIAGNOSES, HIDDEN, RUN
from textual.pilot import Pilot

from runners.sidecar import Offer
from tui.app import LanewatchApp
from tui.messages import Sampled
from tui.screens.diagnosis import DiagnosisScreen

OFFER = Offer(
    container="night",
    container_id="c" * 64,
    image="sha256:1",
    image_name="nvcr.io/nvidia/nemo:26.04.00",
    program="/p",
)
SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]


def _opened(app: LanewatchApp, snapshot: Any, found: Any, *keys: str) -> Callable[..., Any]:
    async def run_before(pilot: Pilot[None]) -> None:
        app.post_message(Sampled(snapshot))
        screen = DiagnosisScreen(RUN, Path("/runs"), look=lambda how: found, find=lambda: OFFER)
        app.push_screen(screen)
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

    return run_before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DIAGNOSES)
def test_diagnosis(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    states: Any,
    name: str,
    size: tuple[int, int],
) -> None:
    app = make_app(stop=lambda run, save: None)
    shown = _opened(app, snap_of(states["stalled"]), DIAGNOSES[name])
    assert snap_compare(app, run_before=shown, terminal_size=size)


@pytest.mark.parametrize("size", [*SIZES, pytest.param((50, 18), id="50x18")])
def test_question_before_a_container_looks(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    states: Any,
    size: tuple[int, int],
) -> None:
    app = make_app(stop=lambda run, save: None)
    shown = _opened(app, snap_of(states["stalled"]), HIDDEN, "c")
    assert snap_compare(app, run_before=shown, terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["looking", "failed"])
def test_without_a_diagnosis(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    states: Any,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    size: tuple[int, int],
) -> None:
    def look(how: object) -> Any:
        raise OSError("the process [4711] may not be looked at by this user")

    async def run_before(pilot: Pilot[None]) -> None:
        app.post_message(Sampled(snap_of(states["stalled"])))
        app.push_screen(DiagnosisScreen(RUN, Path("/runs"), look=look))
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

    if state == "looking":
        monkeypatch.setattr(DiagnosisScreen, "_diagnose", lambda self, how: None)
    app = make_app(stop=lambda run, save: None)
    assert snap_compare(app, run_before=run_before, terminal_size=size)


@pytest.mark.parametrize("size", [*SIZES, pytest.param((50, 14), id="50x14")])
def test_question(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    states: Any,
    size: tuple[int, int],
) -> None:
    app = make_app(stop=lambda run, save: None)
    shown = _opened(app, snap_of(states["stalled"]), DEADLOCK, "2")
    assert snap_compare(app, run_before=shown, terminal_size=size)
