"""The landmines of this stack: by what each is known, what it does, and what helps. Pure.

One table. A row's `sign` looks at the facts and says what it saw, or None; a row with another lane
is not looked at. What a lane of ours defuses by itself has no row: it is in docs/lanes.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.known_problems import PROBLEMS
from runners.doctor.base_shape import is_yarn, rope_of
from runners.doctor.facts import Facts, LaunchFacts, MachineFacts
from runners.doctor.values import Check, Level, ok

EVERY_LANE = ("reference", "unsloth", "nemo")
FEW_BLOCKS = 64
"""Free blocks of 2 MiB and more: less than 128 MiB in one piece."""
AVAILABLE_BYTES = 16 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where landmines are looked for."""

    machine: MachineFacts
    launch: LaunchFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmine:
    """One row."""

    name: str
    sign: Callable[[Ground], str | None]
    explanation: str
    remedy: str
    level: Level = Level.WARN
    lanes: tuple[str, ...] = EVERY_LANE
    by_packages: bool = False
    """Its sign is a package of the trainer's Python; nobody looks into that of an image."""


def landmine_checks(facts: Facts) -> Iterator[Check]:
    """A check for each landmine that lies here; one that says so where there is none."""
    launch = facts.launch
    if launch is None:
        return
    here = Ground(machine=facts.machine, launch=launch)
    table = [row for row in LANDMINES if launch.lane in row.lanes]
    found = [(row, seen) for row in table if (seen := row.sign(here)) is not None]
    for row, seen in found:
        yield Check(
            name=row.name, level=row.level, seen=f"{seen}: {row.explanation}", remedy=row.remedy
        )
    if not found:
        yield ok("landmines", _none_lies_here(table, launch))


def _none_lies_here(table: list[Landmine], launch: LaunchFacts) -> str:
    unseen = sum(row.by_packages for row in table) if launch.in_container else 0
    words = f"{len(table) - unseen} are known for this lane, none lies here"
    if unseen:
        words += f"; {unseen} more would lie in the image's packages, which are not looked at"
    return words


def _attn_factor(here: Ground) -> str | None:
    value = rope_of(here.launch.base.config).get("attn_factor")
    return None if value is None else f"the base's rope has attn_factor {value}"


def _yarn_lacks(here: Ground) -> str | None:
    config = here.launch.base.config
    if not is_yarn(config):
        return None
    rope = rope_of(config)
    missing = [key for key in ("factor", "original_max_position_embeddings") if not rope.get(key)]
    return f"the base's YARN rope lacks {' and '.join(missing)}" if missing else None


def _yarn_attention_factor(here: Ground) -> str | None:
    config = here.launch.base.config
    if not is_yarn(config):
        return None
    named = [
        key
        for key in ("attention_factor", "mscale", "mscale_all_dim")
        if rope_of(config).get(key) is not None
    ]
    return f"the base's YARN rope has {' and '.join(named)}" if named else None


def _template_cuts(here: Ground) -> str | None:
    if KEEPS_THE_LAST.search(here.launch.base.template):
        return None
    if re.search(r"split\(\s*(['\"])</think>\1\s*\)\s*\[\s*-1\s*\]", here.launch.base.template):
        return "the base's chat template cuts each answer at </think>"
    return None


KEEPS_THE_LAST = re.compile(r"loop\.last|last_query_index")
"""A template of Qwen3's kind cuts earlier turns alone."""


def _four_bit(here: Ground) -> str | None:
    chosen = _lane_table(here.launch, "unsloth").get("load_in_4bit") is True
    return "lanes.unsloth.load_in_4bit is true" if chosen else None


def _fused(here: Ground) -> str | None:
    chosen = _lane_table(here.launch, "nemo").get("lora") == "fused"
    return 'lanes.nemo.lora is "fused"' if chosen else None


def _lane_table(launch: LaunchFacts, lane: str) -> Mapping[str, Any]:
    table = (launch.recipe.get("lanes") or {}).get(lane)
    return table if isinstance(table, dict) else {}


def _threads(here: Ground) -> str | None:
    threads, cores = _lane_table(here.launch, "reference").get("threads"), here.machine.limits.cores
    if isinstance(threads, int) and cores and threads > max(1, cores - 1) and threads > 1:
        return f"lanes.reference.threads is {threads} on {cores} cores"
    return None


def _own_packages(launch: LaunchFacts) -> bool:
    """Unsloth uses what its Python has, not what the lane installs for it."""
    return _lane_table(launch, "unsloth").get("packages") == "interpreter"


