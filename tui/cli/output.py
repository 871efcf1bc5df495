"""Write results and diagnostics. Foreign text never reaches the terminal with its control codes."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


def out(text: str = "") -> None:
    """Write a line of results to stdout, at once."""
    from monitor.probes.text import clean_line  # here: the screen writes no line

    sys.stdout.write(clean_line(text, limit=100_000) + "\n")
    sys.stdout.flush()


def out_json(value: Any) -> None:
    """Write a value as JSON to stdout."""
    import json  # here: the screen writes none

    sys.stdout.write(json.dumps(value, indent=1) + "\n")
    sys.stdout.flush()


def out_json_line(value: Any) -> None:
    """Write a value as one line of JSON, for results that go on."""
    import json

    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write diagnostics to stderr; several lines stay several lines."""
    from monitor.probes.text import clean_line

    with contextlib.suppress(OSError, ValueError):  # nobody to tell must not change the exit code
        for line in text.splitlines() or [""]:
            sys.stderr.write(clean_line(line, limit=10_000) + "\n")
        sys.stderr.flush()
