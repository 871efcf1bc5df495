"""What the terminal is told when an alert arrives: its bell, and a desktop notification.

Pure. The rule: the text is plain and short, whatever a run is called; a terminal that does not know
the sequence must show nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.lines import clean
from tui.state import is_over

if TYPE_CHECKING:
    from tui.state import Snapshot

TEXT_LIMIT = 120
BELL = "\a"
STRING_END = "\x1b\\"

_SEVENS = ("foot", "rxvt")
"""Terminals, by the beginning of $TERM, that know OSC 777 and not OSC 9."""
_NINES = ("xterm-kitty", "xterm-ghostty", "wezterm", "iterm")
_NONE = ("", "dumb", "linux", "vt")
"""They would print it, or swallow what comes after."""

_ENDINGS = ("finished", "failed", "stopped", "ended")


def arrived(before: Snapshot | None, after: Snapshot) -> tuple[str, ...]:
    """The titles of alerts that are in *after* and were not in *before*, one a run at most."""
    if before is None:
        return ()
    known = {run.run: run for run in before.runs}
    titles = []
    for run in after.runs:
        was, last = known.get(run.run), run.alerts.last
        if was is None:
            continue
        if is_over(run) and not is_over(was):
            titles.append(f"{run.verdict}: {run.name or run.run}")
        elif last is not None and last.key not in _ENDINGS and last != was.alerts.last:
            titles.append(last.title)
    return tuple(titles)


def sequences(titles: tuple[str, ...], *, term: str, osc: str, bell: bool) -> str:
    """What to write to the terminal for *titles*."""
    if not titles:
        return ""
    ways = _ways(term) if osc == "auto" else {"both": ("9", "777"), "off": ()}.get(osc, (osc,))
    shown = [_plain(title) for title in titles]
    told = [_osc(way, text) for text in shown for way in ways]
    return "".join(told) + (BELL if bell else "")


def _ways(term: str) -> tuple[str, ...]:
    if term in _NONE or term.startswith("vt"):
        return ()
    if term.startswith(_SEVENS):
        return ("777",)
    return ("9",) if term.startswith(_NINES) else ("9", "777")


def _plain(title: str) -> str:
    """No control character, and no semicolon: it parts the fields of OSC 777."""
    text = "".join(each if each.isprintable() else " " for each in clean(title))
    return text.replace(";", ",")[:TEXT_LIMIT]


def _osc(way: str, text: str) -> str:
    if way == "777":
        return f"\x1b]777;notify;lanewatch;{text}{STRING_END}"
    # Never a digit first: "9;4;…" is a progress bar to some terminals.
    return f"\x1b]9;lanewatch: {text}{STRING_END}"
