"""Change one key in the text of a configuration file and leave every other line alone. Pure."""

from __future__ import annotations

import json
import re


def edited(text: str, key: str, value: str) -> str:
    """*text*, TOML of tables with plain keys, with the dotted *key* set to the string *value*."""
    table, _, name = key.partition(".")
    fresh = f"{name} = {json.dumps(value)}"
    lines = text.splitlines()
    start = _heading(lines, table)
    if start is None:
        return "\n".join([*lines, *([""] if lines else []), f"[{table}]", fresh]) + "\n"
    end = next(
        (at for at in range(start + 1, len(lines)) if lines[at].lstrip().startswith("[")),
        len(lines),
    )
    old = re.compile(rf"\s*{re.escape(name)}\s*=")
    for at in range(start + 1, end):
        if old.match(lines[at]):
            lines[at] = fresh
            return "\n".join(lines) + "\n"
    lines.insert(start + 1, fresh)
    return "\n".join(lines) + "\n"


def _heading(lines: list[str], table: str) -> int | None:
    wanted = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?$")
    return next((at for at, line in enumerate(lines) if wanted.match(line)), None)
