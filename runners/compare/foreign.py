"""What the command line of a training that lanewatch did not start says of its recipe. Pure.

The rule: only what is written there; a script's own defaults nobody can see.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from runners.recipe.fields import SYNONYMS, fields

MEAN_OTHERWISE = frozenset({"warmup_steps", "bf16", "dtype", "target_modules", "r", "steps"})
"""Names that other trainers count in other units, or that many programs use for something else."""
TOLD_APART = ("model.", "lora.", "train.")
"""Tables that a command line can be held against; where its rows lie says little of them."""
ITERATIONS, SAVES = "train.iterations", "train.save_interval"


def told_by_command(info: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe, by dotted path, that *info* (a foreign run's run.json) gives away."""
    command = info.get("command")
    found = dict(_fields(_words(command))) if isinstance(command, str) else {}
    for dotted, key in ((ITERATIONS, "iterations"), (SAVES, "save_interval")):
        value = info.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            found[dotted] = value
    return found


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote that is not closed: what was cut
        return command.split()


def _fields(words: list[str]) -> Iterator[tuple[str, Any]]:
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        bare = name.lstrip("-+").replace("-", "_")
        if not word.startswith("--") and not equals:
            continue
        dotted = None if bare in MEAN_OTHERWISE else SYNONYMS.get(bare)
        if dotted is None or not dotted.startswith(TOLD_APART):
            continue
        if not equals:
            value = words[at + 1] if at + 1 < len(words) else ""
        if value and (read := _as_recipe_has_it(dotted, value)) is not None:
            yield dotted, read


def _as_recipe_has_it(dotted: str, text: str) -> Any:
    """*text* in the type of the field; None where it is none of it."""
    if fields()[dotted].is_text or isinstance(fields()[dotted].default, str):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
