"""The recipe: what to train, the same for every lane. Pure: reads no file, resolves no path.

The defaults are the article's recipe (DeepSeek-R1-0528-Qwen3-8B, LoRA, 625 iterations). Every
field carries its meaning and its unit; `runners.recipe.template` prints them from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from runners.payload.trackers import MODULES

TINY_MODEL = "tiny-random-qwen3"
"""A random Qwen3 of half a million parameters, made on the spot: the demo's base model."""

AUTO_STEPS_PER_S = 50
"""More steps of the demo's size a second than a CPU takes; bounds `iterations = "auto"`."""

MOST_ROWS = 50_000_000
"""Rows drawn in one run: their order is made at once, in memory and on disk."""

Positive = Annotated[int, Field(ge=1)]
Iterations = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[float | None, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table of the recipe: no unknown key, no silent conversion."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ModelTable(Table):
    """The base model."""

    path: Name = Field(
        default="deepseek-ai/DeepSeek-R1-0528-Qwen3-8B",
        description="a local folder, a model of the Hugging Face hub (owner/name; fetched unless "
        f"it is in the cache), or {TINY_MODEL}",
    )
    sequence_length: int = Field(
        default=4096, ge=8, le=1_048_576, description="tokens; a longer row does not fit"
    )


class DataTable(Table):
    """The rows to train on."""

    path: Name = Field(description="JSON Lines file, one row a line; relative to the recipe")
    shape: Literal["auto", "messages", "prompt_completion", "text", "conversations"] = Field(
        default="auto", description="form of the rows; auto finds it row by row"
    )
    too_long: Literal["error", "drop", "drop-any"] = Field(
        default="error",
        description="what to do with a row longer than model.sequence_length; drop leaves out up "
        "to 1 % of all rows, drop-any however many",
    )
    eval_path: Name | None = Field(default=None, description="JSON Lines file to evaluate on")
    eval_fraction: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="share of the rows kept for evaluation, when no eval_path",
    )
    eval_interval: int = Field(
        default=0, ge=0, description="iterations between evaluations; 0 = never"
    )
    forbidden_phrases: list[Name] = Field(
        default_factory=list, description="phrases that no row may hold, whatever their case"
    )

    @property
    def drops(self) -> bool:
        """A row that does not fit is left out."""
        return self.too_long != "error"


class LoraTable(Table):
    """The adapter."""

    rank: int = Field(default=16, ge=1, le=4096, description="r, the adapter's inner width")
    alpha: float = Field(
        default=32.0, gt=0, allow_inf_nan=False, description="scale; alpha / rank is used"
    )
    dropout: float = Field(
        default=0.05, ge=0, lt=1, description="probability, on the adapter's input"
    )
    targets: list[Name] = Field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"],
        min_length=1,
        description="linear layers that get an adapter, by Hugging Face name",
    )


class TrainTable(Table):
    """The optimisation."""

    iterations: Iterations | Literal["auto"] = Field(
        default=625, description="optimizer steps; auto measures a few and fills auto_seconds"
    )
    auto_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="length of an auto run, in seconds"
    )
    auto_min_iterations: Positive = Field(
        default=60, description="fewest iterations of an auto run"
    )
    auto_checkpoints: Positive = Field(default=6, description="checkpoints that an auto run saves")
    micro_batch: int = Field(default=2, ge=1, le=4096, description="rows in one forward pass")
    accumulation: int = Field(
        default=8, ge=1, le=65536, description="forward passes in one iteration"
    )
    lr: float = Field(default=1e-4, gt=0, lt=1, description="learning rate at its peak")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="how the learning rate falls after the warm-up"
    )
    warmup: float = Field(
        default=0.05, ge=0, le=1, description="share of the iterations spent warming up"
    )
    save_interval: Positive = Field(
        default=70, description="iterations between checkpoints; the last iteration is always saved"
    )
    keep_last: int = Field(default=0, ge=0, description="checkpoints to keep; 0 = all")
    precision: Literal["bf16", "fp32"] = Field(
        default="bf16", description="number format of the training"
    )
    seed: int = Field(
        default=3407, ge=0, le=2**32 - 1, description="of the shuffle, adapter and dropout"
    )
    report_to: list[Name] = Field(
        default_factory=list, description="experiment trackers to report to as well; [] = none"
    )


