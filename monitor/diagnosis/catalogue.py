"""The known problems of this stack, each by what it is recognised. Pure.

One table. A row's `sign` looks at what a run said and what was seen of it, and returns by what it
recognised the problem, or None. The words are in `monitor/known_problems.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from monitor.diagnosis.values import Known
from monitor.known_problems import PROBLEMS
from monitor.signatures import Signature

SHOWN = 160
"""Characters of a line by which a problem was recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a run said and what was seen of it."""

    lines: tuple[str, ...] = ()
    """The end of its log, cleaned."""
    cause: str = ""
    """How it ended, as its keeper recorded it."""
    reason: str = ""
    """Of its verdict."""
    hung: bool = False
    """Its verdict is suspect or stalled."""
    over: bool = False
    phase: str | None = None
    saves: int | None = None
    """Saves of this process so far."""
    signature: str | None = None
    machine: str = ""
    """x86_64 or aarch64."""
    unified: bool = False
    """GPU and CPU share one memory."""
    no_memory_lines: int = 0
    """NVRM lines with NV_ERR_NO_MEMORY since it was started."""


Sign = Callable[[Said], str | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One known problem."""

    name: str
    sign: Sign


def recognise(said: Said) -> tuple[Known, ...]:
    """Return the known problems that *said* shows, in the table's order."""
    return tuple(
        Known(name=row.name, seen=seen, explanation=words.explanation, remedy=words.remedy)
        for row in CATALOGUE
        if (seen := row.sign(said)) is not None
        for words in (PROBLEMS[row.name],)
    )


def _quoted(text: str) -> str:
    text = text.strip()
    return f'"{text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"}"'


def _line(pattern: str) -> Sign:
    """The last line of the log that *pattern* is found in, or the recorded cause."""
    wanted = re.compile(pattern)

    def sign(said: Said) -> str | None:
        found = (each for each in (*reversed(said.lines), said.cause) if wanted.search(each))
        return next(map(_quoted, found), None)

    return sign


def _signature(*names: Signature, words: str) -> Sign:
    def sign(said: Said) -> str | None:
        return words if said.signature in names else None

    return sign


def _yarn(said: Said) -> str | None:
    """The TypeError alone may be anybody's: a call of the rope must stand above it."""
    error = _line(r"unsupported operand type\(s\) for \*: 'NoneType' and '(int|float)'")(said)
    return error if error and any("yarn" in each for each in said.lines) else None


def _async_worker(said: Said) -> str | None:
    if said.signature == Signature.SAVE_WORKER_DEAD:
        return "its writer is a zombie while a checkpoint waits to be finished"
    if not said.hung:
        return None
    for each in reversed(said.lines):
        if "successfully saved checkpoint" in each or re.search(r" iteration +\d+/", each):
            return None
        if "scheduled an async checkpoint save at iteration" in each:
            return f"{_quoted(each)} is its last word, and no checkpoint came of it"
    return None


def _sigterm(said: Said) -> str | None:
    if "killed by SIGTERM" not in said.cause or not any(map(_MEGATRON.search, said.lines)):
        return None
    if any("exiting program after receiving SIGTERM" in each for each in said.lines):
        return None
    return "SIGTERM ended it, and it never said that it received one"


_MEGATRON = re.compile(r" iteration +\d+/ +\d+ \| consumed samples:|PEFT Statistics:")


def _wedge(said: Said) -> str | None:
    if not said.unified:
        return None
    if "the machine was restarted" in said.reason:
        return "the machine, whose GPU shares its memory, was restarted under the run"
    if said.hung and said.no_memory_lines:
        return f"{said.no_memory_lines} NVRM lines with NV_ERR_NO_MEMORY, and it hangs"
    return None


def _flash(said: Said) -> str | None:
    found = _line(r"(?i)flash.?attn3.*(not found|no .*build|FileNotFound|does not|cannot)")(said)
    return found if found and said.machine in ("aarch64", "") else None


def _bus_error(said: Said) -> str | None:
    found = _line(r"killed by signal: Bus error|out of shared memory|unable to .* shared memory")
    if "killed by SIGBUS" in said.cause:
        return "killed by SIGBUS"
    return found(said)


def _first_save(said: Said) -> str | None:
    first = said.phase == "saving" and said.saves == 0 and not said.over
    return "it writes its first checkpoint" if first else None


CATALOGUE = (
    Row("yarn-incomplete", _yarn),
    Row("torchao-old", _line(r"(?i)incompatible version of torchao")),
    Row("torchao-new", _line(r"cannot import name 'ScalingType'|torchao.*_C.*undefined symbol")),
    Row("torchvision-cpu", _line(r"torchvision.*operators do not load|torchvision::nms does not")),
    Row(
        "gpu-gone-after-reload",
        _line(r"No CUDA GPUs are available|Failed to initialize NVML: Unknown Error"),
    ),
    Row(
        "image-before-25-11",
        _line(r"Unsloth.*(cannot find any torch accelerator|No GPU detected)|You need a GPU\."),
    ),
    Row("async-save-worker-dead", _async_worker),
    Row("sigterm-ignored", _sigterm),
    Row("flash-attn3-aarch64", _flash),
    Row("unified-memory-wedge", _wedge),
    Row(
        "stuck-power-state",
        _signature(Signature.POWER_STATE, words="its clock is far under its usual one"),
    ),
    Row("template-cuts-reasoning", _line(r"</think>( or the end-of-sequence token)? is lost")),
    Row("shm-too-small", _bus_error),
    Row("float16-on-a-cpu", _line(r"Unsloth.*training on CPU.*bfloat16 = False")),
    Row("first-save-slow", _first_save),
    Row("legacy-checkpoint", _line(r"Legacy checkpoint missing 'args' field")),
    Row("no-metadata", _line(r"differs from inferred format 'fsdp_dtensor'")),
    Row("no-makefile", _line(r"make: \*\*\* .*[Nn]o makefile found")),
    Row(
        "utilisation-latched",
        _signature(
            Signature.BUSY_WITHOUT_PROCESS, words="a GPU is busy and no process computes on it"
        ),
    ),
    Row(
        "pipe-full",
        _signature(Signature.BLOCKED_PIPE, words="it is blocked in a write to a full pipe"),
    ),
)
