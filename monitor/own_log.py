"""The watcher's own log file: what it has to say of itself, never in the way of its work."""

from __future__ import annotations

import logging
from pathlib import Path


def log_to(path: Path, log: logging.Logger) -> None:
    """Send *log* to the end of *path*; where that cannot be written, nowhere."""
    logging.raiseExceptions = False  # a full disk must not fill the terminal either
    handler: logging.Handler
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handler = logging.FileHandler(path, delay=True)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
