"""Tell the contract what a Hugging Face Trainer does, and the Trainer what the contract asks.

`Reporter` serves every lane built on Trainer; what it says is `training_voice`'s.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from .contract import STOP_NOW, Contract
from .training_plan import TrainingPlan
from .training_voice import Voice


class Reporter(Voice, TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """The voice of a Trainer; *folder* is where it saves checkpoint-N."""

    def __init__(
        self,
        contract: Contract,
        plan: TrainingPlan,
        *,
        folder: Path,
        keep_last: int,
        tokens_of: Callable[[int], int],
    ) -> None:
        super().__init__(contract, plan, tokens_of=tokens_of)
        self.saved: int | None = None
        self._folder = folder
        self._keep_last = keep_last
        self._forced = False

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """The clock of the first iteration starts here."""
        self._begin(state.global_step)

    def on_substep_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
        """A stop without saving need not wait for the rest of the batch."""
        if self._contract.stop_requested == STOP_NOW:
            control.should_training_stop = True

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Decide what this boundary between two iterations is used for."""
        self.steps_s.append(self._since_mark())
        self._forced = False
        if state.global_step in self._plan.forced_saves:
            self._forced = not control.should_save
            control.should_save = True
        if self._contract.stop_requested and state.global_step < self._plan.iterations:
            self._stop(control)

    def _stop(self, control: Any) -> None:
        save = self._contract.stop_requested != STOP_NOW
        self._forced = save and not control.should_save
        control.should_save = save
        control.should_evaluate = False
        control.should_training_stop = True

    def on_log(
        self, _args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Called once an iteration (logging_steps = 1), before evaluating and saving."""
        if not logs or "loss" not in logs:
            return
        loss, lr, norm = (_number(logs.get(key)) for key in ("loss", "learning_rate", "grad_norm"))
        self._report_iteration(state.global_step, loss=loss, lr=lr, norm=norm)
        if control.should_evaluate:
            self._enter("evaluating")
        elif control.should_save:
            self._enter("saving")
        else:
            self._mark()

    def on_evaluate(
        self, _args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """An evaluation ended; a save may follow at the same boundary."""
        self._report_evaluation(state.global_step, _number((metrics or {}).get("eval_loss")))
        self._enter("saving" if control.should_save else "iteration")

    def on_save(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Trainer has written checkpoint-N: publish it. Raises OSError when that fails."""
        self.publish(state.global_step)
        self._report_save(state.global_step, forced=self._forced)
        self._enter("stopping" if control.should_training_stop else "iteration")

    def on_train_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Some Trainers save without calling `on_save`; what they saved is published here."""
        self._contract.heartbeat(phase="stopping")
        unpublished = self._folder / f"checkpoint-{state.global_step}"
        if self.saved != state.global_step and (unpublished / "trainer_state.json").is_file():
            self.publish(state.global_step)

    def publish(self, iteration: int) -> None:
        """Publish checkpoint-N, then drop checkpoints nobody needs. Raises OSError."""
        self._contract.publish(self._folder / f"checkpoint-{iteration}", iteration)
        self.saved = iteration
        self._contract.rotate(self._keep_last)
        for older in self._folder.glob("checkpoint-*"):
            if older.name != f"checkpoint-{iteration}":
                shutil.rmtree(older, ignore_errors=True)


class StepTimer(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Measures iterations that are thrown away; a stop that is asked for ends them."""

    def __init__(self, contract: Contract) -> None:
        self.steps_s: list[float] = []
        self._contract = contract
        self._mark_s = 0.0

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        """The clock starts here: the first step includes making the optimizer's state."""
        self._mark_s = time.monotonic()

    def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
        """Take the time; the heartbeat says that something moves."""
        now_s = time.monotonic()
        self.steps_s.append(now_s - self._mark_s)
        self._mark_s = now_s
        self._contract.heartbeat(step_s=round(self.steps_s[-1], 4))
        if self._contract.stop_requested:
            control.should_training_stop = True


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
