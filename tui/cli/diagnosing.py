"""`lanewatch diagnose RUN`: where it hangs and why, how sure that is, and what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from monitor.diagnosis.bundle import BundleError, write_bundle
from monitor.diagnosis.record import Diagnosis, diagnose
from monitor.rundir import runs_root
from monitor.words import gibibytes
from runners.runs import find_run
from tui.cli import exits
from tui.cli.output import complain, out, out_json

FRAMES = 6


def diagnose_command(options: argparse.Namespace) -> int:
    """Look at a run for some seconds and say what was found."""
    run = find_run(runs_root(), options.run)
    bundle = Path(options.bundle).expanduser() if options.bundle else None
    if bundle is not None and bundle.exists():
        raise BundleError(f"{bundle} is there already: name another file for the bundle")
    found = diagnose(run)
    if options.json:
        out_json(found.to_json())
    else:
        for line in _lines(found):
            out(line)
    if found.unwritten:
        complain(found.unwritten)
    if bundle is not None:
        size = write_bundle(run, found, bundle)
        complain(f"{bundle}: {gibibytes(size)}; look through it before you give it away")
    return exits.OK


def _lines(found: Diagnosis) -> Iterator[str]:
    said = found.conclusion
    yield f"{found.facts.run}: {said.sentence}"
    yield f"  cause       {said.cause}, {said.confidence}"
    for word, texts in (("for", said.supports), ("against", said.against)):
        yield from (f"  {word:<11} {text}" for text in texts)
    if said.decides:
        yield f"  would tell  {said.decides}"
    for known in said.known:
        yield f"  known       {known.name}: {known.seen}: {known.explanation}; {known.remedy}"
    yield from (f"  missing     {text}" for text in found.facts.missing)
    for number, remedy in enumerate(said.remedies, 1):
        yield f"  remedy {number}    {remedy.do}; loses {remedy.loses}"
    for group in found.groups:
        moved = "never moved" if group.still else "moves below"
        yield f"  {moved}: {', '.join(group.threads)}"
        yield from (f"    {frame}" for frame in group.frames[:FRAMES])
