"""A launch desk that reads nothing: what it offers and answers is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tui.launching.form import Field, Form
from tui.launching.values import CheckLine, Choice, Looked

RECIPE = "/recipes/patent.toml"
SAYS = {
    Field.DATA: "/data/v3.train.jsonl",
    Field.MODEL: "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B",
    Field.ITERATIONS: "625",
    Field.SAVE: "70",
    Field.AT_LIMIT: "notify",
}
WELL = Looked(
    says=SAYS,
    checks=(
        CheckLine(name="memory", level="ok", text="safe"),
        CheckLine(name="docker", level="ok", text="28.1 answers; its containers may use the GPU"),
        CheckLine(name="base", level="ok", text="/hub/models--deepseek-ai, 15.3 GiB"),
        CheckLine(name="data", level="ok", text="5000 rows, 2.00 epochs"),
        CheckLine(name="disk", level="ok", text="9 checkpoints 1.3 GiB; 812 GiB are free"),
    ),
    memory="safe: the run takes 41.2 GiB at most (weights 15.3 GiB); 59.0 GiB are available",
    projected="training takes 5h 40m, as unsloth-20260520-220000-9c01 went",
)
PENDING = Looked(says=SAYS, looking="machine")
REFUSED = Looked(
    says=SAYS,
    problems=(
        (Field.ITERATIONS, "train.iterations: is 0; allowed: a whole number from 1 up to 1000000"),
        (Field.START, "the box is busy: nemo-20260521-101112-3fa2 (p65) is at iteration 241"),
    ),
    checks=(
        CheckLine(
            name="memory",
            level="fail",
            text="refuse: the run takes 98.0 GiB at most; 59.0 GiB are available: end other runs",
        ),
        CheckLine(name="swap", level="warn", text="8.0 GiB of 16 GiB are in use: it slows the run"),
    ),
    memory="refuse: the run takes 98.0 GiB at most; 59.0 GiB are available: end other runs",
)
CHOICES = {
    Field.RECIPE: (
        Choice(value=RECIPE, title="patent.toml", note="recent"),
        Choice(value="/shipped/demo.toml", title="demo.toml", note="shipped"),
    ),
    Field.DATA: (
        Choice(
            value="/data/v3.train.jsonl",
            title="v3.train.jsonl",
            note="5000 rows, messages",
            detail="user: What is claimed? | assistant: A method of [bold]cooling[/] a die.",
        ),
        Choice(value="/data/bad.jsonl", title="bad.jsonl", note="not usable", tone="warn"),
    ),
    Field.MODEL: (
        Choice(value="Qwen/Qwen3-8B", title="Qwen/Qwen3-8B", note="15.3 GiB"),
        Choice(
            value="Qwen/Qwen3-32B", title="Qwen/Qwen3-32B", note="9 GiB, not complete", tone="warn"
        ),
    ),
}


class FakeDesk:
    """Stands in for `tui.launching.desk.LaunchDesk`."""

    def __init__(
        self,
        form: Form | None = None,
        looked: Looked = WELL,
        *,
        at_limit: str | None = "notify",
        refuse: str | None = None,
    ) -> None:
        self.form = form or Form(recipe=RECIPE, lane="unsloth", engine="docker", at_limit=at_limit)
        self.looked, self.refuse = looked, refuse
        self.remembered = at_limit
        self.started: list[list[str]] = []
        self.seen: list[Form] = []

    def first_form(self) -> Form:
        return self.form

    def at_limit(self) -> str | None:
        return self.remembered

    def remember_at_limit(self, value: str) -> None:
        self.remembered = value

    def choices(self, field: Field, now: str | None = None) -> Iterator[Choice]:
        yield from CHOICES.get(field, ())

    def start(self, said: Sequence[str], tell: Callable[[str], None]) -> str:
        if self.refuse is not None:
            raise RuntimeError(self.refuse)
        self.started.append(list(said))
        return f"unsloth-20260521-13300{len(self.started)}-00aa"

    def look_at(self, form: Form, emit: Callable[[Looked], Any]) -> None:
        self.seen.append(form)
        emit(self.looked)
