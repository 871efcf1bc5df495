"""Turn the exception that ended a stage into one sentence a person can act on.

The rule: no library is imported to recognise its exceptions; names and texts are enough.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from pathlib import Path

from .files import FULL_DISK

CAUSE_LIMIT = 300
"""Most characters of a cause: it has to fit a terminal's lines and a notification."""

_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "cannot allocate memory")
_HOST_TEXTS = _MEMORY_TEXTS[1:]
_CPU_ALLOCATOR = "defaultcpuallocator"
"""PyTorch's, of tensors in host memory."""
_DISK_TEXTS = ("no space left on device", "disk quota exceeded", "os error 28", "os error 122")
_WRITER_TEXTS = ("pytorchstreamwriter", "failed writing file", "unexpected pos")
"""What torch.save says when a write fails; the error number is lost on the way."""

_FULL_BELOW_BYTES = 1 << 20
_REFERENCE_MODULES = frozenset({"torch", "transformers", "peft", "accelerate", "safetensors"})
_BASE_MODULES = frozenset({"tokenizers", "jinja2"})
_THERE = "in a checkout of lanewatch"


class StageError(Exception):
    """A stage cannot go on; the message is the sentence to show."""


class StopRequested(Exception):
    """The stage ended early because someone asked for it."""


def is_stop(error: BaseException) -> bool:
    """A StopRequested, or what became of one on its way out.

    Python up to 3.11 turns whatever is raised while a class is made into a RuntimeError of its own,
    and to load a trainer is to make thousands of classes.
    """
    found: BaseException | None = error
    while found is not None and not isinstance(found, StopRequested):
        found = found.__cause__
    return found is not None


def describe(error: BaseException, folder: Path) -> str:
    """Return the cause of *error* as one line of at most 300 characters.

    *folder* is the run's: a write that failed without saying why is put down to its disk being
    full when it is.
    """
    return one_line(_sentence(error, folder))


def one_line(text: str) -> str:
    """Return *text* without line breaks and control characters, cut to the limit."""
    words = "".join(each if each.isprintable() else " " for each in text).split()
    line = " ".join(words)
    return line if len(line) <= CAUSE_LIMIT else line[: CAUSE_LIMIT - 1] + "…"


def _sentence(error: BaseException, folder: Path) -> str:
    if isinstance(error, StageError):
        return str(error)
    for each in _chain(error):
        special = _resource(each, folder)
        if special is not None:
            return special
    return _by_class(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """*error* and what it was raised from or during; a library often hides the first one."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or current.__context__


def _resource(error: BaseException, folder: Path) -> str | None:
    """The sentence when memory or disk ran out, else None."""
    text = str(error).lower()
    names = {each.__name__ for each in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or any(each in text for each in _MEMORY_TEXTS):
        detail = str(error) or "the process could not get more memory"
        return f"out of memory: {detail}; {_memory_remedy(names, text)}"
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return f"disk full: {error.strerror} while writing {error.filename or folder}"
    if any(each in text for each in _DISK_TEXTS):
        return f"disk full: {error} (below {folder})"
    if any(each in text for each in _WRITER_TEXTS) and _is_full(folder):
        return f"disk full: a file below {folder} could not be written ({error})"
    return None


def _memory_remedy(names: set[str], text: str) -> str:
    """The batch helps where the tensors are: not where Python itself gets no memory."""
    batch = "lower micro_batch or sequence_length"
    if (
        _CPU_ALLOCATOR not in text
        and "MemoryError" not in names
        and (not any(each in text for each in _HOST_TEXTS))
    ):
        return batch
    host = "host memory is short, not the GPU's: free some, or raise the limit (ulimit, container)"
    return f"{host}; on a CPU {batch}" if _CPU_ALLOCATOR in text else host


def _is_full(folder: Path) -> bool:
    try:
        room = os.statvfs(folder)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < _FULL_BELOW_BYTES


def _by_class(error: BaseException) -> str:
    if isinstance(error, ImportError):
        return _missing_module(error)
    if isinstance(error, FileNotFoundError):
        return f"file not found: {error.filename or error}"
    if isinstance(error, PermissionError):
        return f"permission denied: {error.filename or error}"
    if isinstance(error, OSError):
        place = f": {error.filename}" if error.filename else ""
        return f"input/output error: {error.strerror or error}{place}"
    if isinstance(error, FloatingPointError):
        return f"not a number: {error}"
    if isinstance(error, ValueError):
        return f"bad value: {error}"
    if isinstance(error, KeyError):
        return f"missing key: {error}"
    if isinstance(error, SystemExit):
        return f"the stage ended itself with exit code {error.code}"
    return f"{type(error).__name__}: {error}" if str(error) else _by_place(error)


def _by_place(error: BaseException) -> str:
    """An assertion without words is known by the line that it stands in."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    last = frames[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return f"{type(error).__name__} in {where}: {last.line or last.name}"


def _missing_module(error: ImportError) -> str:
    name = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError):
        return f"cannot import {name or 'a module'}: {error}"
    if name in _REFERENCE_MODULES:
        return f"the module {name} is missing: `pip install '.[reference]'` {_THERE}"
    if name in _BASE_MODULES:
        return f"the module {name} is missing: `pip install .` {_THERE}"
    return f"the module {name or error} is missing from this lane's environment"
