"""Alert channels in the settings: added, removed, and tested where there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from channels import configure
from shown import MakeApp, screen_text, show
from textual import events
from textual.pilot import Pilot
from waiting import settled

from monitor.alert_channels import channels_path, read_channels
from tui.app import LanewatchApp
from tui.launching.settings_desk import ChannelLine, SettingsDesk, named_url
from tui.screens.board import BoardScreen
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.settings import SettingsScreen
from tui.widgets.typed_line import TypedLine

NAMES = {"\r": "enter", "\x1b": "escape"}


class Kept:
    """Alert channels in memory; a URL that holds "bad" is refused, once it may be answered."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.answers = threading.Event()
        self.answers.set()

    def get(self, _key: str) -> str | None:
        return None

    def channels(self) -> tuple[ChannelLine, ...]:
        return tuple(ChannelLine(each, "ntfy://…") for each in self.names)

    def add(self, typed: str, wanted: Callable[[], bool]) -> str | None:
        self.answers.wait(60)
        if "bad" in typed:
            raise RuntimeError("ntfy://…: no [such] service")
        if not wanted():
            return None
        self.names.append(named_url(typed)[0] or "ntfy")
        return self.names[-1]

    def remove(self, channel: str) -> None:
        if channel == "fast":
            raise RuntimeError("the disk is [full]")
        self.names.remove(channel)


async def opened(app: LanewatchApp, pilot: Pilot[None], snapshot: Any) -> SettingsScreen:
    await show(pilot, snapshot)
    await pilot.press("comma")
    await settled(pilot, lambda: getattr(app.screen, "_channels", None) is not None)
    assert isinstance(app.screen, SettingsScreen)
    return app.screen


def told(app: LanewatchApp) -> str:
    return "\n".join(each.message for each in app._notifications)


def type_at_once(app: LanewatchApp, text: str) -> None:
    """As the driver hands over what was read together."""
    for each in text:
        app.post_message(events.Key(NAMES.get(each, each), each))


def bar(screen: SettingsScreen) -> str:
    return screen.keys.plain()[0]


def entered(screen: SettingsScreen) -> str:
    return screen.query_one("#prompt", TypedLine).value


async def test_a_test_is_offered_where_there_is_a_channel(make_app: MakeApp, snap_of: Any) -> None:
    for names in ((), ("phone",)):
        app = make_app(settings=lambda names=names: Kept(*names))
        async with app.run_test(size=(100, 30)) as pilot:
            screen = await opened(app, pilot, snap_of())
            for key in ("g", "G"):
                await pilot.press(key)
                here = bool(names) and key == "G"
                assert ("t test it" in bar(screen)) is here
                assert ("x remove it" in bar(screen)) is here
                assert ("enter take it" in bar(screen)) is not here
                assert "a add a channel" in bar(screen)
                offered = {key for _, key, _ in screen.commands()}
                assert offered >= {"a"} | ({"t", "x"} if here else set())
                assert here or not offered & {"t", "x"}
            await pilot.press("g")
            for key in ("t", "x"):
                app.clear_notifications()
                await pilot.press(key)
                assert app.screen is screen
                assert "No alert channel is under the cursor." in told(app)


async def test_a_channel_is_added_and_under_the_cursor(make_app: MakeApp, snap_of: Any) -> None:
    desk = Kept("office")
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(app, pilot, snap_of())
        type_at_once(app, "aphone  ntfy://sesame\r")
        await settled(pilot, lambda: desk.names == ["office", "phone"] and not screen.prompting)
        await settled(pilot, lambda: screen.channel_here)
        assert screen.channel_here is not None
        assert screen.channel_here.key == "phone"
        assert "phone is added; t sends it a test" in told(app)
        assert "sesame" not in screen_text(app) + told(app)
        assert not screen.note.display
        assert app.focused is None


