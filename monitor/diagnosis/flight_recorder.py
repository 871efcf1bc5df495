"""What NCCL's flight recorder of PyTorch has dumped: which collective each rank is at.

The rule: the files are pickles, and a pickle may run anything. Only plain values are built here, of
files that are not too large; one that asks for more is not read.
"""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from monitor.diagnosis.places import Collective, Rank
from monitor.diagnosis.rank_processes import read_variables
from monitor.probes.raw import open_regular
from monitor.probes.text import clean_line

FILE_BYTES = 32 << 20
DEFAULT = "/tmp/nccl_trace_rank_"  # noqa: S108 - PyTorch's own default
VARIABLES = ("TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE")
_LISTS = frozenset({"build_intlist", "build_doublelist", "build_boollist"})


def read_collectives(ranks: Iterable[Rank]) -> tuple[Collective, ...]:
    """What the recorders of *ranks* hold; files that are older than their process are another's."""
    found = []
    for rank in ranks:
        told = read_variables(rank.pid, VARIABLES)
        prefix = next((told[name] for name in VARIABLES if told.get(name)), DEFAULT)
        raw = _read(rank.pid, f"{prefix}{rank.rank}")
        content = parse(raw) if raw is not None else None
        if content is not None and (last := collective_of(rank.rank, content)) is not None:
            found.append(last)
    return tuple(found)


def _read(pid: int, path: str) -> bytes | None:
    if not path.startswith("/") or ".." in Path(path).parts:
        return None
    try:
        started = Path(f"/proc/{pid}").stat().st_mtime
        descriptor = open_regular(Path(f"/proc/{pid}/root{path}"))
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if status.st_size > FILE_BYTES or status.st_mtime < started:
            return None
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(FILE_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)


class _Plain(pickle.Unpickler):
    """Builds numbers, texts, lists, tuples and dicts; PyTorch writes its typed lists by a name."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"{pid!r} is no plain value")


def parse(raw: bytes) -> dict[str, Any] | None:
    """The dump as plain values; None for anything else."""
    try:
        value = json.loads(raw) if raw[:1] == b"{" else _Plain(io.BytesIO(raw)).load()
    except Exception:  # noqa: BLE001 - whatever a broken pickle raises, it is no dump
        return None
    return value if isinstance(value, dict) else None


def collective_of(rank: int, content: dict[str, Any]) -> Collective | None:
    """Where *rank* is, by the entries of its dump."""
    entries = [each for each in _list(content.get("entries")) if isinstance(each, dict)]
    numbered = sorted(
        ((number, each) for each in entries if (number := _sequence(each)) is not None),
        key=lambda each: each[0],
    )
    if not numbered:
        return None
    done = max((number for number, each in numbered if _completed(each)), default=0)
    open_ones = [(number, each) for number, each in numbered if not _completed(each)]
    number, first = open_ones[0] if open_ones else (None, {})
    name = first.get("profiling_name")
    return Collective(
        rank=rank,
        done=done,
        pending=clean_line(name, 200) if isinstance(name, str) else None,
        pending_number=number,
        place=_place(first),
    )


def _sequence(entry: dict[str, Any]) -> int | None:
    if entry.get("is_p2p") is True:
        return None
    number = entry.get("collective_seq_id", entry.get("seq_id"))
    return number if type(number) is int else None


def _completed(entry: dict[str, Any]) -> bool:
    return entry.get("state") == "completed"


def _place(entry: dict[str, Any]) -> str | None:
    """The innermost call outside of PyTorch."""
    for frame in _list(entry.get("frames")):
        if not isinstance(frame, dict):
            continue
        file, line = str(frame.get("filename")), frame.get("line")
        if "/torch/" not in file:
            short = "/".join(file.split("/")[-2:])
            return clean_line(f"{frame.get('name')} ({short}:{line})", 300)
    return None


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
