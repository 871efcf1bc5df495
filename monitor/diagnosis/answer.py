"""Read the sentence that a diagnosis left. Apart from `record`, which loads all that diagnoses."""

from __future__ import annotations

from monitor.files import read_json
from monitor.probes.text import clean_line
from monitor.rundir import RunDir

LATEST = "latest.json"
_NOTHING = frozenset({"healthy", "ended", "unknown"})
"""Causes that explain no stall."""


def recorded_sentence(run: RunDir, attempt: int, since_wall: float = 0.0) -> str | None:
    """The sentence and its confidence, if a hang of *attempt* was diagnosed after *since_wall*."""
    value = read_json(run.diagnosis / LATEST).value or {}
    said, wall = value.get("conclusion"), value.get("wall_s")
    if value.get("attempt") != attempt or not isinstance(said, dict):
        return None
    if not isinstance(wall, int | float) or wall < since_wall:
        return None
    sentence, confidence = said.get("sentence"), said.get("confidence")
    if not isinstance(sentence, str) or said.get("cause") in _NOTHING:
        return None
    return clean_line(f"{sentence} ({confidence})")
