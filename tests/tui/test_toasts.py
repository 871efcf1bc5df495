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
