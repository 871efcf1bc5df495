"""A training with Hugging Face's Trainer, on the ids and in the order that `prepare` made.

The rule: what makes two lanes comparable (rows, order, batches, schedule, seed) is said here, once;
a lane brings its model and its Trainer. No default that another library changes is relied on.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from .contract import Contract, say
from .hf_model import padding_id, peak_bytes, trainable_parameters
from .hf_start import Start
from .job import TRAINER_FOLDER, Job
from .rows import IGNORED, Row, read_rows
from .trainer_reporter import Reporter, StepTimer
from .training_plan import TrainingPlan, choose_plan, given_plan, keep_plan, kept_plan

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""The recipe's words for what transformers calls its schedules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerParts:
    """What a Trainer is made of."""

    model: Any
    settings: dict[str, Any]
    """Fields of TrainingArguments."""
    positions: Sequence[int]
    """Indices of the rows, in the order in which they are trained on."""
    evaluation: list[Row] | None
    callback: Any


class Training(ABC):
    """What the steps of one training share."""

    def __init__(self, contract: Contract, start: Start, *, model: Any, device: str) -> None:
        self.contract, self.job, self._resume = contract, start.job, start.resume
        self.rows, self.order = start.rows, start.order
        self.model, self.device = model, device
        self.folder = start.job.work / TRAINER_FOLDER
        self.pad_id = padding_id(model.config)
        contract.facts["trainable_parameters"] = trainable_parameters(model)

    @abstractmethod
    def make_trainer(self, parts: TrainerParts) -> Any:
        """The lane's Trainer."""

    def run(self) -> Mapping[str, Any]:
        """Train to the end, from a checkpoint if there is one; returns fields of result.json."""
        plan = self.plan()
        self.contract.raise_on_stop = False
        self.contract.raise_if_stopped()
        self.contract.heartbeat(total=plan.iterations)
        reporter = self.reporter(plan)
        trainer = self.trainer(plan, self.model, reporter)
        began_s = time.monotonic()
        resume = None if self._resume is None else str(self._resume)
        try:
            trainer.train(resume_from_checkpoint=resume)
        finally:
            self.contract.facts.update(
                train_seconds=round(time.monotonic() - began_s, 3),
                peak_memory_bytes=peak_bytes(self.device),
            )
        done = int(trainer.state.global_step)
        outcome = "finished" if done >= plan.iterations else "stopped"
        facts: dict[str, Any] = {"iteration": done, "outcome": outcome}
        if self.job.smoke is not None and outcome == "finished":
            facts["smoke"] = self.smoke(trainer, reporter)
        return facts

    def plan(self) -> TrainingPlan:
        """The plan of the job, or one chosen by measuring; the chosen one is kept for a resume."""
        calibration = self.job.calibrate
        if calibration is None or self.job.smoke is not None:
            return given_plan(self.job)
        kept = kept_plan(self.job)
        if kept is not None:
            return kept
        plan = choose_plan(self.measure(calibration.steps), calibration)
        keep_plan(plan, self.job.work)
        say(f"one iteration takes {plan.step_s:.3f} s: {plan.iterations} iterations chosen")
        return plan

    def measure(self, steps: int) -> list[float]:
        """Seconds of each of *steps* iterations, trained on a copy that is thrown away.

        Trainer seeds every generator anew when the real training begins.
        """
        plan = TrainingPlan(iterations=steps, save_interval=steps + 1)
        timer = StepTimer(self.contract)
        trainer = self.trainer(plan, copy.deepcopy(self.model), timer, throw_away=True)
        trainer.train()
        self.contract.raise_if_stopped()
        return timer.steps_s

    def reporter(self, plan: TrainingPlan) -> Reporter:
        return Reporter(
            self.contract,
            plan,
            folder=self.folder,
            keep_last=int(self.job.table("train").get("keep_last") or 0),
            tokens_of=self.tokens_of,
        )

    def tokens_of(self, iteration: int) -> int:
        batch = self.order.batch(iteration, self.job.batch_rows)
        return sum(len(self.rows[each].ids) for each in batch)

    def trainer(
        self, plan: TrainingPlan, model: Any, callback: Any, *, throw_away: bool = False
    ) -> Any:
        """A Trainer that reports through *callback* alone and prints nothing of its own."""
        evaluation = None if throw_away else self._evaluation_rows()
        length = plan.iterations * self.job.batch_rows
        trainer = self.make_trainer(
            TrainerParts(
                model=model,
                settings=self._settings(plan, evaluate=evaluation is not None, save=not throw_away),
                positions=[self.order.at(each) for each in range(length)],
                evaluation=evaluation,
                callback=callback,
            )
        )
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    def _evaluation_rows(self) -> list[Row] | None:
        path = self.job.data / "eval.jsonl"
        wanted = self.job.smoke is None and self.job.table("data").get("eval_interval")
        return read_rows(path) if wanted and path.exists() else None

    def _settings(self, plan: TrainingPlan, *, evaluate: bool, save: bool) -> dict[str, Any]:
        return {
            "output_dir": str(self.folder),
            **optimisation(self.job, plan),
            "remove_unused_columns": False,
            "dataloader_drop_last": False,
            "dataloader_pin_memory": self.device == "cuda",
            "use_cpu": self.device == "cpu",
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "steps" if save else "no",
            "save_steps": plan.save_interval,
            "eval_strategy": "steps" if evaluate else "no",
            "eval_steps": int(self.job.table("data").get("eval_interval") or 0) or None,
            "prediction_loss_only": True,
            "report_to": list(self.job.table("train").get("report_to") or []) if save else [],
            "disable_tqdm": True,
        }

    def collator(self) -> Any:
        """Makes a batch of rows."""
        return functools.partial(collate, pad_id=self.pad_id)

    def smoke(self, trainer: Any, reporter: Reporter) -> dict[str, float | int | None]:
        """One more step, on the longest rows, and what all of it cost. Nothing is saved."""
        self.contract.heartbeat(phase="iteration")
        longest_s = self._longest_step(trainer)
        say(f"one iteration of the longest rows | step {longest_s:.2f} s")
        measured = {"longest_step_s": longest_s, "peak_memory_bytes": peak_bytes(self.device)}
        return reporter.smoke_figures() | measured

    def _longest_step(self, trainer: Any) -> float:
        settings = self.job.table("train")
        count = self.job.smoke.longest if self.job.smoke else 0
        longest = self.order.longest[: count or self.job.batch_rows]
        size = int(settings["micro_batch"])
        batch = [self.rows[longest[i % len(longest)]] for i in range(self.job.batch_rows)]
        began_s = time.monotonic()
        trainer.model.train()
        for start in range(0, len(batch), size):
            trainer.training_step(trainer.model, collate(batch[start : start + size], self.pad_id))
        trainer.optimizer.step()
        trainer.model.zero_grad()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.monotonic() - began_s