def _old_torchao(here: Ground) -> str | None:
    if here.launch.lane == "unsloth":
        return None  # the lane hides it from its trainer
    torchao, peft = _version(here.launch, "torchao"), _version(here.launch, "peft")
    if torchao and torchao < (0, 16) and peft and peft >= (0, 18, 1):
        return (
            f"torchao {here.launch.packages['torchao']} beside peft {here.launch.packages['peft']}"
        )
    return None


def _new_torchao(here: Ground) -> str | None:
    if here.launch.lane == "unsloth":
        return None
    torchao, torch = _version(here.launch, "torchao"), _version(here.launch, "torch")
    if torchao and torchao >= (0, 17) and torch and torch < (2, 11):
        packages = here.launch.packages
        return f"torchao {packages['torchao']} beside torch {packages['torch']}"
    return None


def _unsloth_limits(here: Ground) -> str | None:
    if not _own_packages(here.launch):
        return None
    over = [
        f"{name} {here.launch.packages[name]}"
        for name, most in UNSLOTH_MOST.items()
        if (found := _version(here.launch, name)) is not None and found > most
    ]
    return f"{' and '.join(over)} in the trainer's Python" if over else None


UNSLOTH_MOST = {"transformers": (5, 17, 0), "trl": (1, 15, 0), "datasets": (4, 99)}
"""What unsloth 2026.10.9 declares, and `pip install --no-deps` does not enforce."""


def _bitsandbytes(here: Ground) -> str | None:
    found = _version(here.launch, "bitsandbytes")
    if (
        found is not None
        and found[:2] == (0, 48)
        and _four_bit(here)
        and _own_packages(here.launch)
    ):
        return f"bitsandbytes {here.launch.packages['bitsandbytes']} for a base of 4 bits"
    return None


def _torchvision(here: Ground) -> str | None:
    torch = here.launch.packages.get("torch", "")
    if "torchvision" in here.launch.packages and torch.endswith("+cpu"):
        return f"torchvision {here.launch.packages['torchvision']} beside torch {torch}"
    return None


def _wrong_nemo(here: Ground) -> str | None:
    if any(each in here.launch.packages for each in ("nemo", "nemo-toolkit")) and (
        "megatron-bridge" not in here.launch.packages and not here.launch.in_container
    ):
        return "a package called nemo, and no megatron-bridge, in the trainer's Python"
    return None


def _pynvml(here: Ground) -> str | None:
    if "pynvml" in here.launch.packages and "nvidia-ml-py" not in here.launch.packages:
        return f"the package pynvml {here.launch.packages['pynvml']}"
    return None


def _early_image(here: Ground) -> str | None:
    name = here.launch.image.name if here.launch.image else ""
    found = re.search(r"nvidia/pytorch:(\d\d)\.(\d\d)", name)
    if found and (int(found[1]), int(found[2])) < (25, 11):
        return f"the image is {name}"
    return None


def _oom_daemon(here: Ground) -> str | None:
    running = sorted(here.machine.daemons & OOM_DAEMONS)
    return f"{' and '.join(running)} runs here" if running and here.machine.unified else None


OOM_DAEMONS = frozenset({"earlyoom", "nohang", "systemd-oomd"})


def _handover(here: Ground) -> str | None:
    machine = here.machine
    if not machine.kernel.startswith("7.0.0-") or "kho=off" in machine.kernel_command.split():
        return None
    return f"kernel {machine.kernel} without kho=off" if machine.unified else None


def _fragments(here: Ground) -> str | None:
    machine = here.machine
    memory, blocks = machine.memory, machine.large_blocks
    if memory is None or blocks is None or not machine.unified or blocks >= FEW_BLOCKS:
        return None
    if memory.free_bytes < AVAILABLE_BYTES // 8 or memory.available_bytes < AVAILABLE_BYTES:
        return None
    return f"only {blocks} free blocks of 2 MiB or more"


def _version(launch: LaunchFacts, name: str) -> tuple[int, ...] | None:
    """The release of a package as numbers: "2.10.0a0+nv25.11" is (2, 10, 0)."""
    text = launch.packages.get(name)
    found = re.match(r"\d+(?:\.\d+)*", text) if text else None
    return tuple(int(each) for each in found[0].split(".")) if found else None


