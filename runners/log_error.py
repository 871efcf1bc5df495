"""The line of a log that best says why a program ended, without reading all of the log."""

from __future__ import annotations

import re
from pathlib import Path

from monitor.probes.log import tail

ERROR = re.compile(
    r"^(\w+\.)*\w*(Error|Exception|Interrupt|Exit)\b.*|.*\b(error|fatal)\b.*"
    r"|.*\bexec: .*(not found|no such file|denied|cannot execute).*",
    re.I,
)
"""Of Python, of libraries, and of a shell that cannot become the program it was told to."""
SHOWN_CHARACTERS = 300


def last_error(log: Path) -> str | None:
    """Return the last line of *log* that reads like an error, else None."""
    lines = [line.strip() for line in tail(log, max_bytes=16_384, max_lines=60)]
    found = next((line for line in reversed(lines) if ERROR.match(line)), None)
    return found[:SHOWN_CHARACTERS] if found else None