def optimisation(job: Job, plan: TrainingPlan) -> dict[str, Any]:
    """The fields of TrainingArguments that decide what is learnt; the same in every lane.

    Libraries change each other's defaults (weight decay, optimizer, clipping), so all are given.
    """
    settings = job.table("train")
    return {
        "max_steps": plan.iterations,
        "per_device_train_batch_size": int(settings["micro_batch"]),
        "per_device_eval_batch_size": int(settings["micro_batch"]),
        "gradient_accumulation_steps": int(settings["accumulation"]),
        "learning_rate": float(settings["lr"]),
        "lr_scheduler_type": _SCHEDULES[str(settings["schedule"])],
        "warmup_steps": math.ceil(float(settings["warmup"]) * plan.iterations),
        "optim": "adamw_torch",
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "bf16": settings["precision"] == "bf16",
        "fp16": False,
        "seed": int(settings["seed"]),
        "train_sampling_strategy": "sequential",
    }


def collate(rows: Sequence[Row], pad_id: int) -> dict[str, Any]:
    """Make one micro-batch: rows padded on the right to the longest of them."""
    return pad([(row.ids, row.labels()) for row in rows], pad_id)


def pad(rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad_id: int) -> dict[str, Any]:
    """The same of pairs (ids, labels)."""
    width = max(len(ids) for ids, _ in rows)
    pairs = [(ids, labels, width - len(ids)) for ids, labels in rows]
    return {
        "input_ids": torch.tensor([[*ids, *[pad_id] * gap] for ids, _, gap in pairs]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * gap for ids, _, gap in pairs]),
        "labels": torch.tensor([[*labels, *[IGNORED] * gap] for _, labels, gap in pairs]),
    }
