"""Check a recipe together with its data and its base model, before hours are spent on them.

Reads, never writes (but for a throw-away folder), and streams the rows.
"""

from __future__ import annotations

import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.files import read_json
from runners.payload.make_tiny import SIZES as TINY_SIZES
from runners.payload.tiny_tokenizer import make_tiny_tokenizer
from runners.prepare.faults import (
    NONE_LEFT,
    SHOWN_LINES,
    fault,
    in_lines,
    remedy,
    too_long,
    too_many,
)
from runners.prepare.order import eval_lines, percentile
from runners.prepare.tokens import RowTokenizer, Tokens
from runners.recipe.base import (
    NO_WEIGHTS,
    BaseModelError,
    has_weights,
    resolve_base,
    weight_problems,
)
from runners.recipe.comparison import compare
from runners.recipe.data import BadRow, DataError, Row, can_be_read, read_rows
from runners.recipe.load import RecipeError, load_recipe
from runners.recipe.model import TINY_MODEL, Recipe
from runners.recipe.repeats import Repeats
from runners.recipe.report import Finding, Level, Report

REASONS_SHOWN = 20


def check_recipe(path: Path, overrides: Sequence[str] = ()) -> Report:
    """Return what is wrong, doubtful or good to know about the recipe *path* and its data."""
    try:
        recipe = load_recipe(path, overrides)
    except RecipeError as error:
        problems = [
            Finding(
                level=Level.ERROR,
                field=each.path,
                text=str(each).removeprefix(f"{each.path}: "),
            )
            for each in error.problems
        ]
        return Report(recipe=str(path), findings=tuple(problems))
    return check_loaded(recipe, str(path))


def check_loaded(recipe: Recipe, source: str) -> Report:
    """Return the same for a recipe that has been loaded; *source* is its name in the report."""
    with tempfile.TemporaryDirectory(prefix="lanewatch-check-") as scratch:
        return _Check(recipe, source, Path(scratch)).run()


