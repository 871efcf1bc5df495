"""Compare the ranks of a run: who holds the others up. Pure.

The rule: a rank is guilty when it stands elsewhere while others wait for it in a collective. Where
all wait alike nobody is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.diagnosis.ends import Found
from monitor.diagnosis.places import MOST_RANKS, Collective, Rank
from monitor.diagnosis.values import Cause, Confidence, DiagnosisFacts, Frame, ThreadView

_COLLECTIVE = re.compile(r"/torch/distributed/distributed_c10d\.py$")
_TORCH = re.compile(r"/(site|dist)-packages/|/torch/|<")
_STANDARD = re.compile(r"/python3\.\d+/[^/]+\.py$|/python3\.\d+/(concurrent|multiprocessing)/")
_SETS_UP = frozenset({"init_process_group", "_new_process_group_helper", "new_group"})
_DECIDES = (
    "the flight recorder would tell: start with TORCH_FR_BUFFER_SIZE=2000 and "
    "TORCH_NCCL_DUMP_ON_TIMEOUT=1"
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A rank and where its main thread stands."""

    rank: Rank
    view: ThreadView
    waits_in: str | None
    """The collective."""
    own: Frame | None
    """The innermost call that is no library's."""


def compare_ranks(facts: DiagnosisFacts) -> Found | None:
    """Name the rank that holds the others up; None where there is one rank, or none is guilty."""
    ranks = facts.around.ranks
    if not ranks:
        return None
    seen = _seen(facts, ranks)
    waiting = [each for each in seen if each.waits_in is not None and each.view.still]
    return (
        _gone(ranks, waiting)
        or _stopped(facts, ranks)
        or _elsewhere(facts, seen, waiting)
        or _recorded(facts.around.collectives)
        or _different(waiting)
    )


def rank_lines(facts: DiagnosisFacts) -> tuple[str, ...]:
    """One line for each rank, as evidence."""
    seen = {each.rank.rank: each for each in _seen(facts, facts.around.ranks)}
    lines = []
    for rank in facts.around.ranks:
        found = seen.get(rank.rank)
        state = next((each.state for each in facts.kernel if each.tid == rank.pid), "?")
        where = _stands(found) if found else "where it stands cannot be seen"
        lines.append(f"rank {rank.rank} (pid {rank.pid}, state {state}): {where}")
    for each in facts.around.collectives:
        pending = f", then began {each.pending}" if each.pending else ""
        place = f" at {each.place}" if each.place else ""
        group = f" of group {each.group}" if each.group else ""
        lines.append(
            f"flight recorder, rank {each.rank}: {each.done} completed{group}{pending}{place}"
        )
    return tuple(lines)


def _seen(facts: DiagnosisFacts, ranks: Sequence[Rank]) -> list[_Seen]:
    mains = {each.pid: each for each in facts.threads if _is_main(each) and each.stays_in}
    return [
        _Seen(rank, view, _collective(view.stays_in), own_frame(view.stays_in))
        for rank in ranks
        if (view := mains.get(rank.pid)) is not None
    ]


def _is_main(view: ThreadView) -> bool:
    return view.tid == view.pid or view.name == "MainThread"


def _collective(frames: tuple[Frame, ...]) -> str | None:
    """The call of torch.distributed that a thread is in, as the trainer called it."""
    inside = [each for each in frames if _COLLECTIVE.search(each.file)]
    if not inside or inside[-1].function in _SETS_UP:
        return None
    return inside[-1].function


def own_frame(frames: tuple[Frame, ...]) -> Frame | None:
    """The innermost call of the trainer itself; the innermost of all where it has none."""
    own = (
        each for each in frames if not _TORCH.search(each.file) and not _STANDARD.search(each.file)
    )
    return next(own, frames[0] if frames else None)


def _gone(ranks: Sequence[Rank], waiting: list[_Seen]) -> Found | None:
    """Fewer processes than there are to be on this machine."""
    world = max((each.world or 0 for each in ranks), default=0)
    here = {each.local if each.local is not None else each.rank for each in ranks}
    missing = sorted(set(range(world)) - here)
    if not missing or not waiting or len(ranks) >= min(world, MOST_RANKS):
        return None
    who, has = _numbers(missing), "has" if len(missing) == 1 else "have"
    if all(each.on_machine for each in ranks):
        words = f"{who} of {world} {has} no process any more, and {_wait_words(waiting)}"
        return Found(Cause.RANK_GONE, Confidence.LIKELY, words)
    words = f"{who} of {world} {has} no process here, and {_wait_words(waiting)}"
    return Found(Cause.RANK_GONE, Confidence.UNSURE, words, "whether other machines have them")


