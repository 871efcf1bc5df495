"""What the launch form may ask: what there is to pick, what a launch would meet, the launch itself.

Everything here reads the disk or asks the machine and may take its time: it is called on threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui.launching.form import (
    AFTER,
    BESIDE,
    Field,
    Form,
    form_of,
    place_of,
    words,
)
from tui.launching.values import CheckLine, Choice, Looked
from tui.presentation import clock, duration, size

if TYPE_CHECKING:
    from monitor.rundir import RunDir
    from runners.doctor.values import Check
    from runners.launch import LaunchOrder
    from runners.recipe.model import Recipe

BANDS = ("safe", "tight", "refuse")
AT_LIMIT = "ui.at_limit"
MOST_NAMED = 2
"""Of those who have not answered yet."""
BESIDE_FIELD = {"gpu": Field.DEVICE}
"""Checks of what one field says: their failure stands beside it."""
BEGINS_WITH = "recipe"
PATIENCE_S = 10.0
"""A look that hangs for so long, on a dead disk for one, keeps no later one waiting."""

Problem = tuple[Field | None, str]
"""(beside which field, one sentence); None: of the whole."""


class LaunchDesk:
    """Launches in *root*; what lies near *folder* is offered first."""

    def __init__(self, root: Path, folder: Path | None = None) -> None:
        self._root = root
        self._folder = folder or _here()
        self._turn = 0
        self._looking = threading.Lock()

    def first_form(self) -> Form:
        """What was launched last, else the demo. Never raises for what lies on the disk."""
        from runners.choices import recent_launches
        from runners.recipe.demo import demo_recipe_path

        form = _configured(Form(recipe=str(demo_recipe_path())))
        for said in recent_launches(self._root)[:1]:
            form = _parsed(said) or form
        return replace(form, at_limit=form.at_limit or self._limit_if_kept())

    def _limit_if_kept(self) -> str | None:
        """None also for a configuration that cannot be read: the look at the form tells of it."""
        from runners.config import ConfigError

        try:
            return self.at_limit()
        except ConfigError:
            return None

    def at_limit(self) -> str | None:
        """What the person once said should happen at the memory limit; None: never asked."""
        from runners import config

        return config.get(AT_LIMIT)

    def remember_at_limit(self, value: str) -> None:
        """Keep the answer in the user's configuration. Raises ConfigError."""
        from runners import config

        config.put(AT_LIMIT, value)

    def choices(self, field: Field, now: str | None = None) -> Iterator[Choice]:
        """What can be picked for *field*, as it is found; *now* is what stands there."""
        if field is Field.RECIPE:
            yield from self._recipes()
        elif field is Field.DATA:
            yield from self._rows(now)
        elif field is Field.MODEL:
            yield from _models()

    def start(self, said: Sequence[str], tell: Callable[[str], None]) -> str:
        """Launch, as `lanewatch` with these words does; the run's id. Raises RunnerError."""
        from runners.errors import RunnerError
        from runners.recipe.problems import RecipeError
        from tui.cli.launching import launch_words

        try:
            return launch_words(said, tell)
        except RecipeError as error:
            # Which recipe is on the screen; its path would take the room of the reason.
            raise RunnerError("; ".join(str(each) for each in error.problems)) from error

    def look_at(self, form: Form, emit: Callable[[Looked], object]) -> None:
        """Find out on a thread of its own what a launch of *form* would meet.

        *emit* gets each step; a later call ends an earlier one.
        """
        self._turn += 1
        turn = self._turn
        # At once: this one may have to wait, and what another form would meet is not to stand.
        emit(Looked(looking=BEGINS_WITH))

        def look() -> None:
            # One at a time: rows take long, and a form is changed faster than they are read.
            held = self._looking.acquire(timeout=PATIENCE_S)
            try:
                for seen in self.look(form) if turn == self._turn else ():
                    if turn != self._turn:
                        return
                    emit(seen)
            finally:
                if held:
                    self._looking.release()

        # A daemon: a look that hangs on a dead disk holds up neither the form nor quitting.
        threading.Thread(target=look, name="launch-look", daemon=True).start()

    def look(self, form: Form) -> Iterator[Looked]:
        """What a launch of *form* would meet, step by step; the last one is the whole."""
        seen = Looked(looking=BEGINS_WITH)
        yield seen
        try:
            yield from self._look(form, seen)
        except Exception as error:  # noqa: BLE001 - the thread's rim: whatever it was is shown
            yield replace(seen, problems=((None, f"{type(error).__name__}: {error}"),))

    def _look(self, form: Form, seen: Looked) -> Iterator[Looked]:
        from runners.errors import RunnerError
        from runners.recipe.data import DataError
        from runners.recipe.problems import RecipeError
        from tui.cli.launching import build_order, recipe_of
        from tui.cli.parser import build_parser

        if not form.complete:
            yield replace(seen, problems=_incomplete(form), looking="")
            return
        options = build_parser().parse_args(words(form))
        own = tuple(self._refusals(form))  # told beside whatever is wrong with the recipe
        try:
            recipe = recipe_of(options)
            seen = replace(seen, says=_says(recipe))
            order = build_order(recipe, options)
        except RecipeError as error:
            found = tuple(
                (place_of(each.path) if each.path else Field.RECIPE, str(each))
                for each in error.problems
            )
            yield replace(seen, problems=_brief((*found, *own), seen), looking="")
            return
        except DataError as error:
            found = ((Field.DATA, str(error)),)
            yield replace(seen, problems=_brief((*found, *own), seen), looking="")
            return
        except RunnerError as error:
            found = (_placed(str(error)),)
            yield replace(seen, problems=_brief((*found, *own), seen), looking="")
            return
        seen = replace(seen, problems=(*own, *_lane_refusal(order)), looking="machine")
        yield seen
        yield from self._examined(order, recipe, form, seen)

    def _refusals(self, form: Form) -> Iterator[Problem]:
        """What would refuse the launch whatever recipe and doctor say."""
        from runners.box import require_free
        from runners.errors import RunnerError
        from runners.runs import check_name, find_run

        after: RunDir | None = None
        try:
            if form.start.startswith(AFTER):
                after = find_run(self._root, form.start.removeprefix(AFTER))
            if form.start != BESIDE:
                require_free(self._root, after=after)
        except RunnerError as error:
            yield Field.START, str(error).partition(". `--after")[0]
        try:
            check_name(self._root, form.name)
        except RunnerError as error:
            yield Field.NAME, str(error)

    def _examined(
        self, order: LaunchOrder, recipe: Recipe, form: Form, seen: Looked
    ) -> Iterator[Looked]:
        from runners.doctor.examine import examine_step_by_step
        from runners.doctor.rows_check import check_rows
        from tui.cli.examining import intended

        waits = form.start.startswith(AFTER)
        launch = intended(order, recipe, waits=waits)
        checks: Sequence[Check] = ()
        for examination, waiting in examine_step_by_step(order.root, launch):
            if not waiting or examination.checks != checks:
                checks = examination.checks
                seen = _checked(seen, checks, _named(waiting) or "earlier runs")
                yield seen
        seen = replace(seen, projected=self._projected(recipe, order, waits), looking="rows")
        yield seen
        rows = check_rows(recipe)
        yield _checked(seen, (*rows.checks, *checks), "")

    def _projected(self, recipe: Recipe, order: LaunchOrder, waits: bool) -> str:
        """How long training takes; to when, only of a launch that begins at once."""
        from monitor.probes.clock import read_now
        from runners.precedent import find_precedent

        found = find_precedent(self._root, recipe, order.lane, order.engine)
        if found is None:
            return ""
        now = read_now().wall_s
        ends = "once it begins" if waits else f"to about {clock(now + found.train_s, now)}"
        return f"training takes {duration(found.train_s)}, {ends}, as {found.run} went"

    def _recipes(self) -> Iterator[Choice]:
        from runners.choices import nearby_recipes

        recent = [form.recipe for form in self._recent() if form.recipe]
        for path, kind in nearby_recipes(self._folder, recent):
            yield Choice(value=path, title=_short(path, self._folder), note=kind)

    def _rows(self, now: str | None) -> Iterator[Choice]:
        from runners.choices import nearby_rows

        recent = [form.data for form in self._recent() if form.data]
        useless: list[Choice] = []
        for each in nearby_rows(self._folder, [now, *recent] if now else recent):
            count = f"about {each.about} rows"
            if each.rows is not None:
                count = f"{each.rows} row" if each.rows == 1 else f"{each.rows} rows"
            usable = each.shape is not None
            choice = Choice(
                value=each.path,
                title=_short(each.path, self._folder),
                note=f"{count}, {each.shape}" if usable else "not usable",
                tone="" if usable else "warn",
                detail=each.first,
            )
            if usable:
                yield choice
            else:
                useless.append(choice)
        yield from useless

    def _recent(self) -> Iterator[Form]:
        from runners.choices import recent_launches

        for said in recent_launches(self._root):
            if (form := _parsed(said)) is not None:
                yield form


