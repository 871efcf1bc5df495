"""What a run last showed before the machine went down: its flight log is telemetry.sqlite3.

The rule: a box that hangs says nothing, so the last sample is all the evidence there is. It was
synced to the disk within a second; watch.json, which is not, may be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from monitor.budget import memory_limit
from monitor.events import read_events
from monitor.memory_judge import MemoryLevel, level_of
from monitor.readings import MemoryReading
from monitor.rundir import RunDir
from monitor.samples import Sample
from monitor.subject import other_boot
from monitor.target import WatchTarget, read_target
from monitor.words import gibibytes, moment

EVENTS_READ = 200
LOOKED_AT = 20
"""Runs, the newest first, that are asked whether the machine went down under them."""


def last_words(target: WatchTarget, boot_id: str) -> str | None:
    """Say when the last sample before this boot was and what it showed.

    None while the run was started on this very boot, and where no sample is left.
    """
    if not other_boot(target.subject.boot_id, boot_id):
        return None
    sample = last_sample(target.run_dir, boot_id)
    if sample is None:
        return None
    level = _level(sample, target) or _told_level(target.run_dir, boot_id)
    return f"last seen {moment(sample.wall_s)}: {'; '.join(_figures(sample, level))}"


def last_sample(run_dir: RunDir, boot_id: str) -> Sample | None:
    """The newest sample that was not taken on *boot_id*."""
    from monitor.store import read_samples  # SQLite loads longer than a status takes

    samples = read_samples(run_dir.telemetry, limit=LOOKED_AT).value or ()
    return next((each for each in reversed(samples) if each.boot_id != boot_id), None)


def unclean_ends(root: Path, boot_id: str) -> list[tuple[str, str]]:
    """Runs below *root* that were under way when the machine went down, with their last words."""
    found = []
    for folder in _newest(root):
        target = read_target(folder)
        if target.final or target.foreign or target.status is None:
            continue
        words = last_words(target, boot_id)
        if words is not None:
            found.append((target.run, words))
    return found


def _newest(root: Path) -> list[Path]:
    try:
        folders = [each for each in root.iterdir() if not each.name.startswith(".")]
        return sorted(folders, key=lambda each: each.stat().st_mtime, reverse=True)[:LOOKED_AT]
    except OSError:
        return []


def _figures(sample: Sample, level: MemoryLevel | None) -> Iterator[str]:
    far = "" if sample.iteration is None else f" at iteration {sample.iteration}"
    yield f"{sample.verdict or 'no verdict yet'}{far}"
    if sample.mem_used_bytes is not None:
        left = sample.mem_available_bytes
        free = "" if left is None else f", {gibibytes(left)} available"
        called = "" if level in (None, MemoryLevel.OK) else f", memory {level}"
        yield f"{gibibytes(sample.mem_used_bytes)} of memory used{free}{called}"
    for gpu in sample.gpus:
        figures = [
            None if gpu.power_w is None else f"{gpu.power_w:.0f} W",
            None if gpu.utilisation_percent is None else f"{gpu.utilisation_percent:.0f} %",
        ]
        told = ", ".join(each for each in figures if each)
        if told:
            yield f"GPU {gpu.index} at {told}"


def _level(sample: Sample, target: WatchTarget) -> MemoryLevel | None:
    """What the sample alone says, where that is above `ok`."""
    used, available = sample.mem_used_bytes, sample.mem_available_bytes
    if used is None or available is None:
        return None
    reading = MemoryReading(
        total_bytes=used + available, available_bytes=available, free_bytes=0, cached_bytes=0
    )
    # A GPU that tells no memory of its own shares the machine's.
    unified = any(gpu.memory_used_bytes is None for gpu in sample.gpus)
    limit = memory_limit(reading.total_bytes, target.memory_limit_bytes)
    level = level_of(reading, limit, unified=unified)
    return None if level is MemoryLevel.OK else level


def _told_level(run_dir: RunDir, boot_id: str) -> MemoryLevel | None:
    """The level that was last recorded: a forecast had warned where no sample alone could."""
    for event in reversed(read_events(run_dir.events, tail=EVENTS_READ)):
        if event.kind == "memory" and event.boot_id != boot_id:
            try:
                return MemoryLevel(str(event.fields.get("level")))
            except ValueError:
                return None
    return None
