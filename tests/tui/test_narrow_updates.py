"""What a terminal is sent of a change: enough that it shows the screen, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from paper import Paper
from shown import MakeApp, show
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets._toast import Toast
from waiting import settled

from monitor.status_model import RunStatus
from tui.widgets.line_view import LineView


def meant(app: App[None]) -> list[str]:
    """The screen in front, as it would be drawn anew."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be written to a terminal: without one, Textual draws nothing."""
    written: list[str] = []

    def display(app: App[None], _screen: object, update: CompositorUpdate | None) -> None:
        if update is not None:
            written.append(update.render_segments(app.console))

    monkeypatch.setattr(App, "_display", display)
    return written


@pytest.mark.parametrize("opened", [True, False], ids=["run", "board"])
async def test_the_terminal_shows_what_is_meant_through_all_states(
    make_app: MakeApp,
    snap_of: Any,
    states: dict[str, RunStatus | None],
    sent: list[str],
    opened: bool,
) -> None:
    first = states["training"]
    app = make_app(run=first.run if opened else None)
    async with app.run_test(size=(120, 40)) as pilot:
        paper = Paper(120, 40)
        for name, state in states.items():
            if state is None:
                continue
            status = replace(state, run=first.run)
            await show(pilot, snap_of(status, opened=status if opened else None))
            paper.write("".join(sent))
            sent.clear()
            assert paper.text() == meant(app), name


async def test_of_a_changed_digit_a_digit_is_sent(
    make_app: MakeApp, snap_of: Any, training: RunStatus, sent: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        snapshot = snap_of(training)
        await show(pilot, snapshot)
        sent.clear()
        machine = replace(snapshot.machine, load1=snapshot.machine.load1 + 0.1)
        await show(pilot, replace(snapshot, machine=machine))
        data = "".join(sent)
        assert "\x1b[" in data
        assert len(data) < 100, data


async def test_all_is_sent_again_when_it_is_asked_for(
    make_app: MakeApp, snap_of: Any, training: RunStatus, sent: list[str]
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training))
        sent.clear()
        app.refresh(layout=True)
        await pilot.pause()
        assert "".join(sent) == "", "nothing has changed"
        await pilot.press("ctrl+l")
        await pilot.pause()
        paper = Paper(120, 40)
        paper.write("".join(sent))
        assert paper.text() == meant(app)


async def test_after_another_size_all_is_sent(
    make_app: MakeApp, snap_of: Any, training: RunStatus, sent: list[str]
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        for size in ((80, 24), (120, 40)):
            sent.clear()
            await pilot.resize_terminal(*size)
            await pilot.pause()
            paper = Paper(*size)
            paper.write("".join(sent))
            assert paper.text() == meant(app)


async def test_of_a_question_on_top_and_back_what_differs_is_sent(
    make_app: MakeApp, snap_of: Any, training: RunStatus, sent: list[str]
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        paper = Paper(120, 40)
        await show(pilot, snap_of(training, opened=training))
        for key in ("question_mark", "escape"):
            paper.write("".join(sent))
            sent.clear()
            await pilot.press(key)
            await pilot.pause()
        assert len("".join(sent)) < 10_000
        paper.write("".join(sent))
        assert paper.text() == meant(app)


async def test_of_a_change_no_other_widget_is_rendered(
    make_app: MakeApp, snap_of: Any, training: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str | None] = []
    render_lines = Widget.render_lines

    def counted(widget: Widget, crop: Region) -> list[Strip]:
        rendered.append(widget.id)
        return render_lines(widget, crop)

    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        monkeypatch.setattr(Widget, "render_lines", counted)
        monkeypatch.setattr(LineView, "render_lines", counted)
        renamed = replace(training, reason="iteration 242 of 625, the last one 12 s ago")
        await show(pilot, snap_of(renamed, opened=renamed))
    assert set(rendered) == {"verdict"}


async def test_what_lies_on_top_of_a_change_stays_there(
    make_app: MakeApp, snap_of: Any, training: RunStatus, sent: list[str]
) -> None:
    app = make_app(run=training.run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        paper = Paper(120, 40)
        await show(pilot, snap_of(training, opened=training))
        app.say("said on top, of some length, to cover what changes below it")
        await settled(pilot, lambda: app.screen.query(Toast))
        for iteration in range(242, 246):
            line = f"iteration {iteration} of 625 " + "and more words " * 9
            snapshot = snap_of(training, opened=training)
            lines = (line,) * len(snapshot.detail.log_lines)
            detail = replace(snapshot.detail, log_lines=lines)
            await show(pilot, replace(snapshot, detail=detail))
            paper.write("".join(sent))
            sent.clear()
            assert paper.text() == meant(app)
            assert any("said on top" in row for row in paper.text())
        assert any("of 625 and more words" in row for row in paper.text())
