"""The edge: everything here reads the disk or the machine, may fail, and never raises for it.

A probe returns a `Read`: the value, or the sentence that says why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What a probe found. Neither value nor problem: the source is simply not there (yet).

    Both may be set: the value is sound, and the problem names the part of it that was left out.
    """

    value: T | None = None
    problem: str | None = None
