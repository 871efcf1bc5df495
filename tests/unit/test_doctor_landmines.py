"""Each landmine of the table: a launch on which it lies, and one like it on which it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from examined import GIB, SPARK, facts, launch, memory, recipe

from runners.doctor.facts import BaseFacts, Facts, ImageFacts, LaunchFacts
from runners.doctor.landmines import LANDMINES, landmine_checks
from runners.doctor.values import Level

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
R1_TEMPLATE = (
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
)
QWEN3_TEMPLATE = (
    "{%- if loop.index0 > ns.last_query_index %}{{ content }}{%- else %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}"
)


def base(config: Mapping[str, Any], template: str = "") -> BaseFacts:
    return BaseFacts(name="q", folder="/q", bytes=GIB, config=config, template=template)


def rope(**changes: Any) -> LaunchFacts:
    """The nemo lane on a base with a YARN rope."""
    return launch(lane="nemo", base=base({"rope_scaling": YARN | changes}))


def here(**packages: str) -> LaunchFacts:
    """The local engine with these packages (an underscore stands for a hyphen)."""
    named = {name.replace("_", "-"): version for name, version in packages.items()}
    return launch(engine="local", image=None, packages=named)


def plain(**packages: str) -> LaunchFacts:
    """The same with the reference lane."""
    return replace(here(**packages), lane="reference")


def own(load_in_4bit: bool = False, **packages: str) -> LaunchFacts:
    """The unsloth lane with the packages of its Python."""
    table = {"packages": "interpreter", "load_in_4bit": load_in_4bit}
    return replace(here(**packages), recipe=recipe(lanes={"unsloth": table}))


def lane(name: str, **fields: Any) -> LaunchFacts:
    return launch(lane=name, recipe=recipe(lanes={name: fields}))


def box(**changes: Any) -> Facts:
    return facts(machine=replace(SPARK, **changes))


CASES = {
    "yarn-attn-factor": (rope(attn_factor=0.878), rope()),
    "yarn-incomplete": (rope(original_max_position_embeddings=None), rope()),
    "yarn-attention-factor": (rope(mscale=1.0), rope(beta_fast=32)),
    "template-cuts-reasoning": (
        launch(base=base({}, R1_TEMPLATE)),
        launch(base=base({}, QWEN3_TEMPLATE)),
    ),
    "four-bit": (lane("unsloth", load_in_4bit=True), lane("unsloth", load_in_4bit=False)),
    "fused-lora": (lane("nemo", lora="fused"), lane("nemo", lora="canonical")),
    "threads": (lane("reference", threads=20), lane("reference", threads=1)),
    "torchao-old": (
        plain(torchao="0.15.0", peft="0.21.2"),
        plain(torchao="0.16.0", peft="0.21.2"),
    ),
    "torchao-new": (
        plain(torchao="0.18.0", torch="2.10.0a0+b558c98"),
        plain(torchao="0.16.0", torch="2.10.0a0+b558c98"),
    ),
    "unsloth-limits": (
        own(transformers="5.23.0"),
        own(transformers="5.17.0", trl="1.15.0"),
    ),
    "bitsandbytes-048": (
        own(load_in_4bit=True, bitsandbytes="0.48.0"),
        own(bitsandbytes="0.48.0"),
    ),
    "torchvision-cpu": (
        here(torch="2.13.0+cpu", torchvision="0.28.0"),
        here(torch="2.13.0+cu130", torchvision="0.28.0"),
    ),
    "nemo-on-pypi": (
        replace(here(nemo="5.0"), lane="nemo"),
        replace(here(nemo_toolkit="2.0", megatron_bridge="0.4.2"), lane="nemo"),
    ),
    "pynvml-redirector": (here(pynvml="13.0.1"), here(pynvml="13.0.1", nvidia_ml_py="13.6")),
    "image-before-25-11": (
        launch(image=ImageFacts(name="nvcr.io/nvidia/pytorch:25.09-py3", local=True)),
        launch(image=ImageFacts(name="nvcr.io/nvidia/pytorch:26.01-py3", local=True)),
    ),
    "oom-daemon": (
        box(daemons=frozenset({"earlyoom"})),
        box(daemons=frozenset({"earlyoom"}), unified=False),
    ),
    "kernel-handover": (
        box(kernel="7.0.0-1019-nvidia", kernel_command="ro quiet"),
        box(kernel="7.0.0-1019-nvidia", kernel_command="ro kho=off"),
    ),
    "memory-in-pieces": (
        box(large_blocks=3),
        box(large_blocks=3, memory=memory(available=8, free=8)),
    ),
}


def test_no_row_of_the_table_is_without_a_case() -> None:
    assert sorted(row.name for row in LANDMINES) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_landmine_is_known_by_its_sign(name: str) -> None:
    mined, clear = (each if isinstance(each, Facts) else facts(given=each) for each in CASES[name])
    found = {each.name: each for each in landmine_checks(mined)}
    assert name in found
    assert found[name].level is not Level.OK
    assert found[name].remedy
    assert ": " in found[name].seen, "what was seen, and what it means"
    assert name not in {each.name for each in landmine_checks(clear)}


def test_rows_of_another_lane_are_not_looked_at() -> None:
    fused = replace(lane("nemo", lora="fused"), lane="unsloth")
    assert "fused-lora" not in {each.name for each in landmine_checks(facts(given=fused))}


def test_where_none_lies_one_line_says_how_many_were_looked_for() -> None:
    (found,) = landmine_checks(facts(given=here(torch="2.11.0")))
    assert (found.level, "none lies here" in found.seen) == (Level.OK, True)
    assert "packages" not in found.seen


def test_nobody_claims_to_have_looked_at_an_images_packages() -> None:
    (found,) = landmine_checks(facts())
    assert found.level is Level.OK
    assert "in the image's packages, which are not looked at" in found.seen


def test_what_the_unsloth_lane_installs_or_hides_is_no_landmine_of_its_python() -> None:
    given = here(transformers="5.23.0", torchao="0.15.0", peft="0.21.2", bitsandbytes="0.48.0")
    names = {each.name for each in landmine_checks(facts(given=given))}
    assert not names & {"unsloth-limits", "torchao-old", "bitsandbytes-048"}
