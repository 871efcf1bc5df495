"""`lanewatch compare A B [C ...]`: runs beside each other. Reads, and starts nothing."""

from __future__ import annotations

import argparse

from monitor.rundir import runs_root
from runners.compare.read import read_facts
from runners.compare.table import compare
from runners.errors import RunnerError
from runners.runs import find_run
from tui.cli import exits
from tui.cli.output import complain, out, out_json
from tui.compare_text import markdown_lines, text_lines


def compare_command(options: argparse.Namespace) -> int:
    """Say whether the runs can be compared, and what came of each."""
    found = [find_run(runs_root(), part) for part in options.run]
    names = [run.root.name for run in found]
    if len(names) < 2:
        raise RunnerError("compare takes two or more runs; `lanewatch runs` lists them")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RunnerError(f"run {twice} is named twice; name two different runs")
    comparison = compare([read_facts(run) for run in found])
    if options.json:
        out_json(comparison.to_json())
        return exits.OK
    for line in markdown_lines(comparison) if options.md else text_lines(comparison):
        out(line)
    if options.md:
        for run in comparison.runs:
            for problem in run.problems:
                complain(f"unreadable: {run.run}: {problem}")
    return exits.OK
