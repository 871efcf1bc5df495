"""Each known problem of the catalogue: what shows it, and what looks like it and is not.

Lines are as the libraries print them (their source is named beside each); captured logs are whole.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.diagnosis.catalogue import CATALOGUE, Said, recognise
from monitor.known_problems import PROBLEMS
from monitor.probes.log import tail
from runners.doctor.landmines import LANDMINES

LOGS = Path(__file__).parents[1] / "samples" / "logs"
HUNG = Said(hung=True)
OVER = Said(over=True)
YARN = (
    '  File "/opt/venv/lib/python3.12/site-packages/megatron/core/models/common/embeddings/'
    'yarn_rotary_pos_embedding.py", line 24, in _yarn_find_correction_dim',
    "    return (dim * math.log(max_position_embeddings / (num_rotations * 2 * math.pi))) / (",
    "TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'",
)


def log(name: str) -> tuple[str, ...]:
    return tuple(tail(LOGS / name, 1 << 20, 4000))


def over(*lines: str, cause: str = "") -> Said:
    return replace(OVER, lines=lines, cause=cause)


STEP = log("megatron-bridge-0.4.2-train.log")
SCHEDULED = "  scheduled an async checkpoint save at iteration       4 to /data/run/checkpoints"

CASES = {
    # megatron-core 0.17.1 and 0.19.0, run with a YARN base
    "yarn-incomplete": (over(*YARN), over(YARN[-1])),
    # peft 0.21.2, import_utils.py: is_torchao_available
    "torchao-old": (
        over(
            "ImportError: Found an incompatible version of torchao. Found version 0.15.0, but only "
            "versions above 0.16.0 are supported"
        ),
        over("torchao 0.16.0"),
    ),
    # torchao 0.18.0 beside torch 2.9
    "torchao-new": (
        over(
            "ImportError: cannot import name 'ScalingType' from 'torch.nn.functional' "
            "(/usr/local/lib/python3.12/dist-packages/torch/nn/functional.py)"
        ),
        over("ImportError: cannot import name 'foo' from 'torch.nn.functional'"),
    ),
    # unsloth 2026.10.9 beside torch+cpu
    "torchvision-cpu": (
        over("torchvision==0.28.0 claims to match torch==2.13.0, but its operators do not load"),
        over("import torchvision 0.28.0"),
    ),
    # torch/cuda/__init__.py: _lazy_init
    "gpu-gone-after-reload": (
        over(cause="stage train: RuntimeError: No CUDA GPUs are available"),
        over(cause="stage train: RuntimeError: CUDA error: unspecified launch failure"),
    ),
    # unsloth 2026.10.9, unsloth/_cpu_init.py
    "image-before-25-11": (
        over("NotImplementedError: Unsloth cannot find any torch accelerator? You need a GPU."),
        over("Unsloth: Will patch your computer to enable 2x faster free finetuning."),
    ),
    # Megatron-Bridge 0.4.2 with async_save, run: its worker died at start
    "async-save-worker-dead": (
        replace(HUNG, lines=(*STEP[-30:-20], SCHEDULED)),
        replace(HUNG, lines=(SCHEDULED, *STEP)),
    ),
    # Megatron-Bridge 0.4.2, captured: the one died of the signal, the other heard it
    "sigterm-ignored": (
        over(*log("megatron-bridge-0.4.2-killed.log"), cause="stage train: killed by SIGTERM"),
        over(*log("megatron-bridge-0.4.2-sigterm.log"), cause="stage train: killed by SIGTERM"),
    ),
    # transformers 5.5 with unsloth 2026.4.2 on a DGX Spark (unsloth#4867)
    "flash-attn3-aarch64": (
        replace(
            over(
                "FileNotFoundError: kernels-community/vllm-flash-attn3: no build variant "
                "torch210-cxx11-cu130-aarch64-linux, build does not exist"
            ),
            machine="aarch64",
        ),
        replace(over("FileNotFoundError: vllm-flash-attn3: no build"), machine="x86_64"),
    ),
    "unified-memory-wedge": (
        replace(HUNG, unified=True, no_memory_lines=12),
        replace(HUNG, unified=False, no_memory_lines=12),
    ),
    "stuck-power-state": (Said(signature="power-state"), Said(signature="thermal")),
    # runners/prepare/stage.py
    "template-cuts-reasoning": (
        over(
            "DataError: rows.jsonl: lines 1, 2, 7: </think> or the end-of-sequence token is lost; "
            "raise model.sequence_length (lanewatch recipe check lists all)"
        ),
        over("rows.jsonl: 3 lines of </think>"),
    ),
    # torch/utils/data/_utils/signal_handling.py
    "shm-too-small": (
        over(
            "RuntimeError: DataLoader worker (pid 4242) is killed by signal: Bus error. It is "
            "possible that dataloader's workers are out of shared memory. Please try to raise your "
            "shared memory limit."
        ),
        over("RuntimeError: DataLoader worker (pid 4242) is killed by signal: Killed."),
    ),
    # unsloth 2026.10.9, unsloth/_cpu_init.py, run
    "float16-on-a-cpu": (
        Said(
            lines=(
                "Unsloth 2026.10.9: no GPU found, training on CPU (x86_64, 2 threads, bfloat16 = "
                "False).",
            )
        ),
        Said(
            lines=(
                "Unsloth 2026.10.9: no GPU found, training on CPU (x86_64, 2 threads, bfloat16 = "
                "True).",
            )
        ),
    ),
    "first-save-slow": (Said(phase="saving", saves=0), Said(phase="saving", saves=1)),
    # Megatron-Bridge 0.4.2, run: killed between tracker and run_config.yaml
    "legacy-checkpoint": (
        over("RuntimeError: Legacy checkpoint missing 'args' field"),
        over("run_config.yaml not found"),
    ),
    # megatron-core 0.17.1, run: metadata.json taken away
    "no-metadata": (
        over(
            "AssertionError: Checkpoint format 'torch_dist' in config differs from inferred format "
            "'fsdp_dtensor'"
        ),
        over("AssertionError: Checkpoint format 'torch_dist'"),
    ),
    # megatron-core from PyPI, compile_helpers
    "no-makefile": (
        over("make: *** No targets specified and no makefile found.  Stop."),
        over("make: Nothing to be done for 'default'."),
    ),
    "utilisation-latched": (Said(signature="busy-without-process"), Said(signature="spinning")),
    "pipe-full": (Said(signature="blocked-pipe"), Said(signature="stopped-reader")),
}


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_each_row_is_seen_where_it_is_and_nowhere_else(row: object) -> None:
    name = row.name  # type: ignore[attr-defined]
    shown, other = CASES[name]
    assert [each.name for each in recognise(shown)] == [name]
    assert recognise(other) == ()
    found = recognise(shown)[0]
    assert found.seen
    assert (found.explanation, found.remedy) == (
        PROBLEMS[name].explanation,
        PROBLEMS[name].remedy,
    )


def test_the_other_signs_of_a_row() -> None:
    restarted = Said(unified=True, over=True, reason="the machine was restarted while the run was")
    assert [each.name for each in recognise(restarted)] == ["unified-memory-wedge"]
    assert [each.name for each in recognise(over(cause="stage train: killed by SIGBUS"))] == [
        "shm-too-small"
    ]
    dead = replace(HUNG, signature="save-worker-dead")
    assert [each.name for each in recognise(dead)] == ["async-save-worker-dead"]


@pytest.mark.parametrize("path", sorted(LOGS.iterdir()), ids=lambda path: path.name)
def test_no_known_problem_is_seen_in_a_log_of_a_run_that_had_none(path: Path) -> None:
    assert recognise(Said(lines=log(path.name), phase="iteration", saves=2)) == ()


def test_doctor_and_diagnosis_have_one_text_for_one_problem() -> None:
    assert {row.name for row in CATALOGUE} == set(PROBLEMS)
    shared = [mine for mine in LANDMINES if mine.name in PROBLEMS]
    assert len(shared) >= 6
    for mine in shared:
        words = PROBLEMS[mine.name]
        assert (mine.explanation, mine.remedy) == (words.explanation, words.remedy)


def test_what_a_line_says_is_quoted_short() -> None:
    found = recognise(over("No CUDA GPUs are available " + "x" * 999))
    assert len(found[0].seen) < 170


def test_the_document_has_every_row_in_the_programs_own_words() -> None:
    text = (Path(__file__).parents[2] / "docs" / "diagnose.md").read_text()
    for row in CATALOGUE:
        words = PROBLEMS[row.name]
        assert f"| `{row.name}` |" in text
        assert f"| {words.explanation} | {words.remedy} |" in text
