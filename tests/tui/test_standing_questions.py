"""A question that stands unanswered while its run goes on says what would be lost now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shown import MakeApp, screen_text, show

from monitor.model import Liveness, Status
from monitor.status_model import IterationView
from tui.actions import loss_sentence


@pytest.mark.parametrize("key", ["s", "K"])
async def test_what_is_lost_is_told_anew_with_every_look(
    make_app: MakeApp, snap_of: Any, training: Any, key: str
) -> None:
    early = replace(training, checkpoints=(), iteration=IterationView(value=0, total=625))
    late = replace(early, iteration=IterationView(value=300, total=625))
    app = make_app(run=early.run, stop=lambda *_: None, act=lambda *_: "")
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of(early, opened=early))
        await pilot.press(key)
        await pilot.pause()
        assert "No iteration is done yet" in " ".join(screen_text(app).split())
        await show(pilot, snap_of(late, opened=late))
        told = " ".join(screen_text(app).split())
        assert "loses all 300 iterations" in told
        assert "esc" in told
        over = replace(late, status=Status.FINISHED, verdict=Liveness.FINISHED)
        await show(pilot, snap_of(over, opened=over))
        await show(pilot, snap_of())
        assert app.is_running


def test_no_iteration_is_not_all_0_of_them(training: Any) -> None:
    begun = replace(training, checkpoints=(), iteration=IterationView(value=0, total=625))
    assert "all 0" not in loss_sentence(begun)
