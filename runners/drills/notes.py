"""What a drill's trainer tells its director: what it does to itself, and what it left to be undone.

The rule: the judge never reads these files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.files import append_line
from monitor.probes.process import identify

FILE = "drill.jsonl"


class Notes:
    """Appends to one run's notes."""

    def __init__(self, run: Path) -> None:
        self._path = run / "work" / FILE

    def say(self, text: str, **facts: Any) -> None:
        """Tell what happens now; a full disk keeps nothing from happening."""
        with contextlib.suppress(OSError):
            line = {"real_s": time.monotonic(), "text": text, **facts}
            append_line(self._path, line, durable=False)

    def stopped(self, pid: int, text: str) -> None:
        """Tell that *pid* is about to be stopped, so that it can be continued."""
        process = identify(pid)
        self.say(text, stopped=dataclasses.asdict(process) if process else None)


def read_notes(run: Path) -> list[Mapping[str, Any]]:
    """All notes so far; a line that is being written is left for the next time."""
    try:
        raw = (run / "work" / FILE).read_bytes()
    except OSError:
        return []
    return [json.loads(line) for line in raw.split(b"\n")[:-1] if line.startswith(b"{")]
