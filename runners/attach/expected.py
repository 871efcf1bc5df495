"""How far a trainer means to go and how often it saves, from what it has already written.

A checkpoint's own files come first: they hold the trainer's real arguments. Then the log's lines.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from monitor.earlier import said_earlier
from monitor.grammar import begin, fold
from monitor.probes.checkpoints import read_checkpoints
from monitor.probes.clock import RATE
from monitor.probes.log import read_log
from monitor.probes.numbers import whole
from monitor.probes.raw import open_regular
from runners.attach.folders import CHECKPOINT

HEAD_BYTES = 1 << 18
TAIL_BYTES = 1 << 16
STATE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected of a run; None: not known."""

    total: int | None = None
    total_why: str | None = None
    save_interval: int | None = None


def from_checkpoints(folder: Path) -> Expected:
    """Read the newest checkpoint's own arguments, and the gaps between the checkpoints."""
    reading = read_checkpoints(folder).value
    if reading is None or not reading.checkpoints:
        return Expected()
    known = [each.iteration for each in reading.checkpoints]
    gaps = [after - before for before, after in pairwise(known)]
    whole = [each for each in reading.checkpoints if each.complete]
    # By time: in a folder that is used again an earlier training may have got further.
    newest = max(
        whole or reading.checkpoints, key=lambda each: (each.modified_wall, each.iteration)
    )
    told = _told_in(folder, newest.iteration)
    return Expected(
        total=told.total,
        total_why=told.total_why,
        # A last checkpoint at the end is nearer than the interval, so that the largest gap counts.
        save_interval=told.save_interval or max(gaps, default=None),
    )


def from_config(text: str) -> tuple[Expected, str | None]:
    """Read a launcher's YAML (Axolotl, LLaMA-Factory): what is expected, and the folder."""

    def value(name: str) -> str | None:
        found = re.search(rf"^{name}:\s*([^\s#]+)", text, re.MULTILINE)
        return found[1].strip("'\"") if found else None

    total, interval = value("max_steps"), value("save_steps")
    expected = Expected(
        total=_positive(total),
        total_why="its configuration file" if _positive(total) else None,
        save_interval=_positive(interval),
    )
    return expected, value("output_dir")


def from_log(path: Path, since_wall: float | None = None) -> Expected:
    """Read the total out of the log's beginning and end, as the watcher reads it.

    *since_wall*: when the trainer began; what the log says of an earlier one is not its own.
    """
    state = begin()
    for text in (read_part(path), read_part(path, from_end=True)):
        for line in re.split(r"[\r\n]+", text):
            state = fold(state, line.encode())
    log = read_log(path).value
    said = state.progress
    if (
        log is not None
        and since_wall is not None
        and said_earlier(said, log, since_wall, rate=RATE)
    ):
        return Expected()
    total = state.progress.total or state.bars.total
    return Expected(total=total, total_why="what its log says" if total is not None else None)


def _told_in(folder: Path, iteration: int) -> Expected:
    try:
        names = [each for each in folder.iterdir() if CHECKPOINT.fullmatch(each.name)]
    except OSError:
        return Expected()
    for each in names:
        if int(re.split(r"[_-]", each.name)[-1]) == iteration:
            return _hugging_face(each / "trainer_state.json") or _megatron(each)
    return Expected()


def _hugging_face(path: Path) -> Expected | None:
    try:
        state = json.loads(read_part(path, limit=STATE_BYTES))
    except ValueError:
        return None
    if not isinstance(state, dict):
        return None
    total, interval = whole(state.get("max_steps")), whole(state.get("save_steps"))
    return Expected(
        total=total or None,
        total_why="trainer_state.json" if total else None,
        save_interval=interval or None,
    )


def _megatron(folder: Path) -> Expected:
    text = read_part(folder / "run_config.yaml", limit=STATE_BYTES)
    total = re.search(r"^\s+train_iters:\s*(\d+)\s*$", text, re.MULTILINE)
    interval = re.search(r"^\s+save_interval:\s*(\d+)\s*$", text, re.MULTILINE)
    return Expected(
        total=_positive(total[1]) if total else None,
        total_why="run_config.yaml" if total and _positive(total[1]) else None,
        save_interval=_positive(interval[1]) if interval else None,
    )


def _positive(text: str | None) -> int | None:
    try:
        return whole(int(text)) or None if text is not None else None
    except ValueError:
        return None


def read_part(path: Path, *, from_end: bool = False, limit: int | None = None) -> str:
    """The beginning or the end of a regular file as text; empty where there is none."""
    limit = limit or (TAIL_BYTES if from_end else HEAD_BYTES)
    try:
        with open(open_regular(path), "rb") as stream:  # noqa: PTH123 - an open descriptor
            if from_end:
                size = stream.seek(0, 2)
                stream.seek(max(0, size - limit))
            return stream.read(limit).decode(errors="replace")
    except OSError:
        return ""
