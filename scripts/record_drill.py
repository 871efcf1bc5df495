"""Record a drill for those who lack the rights: `python scripts/record_drill.py disk-full`.

The rule: a recording is made by the real drill, whose verdicts were as expected.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from runners.drills.recording import recording_of
from runners.drills.rehearse import rehearse
from runners.drills.table import DRILLS


def main(name: str) -> int:
    """Rehearse the drill *name* and keep its trace, with what happened in the header's label."""
    drill = DRILLS[name]
    with tempfile.TemporaryDirectory() as runs:
        os.environ["LANEWATCH_RUNS"] = runs
        rehearsed = rehearse(drill, rate=drill.rate, keep=True, show=lambda line: print(line.text))
        if rehearsed.problems or rehearsed.folder is None:
            print("NOT as expected:", *rehearsed.problems)
            return 1
        trace = (rehearsed.folder / "trace.jsonl").read_text(errors="replace")
    header, *lines = [line for line in trace.splitlines() if is_whole(line)]
    head = json.loads(header)
    notes = [
        {"at": round((rehearsed.began_s + line.real_s) * drill.rate - head["monotonic_s"], 1)}
        | {"text": line.text}
        for line in rehearsed.lines
        if line.look is None
    ]
    head["label"] = {"drill": name, "notes": notes}
    path: Path = recording_of(drill)
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([json.dumps(head, separators=(",", ":")), *lines]) + "\n")
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")
    return 0


def is_whole(line: str) -> bool:
    """False for what a full disk has cut short."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
