"""Which row is trained on when. Pure: the same seed gives every lane the same order."""

from __future__ import annotations

import random
from collections.abc import Sequence


def shuffled_order(rows: int, length: int, seed: int) -> list[int]:
    """Return *length* row indices below *rows*: whole epochs one after the other, each shuffled."""
    if rows < 1:
        raise ValueError("there is no row to order")
    generator = random.Random(seed)  # noqa: S311  not a secret
    order: list[int] = []
    while len(order) < length:
        epoch = list(range(rows))
        generator.shuffle(epoch)
        order += epoch
    return order[:length]


def smoke_order(lengths: Sequence[int], iterations: int, batch: int, seed: int) -> list[int]:
    """Return iterations * batch row indices whose lengths are spread as those of the corpus.

    The rows, sorted by length, are cut into one stratum for each index of an iteration; each
    iteration takes one row at random from every stratum. So every single step has the corpus's mix,
    and a few of them tell the pace of a whole run.
    """
    if not lengths:
        raise ValueError("there is no row to order")
    generator = random.Random(seed)  # noqa: S311  not a secret
    ranked = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    order: list[int] = []
    for _ in range(iterations):
        step = [_from_stratum(ranked, each, batch, generator) for each in range(batch)]
        generator.shuffle(step)
        order += step
    return order


def _from_stratum(ranked: Sequence[int], stratum: int, strata: int, r: random.Random) -> int:
    first = stratum * len(ranked) // strata
    last = max(first + 1, (stratum + 1) * len(ranked) // strata)
    return ranked[r.randrange(first, last)]


def longest(lengths: Sequence[int], n: int) -> list[int]:
    """Return the indices of the *n* longest rows, longest first; repeated when there are fewer."""
    ranked = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    return [ranked[each % len(ranked)] for each in range(n)] if ranked else []


def eval_lines(lines: int, fraction: float, seed: int) -> frozenset[int]:
    """Return which of the rows 0 to lines - 1 are kept for evaluation: at least one, never all."""
    if fraction <= 0 or lines < 2:
        return frozenset()
    kept = min(lines - 1, max(1, round(lines * fraction)))
    return frozenset(random.Random(seed).sample(range(lines), kept))  # noqa: S311  not a secret


def percentile(lengths: Sequence[int], share: float) -> int | None:
    """Return the value that *share* (0 to 1) of *lengths* do not exceed; None when empty."""
    ranked = sorted(lengths)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else None
