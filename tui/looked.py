"""When a person last looked at the events of a root: kept for the user, in no run's folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from monitor.errors import MonitorError
from monitor.files import read_json, write_json
from monitor.probes.numbers import finite
from monitor.rundir import SCHEMA, expanded

ROOTS_KEPT = 50


def looked_file() -> Path:
    """`$XDG_STATE_HOME`/lanewatch/looked.json, else below ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return expanded(state).absolute() / "lanewatch" / "looked.json"


def read_looked(root: Path) -> float | None:
    """The wall clock of the newest event that was seen below *root*; None: never looked."""
    try:
        roots = (read_json(looked_file()).value or {}).get("roots")
    except MonitorError:
        return None
    return finite(roots.get(str(root))) if isinstance(roots, dict) else None


def write_looked(root: Path, wall_s: float) -> None:
    """Remember it. A state folder that cannot be written only costs the divider its place."""
    try:
        path = looked_file()
    except MonitorError:
        return
    roots = (read_json(path).value or {}).get("roots")
    kept = dict(roots) if isinstance(roots, dict) else {}
    kept.pop(str(root), None)
    kept[str(root)] = wall_s
    newest = dict(list(kept.items())[-ROOTS_KEPT:])
    with contextlib.suppress(OSError, ValueError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(path, {"schema": SCHEMA, "roots": newest}, durable=False)
