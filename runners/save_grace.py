"""How long a trainer that was asked to save and stop may need: a step and a first save at least.

Learnt from what this run, or else the last finished one of its recipe, has shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from monitor.rundir import RunDir
from monitor.seeds import last_history, seeds_of
from monitor.target import read_target
from monitor.watch_state import read_watch

LEAST_S = 900
SAFETY = 2
"""A save on a full page cache takes longer than the longest seen."""


def save_grace_s(run: RunDir) -> int:
    """Whole seconds; never under a quarter of an hour."""
    watched = read_watch(run.watch).value
    own = seeds_of(watched.history) if watched is not None else {}
    seen = {**_earlier(run.root), **own}
    save = max(seen.get("first_save", 0.0), seen.get("save", 0.0))
    return max(LEAST_S, math.ceil(SAFETY * (seen.get("iteration", 0.0) + save)))


@cache
def _earlier(root: Path) -> Mapping[str, float]:
    """What the run before has shown; a keeper asks often, and it does not change."""
    history = last_history(read_target(root))
    return seeds_of(history) if history is not None else {}
