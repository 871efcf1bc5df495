"""Real files, all of them odd, changed and deleted while keys are pressed: nothing ends the app."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from desks import WELL, FakeDesk
from nasty import NAMES, meddle, nasty_root
from pressed import ROWS, Attach, Settings
from shown import screen_text, text_of
from textual.pilot import OutOfBounds
from waiting import settled

from tui.app import LanewatchApp
from tui.screens.board import BoardScreen
from tui.widgets.run_table import RunTable

KEYS = sorted({key for rows in ROWS.values() for key in rows} - {"q", "ctrl+z"})
SIZES = ((50, 18), (80, 24), (120, 40), (20, 5), (1, 1), (200, 60))
TYPED = "abc(+[\\*x日"


@pytest.fixture
def real_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An app that reads a root for itself; returns what was done to runs beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    done: list[Any] = []

    def make(root: Path, **options: Any) -> tuple[LanewatchApp, list[Any]]:
        given: dict[str, Any] = {
            "stop": lambda run, save: done.append(run),
            "act": lambda run, action: done.append(run) or "done",
            "launch": lambda: FakeDesk(looked=WELL),
            "attach": Attach,
            "settings": Settings,
        }
        app = LanewatchApp(root, **given | options)
        monkeypatch.setattr(app, "copy_to_clipboard", lambda text: None)
        return app, done

    return make


@pytest.mark.parametrize("seed", [7, 11])
async def test_no_key_no_file_and_no_size_ends_the_app(
    real_app: Any, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    root = tmp_path / "runs"
    root.mkdir()
    nasty_root(root, 24)
    app, done = real_app(root, read_only=True)
    async with app.run_test(size=rng.choice(SIZES)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and app.snapshot.scanned)
        for at in range(120):
            if at % 17 == 16:
                await pilot.resize_terminal(*rng.choice(SIZES))
            if at % 13 == 12:
                meddle(root, rng)
            if at % 11 == 10:
                with_mouse = (rng.randrange(app.size.width), rng.randrange(app.size.height))
                with contextlib.suppress(OutOfBounds):
                    await pilot.click(offset=with_mouse)
            await pilot.press(rng.choice(KEYS) if rng.random() < 0.85 else rng.choice(TYPED))
        assert app.is_running
    assert app._exception is None
    assert done == []  # of a view that is read-only


async def test_three_hundred_odd_runs_on_a_board(real_app: Any, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    nasty_root(root, 300)
    app, _ = real_app(root)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and app.snapshot.scanned)
        assert app.snapshot is not None
        assert len(app.snapshot.runs) > 240
        await pilot.press("G")
        for _ in range(20):
            await pilot.press("pageup")
            rows = text_of(app, RunTable).splitlines()
            assert all(each.isprintable() for each in rows)
            assert "[bold]" in "".join(rows) or len(rows) < 20
        await pilot.press("slash", *"日本語")
        await settled(pilot, lambda: "日本語の実行" in text_of(app, RunTable))
        assert "[bold]" not in text_of(app, RunTable)
        assert "日本語の実行" in NAMES


async def test_a_folder_that_goes_while_its_run_is_open_is_told_and_left(
    real_app: Any, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    name, *_ = nasty_root(root, 0)
    app, _ = real_app(root, run=name)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "finished" in screen_text(app))
        (root / name).rename(tmp_path / "gone")
        await settled(pilot, lambda: "its folder is gone" in " ".join(screen_text(app).split()))
        await pilot.press("1", "2", "3", "4", "5", "6", "7", "d", "escape", "t", "escape", "escape")
        await settled(pilot, lambda: isinstance(app.screen, BoardScreen))
        (tmp_path / "gone").rename(root / name)
        await settled(pilot, lambda: "finished" in text_of(app, RunTable))


@pytest.mark.parametrize("run", [False, True])
async def test_twenty_columns_and_five_rows_still_tell_the_verdict(
    real_app: Any, tmp_path: Path, run: bool
) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    name, *_ = nasty_root(root, 0)
    app, _ = real_app(root, run=name if run else None)
    async with app.run_test(size=(20, 5)) as pilot:
        await settled(pilot, lambda: "finished" in screen_text(app))
        # What is drawn, not what widgets would like to draw.
        drawn = [
            "".join(each.text for each in row) for row in app.screen._compositor.render_strips()
        ]
        assert len(drawn) == 5
        assert any("finished" in row for row in drawn)


async def test_opening_and_closing_in_a_hurry_ends_where_it_began(
    real_app: Any, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    nasty_root(root, 3)
    app, done = real_app(root)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and app.snapshot.scanned)
        for key in ("enter", "t", "v", "V", "n", "a", "comma", "question_mark", "ctrl+p", "s"):
            await pilot.press(key, key, *["escape"] * 6)
            await settled(
                pilot, lambda: isinstance(app.screen, BoardScreen) and not app.screen.prompting
            )
        assert done == []
