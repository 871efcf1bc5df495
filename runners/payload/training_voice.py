"""What a training says of itself, in the same words in every lane: heartbeat, metrics, log.

The rule: a phase is announced before it begins. Needs no trainer library.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from .contract import Contract, say
from .training_plan import TrainingPlan


class Voice:
    """One training's voice; *tokens_of* counts the tokens of an iteration."""

    def __init__(
        self, contract: Contract, plan: TrainingPlan, *, tokens_of: Callable[[int], int]
    ) -> None:
        self.steps_s: list[float] = []
        """Seconds of each iteration of this process."""
        self.saves_s: list[float] = []
        """Seconds of each save of this process, publishing included."""
        self.tokens = 0
        self._contract = contract
        self._plan = plan
        self._tokens_of = tokens_of
        self._mark_s = time.monotonic()

    def _begin(self, iteration: int) -> None:
        """The first iteration is a phase of its own: compiling makes it long."""
        self._contract.heartbeat(
            phase="first_iteration", done=iteration, total=self._plan.iterations
        )
        self._mark()

    def _mark(self) -> None:
        self._mark_s = time.monotonic()

    def _since_mark(self) -> float:
        return time.monotonic() - self._mark_s

    def _enter(self, phase: str) -> None:
        self._mark()
        self._contract.heartbeat(phase=phase)

    def _report_iteration(
        self, iteration: int, *, loss: float | None, lr: float | None, norm: float | None
    ) -> None:
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

    def _report_evaluation(self, iteration: int, loss: float | None) -> None:
        self._contract.metric(iteration, eval_loss=loss, eval_s=round(self._since_mark(), 4))
        self._contract.facts.update(eval_loss=loss)
        say(f"iteration {iteration} | evaluation loss {_text(loss, '.4f')}")

    def _report_save(self, iteration: int, *, forced: bool) -> None:
        """Tell of a save that began at the last mark and is published."""
        save_s = self._since_mark()
        self.saves_s.append(save_s)
        later = self.saves_s[1:]
        self._contract.facts.update(
            first_save_s=round(self.saves_s[0], 4),
            save_median_s=round(statistics.median(later), 4) if later else None,
        )
        self._contract.metric(iteration, save_s=round(save_s, 4), forced=forced)
        say(f"iteration {iteration} | checkpoint published in {save_s:.2f} s")

    def smoke_figures(self) -> dict[str, float | int | None]:
        """What a projection is made from, but for the longest rows and the memory."""
        steps_s = sorted(self.steps_s[1:] or self.steps_s)
        return {
            "step_median_s": steps_s[len(steps_s) // 2],
            "steps": len(self.steps_s),
            "first_save_s": self.saves_s[0] if self.saves_s else None,
            "later_save_s": self.saves_s[-1] if len(self.saves_s) > 1 else None,
        }


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
