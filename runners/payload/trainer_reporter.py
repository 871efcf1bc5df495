"""Tell the contract what a Hugging Face Trainer does, and the Trainer what the contract asks.

The rule: a phase is announced before it begins. `Reporter` serves every lane built on Trainer.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from .contract import STOP_NOW, Contract, say
from .training_plan import TrainingPlan


class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """One training's voice; *folder* is where its Trainer saves checkpoint-N."""

    def __init__(
        self,
        contract: Contract,
        plan: TrainingPlan,
        *,
        folder: Path,
        keep_last: int,
        tokens_of: Callable[[int], int],
    ) -> None:
        self.saves_s: list[float] = []
        """Seconds of each save of this process, publishing included."""
        self.steps_s: list[float] = []
        self.tokens = 0
        self.saved: int | None = None
        self._contract = contract
        self._plan = plan
        self._folder = folder
        self._keep_last = keep_last
        self._tokens_of = tokens_of
        self._mark_s = time.monotonic()
        self._forced = False

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """The first iteration is a phase of its own: compiling makes it long."""
        self._contract.heartbeat(
            phase="first_iteration", done=state.global_step, total=self._plan.iterations
        )
        self._mark_s = time.monotonic()

    def on_substep_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
        """A stop without saving need not wait for the rest of the batch."""
        if self._contract.stop_requested == STOP_NOW:
            control.should_training_stop = True

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Decide what this boundary between two iterations is used for."""
        self.steps_s.append(time.monotonic() - self._mark_s)
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
        self._report_iteration(state.global_step, logs)
        if control.should_evaluate:
            self._enter("evaluating")
        elif control.should_save:
            self._enter("saving")
        else:
            self._mark_s = time.monotonic()

    def _report_iteration(self, iteration: int, logs: dict[str, Any]) -> None:
        loss, lr, norm = (_number(logs.get(key)) for key in ("loss", "learning_rate", "grad_norm"))
        step_s, tokens = self.steps_s[-1], self._tokens_of(iteration)
        self.tokens += tokens
        figures: Any = {"loss": loss, "lr": lr, "grad_norm": norm, "step_s": round(step_s, 4)}
        self._contract.facts.update(iteration=iteration, final_loss=loss, tokens=self.tokens)
        self._contract.metric(iteration, tokens=tokens, **figures)
        self._contract.heartbeat(phase="iteration", done=iteration, **figures)
        say(
            f"iteration {iteration}/{self._plan.iterations} | loss {_text(loss, '.4f')} | "
            f"lr {_text(lr, '.1e')} | grad norm {_text(norm, '.2f')} | step {step_s:.2f} s"
        )

    def on_evaluate(
        self, _args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """An evaluation ended; a save may follow at the same boundary."""
        loss = _number((metrics or {}).get("eval_loss"))
        eval_s = round(time.monotonic() - self._mark_s, 4)
        self._contract.metric(state.global_step, eval_loss=loss, eval_s=eval_s)
        self._contract.facts.update(eval_loss=loss)
        say(f"iteration {state.global_step} | evaluation loss {_text(loss, '.4f')}")
        self._enter("saving" if control.should_save else "iteration")

    def on_save(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Trainer has written checkpoint-N: publish it. Raises OSError when that fails."""
        self.publish(state.global_step)
        save_s = time.monotonic() - self._mark_s
        self.saves_s.append(save_s)
        self._contract.facts.update(self._save_facts())
        self._contract.metric(state.global_step, save_s=round(save_s, 4), forced=self._forced)
        say(f"iteration {state.global_step} | checkpoint published in {save_s:.2f} s")
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

    def _save_facts(self) -> dict[str, float | None]:
        later = self.saves_s[1:]
        return {
            "first_save_s": round(self.saves_s[0], 4),
            "save_median_s": round(statistics.median(later), 4) if later else None,
        }

    def _enter(self, phase: str) -> None:
        self._mark_s = time.monotonic()
        self._contract.heartbeat(phase=phase)


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


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
