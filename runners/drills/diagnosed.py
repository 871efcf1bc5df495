"""Diagnose a drill's run at the moment that its table names, and hold the cause against the label.

The rule: it is a process of its own, as a person's would be, on the drill's clock; what it says is
compared, never mended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from monitor.diagnosis.values import Cause, Confidence
from monitor.rundir import RunDir
from runners.drills.table import Step

LONGEST_S = 40.0
"""A diagnosis takes 15 s at most; on a starved machine the rest of it takes longer."""


class Naming(StrEnum):
    """How a diagnosis stands beside its label."""

    NAMED = "named"
    CLASS = "class"
    """The cause is right, the place in the code is not named."""
    UNSURE = "unsure"
    """Another cause, and it says that it is not sure."""
    WRONG = "wrong"
    """Another cause, and it says that it is: this must never be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosed:
    """One diagnosis beside what it had to say."""

    label: str
    cause: str
    confidence: str
    sentence: str
    naming: Naming
    seconds: float
    """That its sampling took."""
    took_s: float | None
    """All of the diagnosis."""
    samples: int
    source: str | None

    @property
    def problem(self) -> str | None:
        """Why it is not as it must be; None where it is."""
        if self.naming is Naming.NAMED:
            return None
        return (
            f"the diagnosis of {self.label} said {self.cause} ({self.confidence}): {self.sentence}"
        )


def compare(step: Step, said: Mapping[str, Any]) -> Diagnosed:
    """Hold what `lanewatch diagnose --json` said against the label of *step*."""
    conclusion, facts = said["conclusion"], said["facts"]
    cause, sentence = str(conclusion["cause"]), str(conclusion["sentence"])
    if cause == step.cause or (step.cause == Cause.HEALTHY and cause == Cause.ENDED):
        blamed = step.blames is None or step.blames in sentence
        naming = Naming.NAMED if blamed else Naming.CLASS
    elif conclusion["confidence"] == Confidence.UNSURE:
        naming = Naming.UNSURE
    else:
        naming = Naming.WRONG
    return Diagnosed(
        label=str(step.cause),
        cause=cause,
        confidence=str(conclusion["confidence"]),
        sentence=sentence,
        naming=naming,
        seconds=float(facts["seconds"]),
        took_s=said.get("took_s"),
        samples=int(facts["samples"]),
        source=facts["source"],
    )


class Examiner:
    """One diagnosis at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the director
        self._step: Step | None = None
        self._until_s = 0.0

    def begin(self, run: RunDir, step: Step) -> None:
        """Diagnose *run* now."""
        self._step, self._until_s = step, time.monotonic() + LONGEST_S
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "monitor.diagnosis", str(run.root), "--print"],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def busy(self) -> bool:
        """What follows has to wait."""
        child = self._child
        return child is not None and child.poll() is None and time.monotonic() < self._until_s

    def take(self) -> Diagnosed | None:
        """What was found, once; None while none is asked for, or where nothing came of it."""
        child, self._child = self._child, None
        if child is None or self._step is None:
            return None
        _end(child)
        self._output.seek(0)
        raw = self._output.read()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return compare(self._step, json.loads(raw))
        return None

    def close(self) -> None:
        """Leave nothing behind."""
        if self._child is not None:
            _end(self._child)
        self._output.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # with the py-spy that it may wait for
    child.wait()
