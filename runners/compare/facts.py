"""What a comparison knows of one run. Pure values; what is not known is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What is drawn over each other, each ascending."""

    loss: Curve = ()
    """(iteration, loss)."""
    loss_wall: Curve = ()
    """(seconds since the first iteration ended, loss)."""
    step: Curve = ()
    """(iteration, seconds)."""
    step_wall: Curve = ()
    memory: Curve = ()
    """(seconds since the first sample of training, bytes that the machine used)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """One run as its files tell of it."""

    run: str
    name: str | None = None
    lane: str | None = None
    engine: str | None = None
    kind: str | None = None
    status: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """By dotted path."""
    by_command: bool = False
    """A foreign run: its recipe is what its command line says, and no more."""
    ids_sha256: str | None = None
    """Of token ids and masks."""
    base_revision: str | None = None
    adapter_parameters: int | None = None
    image: str | None = None
    image_digest: str | None = None
    made_by: str | None = None
    """Version of lanewatch, kernel and architecture."""
    attempts: int | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """By the keys of `table.ROWS`."""
    curves: Curves = field(default_factory=Curves)
    problems: tuple[str, ...] = ()
    """Files that could not be read."""

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.name or self.run

    def figure(self, key: str) -> float | None:
        """One of the figures."""
        return self.figures.get(key)
