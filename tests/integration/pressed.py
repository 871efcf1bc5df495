"""What comes before each key of each screen, so that its effect can be seen; and stand-in desks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from desks import REFUSED, FakeDesk

from tui.app import LanewatchApp
from tui.launching.settings_desk import ChannelLine
from tui.launching.values import CheckLine, Choice, Looked
from tui.screens.board import BoardScreen
from tui.screens.compare import CompareScreen
from tui.screens.confirm_action import ConfirmActionScreen
from tui.screens.confirm_look import ConfirmLookScreen
from tui.screens.confirm_remedy import ConfirmRemedyScreen
from tui.screens.confirm_stop import ConfirmStopScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.events import EventsScreen
from tui.screens.help import HelpScreen
from tui.screens.launch import LaunchScreen
from tui.screens.log import LogScreen
from tui.screens.pick import PickScreen
from tui.screens.run import RunScreen
from tui.screens.settings import SettingsScreen

Before = dict[str, tuple[str, ...]]


def keys(text: str, *before: str) -> Before:
    """Each of these keys, after the keys *before*."""
    return dict.fromkeys(text.split(), before)


DOWN, UP = "j down pagedown ctrl+d G end", "k up pageup ctrl+u g home"
ROWS: dict[type, Before] = {
    LanewatchApp: keys("q question_mark ctrl+p comma ctrl+z ctrl+l t v V space c ctrl+c")
    | keys("escape", "l"),
    BoardScreen: keys(f"enter n a o O l slash s {DOWN}")
    | keys(UP, "G")
    | keys("R", "j")
    | keys("escape", "l"),
    RunScreen: keys("escape 2 3 4 5 6 7 right_square_bracket left_square_bracket slash d s K e")
    | keys("R w a")
    | keys("1", "2")
    | keys("tab shift+tab plus equals_sign y m", "2")
    | keys("left minus 0", "2", "plus")
    | keys("right", "2", "plus", "plus", "left")
    | keys(UP, "5")
    | keys(DOWN, "7")
    | keys("n N", "5", "slash", *"step=10", "enter"),
    LaunchScreen: keys(f"escape enter L S c tab pagedown ctrl+d {DOWN}")
    | keys("k up shift+tab g home", "G")
    | keys("pageup ctrl+u", "pagedown")
    | keys("right l space left h", "j", "j", "j")
    | keys("x backspace delete", "j", "enter", *"bad", "enter"),
    PickScreen: keys("escape down ctrl+n pagedown") | keys("up ctrl+p pageup", "pagedown"),
    LogScreen: keys("escape k up pageup b ctrl+b u ctrl+u g home less_than_sign right F f")
    | keys("slash question_mark ampersand w c y s h left_square_bracket right_square_bracket")
    | keys("j down enter pagedown space ctrl+f d ctrl+d G end greater_than_sign", "g")
    | keys("left", "right")
    | keys("n N", "slash", *"step=1", "enter"),
    CompareScreen: keys("escape x 2 3 tab b c y j down G end pagedown space ctrl+d right")
    | keys("k up pageup ctrl+u g home", "G")
    | keys("1", "2")
    | keys("left", "right"),
    EventsScreen: keys(f"escape enter o f 2 3 slash r m space {DOWN}")
    | keys(UP, "G")
    | keys("1", "2"),
    DiagnosisScreen: keys(f"escape d n c space 1 2 {DOWN}") | keys(UP, "G"),
    SettingsScreen: keys("escape j down tab G end")
    | keys("k up shift+tab g home", "G")
    | keys("enter", "j")
    | keys("space", "j", "j")
    | keys("a")
    | keys("t x delete", "G"),
    HelpScreen: keys(f"escape question_mark enter q slash space {DOWN}") | keys(UP, "G"),
    ConfirmActionScreen: keys("y escape q n c"),
    ConfirmStopScreen: keys("y X escape q n c"),
    ConfirmLookScreen: keys("y escape q n c"),
    ConfirmRemedyScreen: keys("y X escape q n c"),
}
NOT_HERE: dict[type, set[str]] = {DiagnosisScreen: set("3456789")}
"""Keys of remedies that the fabricated diagnosis does not have; 1 and 2 are of the same binding."""
STATE = {"R": "failed", "e": "finished", "w": "watcher-lost", "a": "memory"}
"""In which the keys of a run's screen are offered."""


class Settings:
    """A user's configuration that holds nothing, and one channel."""

    def get(self, _key: str) -> str | None:
        return None

    def put(self, key: str, value: str) -> None:
        """Keep nothing."""

    def channels(self) -> tuple[ChannelLine, ...]:
        return (ChannelLine("phone", "ntfy://…"),)

    def test(self, channel: str) -> str:
        return f"{channel}: sent"

    def add(self, _typed: str, _wanted: Callable[[], bool]) -> str:
        return "phone"

    def remove(self, channel: str) -> None:
        """Keep nothing."""


MANY = Looked(
    says=REFUSED.says,
    checks=tuple(CheckLine(name=f"check {at}", level="ok", text="well") for at in range(40)),
)


class Attach(FakeDesk):
    def candidates(self) -> Iterator[Choice]:
        yield Choice(value="1", title="one")
