"""ack.json: somebody has said that they know of a run's alerts. Written by `lanewatch ack`.

The rule: an acknowledgement is for what was sent before it; a trouble that begins later is new.
"""

from __future__ import annotations

from monitor.files import write_json
from monitor.probes.clock import Now
from monitor.rundir import SCHEMA, RunDir


def write_ack(run: RunDir, now: Now) -> None:
    """Acknowledge what was sent for *run* until now. Raises OSError."""
    content = {"schema": SCHEMA, "acknowledged_wall": now.wall_s}
    write_json(run.ack, content, durable=True)


class AckWatch:
    """Tells once of each acknowledgement that is written from now on, or since *seen*."""

    def __init__(self, run: RunDir, seen: str | None = None) -> None:
        self._path = run.ack
        self.seen = seen
        """Names the acknowledgement that was taken into account last."""

    def is_new(self) -> bool:
        """True when somebody has acknowledged since the last call."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        key = f"{status.st_ino}:{status.st_mtime_ns}"
        new, self.seen = key != self.seen, key
        return new
