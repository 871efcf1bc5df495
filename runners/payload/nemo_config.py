"""Megatron-Bridge's configuration for a recipe, every field that matters set by us.

Megatron-Bridge's recipes are not used: they reach for the hub, pack sequences, and their defaults
change from release to release. What is set here makes a training equal to the other lanes': loss
per token over the whole batch, AdamW without decay, the schedule of transformers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from megatron.bridge.peft.canonical_lora import CanonicalLoRA
from megatron.bridge.peft.lora import LoRA
from megatron.bridge.training import config
from megatron.core.distributed import DistributedDataParallelConfig

from .contract import StageError
from .job import TRAINER_FOLDER, Job
from .nemo_adapter import TRACKERS
from .training_plan import TrainingPlan

OF_SEED_0 = 2**32 - 1
"""What stands for a seed of 0, which Megatron refuses."""


def container(
    job: Job,
    plan: TrainingPlan,
    *,
    provider: Any,
    dataset: Any,
    base: Path,
    peft: Any,
    iterations: int,
    evaluations: int,
) -> Any:
    """The whole configuration; *iterations* may be one more than the plan's, *evaluations* is
    the number of batches of one evaluation, 0 for none."""
    settings = job.table("train")
    bf16 = settings["precision"] == "bf16"
    _set_model(provider, job, bf16=bf16)
    tree = str(job.work / TRAINER_FOLDER)
    return config.ConfigContainer(
        model=provider,
        train=config.TrainingConfig(
            train_iters=iterations,
            micro_batch_size=int(settings["micro_batch"]),
            global_batch_size=job.batch_rows,
            exit_signal_handler=True,
        ),
        validation=config.ValidationConfig(
            eval_interval=int(job.table("data").get("eval_interval") or 0) or None,
            eval_iters=evaluations,
        ),
        optimizer=_optimizer(settings, bf16=bf16),
        scheduler=_schedule(settings, plan.iterations),
        ddp=DistributedDataParallelConfig(
            check_for_nan_in_grad=True, grad_reduce_in_fp32=True, use_distributed_optimizer=False
        ),
        dataset=dataset,
        logger=_logger(job, settings),
        tokenizer=config.TokenizerConfig(
            tokenizer_type="HuggingFaceTokenizer", tokenizer_model=str(job.base)
        ),
        checkpoint=config.CheckpointConfig(
            save=tree,
            load=tree,
            pretrained_checkpoint=str(base),
            save_interval=plan.save_interval,
            ckpt_format="torch_dist",
            fully_parallel_save=True,
            async_save=False,  # its worker can die without a word, and the trainer then waits
        ),
        rng=config.RNGConfig(seed=int(settings["seed"]) or OF_SEED_0),
        dist=config.DistributedInitConfig(),
        mixed_precision="bf16_mixed" if bf16 else None,
        peft=peft,
    )


def adapter(job: Job, targets: Sequence[str], *, fused: bool) -> Any:
    """The recipe's LoRA; A is drawn as PEFT draws it."""
    lora = job.table("lora")
    alpha = float(lora["alpha"])
    return (LoRA if fused else CanonicalLoRA)(
        target_modules=list(targets),
        dim=int(lora["rank"]),
        alpha=int(alpha) if alpha.is_integer() else alpha,
        dropout=float(lora["dropout"]),
        dropout_position="pre",
        lora_A_init_method="kaiming",
    )


def _set_model(provider: Any, job: Job, *, bf16: bool) -> None:
    provider.seq_length = int(job.table("model")["sequence_length"])
    # transformers divides by the tokens of all micro-batches of an iteration, not of each.
    provider.calculate_per_token_loss = True
    provider.cuda_graph_impl = "none"
    provider.fp16 = False  # a base in float16 brings it along, and a scaler of losses with it
    if not bf16:
        provider.bf16 = False
        for name in ("params_dtype", "pipeline_dtype", "autocast_dtype"):
            setattr(provider, name, torch.float32)


def _optimizer(settings: Mapping[str, Any], *, bf16: bool) -> Any:
    return config.OptimizerConfig(
        optimizer="adam",
        lr=float(settings["lr"]),
        min_lr=0.0,
        weight_decay=0.0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        adam_eps=1e-8,
        clip_grad=1.0,
        bf16=bf16,
        use_distributed_optimizer=False,
    )


def _schedule(settings: Mapping[str, Any], iterations: int) -> Any:
    """As transformers has it: warm-up from zero, then the whole way down to zero."""
    warmup = math.ceil(float(settings["warmup"]) * iterations)
    return config.SchedulerConfig(
        lr_decay_style=str(settings["schedule"]),
        lr_warmup_iters=warmup,
        lr_warmup_init=0.0,
        lr_decay_iters=max(iterations, warmup + 1),  # Megatron wants some decay after a warm-up
        start_weight_decay=0.0,
        end_weight_decay=0.0,
        weight_decay_incr_style="constant",
        override_opt_param_scheduler=True,
    )


def _logger(job: Job, settings: Mapping[str, Any]) -> Any:
    wanted = list(settings.get("report_to") or [])
    unknown = sorted(set(wanted) - TRACKERS)
    if unknown:
        raise StageError(
            f"train.report_to: the nemo lane cannot report to {unknown[0]!r}; it knows "
            f"{', '.join(sorted(TRACKERS))}"
        )
    made = config.LoggerConfig(log_interval=1, log_throughput=True)
    if "tensorboard" in wanted:
        made.tensorboard_dir = str(job.work / "tensorboard")
    if "wandb" in wanted:
        made.wandb_project = "lanewatch"
        made.wandb_exp_name = job.work.parent.name
        made.wandb_save_dir = str(job.work / "wandb")
    return made