async def test_what_is_refused_is_said_beside_it_and_typed_on(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = Kept()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(app, pilot, snap_of())
        await pilot.press("a")
        assert "An apprise URL" in screen_text(app)
        await pilot.press(*"ntfy://bad", "enter")
        await settled(pilot, lambda: "no [such] service" in screen_text(app))
        assert entered(screen) == "ntfy://bad"
        assert desk.names == []
        await pilot.press("backspace")
        assert "no [such] service" not in screen_text(app), "that was said of another line"
        await pilot.press("enter")
        await settled(pilot, lambda: desk.names == ["ntfy"] and not screen.prompting)


@pytest.mark.parametrize("typed", ["", "ntfy://x"])
async def test_esc_leaves_the_line_and_then_the_settings(
    make_app: MakeApp, snap_of: Any, typed: str
) -> None:
    desk = Kept()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(app, pilot, snap_of())
        await pilot.press("a", *typed, "escape")
        await settled(pilot, lambda: not screen.prompting)
        assert app.screen is screen
        assert not screen.note.display
        await pilot.press("a", "enter")
        await settled(pilot, lambda: not screen.prompting)
        await pilot.press("escape")
        await settled(pilot, lambda: isinstance(app.screen, BoardScreen))
    assert desk.names == []


async def test_what_is_left_while_it_is_looked_at_is_not_added(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = Kept("office")
    desk.answers.clear()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(app, pilot, snap_of())
        await pilot.press("a", *"ntfy://x", "enter")
        await settled(pilot, lambda: "Asking apprise" in screen_text(app))
        await pilot.press("escape")
        await settled(pilot, lambda: not screen.prompting)
        desk.answers.set()
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert desk.names == ["office"]
        assert told(app) == ""


async def test_a_refusal_is_told_after_the_settings_were_left(
    make_app: MakeApp, snap_of: Any
) -> None:
    desk = Kept()
    desk.answers.clear()
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(app, pilot, snap_of())
        await pilot.press("a", *"ntfy://bad", "enter")
        await settled(pilot, lambda: "Asking apprise" in screen_text(app))
        app.pop_screen()
        await settled(pilot, lambda: isinstance(app.screen, BoardScreen))
        desk.answers.set()
        await settled(pilot, lambda: "no alert channel is added: ntfy://…: no [such]" in told(app))


async def test_a_channel_is_removed_once_that_is_confirmed(make_app: MakeApp, snap_of: Any) -> None:
    desk = Kept("office", "phone")
    app = make_app(settings=lambda: desk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(app, pilot, snap_of())
        for key, leaves in (("escape", ["office", "phone"]), ("y", ["office"])):
            await pilot.press("G", "x")
            assert isinstance(app.screen, ConfirmActionScreen)
            asked = " ".join(screen_text(app).split())
            assert "Remove the alert channel phone?" in asked
            assert "No alert of any run goes there any more" in asked
            assert "the last one" not in asked
            await pilot.press(key)
            wanted = tuple(ChannelLine(each, "ntfy://…") for each in leaves)
            await settled(pilot, lambda wanted=wanted: screen._channels == wanted)
            assert desk.names == leaves
        assert "phone is removed" in told(app)
        assert screen.view.cursor == len(screen.view.settings) - 1, "it stays within the list"
        await pilot.press("x")
        assert "It is the last one" in " ".join(screen_text(app).split())
        await pilot.press("y")
        await settled(pilot, lambda: screen._channels == ())
        assert "none yet: a adds one" in screen_text(app)
        assert "enter take it" in bar(screen)


async def test_a_removal_that_failed_is_told_and_it_is_still_there(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(settings=lambda: Kept("fast"))
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(app, pilot, snap_of())
        await pilot.press("G", "delete", "y")
        await settled(pilot, lambda: "fast is not removed: the disk is [full]" in told(app))
        assert screen.channel_here is not None


async def test_a_narrow_terminal_says_all_of_what_is_expected(
    make_app: MakeApp, snap_of: Any
) -> None:
    app = make_app(settings=Kept)
    async with app.run_test(size=(50, 18)) as pilot:
        await opened(app, pilot, snap_of())
        await pilot.press("a")
        await settled(pilot, lambda: "esc leaves it." in screen_text(app))


async def test_what_is_added_and_removed_is_what_the_command_keeps(
    make_app: MakeApp, snap_of: Any
) -> None:
    path = configure(office="json://localhost/open")
    path.write_text(f"# the one at work\n{path.read_text()}")
    app = make_app(settings=SettingsDesk)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(app, pilot, snap_of())
        await pilot.press("a", *"phone jsno://sesame", "enter")
        await settled(pilot, lambda: "jsno://…: apprise does not know" in screen_text(app))
        assert "sesame" not in screen_text(app)
        assert entered(screen) == "phone jsno://sesame"
        await pilot.press(*["left"] * 9, *["backspace"] * 3, *"son", "enter")
        await settled(pilot, lambda: not screen.prompting and screen.channel_here)
        kept = {each.name: each.url for each in read_channels(channels_path())}
        assert kept == {"office": "json://localhost/open", "phone": "json://sesame"}
        assert channels_path().stat().st_mode & 0o777 == 0o600
        await pilot.press("x", "y")
        await settled(pilot, lambda: "phone is removed" in told(app))
    assert [each.name for each in read_channels(channels_path())] == ["office"]
    assert "# the one at work" in path.read_text()


@pytest.mark.parametrize(
    ("typed", "name", "url"),
    [
        pytest.param("ntfy://x", None, "ntfy://x", id="a URL"),
        pytest.param(" phone   ntfy://x ", "phone", "ntfy://x", id="a name before it"),
        pytest.param("ntfy://x sesame", None, "ntfy://x sesame", id="no name of a part of a URL"),
        pytest.param("phone", None, "phone", id="a name alone"),
    ],
)
def test_a_name_stands_before_its_url(typed: str, name: str | None, url: str) -> None:
    assert named_url(typed) == (name, url)
