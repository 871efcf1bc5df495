"""The launch form, key by key, with a desk that reads nothing."""

from __future__ import annotations

from typing import Any

import pytest
from desks import CHOICES, PENDING, RECIPE, REFUSED, WELL, FakeDesk
from launch_form import DOWN_TO, opened, pause_until, picker_of, settled
from shown import MakeApp, show, text_of
from textual.widgets import Input

from monitor.status_model import RunStatus
from tui.launching.form import Field, Form
from tui.launching.values import CheckLine, Looked
from tui.screens.board import BoardScreen
from tui.screens.launch import LookedAt
from tui.screens.pick import PickScreen
from tui.screens.run import RunScreen
from tui.widgets.command_view import CommandView
from tui.widgets.launch_checks import LaunchChecks
from tui.widgets.launch_form import LaunchForm
from tui.widgets.pick_list import PickList


async def test_the_same_again_needs_no_typed_path_and_few_keys(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = FakeDesk()
    app = make_app(launch=lambda: desk)
    keys = ["n", "L"]
    assert len(keys) <= 8
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of())
        await pilot.press(*keys)
        await settled(app, pilot)
        assert isinstance(app.screen, RunScreen)
    assert desk.started == [
        [
            "launch",
            RECIPE,
            "--lane=unsloth",
            "--engine=docker",
            "--set=memory.at_limit=notify",
        ]
    ]


async def test_another_model_on_the_same_rows_is_eight_keys_too(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = FakeDesk()
    app = make_app(launch=lambda: desk)
    keys = ["n", "j", "j", "enter", "down", "enter", "L"]
    assert len(keys) <= 8
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, snap_of())  # by the first key
        await pilot.press(*keys[1:4])
        await pause_until(pilot, lambda: isinstance(app.screen, PickScreen))
        picker = picker_of(app).list  # what is now, and what was found
        await pause_until(pilot, lambda: len(picker.shown) == 1 + len(CHOICES[Field.MODEL]))
        await pilot.press(*keys[4:])
        await settled(app, pilot)
    assert "--set=model.path=Qwen/Qwen3-8B" in desk.started[0]


async def test_the_form_shows_what_a_launch_would_meet(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, snap_of())
        form, checks = text_of(app, LaunchForm), text_of(app, LaunchChecks)
        assert "625  (by the recipe)" in form
        assert "NVIDIA GB10" in form
        assert "✓ safe: the run takes 41.2 GiB" in checks
        assert "training takes 5h 40m" in checks
        assert "✓ ok   docker" in checks
        assert f"lanewatch launch {RECIPE} --lane=unsloth" in text_of(app, CommandView)


async def test_problems_stand_under_their_fields(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=lambda: FakeDesk(looked=REFUSED))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, snap_of())
        rows = screen.form_view.plain()
        at = next(n for n, row in enumerate(rows) if "iterations" in row)
        assert "is 0; allowed" in rows[at + 1]
        at = next(n for n, row in enumerate(rows) if "start" in row)
        assert "the box is busy" in rows[at + 1]
        assert "FAIL" not in rows[0]
        assert "✗ refuse: the run takes 98.0 GiB" in text_of(app, LaunchChecks)


async def test_every_change_is_looked_at_not_the_first_form_alone(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = FakeDesk()
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.LANE], "right")
        await pause_until(pilot, lambda: len(desk.seen) == 2)
        desk.looked = REFUSED
        await pilot.press("right")
        await pause_until(pilot, lambda: screen.form_view.looked == REFUSED)
        assert [each.lane for each in desk.seen] == ["unsloth", "nemo", "reference"]


async def test_moving_and_cycling(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())

        async def field_after(*keys: str) -> Field:
            await pilot.press(*keys)
            return screen.form_view.field

        assert await field_after("j") is Field.DATA
        assert await field_after("down", "tab") is Field.LANE
        await pilot.press("right")
        assert screen.form.lane == "nemo"
        await pilot.press("l")
        assert screen.form.lane == "reference"
        await pilot.press("left", "h", "space")
        assert screen.form.lane == "nemo"
        assert await field_after("k", "up", "shift+tab") is Field.RECIPE
        assert await field_after("G") is Field.NAME
        assert await field_after("g") is Field.RECIPE
        assert await field_after("end") is Field.NAME
        assert await field_after("home") is Field.RECIPE
        await pilot.press("pagedown", "pageup", "ctrl+d", "ctrl+u")