def _stopped(facts: DiagnosisFacts, ranks: Sequence[Rank]) -> Found | None:
    """Wherever it stands, a rank that is stopped holds the others up."""
    states = {each.pid: each.state for each in facts.kernel if each.tid == each.pid}
    stopped = [each for each in ranks if states.get(each.pid) in ("T", "t")]
    if not stopped or len(stopped) == len(ranks):
        return None
    first = stopped[0]
    words = f"{_numbers([each.rank for each in stopped])} of the ranks is stopped (state T)"
    return Found(Cause.RANK_BEHIND, Confidence.LIKELY, f"{words}: `kill -CONT {first.pid}`")


def _elsewhere(facts: DiagnosisFacts, seen: list[_Seen], waiting: list[_Seen]) -> Found | None:
    others = [each for each in seen if each.waits_in is None]
    if not waiting or not others:
        return None
    first = others[0]
    names = _numbers([each.rank.rank for each in others])
    holds = "holds" if len(others) == 1 else "hold"
    words = (
        f"{names} (pid {first.rank.pid}) {holds} the others up: it {_stands(first)}"
        f"{_state_words(facts, first)}, and {_wait_words(waiting)}"
    )
    if len(waiting) + len(others) < len(facts.around.ranks):
        return Found(Cause.RANK_BEHIND, Confidence.UNSURE, words, _DECIDES)
    return Found(Cause.RANK_BEHIND, Confidence.LIKELY, words)


def _state_words(facts: DiagnosisFacts, seen: _Seen) -> str:
    """What it does there: a rank that computes may only be slow."""
    kernel = next((each for each in facts.kernel if each.tid == seen.rank.pid), None)
    if kernel is None:
        return ""
    if kernel.cpu_share >= 0.2:
        return f", at {kernel.cpu_share:.0%} of a core"
    if "nanosleep" in (kernel.syscall or ""):
        return ", asleep"
    return f", in {kernel.syscall}" if kernel.syscall else ""


def _recorded(collectives: Sequence[Collective]) -> Found | None:
    """Who has completed fewest of a group, by the flight recorders."""
    groups = dict.fromkeys(each.group for each in collectives)
    found = (_behind([each for each in collectives if each.group == name]) for name in groups)
    return next((each for each in found if each is not None), None)


def _behind(collectives: Sequence[Collective]) -> Found | None:
    if len(collectives) < 2:
        return None
    least, most = (pick(each.done for each in collectives) for pick in (min, max))
    behind = [each for each in collectives if each.done == least]
    begun = [each for each in collectives if each.pending_number is not None]
    late = [each for each in collectives if each.pending_number is None]
    if least == most and not (begun and late):
        return None
    guilty = behind if least < most else late
    first, other = guilty[0], (begun or list(collectives))[0]
    waits = f"rank {other.rank} waits in {other.pending or 'a collective'}"
    words = (
        f"{_numbers([each.rank for each in guilty])} is behind by the flight recorder: it completed"
        f" {first.done} collectives, {waits}{f' at {other.place}' if other.place else ''}"
    )
    return Found(Cause.RANK_BEHIND, Confidence.LIKELY, words)


def _different(waiting: list[_Seen]) -> Found | None:
    kinds = {each.waits_in for each in waiting}
    if len(kinds) < 2:
        return None
    each_words = " and ".join(f"rank {each.rank.rank} {_stands(each)}" for each in waiting[:3])
    words = f"the ranks wait for different things: {each_words}"
    return Found(Cause.COLLECTIVES_DIFFER, Confidence.LIKELY, words)


def _stands(seen: _Seen) -> str:
    place = f" {seen.own}" if seen.own else " a place that cannot be seen"
    if seen.waits_in is None:
        return f"{'stands' if seen.view.still else 'is'} in{place}"
    return f"waits in {seen.waits_in}, called from{place}"


def _wait_words(waiting: list[_Seen]) -> str:
    first = waiting[0]
    wait = "waits" if len(waiting) == 1 else "wait"
    names = _numbers([each.rank.rank for each in waiting])
    return f"{names} {wait} in {first.waits_in}, called from {first.own}"


def _numbers(ranks: Sequence[int]) -> str:
    named = ", ".join(map(str, ranks[:8])) + (" …" if len(ranks) > 8 else "")
    return f"rank {named}" if len(ranks) == 1 else f"ranks {named}"
