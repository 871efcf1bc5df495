"""Words for the known problems of this stack: what each does, and what helps. Pure.

The rule: one text for each problem, whoever recognises it: the doctor before a launch, by what lies
on the machine (`runners/doctor/landmines.py`), a diagnosis afterwards, by what was said and seen
(`monitor/diagnosis/catalogue.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem."""

    explanation: str
    remedy: str


PROBLEMS: Mapping[str, Problem] = {
    "yarn-incomplete": Problem(
        "Megatron-Bridge hands None on, which ends in a TypeError; nobody can guess what is "
        "missing",
        "complete rope_scaling in the base's config.json",
    ),
    "torchao-old": Problem(
        "peft 0.18.1 and later raises ImportError beside a torchao before 0.16",
        "`pip uninstall torchao`, which nothing needs, or `pip install torchao==0.16.0`",
    ),
    "torchao-new": Problem(
        "its extensions are of a later torch: ScalingType is missing, or they do not load",
        "`pip uninstall torchao`, which nothing needs, or `pip install torchao==0.16.0`",
    ),
    "torchvision-cpu": Problem(
        "its operators do not load beside a torch for CPUs: unsloth refuses to start",
        "`pip uninstall torchvision`",
    ),
    "image-before-25-11": Problem(
        "its torch does not know a GB10, and unsloth says that it finds no GPU",
        "use nvcr.io/nvidia/pytorch:25.11-py3",
    ),
    "template-cuts-reasoning": Problem(
        "rendered through it, the rows to train on would lose their reasoning",
        "see that `lanewatch recipe check` counts no row that lost it",
    ),
    "gpu-gone-after-reload": Problem(
        "`systemctl daemon-reload` or an update of the engine takes the GPU's devices out of the "
        "control group of a container that runs",
        "end the run and resume it, which makes a new container; where that does not help, "
        "`sudo systemctl restart docker`",
    ),
    "async-save-worker-dead": Problem(
        "the process that writes an asynchronous checkpoint died, and the trainer waits for it "
        "without a word, for ever",
        "kill and resume with async_save off, as our lane has it: an adapter is saved in seconds",
    ),
    "sigterm-ignored": Problem(
        "Megatron-Bridge before 0.6 makes its signal handler and never installs it: SIGTERM ends "
        "it at once and saves nothing",
        "resume from the last checkpoint; our nemo lane installs the handler itself, a script of "
        "your own needs Megatron-Bridge 0.6",
    ),
    "flash-attn3-aarch64": Problem(
        "the kernel vllm-flash-attn3 of the hub is not built for aarch64 and this torch",
        "leave attn_implementation at its default (sdpa) for this base",
    ),
    "unified-memory-wedge": Problem(
        "where GPU and CPU share one memory, an allocation that finds none takes the whole machine "
        "down without an out-of-memory kill",
        "lower memory.limit_gib or micro_batch, and let memory.at_limit act before the limit",
    ),
    "stuck-power-state": Problem(
        "a GB10 can stay in a low-power state: full utilisation, a clock under 1400 MHz, no "
        "throttle reason, half the speed; the run is whole",
        "let it save, stop it, take the machine off mains power for a minute and resume",
    ),
    "shm-too-small": Problem(
        "the workers of a data loader share tensors through /dev/shm, and it is full: the kernel "
        "ends the one that writes with SIGBUS",
        "raise docker.shm_gib, on the host `sudo mount -o remount,size=8G /dev/shm`, or "
        "use fewer workers",
    ),
    "float16-on-a-cpu": Problem(
        "on a CPU without bf16 unsloth writes the merged model as float16, whose range is smaller",
        "merge on a machine with bf16, or compare the merge's answers with the adapter's",
    ),
    "first-save-slow": Problem(
        "the first save of a process starts the writers and lays out all files: it may take many "
        "times a later one",
        "wait: its limit is the first save's own",
    ),
    "legacy-checkpoint": Problem(
        "the newest checkpoint lacks run_config.yaml: it was cut off after its tracker was "
        "written, and Megatron-Bridge takes it for one of Megatron-LM",
        "copy the previous iteration's train_state.pt over latest_train_state.pt and write its "
        "number into latest_checkpointed_iteration.txt",
    ),
    "no-metadata": Problem(
        "the newest checkpoint lacks metadata.json: it was cut off while it was written",
        "move that folder away and resume from the one before it",
    ),
    "no-makefile": Problem(
        "a megatron-core from PyPI has no Makefile, and compile_helpers ends the process",
        "use the lane's image, or its own packages",
    ),
    "utilisation-latched": Problem(
        "a process that was killed in the middle of a kernel leaves the utilisation at 100 %; "
        "nothing computes",
        "leave it: opening and closing a CUDA context clears it",
    ),
    "pipe-full": Problem(
        "a pipe holds 64 KiB; what is printed while its reader stands still fits into it, then "
        "the next print blocks the trainer itself",
        "let the reader go on; write the log straight into a file",
    ),
}