async def test_one_card_can_be_named_by_its_number(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press(*DOWN_TO[Field.DEVICE], "left")
        assert screen.form.device == "0"
        assert "GPU 0" in text_of(app, LaunchForm)
        assert "--set=run.gpu=0" in text_of(app, CommandView)
        await pilot.press("enter")
        await pause_until(pilot, lambda: isinstance(app.screen, PickScreen))
        assert [each.title for each in picker_of(app).list.shown][-1] == "GPU 0"
        await pilot.press("3", "enter")
        await pause_until(pilot, lambda: app.screen is screen)
        assert "--set=run.gpu=3" in text_of(app, CommandView)
        await pilot.press("k", "k", "right", "j", "j")  # a lane that only a GPU can train
        assert (screen.form.lane, screen.form.device) == ("nemo", "3")


async def test_scrolled_checks_stay_where_they_are_while_more_come_in(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, snap_of())
        more = tuple(CheckLine(name=f"c{at}", level="ok", text="well") for at in range(40))
        screen.checks.looked = Looked(checks=more[:30], looking="rows")
        await pilot.press("pagedown")
        scrolled = screen.checks.plain()
        assert "c0" not in "".join(scrolled)
        screen.checks.looked = Looked(checks=more, looking="")
        assert screen.checks.plain()[:-1] == scrolled[:-1]
        screen.checks.looked = Looked(looking="recipe")  # another launch
        screen.checks.looked = Looked(checks=more, looking="rows")
        assert "c0" in "".join(screen.checks.plain())


async def test_the_memory_limit_is_asked_once_and_remembered(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = FakeDesk(at_limit=None)
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("L")
        await pilot.pause()
        assert isinstance(app.screen, PickScreen)
        assert desk.started == []
        await pilot.press("down", "enter")
        await settled(app, pilot)
        assert desk.remembered == "save-and-stop"
        assert "--set=memory.at_limit=save-and-stop" in desk.started[0]


async def test_smoke_first_is_one_key(make_app: MakeApp, snap_of: Any) -> None:
    desk = FakeDesk()
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("S")
        await settled(app, pilot)
    smoke, whole = desk.started
    assert "--smoke=10" in smoke
    assert "--after=unsloth-20260521-133001-00aa" in whole


async def test_a_refused_launch_shows_its_sentence_and_stays(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(launch=lambda: FakeDesk(refuse="the box is [busy/]: another\nrun"))
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press("L")
        await settled(app, pilot)
        assert app.screen is screen
        assert "not launched: the box is [busy/]: another run" in text_of(app, LaunchForm)
        await pilot.press("L")  # it can be tried again
        await settled(app, pilot)


async def test_a_refusal_stands_there_though_the_looks_go_on(
    make_app: MakeApp, snap_of: Any
) -> None:
    """The answer about the memory limit is a change, which is looked up while the launch fails."""
    app = make_app(launch=lambda: FakeDesk(refuse="the disk is read-only"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press("L")
        await settled(app, pilot)
        screen.post_message(LookedAt(screen.form, WELL))
        await pilot.pause()
        assert "not launched: the disk is read-only" in text_of(app, LaunchForm)
        await pilot.press("j", "j", "j", "right")  # another lane: that is another launch
        await pause_until(pilot, lambda: "read-only" not in text_of(app, LaunchForm))


async def test_a_refusal_that_was_seen_before_stands_beside_its_field(
    make_app: MakeApp, snap_of: Any
) -> None:
    busy = REFUSED.problems[1][1]
    desk = FakeDesk(looked=REFUSED, refuse=f"not launched: {busy}. `--anyway` launches beside it")
    app = make_app(launch=lambda: desk)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press("L")
        await settled(app, pilot)
        ((place, said),) = [each for each in screen.form_view.looked.problems if busy in each[1]]
        assert place is Field.START
        assert said.endswith("`--anyway` launches beside it")
        assert screen.form_view.looked.problems[0] == REFUSED.problems[0]  # the others stay


async def test_a_warning_can_be_read_to_its_end(make_app: MakeApp, snap_of: Any) -> None:
    long = " ".join(["why"] * 30) + " the end. " + "/a/long/path" * 8 + "/to-this-file"
    looked = Looked(
        checks=(CheckLine(name="base", level="warn", text=long),),
        problems=((Field.RECIPE, long),),
        memory=f"tight: {long}",
    )
    app = make_app(launch=lambda: FakeDesk(looked=looked))
    async with app.run_test(size=(120, 60)) as pilot:
        screen = await opened(pilot, snap_of())
        for view in (screen.checks, screen.form_view):
            shown = " ".join(" ".join(view.plain()).split())
            assert shown.count("the end.") == shown.count("to-this-file") >= 1
            assert "…" not in shown


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_long_command_is_shown_to_its_end(
    make_app: MakeApp, snap_of: Any, size: tuple[int, int]
) -> None:
    form = Form(recipe=RECIPE, data=f"/a{'/folder' * 20}/rows.jsonl", name="night-of-the-end")
    app = make_app(launch=lambda: FakeDesk(form))
    async with app.run_test(size=size) as pilot:
        await opened(pilot, snap_of())
        shown = text_of(app, CommandView)
        assert "--name=night-of-the-end" in shown
        assert "…" not in shown


async def test_the_command_is_copied(
    make_app: MakeApp, snap_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(launch=FakeDesk)
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(60, 30)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("c")
    assert copied == [
        f"lanewatch launch {RECIPE} --lane=unsloth --engine=docker --set=memory.at_limit=notify"
    ]


async def test_the_next_one_can_wait_for_a_live_run(
    make_app: MakeApp, snap_of: Any, training: RunStatus
) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of(training))
        await pilot.press(*DOWN_TO[Field.START], "right")
        assert screen.form.start == "after p65"
        assert "--after=p65" in text_of(app, CommandView)
        await pilot.press("right")
        assert "--anyway" in text_of(app, CommandView)


async def test_the_mouse_moves_changes_and_picks(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.click(LaunchForm, offset=(20, 2))
        assert screen.form_view.field is Field.MODEL
        await pilot.click(LaunchForm, offset=(20, 2))
        await pilot.pause()
        await pilot.pause()
        await pilot.click(PickList, offset=(5, 2))
        await pilot.pause()
        assert screen.form.model == CHOICES[Field.MODEL][1].value
        await pilot.click(CommandView)
        assert app.clipboard == screen.command.command


async def test_a_read_only_view_launches_nothing(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=FakeDesk, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, snap_of())
        await pilot.press("n")
        await pilot.pause()
        assert isinstance(app.screen, BoardScreen)
        assert any("read-only" in each.message for each in app._notifications)


async def test_escape_leaves_the_form(make_app: MakeApp, snap_of: Any) -> None:
    app = make_app(launch=lambda: FakeDesk(Form(recipe=None)))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, snap_of())
        await pilot.press("escape")
        assert isinstance(app.screen, BoardScreen)
        assert not app.screen.query(Input)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 18), (40, 10), (12, 4), (1, 1)])
async def test_the_form_fits_any_terminal(
    make_app: MakeApp, snap_of: Any, size: tuple[int, int]
) -> None:
    app = make_app(launch=lambda: FakeDesk(looked=REFUSED))
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press("G", "g", "enter")
        await pilot.pause()
        await pilot.press("escape")
        if size[0] >= 40:
            assert all(len(row) <= size[0] for row in screen.form_view.plain())
            assert "recipe" in text_of(app, LaunchForm)


async def test_a_refusal_stands_until_the_form_is_another(make_app: MakeApp, snap_of: Any) -> None:
    """A look that was under way ends later, and knows nothing of it."""
    app = make_app(launch=lambda: FakeDesk(refuse="the [disk] is full"))
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        await pilot.press("L")
        await pause_until(pilot, lambda: "not launched" in text_of(app, LaunchForm))
        screen.post_message(LookedAt(screen.form, PENDING))
        await pilot.pause()
        assert text_of(app, LaunchForm).count("not launched: the [disk] is full") == 1
        await pilot.press("j", "j", "j", "right")
        await pause_until(pilot, lambda: "not launched" not in text_of(app, LaunchForm))


async def test_what_the_bottom_line_says_of_the_monitor_outlives_a_launch(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(launch=lambda: FakeDesk(refuse="no room"))
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, snap_of())
        app._show_trouble("the disk does not answer")
        await pilot.press("L")
        await pause_until(pilot, lambda: "no room" in text_of(app, LaunchForm))
        assert screen.keys.trouble == "the disk does not answer"
        app._show_trouble("")
        assert not screen.keys.trouble
