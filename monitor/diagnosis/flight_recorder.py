"""What NCCL's flight recorder of PyTorch has dumped: which collective each rank is at.

The rule: the files are pickles, and a pickle may run anything. Only plain values are built here, of
files that are not too large; one that asks for more is not read.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monitor.diagnosis.places import Collective, Rank
from monitor.diagnosis.rank_processes import read_variables
from monitor.probes.process import parse_stat
from monitor.probes.raw import open_regular, read_proc
from monitor.probes.text import clean_line

FILE_BYTES = 32 << 20
CACHE = ".cache/torch"
OWN_NAMES = ("comm_lib_trace_rank_", "nccl_trace_rank_")
"""PyTorch's own, in its cache below HOME; of older ones in /tmp."""
GROUPS = 16
SLACK_S = 1.0
VARIABLES = ("TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE")
_LISTS = frozenset({"build_intlist", "build_doublelist", "build_boollist"})


def read_collectives(ranks: Iterable[Rank]) -> tuple[Collective, ...]:
    """What the recorders of *ranks* hold; files that are older than their process are another's."""
    found: list[Collective] = []
    for rank in ranks:
        for prefix in _prefixes(read_variables(rank.pid, (*VARIABLES, "HOME"))):
            raw = _read(rank.pid, f"{prefix}{rank.rank}")
            content = parse(raw) if raw is not None else None
            if content is not None:
                found += collectives_of(rank.rank, content)
                break
    return tuple(found)


def _prefixes(told: Mapping[str, str]) -> list[str]:
    given = [told[name] for name in VARIABLES if told.get(name)]
    home = f"{told.get('HOME', '')}/{CACHE}"
    folders = (home, "/tmp")  # noqa: S108 - where PyTorch writes it
    return given or [f"{folder}/{name}" for folder in folders for name in OWN_NAMES]


def _read(pid: int, path: str) -> bytes | None:
    if not path.startswith("/") or ".." in Path(path).parts:
        return None
    started = started_wall(pid)
    try:
        descriptor = open_regular(Path(f"/proc/{pid}/root{path}"))
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if status.st_size > FILE_BYTES or started is None or status.st_mtime < started:
            return None
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            return stream.read(FILE_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def started_wall(pid: int) -> float | None:
    """When *pid* was started, by today's clock on the wall; a clock that was set shifts it."""
    try:
        stat = parse_stat(read_proc(f"/proc/{pid}/stat", 4096))
    except OSError:
        return None
    if stat is None:
        return None
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start_ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s - SLACK_S


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


def collectives_of(rank: int, content: dict[str, Any]) -> list[Collective]:
    """Where *rank* is in each of its process groups, by the entries of its dump."""
    groups: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for each in _list(content.get("entries")):
        if isinstance(each, dict) and (number := _sequence(each)) is not None:
            groups.setdefault(_group(each), []).append((number, each))
    return [_collective(rank, *each) for each in list(groups.items())[:GROUPS]]


def _collective(rank: int, group: str, entries: list[tuple[int, dict[str, Any]]]) -> Collective:
    entries.sort(key=lambda each: each[0])
    done = max((number for number, each in entries if _completed(each)), default=0)
    number, first = next(
        ((number, each) for number, each in entries if number > done and not _completed(each)),
        (None, {}),
    )
    name = first.get("profiling_name")
    return Collective(
        rank=rank,
        group=group,
        done=done,
        pending=clean_line(name, 200) if isinstance(name, str) else None,
        pending_number=number,
        place=_place(first),
    )


def _group(entry: dict[str, Any]) -> str:
    words = [str(each) for each in _list(entry.get("process_group"))[:2]]
    return clean_line(" ".join(words), 100)


def _sequence(entry: dict[str, Any]) -> int | None:
    if entry.get("is_p2p") is True:
        return None
    number = entry.get("collective_seq_id", entry.get("seq_id"))
    return number if type(number) is int else None


def _completed(entry: dict[str, Any]) -> bool:
    """Gloo's entries are only retired once they are over; their state is never told."""
    return entry.get("state") == "completed" or entry.get("retired") is True


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