def _configured(form: Form) -> Form:
    """Lane and engine as the configuration names them: what a launch without flags would take."""
    from runners import config

    try:
        lane, engine = config.get("launch.lane"), config.get("launch.engine")
    except config.ConfigError:
        return form
    return replace(form, lane=lane or form.lane, engine=engine or form.engine)


def _here() -> Path:
    """The current folder; where that is gone, the user's own."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path.home()


def _parsed(said: Sequence[str]) -> Form | None:
    """Anybody may have written the file of recent launches."""
    from tui.cli.parser import build_parser

    try:
        options = build_parser().parse_args(said)
        return form_of(options) if options.command == "launch" else None
    except SystemExit:
        return None


def _models() -> Iterator[Choice]:
    from runners.choices import cached_models
    from runners.recipe.model import TINY_MODEL

    yield Choice(value=TINY_MODEL, title=TINY_MODEL, note="made on the spot")
    for each in cached_models():
        note = size(each.size_bytes) + ("" if each.whole else ", not complete")
        yield Choice(value=each.name, title=each.name, note=note, tone="" if each.whole else "warn")


def _says(recipe: Recipe) -> dict[Field, str]:
    return {
        Field.DATA: recipe.data.path,
        Field.MODEL: recipe.model.path,
        Field.ITERATIONS: str(recipe.train.iterations),
        Field.SAVE: str(recipe.train.save_interval),
        Field.AT_LIMIT: recipe.memory.at_limit,
    }


def _incomplete(form: Form) -> tuple[tuple[Field, str], ...]:
    missing = [field for field in (Field.DATA, Field.MODEL) if form.value(field) is None]
    return tuple((field, f"without a recipe, {field} must be named") for field in missing)


def _lane_refusal(order: LaunchOrder) -> Iterator[Problem]:
    from runners.errors import RunnerError
    from runners.launch import check_lane

    try:
        check_lane(order)
    except RunnerError as error:
        # In a container it is the engine that has not what the lane needs, or does not answer.
        yield (Field.LANE if order.engine == "local" else Field.ENGINE), str(error)


def _brief(problems: Sequence[Problem], seen: Looked) -> tuple[Problem, ...]:
    """Without the rows' folder: it stands in the field, and would take the room of the reason."""
    folder = str(Path(seen.says.get(Field.DATA, "")).parent)
    if folder in (".", "/"):
        return tuple(problems)
    return tuple((place, said.replace(f"{folder}/", "")) for place, said in problems)


