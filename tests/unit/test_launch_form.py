"""The launch form's words: what is chosen is what a command line would say, and back again."""

from __future__ import annotations

import shlex

import pytest

from tui.cli.parser import build_parser
from tui.launching.form import (
    AFTER,
    BESIDE,
    Field,
    Form,
    command,
    form_of,
    place_of,
    words,
)

RECIPE = "/a/recipe.toml"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        pytest.param(
            Form(recipe=RECIPE),
            ["launch", RECIPE, "--lane=reference", "--engine=local"],
            id="a recipe as it is",
        ),
        pytest.param(
            Form(data="/d.jsonl", model="a/b", lane="nemo", engine="docker"),
            ["launch", "--data=/d.jsonl", "--model=a/b", "--lane=nemo", "--engine=docker"],
            id="rows and model alone",
        ),
        pytest.param(
            Form(recipe=RECIPE, data="/d.jsonl", iterations="12", save="4", at_limit="stop-now"),
            [
                "launch",
                RECIPE,
                "--lane=reference",
                "--engine=local",
                "--set=data.path=/d.jsonl",
                "--set=train.iterations=12",
                "--set=train.save_interval=4",
                "--set=memory.at_limit=stop-now",
            ],
            id="what the recipe says is overruled",
        ),
        pytest.param(
            Form(recipe=RECIPE, device="cpu", name="night", start="after a-run"),
            [
                "launch",
                RECIPE,
                "--lane=reference",
                "--engine=local",
                "--set=lanes.reference.device=cpu",
                "--name=night",
                "--after=a-run",
            ],
            id="a name, a place in the line, no GPU",
        ),
        pytest.param(
            Form(recipe=RECIPE, lane="nemo", device="cpu", start=BESIDE),
            ["launch", RECIPE, "--lane=nemo", "--engine=local", "--anyway"],
            id="nemo cannot be told where to compute",
        ),
        pytest.param(
            Form(recipe=RECIPE, lane="nemo", device="1"),
            ["launch", RECIPE, "--lane=nemo", "--engine=local", "--set=run.gpu=1"],
            id="every lane can be told on which GPU",
        ),
    ],
)
def test_the_words_of_a_form(form: Form, said: list[str]) -> None:
    assert words(form) == said
    assert shlex.split(command(said)) == ["lanewatch", *said]
    build_parser().parse_args(said)  # the command line understands them


def test_a_smoke_run_has_no_name_and_the_whole_waits_for_it() -> None:
    form = Form(recipe=RECIPE, name="night", start=f"{AFTER}another")
    assert "--smoke=10" in words(form, smoke=10)
    assert not any(word.startswith("--name") for word in words(form, smoke=10))
    behind = words(form, after="smoke-run")
    assert "--after=smoke-run" in behind
    assert "--anyway" not in behind
    assert "--after=another" not in behind
    assert "--name=night" in behind


def test_what_is_to_run_beside_others_does_so_behind_its_smoke_run_too() -> None:
    """Else the box that is taken would refuse the whole once its smoke run has been launched."""
    form = Form(recipe=RECIPE, start=BESIDE)
    assert "--anyway" in words(form, smoke=10)
    assert words(form, after="smoke-run")[-2:] == ["--after=smoke-run", "--anyway"]


def test_a_form_repeats_a_launch_but_not_its_name_or_place() -> None:
    said = words(
        Form(
            recipe=RECIPE,
            lane="unsloth",
            device="cpu",
            iterations="9",
            name="night",
            start="after x",
            more=("lora.rank=8",),
        )
    )
    again = form_of(build_parser().parse_args(said))
    assert again == Form(
        recipe=RECIPE, lane="unsloth", device="cpu", iterations="9", more=("lora.rank=8",)
    )


def test_another_recipe_brings_its_own_rows_and_numbers() -> None:
    form = Form(recipe=RECIPE, data="/d", model="m", iterations="5", save="2", lane="nemo")
    changed = form.with_value(Field.RECIPE, "/b.toml")
    assert changed == Form(recipe="/b.toml", lane="nemo")
    assert form.with_value(Field.LANE, None) == form
    assert form.with_value(Field.ITERATIONS, "").iterations is None


def test_a_problem_is_told_beside_its_field() -> None:
    assert place_of("train.iterations") is Field.ITERATIONS
    assert place_of("data.eval_path") is Field.DATA
    assert place_of("lora.targets[2]") is None


@pytest.mark.parametrize("said", ["--set=run.gpu=2", "--set=run.gpu='2'", '--set=run.gpu = "2"'])
def test_a_named_gpu_stands_in_its_field_and_outlives_another_lane(said: str) -> None:
    form = form_of(build_parser().parse_args(["launch", RECIPE, "--lane=unsloth", said]))
    assert (form.device, form.more) == ("2", ())
    assert form.with_value(Field.LANE, "nemo").device == "2"
    assert form.with_value(Field.DEVICE, "cpu").with_value(Field.LANE, "nemo").device is None
    assert place_of("run.gpu") is Field.DEVICE


def test_of_a_named_gpu_and_a_device_both_are_said_again() -> None:
    said = ["--lane=unsloth", "--set=run.gpu=2", "--set=lanes.unsloth.device=cuda"]
    form = form_of(build_parser().parse_args(["launch", RECIPE, *said]))
    assert {*said} <= {*words(form)}
