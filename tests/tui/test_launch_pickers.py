"""The pickers of the launch form: type-ahead, what is taken as typed, what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from desks import RECIPE, FakeDesk
from launch_form import DOWN_TO, opened, pause_until
from shown import MakeApp, screen_text, show, text_of
from textual import events

from tui.launching.form import Field
from tui.launching.values import Choice, Looked
from tui.screens.pick import PickScreen
from tui.screens.run import RunScreen
from tui.widgets.command_view import CommandView
from tui.widgets.pick_list import PickDetail, PickList


async def test_a_picker_narrows_as_one_types(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press("j", "enter")
        await pilot.pause()
        await pilot.pause()
        picker = app.screen
        assert isinstance(picker, PickScreen)
        assert [each.title for each in picker.list.shown][-1] == "bad.jsonl"
        assert "5000 rows, messages" in screen_text(app)
        assert "[bold]cooling[/]" in screen_text(app)  # the row itself, letter by letter
        await pilot.press(*"bad")
        assert [each.title for each in picker.list.shown] == ["bad.jsonl", "bad"]
        await pilot.press("down", "ctrl+p", "ctrl+n", "up", "enter")
        await pilot.pause()
        assert screen.form.data == "/data/bad.jsonl"
        await pilot.press("enter", "escape")
        await pilot.pause()
        assert app.screen is screen
        await pilot.press("x")
        assert screen.form.data is None


async def test_a_name_that_nobody_has_given_yet_is_asked_for(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.NAME], "x", "enter")
        await pilot.pause()
        assert text_of(app, PickList).strip() == "None is known here: type one."
        await pilot.press(*"night", "enter")
        await pilot.pause()
        assert screen.form.name == "night"


async def test_what_is_typed_can_be_taken_as_it_is(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.ITERATIONS], "enter")
        await pilot.pause()
        await pilot.press(*"40", "enter")
        await pilot.pause()
        assert screen.form.iterations == "40"
        assert "--set=train.iterations=40" in text_of(app, CommandView)
        await pilot.press("enter")
        await pilot.pause()
        await pilot.press("pagedown", "pageup", "enter")


async def test_a_number_that_is_part_of_what_stands_there_is_taken_as_typed(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(launch=lambda: FakeDesk(looked=Looked(says={Field.ITERATIONS: "4000"})))
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.ITERATIONS], "enter", *"400", "enter")
        await pause_until(pilot, lambda: app.screen is screen and screen.form.iterations == "400")


async def test_what_comes_in_one_piece_is_typed_into_the_picker_and_is_no_key_of_the_form(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = FakeDesk()
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press("G")
        for key in ("enter", *"LqSx7", "enter"):  # as over SSH: nobody waits for the screen
            app.post_message(events.Key(key, "\r" if key == "enter" else key))
        await pause_until(pilot, lambda: screen.form.name == "LqSx7")
        assert app.screen is screen
    assert desk.started == []


async def test_the_same_again_in_one_piece(make_app: MakeApp, snap_of: Any) -> None:
    desk = FakeDesk()
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        for key in "nL":
            app.post_message(events.Key(key, key))
        await pause_until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert [RECIPE in each for each in desk.started] == [True]


async def test_the_home_of_nobody_is_taken_as_it_is(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.DATA], "enter", *"~nobody-here/x", "enter")
        await pause_until(pilot, lambda: screen.form.data == "~nobody-here/x")


async def test_a_search_that_fails_says_so_below_what_was_found(
    make_app: MakeApp, snap_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: FakeDesk, field: Field, now: str | None = None) -> Iterator[Choice]:
        yield Choice(value="/a.jsonl", title="a.jsonl")
        raise OSError("the disk is [on fire]")

    monkeypatch.setattr(FakeDesk, "choices", broken)
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("j", "enter")
        await pause_until(pilot, lambda: "the disk is [on fire]" in screen_text(app))
        assert "a.jsonl" in screen_text(app)


async def test_what_is_picked_is_cut_where_it_tells_least(make_app: MakeApp) -> None:
    choices = (
        Choice(value="/a", title="deep/" * 20 + "v3.jsonl", note="5 rows"),
        Choice(value="app.x", title="compare the marked runs with the one in front of you now"),
    )
    app = make_app()
    async with app.run_test(size=(50, 18)) as pilot:
        app.push_screen(PickScreen("x", choices))
        await pause_until(pilot, lambda: app.screen.query(PickList) and "v3" in screen_text(app))
        path, words = app.screen.query_one(PickList).plain()[:2]
        assert "v3.jsonl" in path
        assert words.strip().removesuffix("…").split()[-1] in choices[1].title.split()


@pytest.mark.parametrize("theme", ["dark", "mono"])
async def test_without_colours_a_picker_covers_what_is_behind_it(
    make_app: MakeApp, snap_of: Any, theme: str
) -> None:
    app = make_app(launch=FakeDesk, theme=theme)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("enter")
        await pause_until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pause_until(pilot, lambda: "demo.toml" in screen_text(app))
        behind = "before the launch" in app.export_screenshot().replace("&#160;", " ")
        assert behind is (theme == "dark")


async def test_a_small_terminal_shows_title_and_keys_of_a_picker(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(50, 18)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("j", "enter")
        await pause_until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pause_until(pilot, lambda: "bad.jsonl" in screen_text(app))
        shown = screen_text(app)
        assert "rows" in shown.splitlines()[0]
        assert "enter take it" in shown.splitlines()[-1]
        assert "What is claimed?" in shown
        assert not any(each.show_vertical_scrollbar for each in [app.screen])


def test_the_cursor_stays_on_its_choice_whatever_is_found_later() -> None:
    one, two, three = (Choice(value=each, title=each) for each in ("now", "a", "b"))
    picks = PickList((one, two, three), free=True, busy=True)
    picks.move(1)
    picks.add((replace(one, detail="more of it"),), done=False)
    assert picks.selected == two
    picks.narrow("b")
    picks.add((Choice(value="b0", title="b0"),), done=True)
    assert picks.selected == three  # of what is typed it is the first that fits


async def test_what_stopping_at_the_limit_loses_is_said_at_50_columns(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(launch=lambda: FakeDesk(at_limit=None))
    async with app.run_test(size=(50, 18)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("L")
        await pause_until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("down", "down")
        await pilot.pause()
        assert "is lost" in " ".join(text_of(app, PickDetail).split())
