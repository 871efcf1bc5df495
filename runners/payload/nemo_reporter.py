"""Tell the contract what Megatron-Bridge does, and Megatron-Bridge what the contract asks.

The rule: Megatron is asked to stop through its own door, the signal handler of its training loop,
which releases before 0.6 make but never enter. Ours takes its place in all of them, so that
SIGTERM, in any of them, saves at the next step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import megatron.bridge.training.train as loop
from megatron.bridge.training import gpt_step
from megatron.bridge.training.callbacks import Callback
from megatron.bridge.training.state import GlobalState

from .checkpoints import FOLDER
from .contract import STOP_NOW, STOP_SAVE, Contract, StageError, StopRequested, say
from .nemo_saves import forget_older, missing
from .training_plan import TrainingPlan
from .training_voice import Voice

LOSS = "lm loss"
"""Megatron's name of it."""

NEVER = 0
"""A save interval at which Megatron saves nothing, not even in the end."""

_Event = TypeVar("_Event", bound=Callable[..., None])


def _harmless(event: _Event) -> _Event:
    """Watching never harms training: what goes wrong in *event* is said, and training goes on."""

    @functools.wraps(event)
    def guarded(*given: Any, **named: Any) -> None:
        try:
            event(*given, **named)
        except (StopRequested, StageError):
            raise
        except Exception as error:  # noqa: BLE001 - the rim between Megatron and us
            say(f"lanewatch: {event.__name__}: {error} (training goes on)", error=True)

    return guarded  # type: ignore[return-value]  # it takes what the event takes


class MegatronReporter(Voice, Callback):  # type: ignore[misc]  # Megatron-Bridge is untyped here
    """The voice of Megatron's loop; *tree* is where it saves iter_NNNNNNN."""

    def __init__(
        self,
        contract: Contract,
        plan: TrainingPlan,
        *,
        tree: Path,
        keep_last: int,
        tokens_of: Callable[[int], int],
        resumed_at: int,
    ) -> None:
        super().__init__(contract, plan, tokens_of=tokens_of)
        self.iteration = resumed_at
        self.longest_s: float | None = None
        """Seconds of the step beyond the plan, where there is one: on the longest rows."""
        self._tree = tree
        self._keep_last = keep_last
        self._resumed_at = resumed_at
        self._evaluated: int | None = None
        self._rate: float | None = None

    def take_over(self) -> None:
        """Put ourselves between Megatron-Bridge's loop and its saves, signals and batches."""
        saved = loop.save_checkpoint_and_time

        def save(state: Any, *given: Any, **named: Any) -> None:
            self._enter("saving")
            saved(state, *given, **named)
            self._publish(int(state.train_state.step))

        loop.save_checkpoint_and_time = save
        GlobalState._set_signal_handler = lambda state: setattr(
            state, "_signal_handler", _AskedToStop(self._contract)
        )

    def forward_step(
        self, state: Any, data_iterator: Any, model: Any, return_schedule_plan: bool = False
    ) -> Any:
        """Megatron's own; a stop without saving need not wait for the rest of the batch."""
        self._leave_if_now()
        return gpt_step.forward_step(state, data_iterator, model, return_schedule_plan)

    def _leave_if_now(self) -> None:
        if self._contract.stop_requested == STOP_NOW:
            raise StopRequested(STOP_NOW)

    def on_train_start(self, context: Any) -> None:
        """Everything is loaded; from here on there is something to save."""
        at = int(context.state.train_state.step)
        if at != self._resumed_at:
            raise StageError(
                f"Megatron resumed at iteration {at}, {self._resumed_at} was asked for"
            )
        self._contract.raise_on_stop = False
        self._contract.raise_if_stopped()
        self._contract.facts["trainable_parameters"] = sum(
            each.numel()
            for model in context.model
            for each in model.parameters()
            if each.requires_grad
        )
        self._begin(at)

    def on_train_step_start(self, context: Any) -> None:
        """Say what Megatron shall do at the end of the iteration that begins."""
        self._leave_if_now()
        upcoming = int(context.state.train_state.step) + 1
        context.state.cfg.checkpoint.save_interval = upcoming if self._is_due(upcoming) else NEVER
        # Read now: when the step has ended, Megatron has set the rate of the next one.
        self._rate = _rate(context.optimizer)
        self._mark()

    def _is_due(self, iteration: int) -> bool:
        plan = self._plan
        if iteration >= plan.iterations:
            return iteration == plan.iterations
        return iteration % plan.save_interval == 0 or iteration in plan.forced_saves

    @_harmless
    def on_train_step_end(self, context: Any) -> None:
        """Megatron has not counted the step yet: it is one more than its state says."""
        iteration = int(context.state.train_state.step) + 1
        loss = _number((context.loss_dict or {}).get(LOSS))  # waits for the GPU
        if iteration > self._plan.iterations:
            self.longest_s = self._since_mark()
            return
        self.iteration = iteration
        self.steps_s.append(self._since_mark())
        # Megatron reports no loss for a step whose gradients were not finite.
        self._report_iteration(
            iteration,
            loss=float("nan") if loss is None else loss,
            lr=self._rate,
            norm=_number(context.grad_norm),
        )

    @_harmless
    def on_eval_start(self, context: Any) -> None:  # noqa: ARG002 - the signature is given
        """The weights are read, no iteration passes."""
        self._enter("evaluating")

    @_harmless
    def on_eval_end(self, context: Any) -> None:
        """An evaluation ended; a save may follow."""
        losses = context.total_loss_dict or {}
        self._evaluated = self.iteration
        self._report_evaluation(self.iteration, _number(losses.get(LOSS)))
        self._enter("stopping" if self._ended else "iteration")

    @property
    def _ended(self) -> bool:
        return self.iteration >= self._plan.iterations

    @_harmless
    def on_train_end(self, context: Any) -> None:
        """Megatron evaluates once more in the end, also where it just has."""
        if self._evaluated == self.iteration:
            context.state.train_state.do_valid = False
        self._contract.heartbeat(phase="stopping")

    def _publish(self, iteration: int) -> None:
        """Publish what Megatron has saved. Raises StageError and OSError."""
        folder = self._tree / FOLDER.format(iteration)
        if absent := missing(folder):
            raise StageError(f"Megatron saved {folder} without {', '.join(absent)}")
        self._contract.publish(folder, iteration)
        self._contract.rotate(self._keep_last)
        forget_older(self._tree, iteration)
        plan = self._plan
        regular = iteration % plan.save_interval == 0 or iteration == plan.iterations
        self._report_save(iteration, forced=not regular)
        stops = self._ended or self._contract.stop_requested is not None
        self._enter("stopping" if stops else "iteration")


class _AskedToStop:
    """In the place of Megatron's handler; the signals themselves are the contract's."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def signals_received(self) -> list[bool]:
        """One truth for each rank; there is one."""
        return [self._contract.stop_requested == STOP_SAVE]


def _rate(optimizer: Any) -> float | None:
    rates = [group["lr"] for group in optimizer.param_groups if group.get("params")]
    return float(rates[0]) if rates else None


def _number(value: Any) -> float | None:
    """A number, a tensor of one, or of several whose first is meant."""
    if value is None:
        return None
    if hasattr(value, "flatten"):
        value = value.flatten()[0]
    return float(value)