class _Tally:
    """Lines by reason: how many, and the first few numbers."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.lines: dict[str, list[int]] = {}

    def add(self, reason: str, line: int) -> None:
        if reason not in self.counts and len(self.counts) >= REASONS_SHOWN:
            reason = "has one of many more faults"
        self.counts[reason] += 1
        lines = self.lines.setdefault(reason, [])
        if len(lines) < SHOWN_LINES:
            lines.append(line)

    def findings(self, level: Level, field: str, text: str) -> Iterator[Finding]:
        """Yield one finding a reason; *text* has {lines} and {reason} to fill in."""
        for reason, count in self.counts.items():
            lines = self.lines[reason]
            said = text.format(lines=in_lines(lines, count), reason=reason)
            yield Finding(level=level, field=field, text=said, lines=tuple(lines), count=count)


class _Check:
    """One check; gathers while the rows stream past."""

    def __init__(self, recipe: Recipe, source: str, scratch: Path) -> None:
        self._recipe, self._source, self._scratch = recipe, source, scratch
        self._phrases = {each.casefold(): each for each in recipe.data.forbidden_phrases}
        self._findings: list[Finding] = []
        self._shapes: Counter[str] = Counter()
        self._lengths = array("I")
        self._base: Path | None = None
        self._trained: Repeats | None = None

    def run(self) -> Report:
        tokenizer = self._tokenizer()
        data = self._recipe.data
        usable, cut = self._file("data.path", Path(data.path), tokenizer)
        rows, shapes, lengths = usable, dict(self._shapes), self._lengths[:]
        if data.eval_path:
            self._file("data.eval_path", Path(data.eval_path), tokenizer)
        self._report_positions()
        return Report(
            recipe=self._source,
            findings=tuple(self._findings),
            base=str(self._base) if self._base else None,
            rows=rows,
            shapes=shapes,
            tokens=_summary(lengths) if tokenizer and lengths else None,
            cut=cut if tokenizer else None,
            epochs=self._epochs(rows, cut),
            lanes=compare(self._recipe, self._config()),
        )

    def _config(self) -> Mapping[str, Any] | None:
        """The base's config.json, or what `fetch` will make of the tiny one."""
        if self._recipe.model.path == TINY_MODEL:
            return TINY_SIZES
        return None if self._base is None else read_json(self._base / "config.json").value

    def _say(self, level: Level, field: str, text: str) -> None:
        self._findings.append(Finding(level=level, field=field, text=text))

    def _tokenizer(self) -> RowTokenizer | None:
        """Load the base model's tokenizer; say so where there is none."""
        limit, name = self._recipe.model.sequence_length, self._recipe.model.path
        try:
            self._base = resolve_base(self._recipe)
            if self._base is not None:
                self._report_weights(self._base)
            if name == TINY_MODEL:
                if not can_be_read(Path(self._recipe.data.path)):
                    return None  # reading the rows says why
                make_tiny_tokenizer(Path(self._recipe.data.path), self._scratch)
            return RowTokenizer(self._base or self._scratch, limit)
        except BaseModelError as error:
            is_local = Path(name).is_absolute()
            level = Level.ERROR if is_local else Level.WARNING
            self._say(level, "model.path", f"{_bare(error, 'model.path')}; token lengths unknown")
        except DataError as error:
            self._say(Level.ERROR, "model.path", f"{error}; token lengths unknown")
        except (OSError, ValueError):
            pass  # the data itself is at fault, and reading it says how
        return None

    def _report_weights(self, base: Path) -> None:
        problems = list(weight_problems(self._recipe, base))
        for field, text in problems:
            self._say(Level.ERROR, field, text)
        if not problems and not has_weights(base):
            self._say(Level.ERROR, "model.path", f"{base} {NO_WEIGHTS}")

    def _file(
        self, field: str, path: Path, tokenizer: RowTokenizer | None
    ) -> tuple[int | None, int]:
        """Read one data file; returns (rows, rows over the limit), rows None if unreadable."""
        bad, lost, forbidden, unopened = _Tally(), _Tally(), _Tally(), _Tally()
        rows, cut, repeated = 0, _Tally(), _Tally()
        seen = self._seen(read_rows(path, self._recipe.data.shape), forbidden, repeated)
        try:
            for each in tokenizer.tokens(seen) if tokenizer else seen:
                rows += 1
                if isinstance(each, BadRow):
                    bad.add(each.reason, each.line)
                elif isinstance(each, Tokens):
                    self._judge(each, cut, lost, unopened)
        except DataError as error:
            self._say(Level.ERROR, field, str(error))
            return None, 0
        self._findings += bad.findings(Level.ERROR, field, "{lines}: {reason}")
        self._report_cut(field, rows, cut)
        fix = remedy(self._recipe.model.sequence_length)
        self._findings += lost.findings(Level.ERROR, field, "{lines}: {reason}; " + _escaped(fix))
        text = '{lines}: holds the forbidden phrase "{reason}"'
        self._findings += forbidden.findings(Level.ERROR, field, text)
        for doubts in (unopened, repeated):
            self._findings += doubts.findings(Level.WARNING, field, "{lines}: {reason}")
        if len(self._shapes) > 1:
            self._say(Level.WARNING, field, f"mixes shapes: {', '.join(self._shapes)}")
        return rows, cut.counts.total()

    def _seen(
        self, rows: Iterable[Row | BadRow], forbidden: _Tally, repeated: _Tally
    ) -> Iterator[Row | BadRow]:
        """Pass rows on and note what can be told without a tokenizer."""
        repeats = Repeats(self._trained)
        for row in rows:
            if isinstance(row, Row):
                self._shapes[row.shape] += 1
                if what := repeats.of(row):
                    repeated.add(what, row.line)
                text = _text(row).casefold() if self._phrases else ""
                for folded, phrase in self._phrases.items():
                    if folded in text:
                        forbidden.add(phrase, row.line)
            yield row
        self._trained = self._trained or repeats

    def _judge(self, tokens: Tokens, cut: _Tally, lost: _Tally, unopened: _Tally) -> None:
        self._lengths.append(tokens.length)
        drops = self._recipe.data.drops
        if tokens.is_cut:
            cut.add("dropped" if drops else "cut", tokens.line)
        if not (tokens.is_cut and drops) and (reason := fault(tokens)):
            lost.add(reason, tokens.line)
        if tokens.unopened:
            unopened.add("the template opens a reasoning that the answer never closes", tokens.line)

    def _report_cut(self, field: str, rows: int, cut: _Tally) -> None:
        limit = self._recipe.model.sequence_length
        any_number = self._recipe.data.too_long == "drop-any"
        for reason, count in cut.counts.items():
            lines = cut.lines[reason]
            excess = None if any_number else too_many(rows, count)
            if count == rows and self._recipe.data.drops:
                excess = NONE_LEFT
            self._findings.append(
                Finding(
                    level=Level.ERROR if excess else Level.WARNING,
                    field=field,
                    text=too_long(rows, count, lines, limit, reason) + (excess or ""),
                    lines=tuple(lines),
                    count=count,
                )
            )

    def _report_positions(self) -> None:
        """A model answers as it was made to up to a number of tokens; beyond, nothing is sure."""
        known = (self._config() or {}).get("max_position_embeddings")
        longest = min(max(self._lengths, default=0), self._recipe.model.sequence_length)
        if isinstance(known, int) and longest > known:
            text = f"rows of up to {longest} tokens, but the base was made for {known} positions"
            self._say(Level.WARNING, "model.sequence_length", text)

    def _epochs(self, rows: int | None, cut: int) -> float | None:
        recipe = self._recipe
        if not rows or recipe.train.iterations == "auto":
            return None
        left = rows - len(eval_lines(rows, recipe.data.eval_fraction, recipe.train.seed))
        left -= cut if recipe.data.drops else 0
        return round(recipe.train.iterations * recipe.batch / max(1, left), 3)


def _summary(lengths: Sequence[int]) -> dict[str, int | None]:
    return {
        "p50": percentile(lengths, 0.5),
        "p95": percentile(lengths, 0.95),
        "max": max(lengths),
        "total": sum(lengths),
    }


def _text(row: Row) -> str:
    turns = [str(turn["content"] or "") for turn in row.messages]
    return "\n".join([row.prompt or "", *turns, row.answer])


def _bare(error: Exception, field: str) -> str:
    return str(error).removeprefix(f"{field}: ")


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
