"""What is told for a moment at the bottom of the screen."""

from __future__ import annotations

import pytest
from shown import MakeApp
from textual.widgets._toast import Toast
from waiting import settled

SAID = "p3 is over already (finished): there is nothing to stop, and what else there is to say"


@pytest.mark.parametrize(("columns", "widest"), [(50, 46), (80, 76), (200, 76)])
async def test_a_notice_is_whole_however_narrow_the_terminal(
    make_app: MakeApp, columns: int, widest: int
) -> None:
    app = make_app()
    async with app.run_test(size=(columns, 18), notifications=True) as pilot:
        app.notify(SAID, markup=False)
        await settled(pilot, lambda: app.screen.query(Toast))
        toast = app.screen.query_one(Toast)
        rows = [
            "".join(part.text for part in toast.render_line(y)) for y in range(toast.size.height)
        ]
        assert " ".join(" ".join(rows).split()) == SAID
        assert toast.region.width == widest
        assert toast.region.right <= columns


async def test_a_key_that_is_pressed_again_and_again_is_answered_once(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(50, 18), notifications=True) as pilot:
        for _ in range(5):
            app.notify(SAID, markup=False)
        await settled(pilot, lambda: app.screen.query(Toast))
        await pilot.pause()
        assert len(app.screen.query(Toast)) == 1


@pytest.mark.parametrize(("rows", "most"), [(6, 1), (18, 2), (24, 3), (48, 6)])
async def test_notices_leave_room_for_what_they_are_about(
    make_app: MakeApp, rows: int, most: int
) -> None:
    app = make_app()
    async with app.run_test(size=(50, rows), notifications=True) as pilot:
        for at in range(9):
            app.notify(f"sentence {at}", markup=False)
            await pilot.pause()
        await settled(pilot, lambda: len(app.screen.query(Toast)) == most)
        kept = [str(toast.render()) for toast in app.screen.query(Toast)]
        assert [each[-1] for each in kept] == [str(at) for at in range(9 - most, 9)]
