"""Compare stacks that were taken one after another: what never moved comes first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from monitor.diagnosis.places import Rank
from monitor.diagnosis.values import Frame, Group, KernelThread, Stack, ThreadView
from monitor.frozen import replace

IDLE_SHARE = 0.02
"""Of a core: less than a look around costs it."""
NATIVE_CALLS = 12
"""Innermost ones; what lies further out is the interpreter's own."""
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


def compare(
    samples: Sequence[Sequence[Stack]], kernel: Iterable[KernelThread]
) -> tuple[ThreadView, ...]:
    """One view for each thread that is left; those that never moved come first.

    Of a thread that runs a sample may fail, also the last one: the kernel says whether it is left.
    """
    if not samples:
        return ()
    samples = [[replace(each, frames=_folded(each.frames)) for each in one] for one in samples]
    known = {each.tid: each for each in kernel}
    before = [{(each.pid, each.tid): each for each in sample} for sample in samples]
    answered = [{each.pid for each in sample} for sample in samples]
    views = []
    for last in _left(before, known):
        seen = [sample[key] for sample in before if (key := (last.pid, last.tid)) in sample]
        views.append(
            ThreadView(
                pid=last.pid,
                tid=last.tid,
                name=last.name,
                still=_is_still(
                    seen,
                    [last.pid in each for each in answered],
                    at := known.get(last.tid) if last.tid is not None else None,
                ),
                stays_in=_common(_whole([each.frames for each in seen])),
                kernel=at,
                idle=_idle([each.active for each in seen], at),
            )
        )
    return tuple(sorted(views, key=lambda each: not each.still))


def _folded(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Without the frames of comprehensions, which are lines of the function around them.

    Python 3.12 gives most of them no frame any more (PEP 709); a place is named alike before it.
    """
    kept: list[Frame] = []
    for each in frames:
        inner = kept[-1] if kept else None
        if inner is not None and _is_written_in(inner, each):
            kept[-1] = replace(each, line=inner.line)
        else:
            kept.append(each)
    return tuple(kept)


def _is_written_in(inner: Frame, outer: Frame) -> bool:
    """*inner* is a comprehension of *outer*; a generator may be drawn from anywhere else."""
    around, _, name = inner.function.rpartition(".")
    if name not in _COMPREHENSIONS or inner.file != outer.file:
        return False
    if not around:  # before Python 3.11 a frame knows no more
        return name != "<genexpr>"
    return around == f"{outer.function}.<locals>"


def _is_still(seen: Sequence[Stack], answered: Sequence[bool], kernel: KernelThread | None) -> bool:
    """It stood alike in every sample that its process was seen in, and in two at least.

    Of one sample alone the kernel tells: whoever was on no core meanwhile did not move.
    """
    alike = len({each.frames for each in seen}) == 1
    told = len(seen) > 1 or (kernel is not None and kernel.ran is False)
    return alike and len(seen) == sum(answered) and told


def _left(
    samples: Sequence[Mapping[tuple[int, int | None], Stack]],
    known: Mapping[int, KernelThread],
) -> Iterator[Stack]:
    """The newest stack of each thread of the last sample, and of those seen in most of them."""
    newest: dict[tuple[int, int | None], Stack] = {}
    for sample in samples:
        newest |= sample
    for key, stack in newest.items():
        often = 2 * sum(key in sample for sample in samples) > len(samples)
        if key in samples[-1] or (often and stack.tid in known):
            yield stack


def _idle(active: Sequence[bool | None], kernel: KernelThread | None) -> bool | None:
    """It did next to nothing, by the kernel's count; else it ran in no sample, if they say so."""
    if kernel is not None:
        return kernel.state != "R" and kernel.cpu_share < IDLE_SHARE
    return None if None in active else not any(active)


def with_native(
    views: Iterable[ThreadView], native: Iterable[Stack], python: str = ".py"
) -> tuple[ThreadView, ...]:
    """Add to each thread the native calls inside its innermost Python call."""
    calls = {
        (each.pid, each.tid): tuple(
            f"{frame.function} ({frame.file.rpartition('/')[2]})"
            for frame in takewhile(lambda it: not it.file.endswith(python), each.frames)
        )
        for each in native
    }
    return tuple(
        replace(view, native=calls.get((view.pid, view.tid), ())[:NATIVE_CALLS]) for view in views
    )


def _whole(stacks: Sequence[tuple[Frame, ...]]) -> Sequence[tuple[Frame, ...]]:
    """Without those that were torn: a thread's outermost call never changes.

    A thread that runs is read while it does: of 250 stacks of a generator that spins one was seen
    to end inside it. Where as many begin elsewhere, the deeper ones are whole.
    """
    begun: dict[tuple[str, str], list[tuple[Frame, ...]]] = {}
    for each in stacks:
        if each:
            begun.setdefault((each[-1].function, each[-1].file), []).append(each)
    return max(begun.values(), key=lambda each: (len(each), len(each[0])), default=[])


def _common(stacks: Sequence[tuple[Frame, ...]]) -> tuple[Frame, ...]:
    """The outermost calls that all *stacks* share; a line may move within the last of them."""
    outward = [tuple(reversed(each)) for each in stacks]
    held: list[Frame] = []
    for level in zip(*outward, strict=False):
        if len({(each.function, each.file) for each in level}) > 1:
            break
        held.append(level[-1])
        if len({each.line for each in level}) > 1:
            break
    return tuple(reversed(held))


def grouped(threads: Iterable[ThreadView], ranks: Iterable[Rank] = ()) -> tuple[Group, ...]:
    """Put threads together that stand at the same place; still ones first, then the largest."""
    numbers = {each.pid: f"rank {each.rank} " for each in ranks}
    found: dict[tuple[tuple[Frame, ...], bool, bool | None, tuple[str, ...]], list[str]] = {}
    for each in threads:
        name = f"{numbers.get(each.pid, '')}{each.name or 'thread'} (pid {each.pid})"
        found.setdefault((each.stays_in, each.still, each.idle, each.native), []).append(name)
    groups = [
        Group(frames=frames, still=still, threads=tuple(names), idle=idle, native=native)
        for (frames, still, idle, native), names in found.items()
    ]
    return tuple(sorted(groups, key=lambda each: (not each.still, -len(each.threads))))
