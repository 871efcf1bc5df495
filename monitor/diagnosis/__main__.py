"""`python -m monitor.diagnosis RUN_FOLDER [--print]`: what a watcher starts at a stall."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from monitor.diagnosis.record import diagnose
from monitor.rundir import RunDir

if __name__ == "__main__":
    found = diagnose(RunDir(Path(sys.argv[1])))
    if "--print" in sys.argv:
        sys.stdout.write(json.dumps(found.to_json()) + "\n")