class LivenessTable(Table):
    """Limits in seconds without progress: default until learnt, floor once learnt."""

    start_default_s: Seconds = Field(
        default=None, description="from launch to a stage's first sign, until learnt"
    )
    start_floor_s: Seconds = Field(
        default=None, description="from launch to a stage's first sign, at least"
    )
    first_iteration_default_s: Seconds = Field(
        default=None, description="loading and compiling, until learnt"
    )
    first_iteration_floor_s: Seconds = Field(
        default=None, description="loading and compiling, at least"
    )
    iteration_default_s: Seconds = Field(default=None, description="one iteration, until learnt")
    iteration_floor_s: Seconds = Field(default=None, description="one iteration, at least")
    first_save_default_s: Seconds = Field(
        default=None, description="a process's first checkpoint, until learnt"
    )
    first_save_floor_s: Seconds = Field(
        default=None, description="a process's first checkpoint, at least"
    )
    save_default_s: Seconds = Field(default=None, description="a later checkpoint, until learnt")
    save_floor_s: Seconds = Field(default=None, description="a later checkpoint, at least")
    eval_default_s: Seconds = Field(default=None, description="one evaluation, until learnt")
    eval_floor_s: Seconds = Field(default=None, description="one evaluation, at least")
    stage_default_s: Seconds = Field(
        default=None, description="a stage without iterations, until learnt"
    )
    stage_floor_s: Seconds = Field(default=None, description="a stage without iterations, at least")


class MemoryTable(Table):
    """The memory budget."""

    limit_gib: float | None = Field(
        default=None,
        gt=0,
        le=1_048_576,
        allow_inf_nan=False,
        description="GiB of the machine a run may fill; without it min(110, 92 % of all)",
    )
    gpu_limit_gib: float | None = Field(
        default=None,
        gt=0,
        le=1_048_576,
        allow_inf_nan=False,
        description="GiB of a discrete GPU's own memory to warn at; without it 95 % of it",
    )
    at_limit: Literal["notify", "save-and-stop", "stop-now"] = Field(
        default="notify",
        description="what the memory guard may do: tell; save and stop while there is time; "
        "or that, and at the limit stop at once without saving",
    )


class RunTable(Table):
    """What happens to the run beside the training; no part of what is trained."""

    on_failure: Literal["notify", "resume-once"] = Field(
        default="notify",
        description="resume-once: after a stall, or a failure of machine or driver, the keeper "
        "ends the run and resumes it from its last checkpoint, once",
    )
    gpu: str | None = Field(
        default=None,
        pattern=r"^\d{1,3}$",
        json_schema_extra={"allowed": 'the number of one GPU, in quotes ("0")'},
        description="the GPU to train on, by its number in nvidia-smi; every lane trains on one; "
        "without it the first",
    )


class DockerTable(Table):
    """Of the docker engine alone; no part of what is trained."""

    image: Name | None = Field(
        default=None, description="container image; without it the configuration's, else the lane's"
    )
    python: Name = Field(
        default="python3", description="the image's Python, by name or by its path inside"
    )
    pull: Literal["missing", "never"] = Field(
        default="missing", description="missing = the stage `pull` gets an image that is not here"
    )
    shm_gib: float = Field(
        default=8.0,
        gt=0,
        le=1024,
        description="GiB that /dev/shm of a container may hold; a loader's workers share it",
    )
    read_only: list[Name] = Field(
        default_factory=list,
        description="further folders and files that a stage may read, at their own paths",
    )


class ReferenceLane(Table):
    """Plain transformers + peft."""

    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where it trains")
    threads: int = Field(
        default=1, ge=1, le=1024, description="CPU threads; more than one can be slower"
    )


