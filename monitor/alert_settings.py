"""How alerts behave on this machine: read from the environment, where the configuration puts it.

A keeper and its watcher inherit it from the command that started them. The rule: a value that
cannot be used is the default and one sentence, never a watcher that does not start.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from monitor.quiet import QuietHours, parse_quiet

T = TypeVar("T")

QUIET = "LANEWATCH_ALERTS_QUIET"
REPEAT = "LANEWATCH_ALERTS_REPEAT_MINUTES"
HOST = "LANEWATCH_ALERTS_HOST"
BELL = "LANEWATCH_ALERTS_BELL"
OSC = "LANEWATCH_ALERTS_OSC"
DEADMAN = "LANEWATCH_DEADMAN_URL"
DEADMAN_SHAPE = "LANEWATCH_DEADMAN_SHAPE"

REPEAT_MINUTES = "15"
OSC_WAYS = ("auto", "9", "777", "both", "off")
SHAPES = ("auto", "healthchecks", "plain")

_HOST = re.compile(r"[A-Za-z0-9_.@:\[\]-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """What is in force."""

    quiet: QuietHours | None = None
    repeat_s: float = 900.0
    host: str = "localhost"
    problems: tuple[str, ...] = ()


def read_settings(environment: Mapping[str, str] | None = None) -> AlertSettings:
    """Read the environment. Never raises."""
    given = os.environ if environment is None else environment
    problems: list[str] = []

    def usable(name: str, parse: Callable[[str], T]) -> T | None:
        text = given.get(name)
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as error:
            problems.append(f"{name} is not used: {error}")
            return None

    quiet = usable(QUIET, parse_quiet)
    repeat = usable(REPEAT, parse_minutes)
    host = usable(HOST, parse_host)
    return AlertSettings(
        quiet=quiet,
        repeat_s=(repeat or parse_minutes(REPEAT_MINUTES)) * 60,
        host=host or os.uname().nodename,
        problems=tuple(problems),
    )


def parse_minutes(text: str) -> float:
    """Read a number of minutes; a fraction of one is allowed. Raises ValueError with a sentence."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 < minutes <= 1440:
        raise ValueError(f"{text!r} is no number of minutes from 0 to 1440")
    return minutes


def parse_host(text: str) -> str:
    """Read what stands after `ssh -t`. Raises ValueError with a sentence."""
    if not _HOST.fullmatch(text) or text.startswith("-"):
        raise ValueError(f"{text!r} is no host that ssh could be given")
    return text


def parse_url(text: str) -> str:
    """Read an http(s) URL. Raises ValueError with a sentence that does not repeat it."""
    scheme, separator, rest = text.partition("://")
    if scheme not in ("http", "https") or not separator or not rest or not text.isprintable():
        raise ValueError("it must be an http:// or https:// URL")
    if any(each.isspace() for each in text):
        raise ValueError("it must not hold spaces")
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """A parser that takes one of *words*."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return parse


PARSERS: Mapping[str, Callable[[str], object]] = {
    QUIET: parse_quiet,
    REPEAT: parse_minutes,
    HOST: parse_host,
    BELL: one_of("on", "off"),
    OSC: one_of(*OSC_WAYS),
    DEADMAN: parse_url,
    DEADMAN_SHAPE: one_of(*SHAPES),
}
"""By variable; each raises ValueError with a sentence."""


def minute_of_day(wall_s: float) -> int:
    """The minute of the local day, for the quiet hours."""
    local = time.localtime(wall_s)
    return local.tm_hour * 60 + local.tm_min
