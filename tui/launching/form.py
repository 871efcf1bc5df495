"""What is chosen in the launch form, and the command line that it stands for. Pure.

The form is the command line: it is launched by its words and by nothing else, so that what the
screen shows is what a script would say.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

NOW, BESIDE, AFTER = "now", "beside what runs", "after "
SMOKE_ITERATIONS = 10
GPU = "run.gpu"


class Field(StrEnum):
    """The form's fields, in the order of the screen."""

    RECIPE = "recipe"
    DATA = "rows"
    MODEL = "model"
    LANE = "lane"
    ENGINE = "engine"
    DEVICE = "gpus"
    ITERATIONS = "iterations"
    SAVE = "save every"
    AT_LIMIT = "memory limit"
    START = "start"
    NAME = "name"


SETTINGS: Mapping[Field, str] = {
    Field.DATA: "data.path",
    Field.MODEL: "model.path",
    Field.ITERATIONS: "train.iterations",
    Field.SAVE: "train.save_interval",
    Field.AT_LIMIT: "memory.at_limit",
}
"""Fields that are a field of the recipe."""

PLACES: Mapping[str, Field] = {
    **{dotted: field for field, dotted in SETTINGS.items()},
    "data": Field.DATA,
    "model": Field.MODEL,
    "base": Field.MODEL,
    "tokenizer": Field.MODEL,
    "lanes.reference.device": Field.DEVICE,
    "lanes.unsloth.device": Field.DEVICE,
    GPU: Field.DEVICE,
    "trainer": Field.LANE,
    "lane": Field.LANE,
    "engine": Field.ENGINE,
    "docker": Field.ENGINE,
    "image": Field.ENGINE,
    "box": Field.START,
    "name": Field.NAME,
    "recipe": Field.RECIPE,
}
"""Beside which field a problem is told, by the problem's own place."""

WITH_DEVICE = ("reference", "unsloth")
"""Lanes that can be told where to compute; nemo needs a GPU."""

DEVICES = ("auto", "cpu", "cuda")
"""What such a lane can be told; anything else in the field names the one GPU to train on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The choices; None: as the recipe says."""

    recipe: str | None = None
    data: str | None = None
    model: str | None = None
    lane: str = "reference"
    engine: str = "local"
    device: str | None = None
    iterations: str | None = None
    save: str | None = None
    at_limit: str | None = None
    start: str = NOW
    name: str | None = None
    more: tuple[str, ...] = ()
    """Further `--set` of the launch that this one repeats."""

    def value(self, field: Field) -> str | None:
        """What stands in *field*."""
        value: str | None = getattr(self, ATTRIBUTES[field])
        return value

    def with_value(self, field: Field, value: str | None) -> Form:
        """The form with *field* changed; a recipe brings its own rows and model."""
        if field in (Field.LANE, Field.ENGINE, Field.START) and not value:
            return self
        changed = _put(self, field, value or None)
        if field is Field.RECIPE:
            changed = replace(
                changed, data=None, model=None, iterations=None, save=None, more=(), device=None
            )
        if field is Field.LANE and value not in WITH_DEVICE and self.device in DEVICES:
            changed = replace(changed, device=None)
        return changed

    @property
    def complete(self) -> bool:
        """There is something to train."""
        return self.recipe is not None or bool(self.data and self.model)


ATTRIBUTES: Mapping[Field, str] = {
    Field.RECIPE: "recipe",
    Field.DATA: "data",
    Field.MODEL: "model",
    Field.LANE: "lane",
    Field.ENGINE: "engine",
    Field.DEVICE: "device",
    Field.ITERATIONS: "iterations",
    Field.SAVE: "save",
    Field.AT_LIMIT: "at_limit",
    Field.START: "start",
    Field.NAME: "name",
}


def _put(form: Form, field: Field, value: str | None) -> Form:
    values: dict[str, Any] = {ATTRIBUTES[field]: value}
    return replace(form, **values)


def words(form: Form, *, smoke: int | None = None, after: str | None = None) -> list[str]:
    """The command line's words, without the program's name.

    *after* comes before whatever run the form waits for; beside others it starts all the same.
    """
    said = ["launch"]
    if form.recipe is not None:
        said.append(form.recipe)
    else:
        said += [f"--data={form.data}"] if form.data else []
        said += [f"--model={form.model}"] if form.model else []
    said += [f"--lane={form.lane}", f"--engine={form.engine}"]
    said += [f"--set={each}" for each in _settings(form)]
    if smoke is not None:
        said.append(f"--smoke={smoke}")
    elif form.name:
        said.append(f"--name={form.name}")
    if after is not None:
        said.append(f"--after={after}")
    elif form.start.startswith(AFTER):
        said.append(f"--after={form.start.removeprefix(AFTER)}")
    if form.start == BESIDE:
        said.append("--anyway")
    return said


def _settings(form: Form) -> Iterator[str]:
    yield from form.more
    for field, dotted in SETTINGS.items():
        value = form.value(field)
        by_flag = form.recipe is None and field in (Field.DATA, Field.MODEL)
        if value is not None and not by_flag:
            yield f"{dotted}={value}"
    if form.device is not None and form.device not in DEVICES:
        yield f"{GPU}={form.device}"
    elif form.device is not None and form.lane in WITH_DEVICE:
        yield f"lanes.{form.lane}.device={form.device}"


def command(said: Sequence[str]) -> str:
    """As one types it."""
    return shlex.join(["lanewatch", *said])


def form_of(options: argparse.Namespace) -> Form:
    """The form that repeats a parsed launch: its choices, but not its name or its place in line."""
    form = Form(
        recipe=options.recipe,
        data=options.data,
        model=options.model,
        lane=options.lane or "reference",
        engine=options.engine or "local",
    )
    more: list[str] = []
    by_place = {dotted: field for field, dotted in SETTINGS.items()}
    for each in options.set:
        dotted, _, value = each.partition("=")
        if (field := by_place.get(dotted.strip())) is not None:
            form = _put(form, field, value)
        elif dotted.strip() in (GPU, f"lanes.{form.lane}.device") and form.device is None:
            form = replace(form, device=value.strip().strip("'\""))
        else:
            more.append(each)
    return replace(form, more=tuple(more))


def place_of(path: str) -> Field | None:
    """The field beside which a problem at *path* is told; None: it concerns the whole."""
    whole = path.partition("[")[0]
    return PLACES.get(whole) or PLACES.get(whole.partition(".")[0])
