"""The files of the pictured night that the screens of log and events read by themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

HOUR_S = 3600.0


def write_log(root: Path, run: str, lines: Sequence[str], written_wall: float) -> None:
    """The train log of *run* below *root*, last written at *written_wall*."""
    path = root / run / "logs" / "train.log"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    os.utime(path, (written_wall, written_wall))


def write_events(root: Path, live: str, failed: str, now_wall: float) -> None:
    """What happened to a live run and to one that failed before it."""
    silent = "the log has been silent for 4 min, the heartbeat proves iteration 123"
    told = [
        (failed, -2.9 * HOUR_S, "stage", "stage import (3 of 5) began", {}),
        (failed, -2.8 * HOUR_S, "verdict", "failed: TypeError in import", {"verdict": "failed"}),
        (failed, -2.8 * HOUR_S, "alert", "failed: TypeError in import", {"severity": "wake"}),
        (live, -2.4 * HOUR_S, "stage", "stage train (4 of 5) began", {}),
        (live, -2.1 * HOUR_S, "verdict", "training: iteration 3 of 625", {"verdict": "training"}),
        *(
            (live, -ago * HOUR_S, "checkpoint", f"checkpoint {at} is whole (149 MiB)", {})
            for at, ago in ((70, 1.54), (140, 0.91))
        ),
        (live, -1.07 * HOUR_S, "verdict", f"log-stuck: {silent}", {"verdict": "log-stuck"}),
        (live, -1.07 * HOUR_S, "alert", f"log-stuck: {silent}", {"severity": "tell"}),
        (live, -0.28 * HOUR_S, "checkpoint", "checkpoint 210 is whole (149 MiB)", {}),
    ]
    for run, at_s, kind, text, fields in sorted(told, key=lambda each: each[1]):
        event = {"wall_s": now_wall + at_s, "source": "watcher", "kind": kind, "text": text}
        path = root / run / "events.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event | fields) + "\n")
