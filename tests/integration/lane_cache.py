"""Where lanes keep their environments between test sessions: they take a minute to make.

Beside the Python that runs the tests, so that `make clean` removes them too; or where
$LANEWATCH_TEST_CACHE says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("LANEWATCH_TEST_CACHE") or Path(sys.prefix) / "lanewatch-test-cache")
MADE_S = 900.0
"""An environment that is not there yet comes from an index, on a machine that does other things."""

LOCK = Path(__file__).parents[2] / "runners" / "payload" / "unsloth.lock.txt"


def wheelhouse() -> Path:
    """A folder with every wheel of the unsloth lane's lock, for installing without network."""
    folder = CACHE.with_name(f"{CACHE.name}-wheels")  # the cache is its user's alone
    pins = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    if len([*folder.glob("*.whl")]) < len(pins):
        folder.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        argv += ["--only-binary=:all:", f"--requirement={LOCK}", f"--dest={folder}"]
        subprocess.run(argv, check=True, timeout=MADE_S, stdin=subprocess.DEVNULL)
    return folder
