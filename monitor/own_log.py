"""The watcher's own log file: what it has to say of itself, never in the way of its work."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path


class _QuietFile(logging.FileHandler):
    """A file that may be gone when the first word is due: logging opens it outside of its guard."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            super().emit(record)


def log_to(path: Path, log: logging.Logger) -> None:
    """Send *log* to the end of *path*; where that cannot be written, nowhere."""
    logging.raiseExceptions = False  # a full disk must not fill the terminal either
    handler: logging.Handler
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handler = _QuietFile(path, delay=True)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
