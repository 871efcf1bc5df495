"""The characters that the screens draw with, in Unicode and, for a bare console, in ASCII.

A glyph is a second cue beside a word, and colour a third: nothing is said by a glyph alone.
Verdicts are keys by their word: the first paint does not wait for `monitor.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.cells import cell_len

TONES: Mapping[str, str] = {
    "starting": "accent",
    "working": "good",
    "training": "good",
    "saving": "good",
    "log-stuck": "warn",
    "slow": "warn",
    "suspect": "warn",
    "stalled": "bad",
    "finished": "good",
    "failed": "bad",
    "stopped": "muted",
    "ended": "muted",
    "lost": "bad",
}


class Glyphs(NamedTuple):
    """One set of drawing characters; every one is a single column wide."""

    verdicts: Mapping[str, str]
    stages: Mapping[str, str]
    levels: Mapping[str, str]
    """Of memory (warn, high, limit) and of a check or band before a launch."""
    checkpoints: Mapping[str, str]
    full: str
    empty: str
    rule: str
    cursor: str
    ellipsis: str
    dot: str
    shares: str
    """Of the memory bar: processes, GPU, page cache, free."""
    mark: str
    """Where the budget ends."""
    sorted_up: str
    sorted_down: str
    braille: bool

    def verdict(self, liveness: str) -> str:
        """The glyph of a verdict."""
        return self.verdicts[liveness]

    def level(self, level: str) -> str:
        """The glyph of a level."""
        return self.levels.get(level, "?")


UNICODE = Glyphs(
    verdicts={
        "starting": "○",
        "working": "◐",
        "training": "●",
        "saving": "◆",
        "log-stuck": "▲",
        "slow": "▼",
        "suspect": "?",
        "stalled": "■",
        "finished": "✓",
        "failed": "✗",
        "stopped": "□",
        "ended": "◇",
        "lost": "!",
    },
    stages={
        "pending": "○",
        "running": "●",
        "done": "✓",
        "skipped": "»",
        "failed": "✗",
        "stopped": "□",
    },
    levels={
        "ok": "✓",
        "safe": "✓",
        "warn": "△",
        "tight": "△",
        "high": "▲",
        "limit": "■",
        "fail": "✗",
        "refuse": "✗",
    },
    checkpoints={"whole": "●", "writing": "◐", "half-written": "▲", "deleted": "○"},
    full="█",
    empty="░",
    rule="─",
    cursor="▌",
    ellipsis="…",
    dot="·",
    shares="█▓▒░",
    mark="┃",
    sorted_up="↑",
    sorted_down="↓",
    braille=True,
)

ASCII = Glyphs(
    verdicts={
        "starting": "o",
        "working": "+",
        "training": "*",
        "saving": "&",
        "log-stuck": "^",
        "slow": "v",
        "suspect": "?",
        "stalled": "#",
        "finished": "=",
        "failed": "x",
        "stopped": "-",
        "ended": "~",
        "lost": "!",
    },
    stages={
        "pending": "o",
        "running": "*",
        "done": "=",
        "skipped": ">",
        "failed": "x",
        "stopped": "-",
    },
    levels={
        "ok": "=",
        "safe": "=",
        "warn": "^",
        "tight": "^",
        "high": "!",
        "limit": "#",
        "fail": "x",
        "refuse": "x",
    },
    checkpoints={"whole": "*", "writing": "+", "half-written": "^", "deleted": "o"},
    full="#",
    empty=".",
    rule="-",
    cursor=">",
    ellipsis="~",
    dot="|",
    shares="#%=.",
    mark="|",
    sorted_up="^",
    sorted_down="v",
    braille=False,
)


def choose_glyphs(environment: Mapping[str, str]) -> Glyphs:
    """ASCII on the Linux console, on a dumb terminal and in a locale without UTF-8."""
    if environment.get("TERM", "") in ("linux", "dumb", "vt100"):
        return ASCII
    # The first of these that is set decides, as setlocale(3) has it.
    locale = next(
        (value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environment.get(name))), ""
    )
    return UNICODE if "utf" in locale.lower() else ASCII


def bar(fraction: float | None, width: int, glyphs: Glyphs) -> str:
    """A bar of one colour: full up to *fraction*, empty after it; all empty when not known."""
    if width <= 0:
        return ""
    filled = 0 if fraction is None else round(min(1.0, max(0.0, fraction)) * width)
    return glyphs.full * filled + glyphs.empty * (width - filled)


def spelt(text: str, glyphs: Glyphs) -> str:
    """*text* as this terminal can show it, and as wide as before.

    In ASCII, what has no counterpart is a question mark for each column that it takes.
    """
    if glyphs.braille or text.isascii():
        return text
    plain = text.translate(_PLAIN)
    return "".join(each if each.isascii() else "?" * cell_len(each) for each in plain)


_PLAIN = str.maketrans({"–": "-", "·": "|", "…": "~", "×": "x", "±": "~", "≤": "<", "≥": ">"})  # noqa: RUF001 - they are what is replaced
