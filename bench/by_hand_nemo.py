"""The nemo lane's training by hand: Megatron-Bridge's own API and nothing of lanewatch."""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import torch
from by_hand import ALPHA, DROPOUT, LR, MICRO, RANK, SEED, Work, free_port
from megatron.bridge import AutoBridge
from megatron.bridge.models.gpt_provider import local_layer_spec
from megatron.bridge.peft.canonical_lora import CanonicalLoRA
from megatron.bridge.training import config, gpt_step
from megatron.bridge.training import train as loop
from megatron.bridge.training.callbacks import Callback
from megatron.bridge.training.finetune import finetune
from megatron.core.distributed import DistributedDataParallelConfig

LAYERS = ["linear_q", "linear_k", "linear_v", "linear_proj"]
PAD_TO = 16
UNFUSED = (
    "gradient_accumulation_fusion", "masked_softmax_fusion", "persist_layer_norm",
    "apply_rope_fusion", "bias_dropout_fusion", "bias_activation_fusion",
    "cross_entropy_loss_fusion",
)  # fmt: skip


class Rows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch is untyped here
    """The rows in order, and how Megatron wants a micro-batch."""

    def __init__(self, work: Work) -> None:
        self._rows, self._count = work.rows, work.iterations * MICRO * work.accumulation

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int) -> dict[str, list[int]]:
        return self._rows[position % len(self._rows)]

    def collate_fn(self, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
        longest = max(len(row["ids"]) - 1 for row in rows)
        width = -(-longest // PAD_TO) * PAD_TO
        tokens, labels = (torch.zeros((len(rows), width), dtype=torch.long) for _ in range(2))
        counted = torch.zeros((len(rows), width))
        for index, row in enumerate(rows):
            ids, mask = torch.tensor(row["ids"]), torch.tensor(row["mask"], dtype=torch.float)
            length = len(ids) - 1
            tokens[index, :length], labels[index, :length] = ids[:-1], ids[1:]
            counted[index, :length] = mask[1:]
        places = torch.arange(width).expand(len(rows), width).contiguous()
        return {"tokens": tokens, "labels": labels, "loss_mask": counted, "position_ids": places}


@dataclass
class Given(config.DatasetProvider):  # type: ignore[misc]  # Megatron-Bridge is untyped here
    """A dataset that is in memory already."""

    seq_length: int = 0

    def build_datasets(self, _: Any) -> tuple[Any, Any, Any]:
        return (self._rows, None, None)


class Noting(Callback):  # type: ignore[misc]  # Megatron-Bridge is untyped here
    """Note when each iteration ended."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def on_train_step_end(self, context: Any) -> None:
        loss = (context.loss_dict or {}).get("lm loss")
        self._work.losses.append(float(loss) if loss is not None else float("nan"))
        self._work.ends_s.append(time.monotonic())


def _provider(work: Work) -> Any:
    provider = AutoBridge.from_hf_pretrained(str(work.base)).to_megatron_provider(
        load_weights=False
    )
    # The known fault of its YARN: fields that the base leaves out stay None.
    said = json.loads((work.base / "config.json").read_text())["rope_parameters"]
    usual = {
        "yarn_rotary_scaling_factor": said["factor"],
        "yarn_original_max_position_embeddings": said["original_max_position_embeddings"],
        "yarn_beta_fast": 32.0,
        "yarn_beta_slow": 1.0,
        "yarn_mscale": 1.0,
        "yarn_mscale_all_dim": 0.0,
        "yarn_correction_range_round_to_int": True,
    }
    for name, value in usual.items():
        if getattr(provider, name, None) is None:
            setattr(provider, name, value)
    provider.seq_length = work.sequence
    provider.calculate_per_token_loss = True
    provider.cuda_graph_impl = "none"
    if importlib.util.find_spec("transformer_engine") is None:
        provider.transformer_layer_spec = local_layer_spec
        provider.transformer_impl = "local"
        for name in UNFUSED:
            if hasattr(provider, name):
                setattr(provider, name, False)
        # Else each layer keeps its attention's matrix, 2 GiB at 8 B and rows of 4096.
        provider.recompute_granularity = "selective"
        provider.recompute_modules = ["core_attn"]
    return provider


def train(work: Work) -> None:
    """Train on the imported base."""
    os.environ.update(
        RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", LOCAL_WORLD_SIZE="1", MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(free_port()), CUDA_DEVICE_MAX_CONNECTIONS="1",
    )  # fmt: skip
    rows = Given(
        dataloader_type="single", num_workers=0, persistent_workers=False,
        pin_memory=torch.cuda.is_available(), seq_length=work.sequence,
    )  # fmt: skip
    rows._rows = Rows(work)
    _note_saves(work)
    with tempfile.TemporaryDirectory() as folder:
        finetune(_config(work, rows, folder), gpt_step.forward_step, callbacks=[Noting(work)])


def _note_saves(work: Work) -> None:
    """Megatron-Bridge has no callback for a save: time the call that its loop makes."""
    saved = loop.save_checkpoint_and_time

    def timed(*given: Any, **named: Any) -> None:
        began_s = time.monotonic()
        saved(*given, **named)
        work.saves_s.append(time.monotonic() - began_s)

    loop.save_checkpoint_and_time = timed


def _config(work: Work, rows: Given, folder: str) -> Any:
    return config.ConfigContainer(
        model=_provider(work),
        train=config.TrainingConfig(
            train_iters=work.iterations,
            micro_batch_size=MICRO,
            global_batch_size=MICRO * work.accumulation,
        ),
        validation=config.ValidationConfig(eval_interval=None, eval_iters=0),
        optimizer=config.OptimizerConfig(
            optimizer="adam", lr=LR, min_lr=0.0, weight_decay=0.0, adam_beta1=0.9,
            adam_beta2=0.999, adam_eps=1e-8, clip_grad=1.0, bf16=True,
            use_distributed_optimizer=False,
        ),
        scheduler=config.SchedulerConfig(
            lr_decay_style="cosine", lr_warmup_iters=work.warmup, lr_warmup_init=0.0,
            lr_decay_iters=max(work.iterations, work.warmup + 1), start_weight_decay=0.0,
            end_weight_decay=0.0, weight_decay_incr_style="constant",
            override_opt_param_scheduler=True,
        ),
        ddp=DistributedDataParallelConfig(
            check_for_nan_in_grad=True, grad_reduce_in_fp32=True, use_distributed_optimizer=False
        ),
        dataset=rows,
        logger=config.LoggerConfig(log_interval=1),
        tokenizer=config.TokenizerConfig(
            tokenizer_type="HuggingFaceTokenizer", tokenizer_model=str(work.base)
        ),
        checkpoint=config.CheckpointConfig(
            save=folder, load=folder, pretrained_checkpoint=str(work.imported),
            save_interval=work.save_interval, ckpt_format="torch_dist", fully_parallel_save=True,
            async_save=False,
        ),
        rng=config.RNGConfig(seed=SEED),
        dist=config.DistributedInitConfig(),
        mixed_precision="bf16_mixed",
        peft=CanonicalLoRA(
            target_modules=LAYERS, dim=RANK, alpha=ALPHA, dropout=DROPOUT, dropout_position="pre",
            lora_A_init_method="kaiming",
        ),
    )  # fmt: skip
