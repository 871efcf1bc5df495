"""What settings, help, palette and attach look like; each theme once on the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from monitor.status_model import AlertsView, RunStatus
from tui.app import LanewatchApp
from tui.launching.settings_desk import ChannelLine
from tui.launching.values import Choice
from tui.messages import Sampled
from tui.themes import THEMES

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]
CANDIDATES = (
    Choice(
        value="4711",
        title="4711  python finetune.py --model Qwen3-8B --max_steps 625",
        note="on a GPU, 3h 24m old",
        detail="checkpoints: /runs/out (an argument names it)\nlog: /runs/out/train.log (a tee has "
        "it open)\ntotal: 625 iterations (--max_steps)\nwarning: it writes into a terminal",
        tone="warn",
    ),
    Choice(
        value="4900", title="4900  python -m torch.distributed.run", note="watched as foreign-1"
    ),
)


class Settings:
    """One channel that works, one that does not; no other is taken."""

    def get(self, key: str) -> str | None:
        return "save-and-stop"

    def put(self, key: str, value: str) -> None:
        """Kept nowhere."""

    def channels(self) -> tuple[ChannelLine, ...]:
        return ChannelLine("phone", "ntfy://…"), ChannelLine("office", "mailto://…")

    def add(self, typed: str, _wanted: Callable[[], bool]) -> str | None:
        from monitor.alert_channels import with_channel

        return with_channel((), typed, None).name


class Attach:
    """Two trainings."""

    def candidates(self) -> Iterator[Choice]:
        yield from CANDIDATES


def _after(snapshot: Any, *keys: str) -> Callable[[Pilot[None]], Any]:
    async def run_before(pilot: Pilot[None]) -> None:
        pilot.app.post_message(Sampled(snapshot))
        await pilot.pause()
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.app.workers.wait_for_complete()
            await pilot.pause(0.2)
        await pilot.pause()

    return run_before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["comma"], id="settings"),
        pytest.param(["comma", "end", "a", *"ntfz", "enter"], id="channel-refused"),
        pytest.param(["comma", "end", "x"], id="channel-removed"),
        pytest.param(["question_mark"], id="help"),
        pytest.param(["question_mark", "slash", "s", "t", "o", "p"], id="help-searched"),
        pytest.param(["ctrl+p"], id="palette"),
        pytest.param(["a"], id="attach"),
    ],
)
def test_screen(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    training: RunStatus,
    keys: list[str],
    size: tuple[int, int],
) -> None:
    failing = replace(training, alerts=AlertsView(channels_failing={"office": "no route to host"}))
    app = make_app(launch=Settings, attach=Attach, settings=Settings)
    assert snap_compare(app, run_before=_after(snap_of(failing), *keys), terminal_size=size)


class NothingToAttach(Attach):
    """No training is here."""

    def candidates(self) -> Iterator[Choice]:
        yield from ()


@pytest.mark.parametrize("size", SIZES)
def test_nothing_to_attach(
    snap_compare: Any, make_app: Callable[..., LanewatchApp], snap_of: Any, size: tuple[int, int]
) -> None:
    app = make_app(launch=Settings, attach=NothingToAttach, settings=Settings)
    assert snap_compare(app, run_before=_after(snap_of(), "a"), terminal_size=size)


@pytest.mark.parametrize("theme", [each for each in THEMES if each != "dark"])
def test_theme(
    snap_compare: Any,
    make_app: Callable[..., LanewatchApp],
    snap_of: Any,
    states: dict[str, RunStatus],
    theme: str,
) -> None:
    runs = [
        replace(run, run=f"{run.run[:-1]}{at}")
        for at, run in enumerate(filter(None, states.values()))
    ]
    app = make_app(theme=theme)
    snapshot = snap_of(*runs, memory_level="warn")
    assert snap_compare(app, run_before=_after(snapshot, "j"), terminal_size=(100, 24))
