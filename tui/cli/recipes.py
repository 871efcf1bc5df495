"""`lanewatch recipe init|check`."""

from __future__ import annotations

import argparse
from pathlib import Path

from runners.errors import RunnerError
from runners.recipe.check import check_recipe
from runners.recipe.template import render_template
from tui.cli import exits
from tui.cli.output import out, out_json


def recipe_command(options: argparse.Namespace) -> int:
    """Write the default recipe, or check one with its data."""
    if options.verb == "init":
        return _init(options.file)
    report = check_recipe(Path(options.file), options.set)
    if options.json:
        out_json(report.to_json())
    else:
        for line in report.lines():
            out(line)
    return exits.OK if report.ok else exits.FAILED


def _init(file: str) -> int:
    if file == "-":
        for line in render_template().splitlines():
            out(line)
        return exits.OK
    if not file:
        raise RunnerError("recipe init: name a file, or - for stdout")
    try:
        with Path(file).open("x") as stream:
            stream.write(render_template())
    except FileExistsError:
        raise RunnerError(f"{file} exists already; it was left as it is") from None
    out(file)
    return exits.OK
