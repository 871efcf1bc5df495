"""The recipe's rows and tokenizer, as checks: `recipe check` says it, the doctor repeats it."""

from __future__ import annotations

from dataclasses import dataclass

from runners.doctor.values import Check, fail, ok, warn
from runners.recipe.check import check_loaded
from runners.recipe.model import Recipe
from runners.recipe.report import Finding, Level, Report

NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsCheck:
    """What the rows are like."""

    checks: tuple[Check, ...] = ()
    longest: int | None = None
    """Tokens of the longest row; None: nobody has counted."""


def check_rows(recipe: Recipe) -> RowsCheck:
    """Read all rows through the base's tokenizer; takes as long as they are many."""
    report = check_loaded(recipe, recipe.data.path)
    return RowsCheck(checks=(_data(report), _tokenizer(report)), longest=_longest(report))


def _longest(report: Report) -> int | None:
    return (report.tokens or {}).get("max")


def _data(report: Report) -> Check:
    name = "data"
    found = [each for each in report.findings if each.field.startswith("data.")]
    remedy = "`lanewatch recipe check` lists every such row"
    if errors := [each for each in found if each.level is Level.ERROR]:
        return fail(name, _said(errors), remedy, overridable=False)
    seen = f"{report.rows} rows" + (f", {report.epochs:.2f} epochs" if report.epochs else "")
    if doubts := [each for each in found if each.level is Level.WARNING]:
        return warn(name, f"{seen}; {_said(doubts)}", remedy)
    return ok(name, seen)


def _tokenizer(report: Report) -> Check:
    name = "tokenizer"
    found = [each for each in report.findings if each.field == "model.path"]
    if found and report.tokens is None:  # else the weights are at fault: the check `base` says it
        remedy = "have the base model here before the launch"
        level = fail if any(each.level is Level.ERROR for each in found) else warn
        return level(name, _said(found), remedy)
    tokens = report.tokens
    if tokens is None:
        return warn(name, "rows could not be counted in tokens", "mend what `data` says first")
    return ok(name, f"rows of up to {tokens['max']} tokens, half of them under {tokens['p50']}")


def _said(findings: list[Finding]) -> str:
    more = f" and {len(findings) - NAMED} more findings" if len(findings) > NAMED else ""
    return "; ".join(each.text for each in findings[:NAMED]) + more
