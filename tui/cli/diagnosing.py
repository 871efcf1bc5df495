"""`lanewatch diagnose RUN`: where it hangs and why, how sure that is, and what to do."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from monitor.diagnosis.bundle import BundleError, check_place, write_bundle
from monitor.diagnosis.record import Diagnosis, diagnose
from monitor.diagnosis.values import Group
from monitor.rundir import RunDir, expanded, runs_root
from monitor.words import gibibytes
from runners.errors import RunnerError
from runners.runs import find_run
from runners.sidecar import Offer, Sidecar, offer_for
from tui.cli import exits
from tui.cli.output import complain, out, out_json

FRAMES = 6
THREADS = 12


def diagnose_command(options: argparse.Namespace) -> int:
    """Look at a run for some seconds and say what was found."""
    run = find_run(runs_root(), options.run)
    bundle = _place_of(options.bundle)
    offer = _confirmed(run, options)
    with Sidecar(offer) if offer else contextlib.nullcontext() as spy:
        found = diagnose(run, spy, native=options.native)
        # Told before the container is removed, which an engine may take its time over.
        if options.json:
            out_json(found.to_json())
        else:
            for line in lines_of(found):
                out(line)
    if found.unwritten:
        complain(found.unwritten)
    if bundle is not None:
        size = write_bundle(run, found, bundle)
        complain(f"{bundle}: {gibibytes(size)}; look through it before you give it away")
    return exits.OK


def _place_of(word: str | None) -> Path | None:
    """Where the bundle goes. Raises BundleError where it could not be written."""
    if word is None:
        return None
    if not word:
        raise BundleError("--bundle wants the name of a file that is not there yet")
    place = expanded(word)
    check_place(place)
    return place


def _confirmed(run: RunDir, options: argparse.Namespace) -> Offer | None:
    """What may be started beside the trainer, if that is needed and somebody said yes."""
    asks = sys.stdin.isatty() and not options.json
    if not (options.yes or asks):
        return None
    try:
        offer = offer_for(run)
    except RunnerError as error:
        complain(f"no container can look into the trainer: {error}")
        return None
    if offer is None or options.yes:
        return offer
    complain(offer.words)
    sys.stderr.write("start it? [y/N] ")
    sys.stderr.flush()
    return offer if sys.stdin.readline().strip().lower() in ("y", "yes") else None


def lines_of(found: Diagnosis) -> Iterator[str]:
    """What the command prints."""
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
        yield from _group_lines(group)


def _group_lines(group: Group) -> Iterator[str]:
    moved = "never moved" if group.still else "moves below"
    how = {True: ", idle", False: ", active", None: ""}[group.idle]
    more = f" and {len(group.threads) - THREADS} more" if len(group.threads) > THREADS else ""
    yield f"  {moved}{how}: {', '.join(group.threads[:THREADS])}{more}"
    yield from (f"    native {call}" for call in group.native[:FRAMES])
    yield from (f"    {frame}" for frame in group.frames[:FRAMES])