def _placed(sentence: str) -> Problem:
    """A sentence of a launch begins with the field that it is about, if it is about one."""
    start, colon, _ = sentence.partition(": ")
    if colon and (field := place_of(start)) is not None:
        return field, sentence
    if sentence.startswith(("the ", "unknown lane")) and "lane" in start[:40]:
        return Field.LANE, sentence
    return (Field.ENGINE if sentence.startswith("unknown engine") else None), sentence


def _checked(seen: Looked, checks: Sequence[Check], looking: str) -> Looked:
    """*seen* with the doctor's checks so far; what is wrong with one field stands beside it."""
    memory = next((each for each in checks if each.name == "memory"), None)
    wrong = [each for each in checks if each.name in BESIDE_FIELD and each.level == "fail"]
    beside = tuple((BESIDE_FIELD[each.name], each.sentence) for each in wrong)
    others = tuple(each for each in seen.problems if each not in beside)
    return replace(
        seen,
        problems=(*others, *beside),
        checks=_lines([each for each in checks if each not in wrong]),
        memory="" if memory is None else memory.sentence,
        looking=looking,
    )


def _named(waiting: Sequence[str]) -> str:
    more = len(waiting) - MOST_NAMED
    return ", ".join(waiting[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _lines(checks: Sequence[Check]) -> tuple[CheckLine, ...]:
    from runners.doctor.values import Level

    order = (Level.FAIL, Level.WARN, Level.OK)
    return tuple(
        CheckLine(name=each.name, level=each.level.value, text=each.sentence)
        for each in sorted(checks, key=lambda each: order.index(each.level))
    )


def _short(path: str, folder: Path) -> str:
    """As one would type it from here."""
    for start, mark in ((folder, ""), (Path.home(), "~/")):
        if Path(path).is_relative_to(start):
            return mark + str(Path(path).relative_to(start))
    return path
