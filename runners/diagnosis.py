"""Where a run hung, and why, before its keeper ends it.

The rule: a keeper waits for nothing here. The watcher has asked as soon as the stall was confirmed,
seconds before the keeper is asked to act; what was found then is read.
"""

from __future__ import annotations

from monitor.diagnosis.answer import recorded_sentence
from monitor.rundir import RunDir
from monitor.target import read_target


def diagnose(run: RunDir) -> str | None:
    """What the stuck processes of this attempt showed, in a sentence; None where nothing did."""
    return recorded_sentence(run, read_target(run.root).attempt)