LANDMINES = (
    Landmine(
        name="yarn-attn-factor",
        sign=_attn_factor,
        explanation="transformers and Megatron-Bridge ignore it, servers of the vLLM kind apply it",
        remedy="compare an answer of the served model with one of transformers before trusting it",
    ),
    Landmine(
        name="yarn-incomplete",
        sign=_yarn_lacks,
        explanation=PROBLEMS["yarn-incomplete"].explanation,
        remedy=PROBLEMS["yarn-incomplete"].remedy,
        level=Level.FAIL,
        lanes=("nemo",),
    ),
    Landmine(
        name="yarn-attention-factor",
        sign=_yarn_attention_factor,
        explanation="Megatron-Bridge does not read attention_factor, and scales by mscale "
        "otherwise than transformers",
        remedy="train this base in another lane, or compare the import's logits with transformers",
        lanes=("nemo",),
    ),
    Landmine(
        name="template-cuts-reasoning",
        sign=_template_cuts,
        explanation=PROBLEMS["template-cuts-reasoning"].explanation,
        remedy=PROBLEMS["template-cuts-reasoning"].remedy,
    ),
    Landmine(
        name="four-bit",
        sign=_four_bit,
        explanation="the adapter is then trained on a rounded base and is not the other lanes'",
        remedy="leave it false to compare lanes",
        lanes=("unsloth",),
    ),
    Landmine(
        name="fused-lora",
        sign=_fused,
        explanation="q, k and v share one A: a smaller adapter than that of the other lanes",
        remedy='set it to "canonical" to compare lanes',
        lanes=("nemo",),
    ),
    Landmine(
        name="threads",
        sign=_threads,
        explanation="more threads than idle cores spin against each other, 10 to 20 times slower",
        remedy="set lanes.reference.threads to 1",
        lanes=("reference",),
    ),
    Landmine(
        name="torchao-old",
        sign=_old_torchao,
        explanation=PROBLEMS["torchao-old"].explanation,
        remedy=PROBLEMS["torchao-old"].remedy,
        level=Level.FAIL,
        by_packages=True,
    ),
    Landmine(
        name="torchao-new",
        sign=_new_torchao,
        explanation=PROBLEMS["torchao-new"].explanation,
        remedy=PROBLEMS["torchao-new"].remedy,
        by_packages=True,
    ),
    Landmine(
        name="unsloth-limits",
        sign=_unsloth_limits,
        explanation="unsloth 2026.10.9 declares less (transformers 5.17.0, trl 1.15.0, datasets 4)",
        remedy='set lanes.unsloth.packages to "lane", or `pip install .[unsloth]` there',
        lanes=("unsloth",),
        by_packages=True,
    ),
    Landmine(
        name="bitsandbytes-048",
        sign=_bitsandbytes,
        explanation="unsloth excludes this release",
        remedy="`pip install 'bitsandbytes>=0.49'`",
        lanes=("unsloth",),
        by_packages=True,
    ),
    Landmine(
        name="torchvision-cpu",
        sign=_torchvision,
        explanation=PROBLEMS["torchvision-cpu"].explanation,
        remedy=PROBLEMS["torchvision-cpu"].remedy,
        level=Level.FAIL,
        lanes=("unsloth",),
        by_packages=True,
    ),
    Landmine(
        name="nemo-on-pypi",
        sign=_wrong_nemo,
        explanation="on PyPI, nemo is something else, and nemo-toolkit holds no Megatron-Bridge",
        remedy="use the container engine, or install megatron-bridge",
        level=Level.FAIL,
        lanes=("nemo",),
        by_packages=True,
    ),
    Landmine(
        name="pynvml-redirector",
        sign=_pynvml,
        explanation="it is only a redirector that is no longer kept; the module is nvidia-ml-py's",
        remedy="`pip uninstall pynvml && pip install nvidia-ml-py`",
        by_packages=True,
    ),
    Landmine(
        name="image-before-25-11",
        sign=_early_image,
        explanation=PROBLEMS["image-before-25-11"].explanation,
        remedy=PROBLEMS["image-before-25-11"].remedy,
        lanes=("unsloth",),
    ),
    Landmine(
        name="oom-daemon",
        sign=_oom_daemon,
        explanation="it does not see what CUDA takes of a shared memory, so it acts too late, on "
        "the wrong process, or (with free swap) never",
        remedy="give it absolute floors (earlyoom -M 4194304 -s 100), and let memory.at_limit act",
    ),
    Landmine(
        name="kernel-handover",
        sign=_handover,
        explanation="26 GiB less were seen free with kexec handover on such kernels",
        remedy="boot with kho=off",
    ),
    Landmine(
        name="memory-in-pieces",
        sign=_fragments,
        explanation="the driver may find no large piece although much is available",
        remedy="reboot before a long run",
    ),
)
