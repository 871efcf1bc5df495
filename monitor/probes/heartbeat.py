"""Read what the trainer last wrote of itself (heartbeat.json).

The rule: a field of a wrong type is unknown; without the fields that name it there is no heartbeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.files import read_json
from monitor.model import Heartbeat
from monitor.probes import Read
from monitor.probes.numbers import finite, whole
from monitor.probes.text import clean_line
from monitor.rundir import SCHEMA

_WORD_LIMIT = 64


def read_heartbeat(path: Path) -> Read[Heartbeat]:
    """Read *path*; missing gives neither value nor problem."""
    read = read_json(path)
    if read.value is None:
        return Read(problem=read.problem)
    return parse_heartbeat(read.value, path.name)


def parse_heartbeat(value: Mapping[str, Any], name: str = "heartbeat.json") -> Read[Heartbeat]:
    """Turn the JSON object into a `Heartbeat`; the problem names what had to be left out."""
    if whole(value.get("schema")) != SCHEMA:
        return Read(problem=f"{name} is not of schema {SCHEMA}")
    attempt, seq, pid = (whole(value.get(key)) for key in ("attempt", "seq", "pid"))
    boot, stage, phase = (_word(value.get(key)) for key in ("boot_id", "stage", "phase"))
    monotonic_s = finite(value.get("monotonic_s"))
    if attempt is None or seq is None or pid is None or monotonic_s is None or monotonic_s < 0:
        return Read(problem=f"{name} lacks a number: attempt, seq, pid or monotonic_s")
    if boot is None or stage is None or phase is None:
        return Read(problem=f"{name} lacks a word: boot_id, stage or phase")
    heartbeat = Heartbeat(
        attempt=attempt,
        seq=seq,
        pid=pid,
        boot_id=boot,
        monotonic_s=monotonic_s,
        stage=stage,
        phase=phase,
        done=whole(value.get("done")),
        total=whole(value.get("total")),
        unit=_word(value.get("unit")) or "iterations",
        loss=finite(value.get("loss")),
        nan=value.get("nan") is True and finite(value.get("loss")) is None,
        lr=finite(value.get("lr")),
        grad_norm=finite(value.get("grad_norm")),
        step_s=finite(value.get("step_s")),
        write_errors=whole(value.get("write_errors")) or 0,
    )
    return Read(heartbeat, _left_out(value, heartbeat, name))


def _left_out(value: Mapping[str, Any], heartbeat: Heartbeat, name: str) -> str | None:
    """A loss that is not a number is worth a sentence: the run may have diverged."""
    keys = ("done", "total", "loss", "lr", "grad_norm", "step_s")
    wrong = [key for key in keys if value.get(key) is not None and getattr(heartbeat, key) is None]
    return f"{name}: not a usable number: {', '.join(wrong)}" if wrong else None


def _word(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return clean_line(value, _WORD_LIMIT).strip() or None
