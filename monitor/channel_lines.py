"""The text of alerts.toml, changed line by line: what its owner wrote beside the channels stays.

Pure. The text holds the channels' URLs: secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

TABLE = "channels"
HEAD = f"""\
# Where lanewatch sends alerts, one apprise URL a name. Each is a secret: this file stays 0600.
[{TABLE}]
"""
_KEY = re.compile(r"""\s*(?:"([^"\\]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*=""")


def with_channels(text: str, urls: Mapping[str, str]) -> str:
    """*text* such that it says *urls*, by name, and nothing else.

    Its other lines are left alone where it is a table of one line a channel, else it is new.
    """
    edited = _edited(text, urls)
    return edited if _urls_of(edited) == urls else HEAD + "".join(map(_line, urls.items()))


def _edited(text: str, urls: Mapping[str, str]) -> str:
    before = _urls_of(text) or {}
    stay = [name for name, url in before.items() if urls.get(name) == url]
    lines = [each for each in text.splitlines() if _name_of(each) in (None, *stay)]
    fresh = [_line(each) for each in urls.items() if each[0] not in stay]
    return "".join([*(f"{each}\n" for each in lines), *fresh])


def _name_of(line: str) -> str | None:
    """Of the channel that stands in *line*; None where none does."""
    key = _KEY.match(line)
    return next((each for each in key.groups() if each is not None), None) if key else None


def _urls_of(text: str) -> dict[str, object] | None:
    """What *text* says; None where it is no TOML or says anything else beside."""
    import tomllib

    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    table = content.get(TABLE)
    return table if list(content) == [TABLE] and isinstance(table, dict) else None


def _line(channel: tuple[str, str]) -> str:
    """TOML basic strings: JSON's quoting, of texts without control characters."""
    name, url = (json.dumps(each, ensure_ascii=False) for each in channel)
    return f"{name} = {url}\n"
