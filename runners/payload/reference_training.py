"""Train with transformers' own Trainer and peft, on the ids and in the order that `prepare` made.

The rule: nothing here is clever. This lane is the yardstick the others are compared with, so it
uses the libraries as their manuals do.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from .contract import Contract, say
from .job import TRAINER_FOLDER, Job
from .reference_model import choose_device, load_for_training, padding_id, peak_bytes, versions
from .rows import IGNORED, Order, Row, read_rows
from .trainer_reporter import Reporter, StepTimer
from .training_plan import TrainingPlan, choose_plan, given_plan, keep_plan, kept_plan

_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""The recipe's words for what transformers calls its schedules."""


class _OrderedRows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch is untyped here
    """Rows in the given order, *length* of them; position i is drawn by every lane alike."""

    def __init__(self, rows: list[Row], order: Order, length: int) -> None:
        self._rows, self._order, self._length = rows, order, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, position: int) -> Row:
        return self._rows[self._order.at(position)]


def train(
    contract: Contract, job: Job, *, rows: list[Row], order: Order, resume: Path | None
) -> Mapping[str, Any]:
    """Train to the end, from *resume* if given; returns fields of result.json. Raises freely."""
    contract.heartbeat(phase="loading")
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(int(job.lane("reference").get("threads") or 1))
    contract.facts["versions"] = versions()
    contract.raise_if_stopped()
    return _Training(contract, job, rows, order).run(resume)


class _Training:
    """What the steps of one training share."""

    def __init__(self, contract: Contract, job: Job, rows: list[Row], order: Order) -> None:
        self.contract, self.job, self.rows, self.order = contract, job, rows, order
        self.device = choose_device(job)
        self.folder = job.work / TRAINER_FOLDER
        self.model = load_for_training(job, self.device)
        self.pad_id = padding_id(self.model.config)
        contract.facts["trainable_parameters"] = sum(
            each.numel() for each in self.model.parameters() if each.requires_grad
        )

    def run(self, resume: Path | None) -> Mapping[str, Any]:
        plan = self.plan()
        self.contract.raise_on_stop = False
        self.contract.raise_if_stopped()
        self.contract.heartbeat(total=plan.iterations)
        reporter = self.reporter(plan)
        trainer = self.trainer(plan, self.model, reporter)
        began_s = time.monotonic()
        try:
            trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
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
        trainer = transformers.Trainer(
            model=model,
            args=self._arguments(plan, evaluate=evaluation is not None, save=not throw_away),
            train_dataset=_OrderedRows(
                self.rows, self.order, plan.iterations * self.job.batch_rows
            ),
            eval_dataset=evaluation,
            data_collator=functools.partial(collate, pad_id=self.pad_id),
            callbacks=[callback],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        return trainer

    def _evaluation_rows(self) -> list[Row] | None:
        path = self.job.data / "eval.jsonl"
        wanted = self.job.smoke is None and self.job.table("data").get("eval_interval")
        return read_rows(path) if wanted and path.exists() else None

    def _arguments(self, plan: TrainingPlan, *, evaluate: bool, save: bool) -> Any:
        settings = self.job.table("train")
        warmup = math.ceil(float(settings["warmup"]) * plan.iterations)
        return transformers.TrainingArguments(
            output_dir=str(self.folder),
            max_steps=plan.iterations,
            per_device_train_batch_size=int(settings["micro_batch"]),
            per_device_eval_batch_size=int(settings["micro_batch"]),
            gradient_accumulation_steps=int(settings["accumulation"]),
            gradient_checkpointing=self.device == "cuda",
            gradient_checkpointing_kwargs={"use_reentrant": False},
            learning_rate=float(settings["lr"]),
            lr_scheduler_type=_SCHEDULES[str(settings["schedule"])],
            warmup_steps=warmup,
            optim="adamw_torch",
            bf16=settings["precision"] == "bf16",
            seed=int(settings["seed"]),
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
            dataloader_pin_memory=self.device == "cuda",
            use_cpu=self.device == "cpu",
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="steps" if save else "no",
            save_steps=plan.save_interval,
            eval_strategy="steps" if evaluate else "no",
            eval_steps=int(self.job.table("data").get("eval_interval") or 0) or None,
            prediction_loss_only=True,
            report_to=list(settings.get("report_to") or []) if save else [],
            disable_tqdm=True,
        )

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


def collate(rows: list[Row], pad_id: int) -> dict[str, Any]:
    """Make one micro-batch: rows padded on the right to the longest of them."""
    width = max(len(row.ids) for row in rows)
    gaps = [width - len(row.ids) for row in rows]
    pairs = list(zip(rows, gaps, strict=True))
    return {
        "input_ids": torch.tensor([[*row.ids, *[pad_id] * gap] for row, gap in pairs]),
        "attention_mask": torch.tensor([[1] * len(row.ids) + [0] * gap for row, gap in pairs]),
        "labels": torch.tensor([row.labels() + [IGNORED] * gap for row, gap in pairs]),
    }
