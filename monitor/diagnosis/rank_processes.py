"""Which processes are ranks of one run, by their environment.

The rule: a helper that a rank has started (a loader's worker) inherits its environment, and is no
rank; of a family the outermost process is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from monitor.diagnosis.places import MOST_RANKS, Rank
from monitor.probes.process import parse_stat
from monitor.probes.raw import list_names, read_proc

_NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_KEY = ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def read_variables(pid: int, names: Iterable[str]) -> dict[str, str]:
    """Those of *names* that the process was started with; none where they are hidden."""
    try:
        raw = read_proc(f"/proc/{pid}/environ", 1 << 20)
    except OSError:
        return {}
    pairs = (each.partition(b"=") for each in raw.split(b"\0"))
    wanted = {name.encode(): name for name in names}
    return {
        wanted[name]: value.decode("utf-8", "replace") for name, _, value in pairs if name in wanted
    }


def read_ranks(family: Sequence[int]) -> tuple[Rank, ...]:
    """The ranks among *family*, and beside it where its first is a rank itself; by number."""
    if not family:
        return ()
    first = read_variables(family[0], _NAMES)
    around = list(family)
    launched = "RANK" in first and "MASTER_PORT" in first
    if launched:
        around += [int(each) for each in list_names("/proc") if each.isdigit()]
    told = {pid: read_variables(pid, _NAMES) for pid in dict.fromkeys(around)}
    if launched:
        key = [first.get(name) for name in _KEY]
        told = {
            pid: found for pid, found in told.items() if [found.get(name) for name in _KEY] == key
        }
    return ranks_of(told, {pid: _parent(pid) for pid in told})


def ranks_of(
    told: Mapping[int, Mapping[str, str]], parents: Mapping[int, int | None]
) -> tuple[Rank, ...]:
    """The ranks by what each pid's environment says; fewer than two are none."""
    found: dict[int, Rank] = {}
    for pid, variables in told.items():
        number = _number(variables.get("RANK"))
        parent = parents.get(pid)
        above = told.get(parent, {}) if parent is not None else {}
        if number is None or above.get("RANK") == variables.get("RANK"):
            continue
        found.setdefault(
            number,
            Rank(
                rank=number,
                pid=pid,
                local=_number(variables.get("LOCAL_RANK")),
                world=_number(variables.get("LOCAL_WORLD_SIZE") or variables.get("WORLD_SIZE")),
                on_machine=bool(variables.get("LOCAL_WORLD_SIZE")),
            ),
        )
    ranks = tuple(found[number] for number in sorted(found))
    return (
        ranks[:MOST_RANKS] if len(ranks) > 1 or any((each.world or 1) > 1 for each in ranks) else ()
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _parent(pid: int) -> int | None:
    try:
        stat = parse_stat(read_proc(f"/proc/{pid}/stat", 4096))
    except OSError:
        return None
    return stat.parent if stat else None
