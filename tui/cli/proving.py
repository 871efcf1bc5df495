"""`lanewatch doctor --prove`: step by step on stdout, and a report that may be shown to anyone."""

from __future__ import annotations

import argparse
from pathlib import Path

from monitor.rundir import runs_root
from runners.box import occupants
from runners.doctor.examine import examine_before_launch, order_of
from runners.doctor.proof_report import names_here, report, report_path, write_report
from runners.doctor.prove import Proof, Step, overrides, prove
from runners.errors import RunnerError
from runners.launch import check_lane
from runners.recipe.demo import demo_recipe_path
from runners.recipe.load import load_recipe
from tui.cli import exits
from tui.cli.output import complain, out, out_json
from tui.presentation import duration


def prove_command(options: argparse.Namespace) -> int:
    """Prove one lane on one engine. 1: a step failed, 2: it could not begin."""
    if options.recipe is not None:
        raise RunnerError("doctor --prove brings its own tiny model; name no recipe (see --set)")
    from tui.cli.doctoring import intended_of, lane_of

    recipe = load_recipe(demo_recipe_path(), [*overrides(lane_of(options)), *options.set])
    intended = intended_of(recipe, options)
    order = order_of(runs_root(), intended, None)
    check_lane(order)
    examination = examine_before_launch(runs_root(), intended)
    for other in occupants(runs_root()):
        complain(f"the box is busy, and the proof takes a little of it: {other.words}")
    for each in examination.failed:
        complain(f"{each.name}: {each.sentence}")

    def show(step: Step) -> None:
        if not options.json:
            mark = "ok  " if step.ok else "FAIL"
            out(f"{mark}  {step.name:<17} {duration(step.seconds):>7}  {step.seen}")

    # Both first: a drill clears this process's environment of what names the user's folders.
    names, usual = names_here(), report_path(order.lane, order.engine)
    proof = prove(order, show)
    checks = [each.to_json() for each in examination.checks]
    content = report(proof, names, checks)
    path = Path(options.report).absolute() if options.report else usual
    write_report(path, content)
    if options.json:
        out_json(content | {"report": str(path)})
    else:
        _tell_end(proof, path)
    return exits.OK if proof.ok else exits.FAILED


def _tell_end(proof: Proof, path: Path) -> None:
    word = "proven" if proof.ok else "NOT proven"
    if proof.overlong is not None:
        out(f"note: {proof.overlong}")
    out(f"{word}: {proof.lane} on {proof.engine}, {duration(proof.seconds)}; report {path}")
