"""What the log screen looks like, at two sizes, in its states."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shown import MakeApp, show
from textual.pilot import Pilot
from waiting import settled

from tui.screens.log import LogScreen

RUN = "nemo-20260521-101112-3fa2"
NOW = 1_779_370_200.0
SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]

NIGHT = "".join(
    f"[NeMo I 2026-05-21 11:{at // 2 % 60:02d}:23 megatron_gpt_model:982] step={at} "
    f"loss={0.8 + 1.4 / (1 + at / 25):.3f} lr=8.2e-05 grad_norm={0.3 + at % 7 / 50:.3f} "
    "tokens=65536\n"
    + ("[NeMo W 2026-05-21 11:09:23 nemo_logging:405] the loss scale went down\n" * (at % 40 == 39))
    for at in range(1, 117)
)
CRASH = (
    "Traceback (most recent call last):\n"
    '  File "train_nemo.py", line 55, in <module>\n'
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
)
BAR = "Loading: 10%|█\rLoading: 80%|████████\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / RUN / "logs" / "train.log"
    path.parent.mkdir(parents=True)
    path.write_text(BAR + NIGHT)
    os.utime(path, (NOW - 67 * 60, NOW - 67 * 60))
    return path


def opens(
    snapshot: Any, *keys: str, until: Callable[[LogScreen], Any]
) -> Callable[[Pilot[None]], Any]:
    async def run_before(pilot: Pilot[None]) -> None:
        await show(pilot, snapshot)
        pilot.app.open_log(RUN)  # type: ignore[attr-defined]
        await settled(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
        screen = pilot.app.screen
        assert isinstance(screen, LogScreen)
        await settled(pilot, lambda: bool(screen.page.path) and bool(screen.view.plain()))
        if keys:
            await pilot.press(*keys)
        await settled(pilot, lambda: until(screen))

    return run_before


def shot(snap_compare: Any, app: Any, run_before: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app, run_before=run_before, terminal_size=size)


@pytest.mark.parametrize("size", SIZES)
def test_following(
    snap_compare: Any, make_app: MakeApp, snap_of: Any, states: Any, log: Path, size: Any
) -> None:
    ready = opens(snap_of(states["log-stuck"]), until=lambda screen: screen.page.rows)
    shot(snap_compare, make_app(), ready, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_crash_wrapped(
    snap_compare: Any, make_app: MakeApp, snap_of: Any, states: Any, log: Path, size: Any
) -> None:
    log.write_text(NIGHT + CRASH)
    os.utime(log, (NOW - 7200, NOW - 7200))
    ready = opens(
        snap_of(states["training"]), "w", until=lambda screen: screen.page.wrap and screen.page.rows
    )
    shot(snap_compare, make_app(), ready, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_match(
    snap_compare: Any, make_app: MakeApp, snap_of: Any, states: Any, log: Path, size: Any
) -> None:
    keys = ("g", "slash", *"loss=1.0", "enter")
    ready = opens(
        snap_of(states["training"]),
        *keys,
        until=lambda screen: screen.page.hit is not None and len(screen.page.spans) > 9,
    )
    shot(snap_compare, make_app(), ready, size)


@pytest.mark.parametrize("size", SIZES)
def test_only_warnings_and_chosen_lines(
    snap_compare: Any, make_app: MakeApp, snap_of: Any, states: Any, log: Path, size: Any
) -> None:
    async def run_before(pilot: Pilot[None]) -> None:
        keys = ("ampersand", *"NeMo W", "enter")
        await opens(
            snap_of(states["training"]), *keys, until=lambda screen: len(screen.page.spans) == 2
        )(pilot)
        await pilot.click("#log", offset=(4, 1))

    shot(snap_compare, make_app(), run_before, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_bad_pattern(
    snap_compare: Any, make_app: MakeApp, snap_of: Any, states: Any, log: Path, size: Any
) -> None:
    keys = ("slash", *"(loss", "enter")
    ready = opens(
        snap_of(states["training"]), *keys, until=lambda screen: screen.state_line.complaint
    )
    shot(snap_compare, make_app(), ready, size)


@pytest.mark.parametrize("size", SIZES)
def test_no_log_yet(
    snap_compare: Any, make_app: MakeApp, snap_of: Any, states: Any, tmp_path: Path, size: Any
) -> None:
    (tmp_path / RUN / "logs").mkdir(parents=True)
    ready = opens(snap_of(states["training"]), until=lambda screen: screen.page.problem)
    shot(snap_compare, make_app(), ready, size)
