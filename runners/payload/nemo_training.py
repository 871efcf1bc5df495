"""Train with Megatron-Bridge on the ids, with the mask and in the order that `prepare` made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from megatron.bridge.training.finetune import finetune

from .contract import Contract, StageError, say
from .job import TRAINER_FOLDER, Job
from .nemo_batches import RowsInOrder, filled_up
from .nemo_config import adapter, container
from .nemo_megatron import be_alone, open_bridge, peak_bytes, provider_of, versions
from .nemo_reporter import MegatronReporter
from .nemo_rows import PreparedRows
from .nemo_yarn import read_config, yarn_fields
from .rows import Order, Row, read_rows
from .training_plan import TrainingPlan

_REASONS = {
    16: "its result has to be looked at again (Megatron's code 16); resume tries that",
    17: "a result that cannot be right came again (Megatron's code 17): suspect the hardware",
}
"""Megatron's rerun machine ends the process with these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a training begins with, checked."""

    plan: TrainingPlan
    base: Path
    """The imported one."""
    targets: Sequence[str]
    """Megatron's names."""
    fused: bool
    rows: list[Row]
    order: Order


def train(contract: Contract, job: Job, inputs: Inputs) -> Mapping[str, Any]:
    """Train to the end; returns fields of result.json. Raises freely."""
    contract.heartbeat(phase="loading", total=inputs.plan.iterations)
    contract.facts["versions"] = versions()
    plan = inputs.plan
    be_alone()
    reporter = MegatronReporter(
        contract,
        plan,
        tree=job.work / TRAINER_FOLDER,
        keep_last=int(job.table("train").get("keep_last") or 0),
        tokens_of=lambda iteration: _tokens(inputs, iteration, job.batch_rows),
        resumed_at=job.resume_from or 0,
    )
    settings = _configure(job, inputs)
    contract.raise_if_stopped()
    reporter.take_over()
    began_s = time.monotonic()
    try:
        finetune(settings, reporter.forward_step, callbacks=[reporter])
    except SystemExit as ended:
        _check_exit(ended, reporter)
    finally:
        seconds = round(time.monotonic() - began_s, 3)
        contract.facts.update(train_seconds=seconds, peak_memory_bytes=peak_bytes())
    return _facts(job, reporter, plan)


def _facts(job: Job, reporter: MegatronReporter, plan: TrainingPlan) -> dict[str, Any]:
    outcome = "finished" if reporter.iteration >= plan.iterations else "stopped"
    facts: dict[str, Any] = {"iteration": reporter.iteration, "outcome": outcome}
    if job.smoke is not None and outcome == "finished":
        if reporter.longest_s is not None:
            say(f"one iteration of the longest rows | step {reporter.longest_s:.2f} s")
        facts["smoke"] = reporter.smoke_figures() | {
            "longest_step_s": reporter.longest_s,
            "peak_memory_bytes": peak_bytes(),
        }
    return facts


def _check_exit(ended: SystemExit, reporter: MegatronReporter) -> None:
    """Megatron's loop leaves by sys.exit when it was asked to stop. Raises StageError otherwise."""
    if ended.code in (None, 0):
        return
    why = _REASONS.get(ended.code) if isinstance(ended.code, int) else None
    raise StageError(
        f"Megatron ended itself at iteration {reporter.iteration}: {why or f'code {ended.code}'}"
    ) from None


def _configure(job: Job, inputs: Inputs) -> Any:
    config = read_config(job.base)
    provider = provider_of(open_bridge(job.base), yarn_fields(config), load_weights=False)
    evaluation = _evaluation(job)
    training = _training_order(job, inputs)
    pad_id = _padding_id(config)
    dataset = PreparedRows(
        dataloader_type="single",
        num_workers=0,  # the rows are in memory; a worker could only die
        persistent_workers=False,
        pin_memory=torch.cuda.is_available(),
        seq_length=int(job.table("model")["sequence_length"]),
    )
    iterations = inputs.plan.iterations + (job.smoke is not None)
    dataset.use(
        RowsInOrder(inputs.rows, training, iterations * job.batch_rows, pad_id),
        _evaluation_rows(job, inputs.plan, evaluation, pad_id),
    )
    return container(
        job,
        inputs.plan,
        provider=provider,
        dataset=dataset,
        base=inputs.base,
        peft=adapter(job, inputs.targets, fused=inputs.fused),
        iterations=iterations,
        evaluations=len(evaluation) // job.batch_rows,
    )


def _training_order(job: Job, inputs: Inputs) -> list[int]:
    """Rows by position; a smoke run's ends with a batch of the longest rows."""
    order = inputs.order
    count = inputs.plan.iterations * job.batch_rows
    positions = [order.at(position) for position in range(count)]
    if job.smoke is None:
        return positions
    longest = order.longest[: job.smoke.longest or job.batch_rows]
    return positions + [longest[each % len(longest)] for each in range(job.batch_rows)]


def _evaluation(job: Job) -> list[Row]:
    path = job.data / "eval.jsonl"
    wanted = job.smoke is None and job.table("data").get("eval_interval")
    return filled_up(read_rows(path), job.batch_rows) if wanted and path.exists() else []


def _evaluation_rows(
    job: Job, plan: TrainingPlan, rows: list[Row], pad_id: int
) -> RowsInOrder | None:
    """All the evaluations of a run, one after the other: Megatron reads on and on."""
    if not rows:
        return None
    times = plan.iterations // int(job.table("data")["eval_interval"]) + 2
    return RowsInOrder(rows, range(len(rows)), times * len(rows), pad_id)


def _tokens(inputs: Inputs, iteration: int, batch: int) -> int:
    return sum(len(inputs.rows[each].ids) for each in inputs.order.batch(iteration, batch))


def _padding_id(config: Mapping[str, Any]) -> int:
    """An id to fill batches up with: the loss leaves it out and nothing looks back at it."""
    for value in (config.get("pad_token_id"), config.get("eos_token_id")):
        if isinstance(value, int):
            return value
    return 0
