"""`lanewatch launch`: from a recipe file and flags to a run id, at once."""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from monitor.flight_log import unclean_ends
from monitor.probes.clock import read_now
from monitor.probes.text import clean_line
from monitor.rundir import RunDir, expanded, runs_root
from runners import config
from runners.box import launching, require_free
from runners.choices import remember_launch
from runners.config import ConfigError
from runners.errors import RunnerError
from runners.lanes import get_lane
from runners.launch import LaunchOrder, dry_run, launch
from runners.recipe.base import base_config, base_or_hub
from runners.recipe.comparison import refusal
from runners.recipe.data import BadRow, read_rows
from runners.recipe.load import load_recipe, recipe_from_data, recipe_hash
from runners.recipe.model import Recipe
from runners.runs import find_run
from runners.turn import Turn
from tui.cli import exits
from tui.cli.examining import before_launch, memory_limit_gib
from tui.cli.output import complain, out, out_json
from tui.cli.parser import build_parser
from tui.launching.form import form_of, words

ROWS_AT_LAUNCH = 2000
"""Rows looked at before a run is made: a fraction of a second, so that a launch stays prompt."""


def launch_command(options: argparse.Namespace) -> int:
    """Check, make the run, start its keeper, print the run id."""
    recipe = recipe_of(options)
    order = build_order(recipe, options)
    _tell_of_unclean_ends(order.root)
    if options.dry_run:
        if options.after is not None:
            find_run(order.root, options.after)
        _show_dry_run(order, options)
        return exits.OK
    run = place(order, recipe, options)
    if options.json:
        out_json({"run": run.root.name, "folder": str(run.root)})
    else:
        out(run.root.name)
        complain(f"watch it: lanewatch {run.root.name}")
    return exits.OK


def launch_words(said: Sequence[str], tell: Callable[[str], None]) -> str:
    """Launch what *said*, the words of a command line, means, and return the run's id.

    Warnings go to *tell*. Raises RunnerError.
    """
    options = build_parser().parse_args(said)
    recipe = recipe_of(options)
    return place(build_order(recipe, options), recipe, options, tell).root.name


def place(
    order: LaunchOrder,
    recipe: Recipe,
    options: argparse.Namespace,
    tell: Callable[[str], None] = complain,
) -> RunDir:
    """Launch where the box is free, or behind the run that holds it. Raises RunnerError."""
    before = find_run(order.root, options.after) if options.after is not None else None
    waits = before is not None and Turn(before).over() is None
    if before is not None and not waits:
        tell(f"{before.root.name} has ended already: nothing to wait for but its memory")
    with launching(order.root):
        if not order.anyway:
            require_free(order.root, after=before)
        examination = before_launch(order, recipe, waits=waits, tell=tell)
        run = launch(
            replace(
                order,
                after=before.root.name if before is not None else None,
                memory_estimate_bytes=examination.memory_estimate_bytes,
            )
        )
        remember_launch(order.root, _to_repeat(order, options))
    return run


def _to_repeat(order: LaunchOrder, options: argparse.Namespace) -> list[str]:
    """The words that would launch the same again, from whatever folder."""
    form = form_of(options)
    model = form.model
    if model is not None and model.startswith((".", "~")):
        model = _whole(model)
    return words(
        replace(
            form,
            recipe=_whole(form.recipe),
            data=_whole(form.data),
            model=model,
            lane=order.lane,
            engine=order.engine,
            more=tuple(_from_anywhere(each) for each in form.more),
        )
    )


def _from_anywhere(setting: str) -> str:
    """A `--set` that names a file by where one stands, as it holds from anywhere."""
    dotted, _, value = setting.partition("=")
    value = value.strip().strip("'\"")
    if dotted.strip() != "data.eval_path" or not value:
        return setting
    return f"{dotted.strip()}={_whole(value)}"


def _whole(path: str | None) -> str | None:
    return None if path is None else str(expanded(path).absolute())


