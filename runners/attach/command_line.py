"""What a command line gives away: whether it trains, where it saves, how far it goes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitor.probes.numbers import whole

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ash", "fish", "ksh", "busybox"})
INITS = frozenset({"tini", "docker-init", "dumb-init", "catatonit", "s6-svscan", "sleep", "init"})
RUN_OTHERS = frozenset(
    {"nohup", "timeout", "env", "sudo", "su", "runuser", "setpriv", "nice", "ionice", "taskset",
     "time", "stdbuf", "script", "setsid", "tmux", "screen", "ssh", "sshd", "numactl", "srun",
     "systemd-run", "unshare", "nsenter", "conda", "micromamba"}
)  # fmt: skip
FILTERS = frozenset(
    {"tee", "cat", "grep", "egrep", "sed", "awk", "gawk", "mawk", "tr", "cut", "head", "tail",
     "ts", "pv", "less", "more", "logger", "multilog", "rotatelogs", "unbuffer"}
)  # fmt: skip
CLIENTS = frozenset({"docker", "docker-compose", "podman", "nerdctl"})
LAUNCHERS = ("torchrun", "accelerate", "deepspeed", "torch.distributed", "llamafactory-cli",
             "axolotl", "swift", "tune", "uv", "uvx", "poetry", "pdm", "hatch", "pixi")  # fmt: skip
SERVERS = ("vllm", "sglang", "ollama", "llama-server", "tritonserver", "text-generation",
           "Xorg", "gnome-shell", "jupyter", "tensorboard")  # fmt: skip
"""Compute on a GPU, or are about training, and do not train. A notebook's kernel may."""
TRAINING_WORDS = re.compile(
    r"(?:^|[^a-z])(?:train|trainer|training|finetune|fine[-_]tune|sft|dpo|grpo|lora|qlora|pretrain"
    r"|megatron|unsloth|nemo|axolotl|llamafactory(?:-cli)?|torchtune|trl)(?:[^a-z]|$)",
    re.IGNORECASE,
)

SAVE_FLAGS = ("output_dir", "save", "checkpoint_dir", "ckpt_dir", "save_dir", "checkpoint.save",
              "trainer.output_dir", "training_args.output_dir", "default_root_dir",
              "trainer.default_root_dir", "logger.log_dir", "runs_dir")  # fmt: skip
TOTAL_FLAGS = ("max_steps", "train_iters", "train.train_iters", "trainer.max_steps", "max_iters",
               "num_steps", "training_args.max_steps", "iterations")  # fmt: skip
INTERVAL_FLAGS = ("save_steps", "save_interval", "checkpoint.save_interval", "trainer.save_steps",
                  "training_args.save_steps")  # fmt: skip
SWITCHES = frozenset({"true", "false", "yes", "no", "none", "null"})
CONFIG = re.compile(r".+\.ya?ml")


class Role(StrEnum):
    """What a process is in a pipeline that ends in training."""

    TRAINER = "trainer"
    """A Python program, or one that says it trains."""
    LAUNCHER = "launcher"
    """Starts trainers and waits: torchrun, accelerate."""
    WRAPPER = "wrapper"
    """A shell, an init, nohup: never the trainer itself."""
    FILTER = "filter"
    """Reads the trainer's output: tee, grep."""
    CLIENT = "client"
    """A container engine's client."""
    SERVER = "server"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What one command line says. Paths are as the process sees them, perhaps relative."""

    role: Role
    trains: bool = False
    """A flag or a name in it speaks of training."""
    lane: str | None = None
    checkpoints: str | None = None
    checkpoints_flag: str | None = None
    total: int | None = None
    total_flag: str | None = None
    save_interval: int | None = None
    config: str | None = None
    """A YAML file that may say the rest (Axolotl, LLaMA-Factory)."""


def read_command(argv: Sequence[str]) -> Hints:
    """Return what *argv* gives away."""
    role = _role(argv)
    checkpoints_flag, checkpoints = _flag(argv, SAVE_FLAGS)
    total_flag, total = _flag(argv, TOTAL_FLAGS)
    _, interval = _flag(argv, INTERVAL_FLAGS)
    own = role in (Role.TRAINER, Role.LAUNCHER)
    named = bool(checkpoints or _positive(total) or interval)
    return Hints(
        role=role,
        trains=own and (named or bool(TRAINING_WORDS.search(" ".join(_names(argv))))),
        lane=lane_of(" ".join(argv)),
        checkpoints=checkpoints,
        checkpoints_flag=checkpoints_flag,
        total=_positive(total),
        total_flag=total_flag if _positive(total) else None,
        save_interval=_positive(interval),
        config=next((each for each in argv[1:] if CONFIG.fullmatch(each)), None),
    )


def lane_of(text: str) -> str | None:
    """Guess the lane from a command line, an image's name or a log."""
    lowered = text.lower()
    if "unsloth" in lowered:
        return "unsloth"
    if any(word in lowered for word in ("nemo", "megatron")):
        return "nemo"
    return None


def folder_changes(argv: Sequence[str]) -> Iterator[str]:
    """Folders that a shell's command line changes to before it runs what it runs."""
    for word in argv:
        for match in re.finditer(r"(?:^|[;&|\s])cd\s+([^\s;&|]+)", word):
            yield match[1].strip("'\"")


def _role(argv: Sequence[str]) -> Role:
    program = _base(argv[0]) if argv else ""
    for names, role in ((SHELLS | INITS | RUN_OTHERS, Role.WRAPPER), (FILTERS, Role.FILTER),
                        (CLIENTS, Role.CLIENT)):  # fmt: skip
        if program in names:
            return role
    names_of = [_base(each) for each in _names(argv)]
    if any(each.startswith(SERVERS) for each in names_of):
        return Role.SERVER
    # A worker's own file may lie in a folder of that name: only the program's name counts.
    if any(each.startswith(LAUNCHERS) for each in names_of):
        return Role.LAUNCHER
    if re.match(r"(?:python|pypy)[\d.]*t?$", program) or program.startswith("pt_"):
        return Role.TRAINER
    return Role.TRAINER if TRAINING_WORDS.search(program) else Role.OTHER


def _names(argv: Sequence[str]) -> list[str]:
    """The program and, of an interpreter, its script or module: not its arguments."""
    names = list(argv[:1])
    rest = iter(argv[1:])
    for word in rest:
        if word == "-m":
            return [*names, next(rest, "")]
        if word == "-c":
            return names
        if word in ("-W", "-X"):
            next(rest, None)
        elif not word.startswith("-"):
            return [*names, word]
    return names


def _flag(argv: Sequence[str], names: Sequence[str]) -> tuple[str | None, str | None]:
    """The first of *names* that is given as --name value, --name=value or name=value."""
    wanted = {name: rank for rank, name in enumerate(names)}
    found: dict[int, tuple[str, str]] = {}
    for position, word in enumerate(argv):
        name, equals, value = word.partition("=")
        bare = name.lstrip("-+").replace("-", "_")
        dashed = word.startswith("--")
        if bare not in wanted or not (dashed or equals):
            continue
        if not equals:
            value = argv[position + 1] if position + 1 < len(argv) else ""
        if value and value.lower() not in SWITCHES and (equals or not value.startswith("--")):
            found.setdefault(wanted[bare], (name, value))
    return found[min(found)] if found else (None, None)


def _positive(text: str | None) -> int | None:
    try:
        return whole(int(text)) or None if text is not None else None
    except ValueError:
        return None


def _base(word: str) -> str:
    return word.rsplit("/", 1)[-1].lstrip("-")
