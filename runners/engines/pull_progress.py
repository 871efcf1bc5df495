"""How far a pull is, folded from what the Docker engine says of each layer. Pure.

The rule: a total is only a total once every layer's size is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

RATE_WINDOW_S = 30.0
MIB, GIB = 1 << 20, 1 << 30
DOWNLOADED = ("Download complete", "Verifying Checksum", "Extracting", "Pull complete")
WHOLE = ("Pull complete", "Already exists")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the image."""

    size: int | None = None
    loaded: int = 0
    unpacked: int = 0
    here: bool = False
    """Nothing of it is left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """All layers, by the short form of their digest, and the pace of late."""

    layers: Mapping[str, Layer] = field(default_factory=dict)
    marks: tuple[tuple[float, int], ...] = ()
    """(seconds, bytes loaded) within the last RATE_WINDOW_S."""

    @property
    def done(self) -> int:
        """Bytes loaded."""
        return sum(layer.loaded for layer in self.layers.values())

    @property
    def total(self) -> int | None:
        """Bytes to load; None while a layer's size is not known."""
        sizes = [layer.size for layer in self.layers.values()]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None

    @property
    def rate(self) -> float | None:
        """Bytes a second of late."""
        if len(self.marks) < 2:
            return None
        (began_s, before), (now_s, after) = self.marks[0], self.marks[-1]
        return max(0, after - before) / (now_s - began_s) if now_s > began_s else None

    @property
    def left_s(self) -> float | None:
        """Until everything is loaded, at the pace of late."""
        if self.total is None or not self.rate:
            return None
        return (self.total - self.done) / self.rate


def with_sizes(progress: PullProgress, sizes: Mapping[str, int]) -> PullProgress:
    """Take in what the registry says of the layers before any is loaded."""
    layers = {name: Layer(size=size) for name, size in sizes.items()}
    return replace(progress, layers=layers | dict(progress.layers))


def heard(progress: PullProgress, event: Mapping[str, object], now_s: float) -> PullProgress:
    """Take in one event of the engine at *now_s*, by a monotonic clock."""
    name, status = event.get("id"), event.get("status")
    if not isinstance(name, str) or not isinstance(status, str) or not _is_layer(name):
        return progress
    layers = dict(progress.layers)
    layers[name] = _changed(layers.get(name, Layer()), status, event.get("progressDetail"))
    moved = replace(progress, layers=layers)
    since = [mark for mark in progress.marks if mark[0] > now_s - RATE_WINDOW_S]
    if since and now_s - since[-1][0] < 1.0 and len(since) > 1:
        since.pop()
    return replace(moved, marks=(*since, (now_s, moved.done)))


def _is_layer(name: str) -> bool:
    """The first event's id is the tag."""
    return len(name) == 12 and all(each in "0123456789abcdef" for each in name)


def _changed(layer: Layer, status: str, detail: object) -> Layer:
    table = detail if isinstance(detail, Mapping) else {}
    current, total = table.get("current"), table.get("total")
    size = total if isinstance(total, int) and total > 0 else layer.size
    if status == "Downloading" and isinstance(current, int):
        return replace(layer, loaded=current, size=size)
    if status == "Extracting" and isinstance(current, int):
        layer = replace(layer, unpacked=current)
    if status == "Already exists":
        return replace(layer, size=layer.size or 0, loaded=layer.size or 0, here=True)
    if status in DOWNLOADED:
        size = layer.size if layer.size is not None else layer.loaded
        return replace(layer, loaded=size, size=size, here=layer.here or status in WHOLE)
    return layer


def in_words(progress: PullProgress) -> str:
    """One line for the log."""
    layers = progress.layers.values()
    words = [f"{sum(each.here for each in layers)}/{len(layers)} layers"]
    if progress.total is None:
        words.append(f"{_size(progress.done)} so far")
    else:
        words.append(f"{_size(progress.done)} of {_size(progress.total)}")
    if progress.total is not None and progress.done >= progress.total:
        unpacked = sum(each.size or 0 if each.here else each.unpacked for each in layers)
        words.append(f"loaded; {_size(unpacked)} unpacked")
    elif progress.rate is not None:
        words.append(f"{progress.rate / MIB:.1f} MiB/s")
    if (left_s := progress.left_s) is not None and left_s > 0:
        words.append(f"about {_duration(left_s)} left")
    return ", ".join(words)


def _size(count: float) -> str:
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / MIB:.1f} MiB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return (
        f"{minutes} min" if minutes >= 10 else f"{minutes} min {rest} s" if minutes else f"{rest} s"
    )