def _tell_of_unclean_ends(root: Path) -> None:
    """The box may have died under an earlier run: whoever starts the next one should know."""
    for run, told in unclean_ends(root, read_now().boot_id):
        complain(f"the machine went down while {run} was under way; {clean_line(told)}")


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that the options name. Raises RunnerError."""
    if options.recipe is not None:
        if options.data or options.model:
            raise RunnerError("give a recipe file or --data and --model, not both (see --set)")
        return load_recipe(Path(options.recipe), options.set)
    if not (options.data and options.model):
        raise RunnerError(
            "what to train? Name a recipe file, or give both --data FILE and --model M; "
            "`lanewatch recipe init` writes a recipe"
        )
    return recipe_from_data(Path(options.data).absolute(), options.model, options.set)


def build_order(recipe: Recipe, options: argparse.Namespace) -> LaunchOrder:
    """Put the recipe, the flags and the configuration together. Raises RunnerError."""
    smoke = getattr(options, "smoke", None)
    if smoke is not None and smoke < 2:
        raise RunnerError(f"--smoke {smoke}: at least 2 steps, to measure one after the first")
    try:
        check_first_rows(recipe)
    except RunnerError as error:
        if not getattr(options, "dry_run", False):
            raise
        complain(f"{error}; a launch would be refused")  # its requests can be shown
    base, hub = base_or_hub(recipe)
    lane = getattr(options, "lane", None) or config.get("launch.lane") or "reference"
    if reason := refusal(recipe, lane, base_config(base)):
        raise RunnerError(f"the {lane} lane cannot train this recipe: {reason}")
    return LaunchOrder(
        recipe=recipe.model_dump(mode="json"),
        recipe_hash=recipe_hash(recipe),
        base=base,
        hub=hub,
        lane=lane,
        engine=getattr(options, "engine", None) or config.get("launch.engine") or "local",
        root=runs_root(),
        name=getattr(options, "name", None),
        smoke_iterations=smoke,
        python=config.get("launch.python"),
        wheelhouse=wheelhouse(),
        image=recipe.docker.image or config.get("docker.image") or get_lane(lane).image,
        memory_limit_gib=memory_limit_gib(),
        anyway=bool(getattr(options, "anyway", False)),
        from_stage=getattr(options, "from_stage", None),
    )


def wheelhouse() -> Path | None:
    """The folder of wheels that the configuration names. Raises ConfigError."""
    said = config.get("launch.wheelhouse")
    if said is None:
        return None
    folder = expanded(said).absolute()
    if not os.access(folder, os.R_OK | os.X_OK) or not folder.is_dir():
        raise ConfigError(f"launch.wheelhouse: there is no folder {folder} that can be read")
    return folder


def check_first_rows(recipe: Recipe) -> None:
    """Refuse rows that cannot be used, as far as they are seen at once; `prepare` reads them all.

    Raises RunnerError.
    """
    path, seen = Path(recipe.data.path), 0
    for row in itertools.islice(read_rows(path, recipe.data.shape), ROWS_AT_LAUNCH):
        seen += 1
        if isinstance(row, BadRow):
            raise RunnerError(
                f"data.path: {path}, line {row.line}: {row.reason}; "
                "`lanewatch recipe check` lists all such rows"
            )
    if seen == 0:
        raise RunnerError(f"data.path: {path} holds no rows; name a JSON Lines file with some")


def _show_dry_run(order: LaunchOrder, options: argparse.Namespace) -> None:
    plan = dry_run(order)
    for problem in plan["problems"]:
        complain(f"as things are, it would not start: {problem}")
    if options.json:
        out_json(plan)
        return
    for stage in plan["stages"]:
        # Of a stage that becomes a container, what the engine would be asked for.
        create = stage.get("container", {}).get("create", {})
        out(f"{stage['stage']}: {'in ' + create['Image'] if create else 'on this machine'}")
        out(f"    runs   {shlex.join(stage['argv'])}")
        for mount in create.get("HostConfig", {}).get("Mounts", ()):
            out(f"    {'reads ' if mount['ReadOnly'] else 'writes'} {mount['Target']}")
        out(f"    log    {stage['log']}")
    complain("--json has all of it, the environment of each stage too")
