"""`python -m monitor.diagnosis RUN_FOLDER`: what a watcher starts when a stall is confirmed."""

from __future__ import annotations

import sys
from pathlib import Path

from monitor.diagnosis.record import diagnose
from monitor.rundir import RunDir

if __name__ == "__main__":
    diagnose(RunDir(Path(sys.argv[1])))