class UnslothLane(Table):
    """Unsloth."""

    load_in_4bit: bool = Field(default=False, description="quantise the base to 4 bits (QLoRA)")
    fused_lora: bool = Field(
        default=True, description="use Unsloth's fused LoRA kernels where they fit (GPU only)"
    )
    packages: Literal["lane", "interpreter"] = Field(
        default="lane",
        description="lane = those of the lane's lock, installed once into the cache; "
        "interpreter = those that the trainer's Python has",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where it trains")
    threads: int = Field(
        default=1, ge=1, le=1024, description="CPU threads; more than one can be slower"
    )


class NemoLane(Table):
    """NeMo Framework (Megatron-Bridge)."""

    lora: Literal["canonical", "fused"] = Field(
        default="canonical",
        description="canonical = the same adapter as the other lanes; fused QKV",
    )


class LanesTable(Table):
    """What only one lane understands."""

    reference: ReferenceLane = Field(default_factory=ReferenceLane)
    unsloth: UnslothLane = Field(default_factory=UnslothLane)
    nemo: NemoLane = Field(default_factory=NemoLane)


class Recipe(Table):
    """A whole recipe. One that exists has passed every check that needs no file."""

    model: ModelTable = Field(default_factory=ModelTable)
    data: DataTable
    lora: LoraTable = Field(default_factory=LoraTable)
    train: TrainTable = Field(default_factory=TrainTable)
    liveness: LivenessTable = Field(default_factory=LivenessTable)
    memory: MemoryTable = Field(default_factory=MemoryTable)
    run: RunTable = Field(default_factory=RunTable)
    docker: DockerTable = Field(default_factory=DockerTable)
    lanes: LanesTable = Field(default_factory=LanesTable)

    @model_validator(mode="after")
    def _agree(self, info: ValidationInfo) -> Recipe:
        """Refuse fields that contradict each other, unless the caller collects that itself."""
        if not (info.context or {}).get("collect"):
            for fields, sentence in disagreements(self):
                raise ValueError(f"{fields[0]}: {sentence}")
        return self

    @property
    def batch(self) -> int:
        """Rows in one iteration."""
        return self.train.micro_batch * self.train.accumulation

    @property
    def iterations_bound(self) -> int:
        """The iterations, or for "auto" the most that an auto run may choose."""
        train = self.train
        if train.iterations != "auto":
            return train.iterations
        return max(train.auto_min_iterations, int(train.auto_seconds * AUTO_STEPS_PER_S))


def disagreements(recipe: Recipe) -> list[tuple[tuple[str, ...], str]]:
    """Return what contradicts what: the fields concerned, the one to change first, and why."""
    found: list[tuple[tuple[str, ...], str]] = []
    train, data = recipe.train, recipe.data
    if train.iterations != "auto" and train.save_interval > train.iterations:
        found.append(
            (
                ("train.save_interval", "train.iterations"),
                f"{train.save_interval} is more than train.iterations ({train.iterations}), "
                "so nothing would be saved before the end",
            )
        )
    if train.iterations == "auto" and train.auto_checkpoints > train.auto_min_iterations:
        found.append(
            (
                ("train.auto_checkpoints", "train.auto_min_iterations"),
                f"{train.auto_checkpoints} is more than train.auto_min_iterations "
                f"({train.auto_min_iterations})",
            )
        )
    if train.iterations != "auto" and train.iterations * recipe.batch > MOST_ROWS:
        found.append(
            (
                ("train.iterations", "train.micro_batch", "train.accumulation"),
                f"{train.iterations} of {recipe.batch} rows each are more than {MOST_ROWS:,} rows",
            )
        )
    if data.eval_path is not None and data.eval_fraction > 0:
        found.append(
            (
                ("data.eval_fraction", "data.eval_path"),
                "data.eval_path is given too; give one of the two",
            )
        )
    if train.iterations != "auto" and data.eval_interval > train.iterations:
        found.append(
            (
                ("data.eval_interval", "train.iterations"),
                f"{data.eval_interval} is more than train.iterations ({train.iterations})",
            )
        )
    has_eval = data.eval_path is not None or data.eval_fraction > 0
    if data.eval_interval and not has_eval:
        found.append(
            (
                ("data.eval_interval", "data.eval_path", "data.eval_fraction"),
                "there is nothing to evaluate on; give data.eval_path or data.eval_fraction",
            )
        )
    if has_eval and not data.eval_interval:
        found.append(
            (
                ("data.eval_interval", "data.eval_path", "data.eval_fraction"),
                "rows are set aside for evaluation but never used; give the iterations between two",
            )
        )
    if any(not each.startswith("/") for each in recipe.docker.read_only):
        found.append(
            (("docker.read_only",), "give whole paths, from / on: a container knows no other")
        )
    if shown := [each for each in recipe.docker.read_only if _of_the_kernel(each)]:
        found.append(
            (("docker.read_only",), f"{shown[0]} would show a container all of this machine")
        )
    if len(set(recipe.lora.targets)) < len(recipe.lora.targets):
        found.append((("lora.targets",), "a layer is named twice"))
    if unknown := [each for each in train.report_to if each not in MODULES]:
        known = ", ".join(MODULES)
        found.append((("train.report_to",), f"no tracker {unknown[0]!r} is known: {known}"))
    return found


def _of_the_kernel(path: str) -> bool:
    """The root, or what the kernel tells of itself and of every process."""
    parts = [each for each in path.split("/") if each not in ("", ".")]
    return path.startswith("/") and (not parts or parts[0] in ("proc", "sys", "dev"))
