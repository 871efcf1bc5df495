"""diagnosis/latest.json: the last diagnosis of a run, for people, alerts and the keeper."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from monitor.codec import dumps
from monitor.diagnosis.answer import LATEST
from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.look import look
from monitor.diagnosis.pyspy import Spy
from monitor.diagnosis.stacks import grouped
from monitor.diagnosis.values import Conclusion, DiagnosisFacts, Group
from monitor.files import write_json
from monitor.frozen import replace
from monitor.probes.clock import read_now
from monitor.rundir import SCHEMA, RunDir


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One diagnosis, whole."""

    facts: DiagnosisFacts
    conclusion: Conclusion
    groups: tuple[Group, ...]
    took_s: float | None = None
    """All of it, from the first look to the conclusion."""
    unwritten: str | None = None
    """Why it could not be kept in the run's folder."""

    def to_json(self) -> dict[str, Any]:
        """As `lanewatch diagnose --json` prints it."""
        value: dict[str, Any] = json.loads(
            dumps(
                {
                    "schema": SCHEMA,
                    "run": self.facts.run,
                    "attempt": self.facts.attempt,
                    "wall_s": read_now().wall_s,
                    "took_s": self.took_s,
                    "conclusion": self.conclusion,
                    "groups": self.groups,
                    "facts": self.facts,
                }
            )
        )
        return value


def diagnose(
    run: RunDir, spy: Spy | None = None, *, native: bool = False, reads_only: bool = False
) -> Diagnosis:
    """Look at *run* (see `look`), conclude, and keep the result in its folder `diagnosis/`.

    *reads_only*: nothing is kept either.
    """
    began_s = time.monotonic()
    facts = look(run, spy, native=native, reads_only=reads_only)
    groups = grouped(facts.threads, facts.around.ranks)
    said = conclude(facts)
    took_s = time.monotonic() - began_s
    found = Diagnosis(facts=facts, conclusion=said, groups=groups, took_s=took_s)
    if reads_only:
        return found
    try:
        run.diagnosis.mkdir(mode=0o700, exist_ok=True)
        write_json(run.diagnosis / LATEST, found.to_json(), durable=False)
    except OSError as error:
        why = f"{run.diagnosis} was not written: {error.strerror or error}"
        return replace(found, unwritten=why)
    return found
