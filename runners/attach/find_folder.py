"""Search once more for the checkpoint folder: `python -m runners.attach.find_folder RUN_FOLDER`.

Where it is known, but not how far the run is to go, its new checkpoints may tell that. The rule:
what run.json names already stays. The folder is one that changed since the attach, so that what an
earlier run left is never taken for this one's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from monitor.events import append_event
from monitor.files import read_json, write_json
from monitor.probes.clock import read_now
from monitor.probes.numbers import finite
from monitor.rundir import RunDir
from monitor.target import process_id
from runners.attach.expected import from_checkpoints
from runners.attach.folders import changed_wall
from runners.attach.search import Search
from runners.attach.values import Candidate, without_folder_warning


def find_folder(run: RunDir) -> bool:
    """Write into run.json what it lacks, once that is to be found; True if it was."""
    info = read_json(run.run_json).value or {}
    wanted, since = process_id(info.get("process")), finite(info.get("created_wall"))
    if wanted is None or since is None:
        return False
    if folder := _table(info, "paths").get("checkpoints"):
        return info.get("iterations") is None and _write_total(run, Path(str(folder)), since)
    search = Search()
    process = search.table.get(wanted.pid)
    if process is None or process.start_ticks != wanted.start_ticks:
        return False
    candidate = search.candidate(process, watched_since=since)
    if candidate.checkpoints is None:
        return False
    _write(run, candidate)
    return True


def _write_total(run: RunDir, folder: Path, since_wall: float) -> bool:
    changed = changed_wall(folder)
    told = from_checkpoints(folder)
    if changed is None or changed < since_wall or told.total is None:
        return False
    info = read_json(run.run_json).value or {}
    if not info or info.get("iterations") is not None:
        return False
    info["iterations"] = told.total
    info["found"] = _table(info, "found") | {"iterations": told.total_why}
    if info.get("save_interval") is None:
        info["save_interval"] = told.save_interval
    write_json(run.run_json, info, durable=True)
    text = f"it is to do {told.total} iterations ({told.total_why})"
    append_event(run.events, "note", text, "guard", read_now())
    return True


def _write(run: RunDir, candidate: Candidate) -> None:
    assert candidate.checkpoints is not None
    path, why = candidate.checkpoints.path, candidate.checkpoints.why
    info = read_json(run.run_json).value or {}
    paths, found = _table(info, "paths"), _table(info, "found")
    if not info or paths.get("checkpoints"):
        return
    info["paths"] = paths | {"checkpoints": path}
    info["found"] = found | {"checkpoints": why}
    info["warnings"] = list(without_folder_warning(info.get("warnings") or ()))
    if info.get("iterations") is None and candidate.total is not None:
        info["iterations"] = candidate.total
        info["found"] |= {"iterations": candidate.total_why}
    for key, value in (("save_interval", candidate.save_interval), ("lane", candidate.lane)):
        if info.get(key) is None:
            info[key] = value
    write_json(run.run_json, info, durable=True)
    append_event(run.events, "note", f"checkpoints found: {path} ({why})", "guard", read_now())


def _table(info: dict[str, Any], key: str) -> dict[str, Any]:
    value = info.get(key)
    return value if isinstance(value, dict) else {}


if __name__ == "__main__":
    find_folder(RunDir(Path(sys.argv[1])))
