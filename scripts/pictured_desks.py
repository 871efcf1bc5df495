"""What the pictured forms are told: fixed values, nothing of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tui.launching.form import Field, Form
from tui.launching.settings_desk import ChannelLine
from tui.launching.values import CheckLine, Choice, Looked

RECIPE = "/home/ann/patents/patent-strategist.toml"
FORM = Form(recipe=RECIPE, lane="unsloth", engine="docker", at_limit="save-and-stop")
LOOKED = Looked(
    says={
        Field.DATA: "/home/ann/patents/v3_full_5000.train.jsonl",
        Field.MODEL: "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B",
        Field.ITERATIONS: "625",
        Field.SAVE: "70",
        Field.AT_LIMIT: "notify",
    },
    problems=(
        (
            Field.START,
            "the box is busy: nemo-20260521-074500-3fa2 (p65) is at iteration 241 of 625",
        ),
    ),
    checks=(
        CheckLine(
            name="memory",
            level="warn",
            text="tight: the run takes 41.2 GiB at most (weights 15.3 GiB, activations 11.0 GiB); "
            "67.8 GiB of 120 GiB are available; 26.6 GiB would be left",
        ),
        CheckLine(
            name="swap",
            level="warn",
            text="9.0 GiB of 16 GiB are in use: end what was swapped out, or the run is slowed",
        ),
        CheckLine(name="docker", level="ok", text="28.1 answers; its containers may use the GPU"),
        CheckLine(name="base", level="ok", text="the newest snapshot is whole, 15.3 GiB"),
        CheckLine(name="data", level="ok", text="5000 rows, 2.00 epochs"),
        CheckLine(name="tokenizer", level="ok", text="rows of up to 3871 tokens"),
        CheckLine(name="disk", level="ok", text="9 checkpoints 1.3 GiB; 812 GiB are free"),
        CheckLine(name="landmines", level="ok", text="9 are known for this lane, none lies here"),
    ),
    memory="tight: the run takes 41.2 GiB at most; 26.6 GiB would be left",
    projected="training takes 5h 40m, as unsloth-20260520-220000-9c01 went",
)
ROWS = (
    Choice(
        value=LOOKED.says[Field.DATA],
        title="v3_full_5000.train.jsonl",
        note="5000 rows, messages",
        detail="user: Is a method of cooling a die by boiling novel over US 9,123,456? | "
        "assistant: <think> Claim 1 of the reference recites",
    ),
    Choice(value="/1", title="v2_2000.train.jsonl", note="2000 rows, messages"),
    Choice(value="/2", title="eval/v3_holdout.jsonl", note="250 rows, messages"),
    Choice(value="/3", title="telemetry.jsonl", note="not usable", tone="warn"),
)
CANDIDATES = (
    Choice(
        value="4711",
        title="4711  python finetune.py --model Qwen3-8B --max_steps 625",
        note="on a GPU, 3h 24m old",
        detail="checkpoints: /data/out (an argument names it)\n"
        "log: /data/out/train.log (a tee has it open)\ntotal: 625 iterations (--max_steps)",
    ),
    Choice(
        value="4900",
        title="4900  python /opt/megatron/train.py --config lora.yaml",
        note="container nemo, 40m old",
    ),
)


class PicturedLaunch:
    """The launch form's desk."""

    def first_form(self) -> Form:
        return FORM

    def at_limit(self) -> str | None:
        return FORM.at_limit

    def choices(self, field: Field, _now: str | None = None) -> Iterator[Choice]:
        yield from ROWS if field is Field.DATA else ()

    def look_at(self, _form: Form, emit: Callable[[Looked], object]) -> None:
        emit(LOOKED)

    def start(self, _said: Sequence[str], _tell: Callable[[str], None]) -> str:
        raise RuntimeError("a picture launches nothing")


class PicturedAttach:
    """The attach screen's desk."""

    def candidates(self) -> Iterator[Choice]:
        yield from CANDIDATES


class PicturedSettings:
    """The settings' desk."""

    def get(self, _key: str) -> str | None:
        return "save-and-stop"

    def channels(self) -> tuple[ChannelLine, ...]:
        return ChannelLine("phone", "ntfy://…"), ChannelLine("office", "mailto://…")
