"""The checkpoints folder: what the tracker names, and which folders a resume could use.

The rule: a folder is believed for what its files say, never for its name alone.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monitor.frozen import replace
from monitor.model import Checkpoint, CheckpointReading
from monitor.probes import Read
from monitor.probes.raw import open_regular, reason
from monitor.rundir import TRACKER

MEGATRON_FILES = frozenset({".metadata", "metadata.json", "train_state.pt", "run_config.yaml"})
"""What Megatron-Bridge needs to resume; the weights themselves are the .distcp files."""

BRIDGE_TRACKER = "latest_train_state.pt"
"""Beside the checkpoints of Megatron-Bridge, written before the tracker; Megatron-LM has none."""
_LM_FILES = frozenset({".metadata", "metadata.json"})
_UNFINISHED = "checkpoint-is-incomplete.txt"
"""In a Hugging Face folder for as long as a save on a signal lasts."""

_PUBLISHED = re.compile(r"(?:iter_(\d{7,12})|checkpoint-(\d{1,12}))", re.ASCII)
_WRITING = re.compile(r"\.?iter_\d{7,12}.*\.tmp|tmp-checkpoint-\d{1,12}", re.ASCII)
_TRAINER_STATE = "trainer_state.json"
_GLOBAL_STEP = re.compile(rb'"global_step":\s*(\d{1,18})')
_EPOCH = re.compile(rb'"epoch":\s*(\d{1,9}(?:\.\d{1,20})?)')
_HEAD_BYTES = 4096
"""The keys of a trainer_state.json are sorted: these come before its long list."""
_TAIL_BYTES = 64
_STATE_LIMIT = 4 * 1024 * 1024
_DEPTH_LIMIT = 4


GLANCES = 10
"""So many looks in a row may go by stamps alone: a file system's clock may be coarse."""

_Glance = tuple[tuple[int, int, int], ...]

_Key = tuple[str, int, int]
"""Name, inode and mtime in ns: while they hold, a finished checkpoint is not walked again."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """What a walk of one checkpoint folder found."""

    names: frozenset[str]
    size_bytes: int
    modified_wall: float


class CheckpointProbe:
    """Reads one checkpoints folder again and again; a finished checkpoint is walked only once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place, self._tracker_place = str(folder), str(folder / TRACKER)
        self._whole: dict[_Key, Checkpoint] = {}
        self._tracked: int | None = None
        self._glance: _Glance | None = None
        """Taken before the last scan."""
        self._settled: CheckpointReading | None = None
        """What two scans in a row have found; it holds while a glance shows no change."""
        self._glances = 0
        self.steps_per_epoch: float | None = None
        """By the newest trainer_state.json; a log without iterations still tells its epoch."""

    def read(self) -> Read[CheckpointReading]:
        """Read the folder; a missing one gives neither value nor problem."""
        before, self._glance = self._glance, self._look_at()
        same = self._glance is not None and self._glance == before
        if same and self._settled is not None and self._glances < GLANCES:
            self._glances += 1
            return Read(replace(self._settled, free_bytes=self._free()))
        read = self._scanned()
        self._settled, self._glances = (read.value if same and _is_calm(read) else None), 0
        return read

    def _look_at(self) -> _Glance | None:
        """When the folder, the tracker and each whole checkpoint were last changed."""
        try:
            stamps = [
                _stamp(self._place),
                *(_stamp(f"{self._place}/{key[0]}") for key in self._whole),
            ]
        except OSError:
            return None
        with suppress(OSError):  # not every trainer has one
            stamps.append(_stamp(self._tracker_place))
        return tuple(stamps)

    def _scanned(self) -> Read[CheckpointReading]:
        tracker = self._tracker()
        try:
            checkpoints, writing = self._scan(tracker.value)
        except FileNotFoundError:
            return Read()
        except OSError as error:
            return Read(problem=f"{self._folder.name}/ cannot be read: {reason(error)}")
        for iteration in _being_written(checkpoints, tracker.value):
            writing.append(checkpoints[iteration].size_bytes)
        reading = CheckpointReading(
            tracker=tracker.value,
            checkpoints=tuple(checkpoints[each] for each in sorted(checkpoints)),
            writing_bytes=sum(writing) if writing else None,
            free_bytes=self._free(),
        )
        return Read(reading, tracker.problem)

    def _free(self) -> int | None:
        try:
            status = os.statvfs(self._place)
        except OSError:
            return None
        return status.f_bavail * status.f_frsize

    def _tracker(self) -> Read[int]:
        """Read the tracker; while it is rewritten in place it is empty, and the last word holds."""
        path = self._folder / TRACKER
        read = read_tracker(path)
        if read.value is None and self._tracked is not None and _is_empty(path):
            return Read(self._tracked)
        self._tracked = read.value
        return read

    def _scan(self, tracker: int | None) -> tuple[dict[int, Checkpoint], list[int]]:
        """The published folders by iteration, and the bytes of each unpublished one."""
        # Where Megatron-LM wrote, nothing but the tracker says that a folder is whole.
        bridge = (self._folder / BRIDGE_TRACKER).exists()
        told = -1 if tracker is None or bridge else tracker
        checkpoints: dict[int, Checkpoint] = {}
        writing: list[int] = []
        kept: dict[_Key, Checkpoint] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if _WRITING.fullmatch(entry.name):
                    walked = _walk(entry.path)
                    writing.append(walked.size_bytes if walked else 0)
                elif match := _PUBLISHED.fullmatch(entry.name):
                    found = self._read_one(entry, int(match[1] or match[2]), kept, told)
                    if found is not None:
                        _keep_better(checkpoints, found)
        self._whole = kept
        return checkpoints, writing

    def _read_one(
        self, entry: os.DirEntry[str], iteration: int, kept: dict[_Key, Checkpoint], told: int
    ) -> Checkpoint | None:
        try:
            if not entry.is_dir():
                return None
            status = entry.stat()
        except OSError:
            return None
        key = (entry.name, status.st_ino, status.st_mtime_ns)
        known = self._whole.get(key)
        if known is None:
            walked = _walk(entry.path)
            if walked is None:
                return None
            if _TRAINER_STATE in walked.names:
                self.steps_per_epoch = _steps_per_epoch(entry.path) or self.steps_per_epoch
            known = Checkpoint(
                iteration=iteration,
                complete=_is_complete(Path(entry.path), iteration, walked.names, told),
                size_bytes=walked.size_bytes,
                modified_wall=walked.modified_wall,
            )
        if known.complete:
            kept[key] = known
        return known


def read_checkpoints(folder: Path) -> Read[CheckpointReading]:
    """Read *folder* once; whoever reads it often keeps a `CheckpointProbe`."""
    return CheckpointProbe(folder).read()


def read_tracker(path: Path) -> Read[int]:
    """Read the tracker file. Megatron rewrites it in place, so it may be seen empty: unknown."""
    try:
        descriptor = open_regular(path)
        try:
            raw = os.read(descriptor, 64)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return Read()
    except OSError as error:
        return Read(problem=f"{path.name} cannot be read: {reason(error)}")
    return parse_tracker(raw)


def parse_tracker(raw: bytes) -> Read[int]:
    """Parse the tracker's content; "release" (imported weights) and nothing at all are unknown."""
    text = raw.strip()
    if not text or text == b"release":
        return Read()
    if text.isdigit() and len(text) <= 12:
        return Read(int(text))
    return Read(problem=f"{TRACKER} holds no iteration")


def _is_calm(read: Read[CheckpointReading]) -> bool:
    """Nothing is being written: whatever changes next changes a stamp."""
    reading = read.value
    if reading is None or read.problem is not None or reading.writing_bytes is not None:
        return False
    return all(each.complete for each in reading.checkpoints)


def _stamp(path: str) -> tuple[int, int, int]:
    status = os.stat(path)  # noqa: PTH116 - a hot path
    return status.st_ino, status.st_mtime_ns, status.st_size


def _keep_better(checkpoints: dict[int, Checkpoint], found: Checkpoint) -> None:
    """Two folders may name one iteration (both layouts in one folder): the whole one counts."""
    known = checkpoints.get(found.iteration)
    if known is None or (found.complete and not known.complete):
        checkpoints[found.iteration] = found


def _being_written(checkpoints: dict[int, Checkpoint], tracker: int | None) -> list[int]:
    """Megatron and Hugging Face fill the final folder in place: the newest, until it is whole.

    What a crash left half written looks the same; that it does not grow tells them apart.
    """
    done = [each.iteration for each in checkpoints.values() if each.complete]
    last = max([*done, tracker or 0], default=0)
    open_ones = [each for each in checkpoints if each > last]
    return [max(open_ones)] if open_ones else []


def _is_complete(folder: Path, iteration: int, names: frozenset[str], told: int) -> bool:
    """True when a resume could use *folder*. One of ours is whole by being published at all.

    *told* is the iteration up to which Megatron-LM's tracker vouches for what it has written.
    """
    if _is_megatron(names):
        if names >= MEGATRON_FILES:
            return True
        foreign = not names & (MEGATRON_FILES - _LM_FILES)
        legacy = not names & _LM_FILES and not any(each.endswith(".distcp") for each in names)
        return iteration <= told and foreign and (legacy or names >= _LM_FILES)
    if _UNFINISHED in names:
        return False
    if _TRAINER_STATE in names:
        return _read_global_step(folder / _TRAINER_STATE) == iteration
    return bool(names) and not folder.name.startswith("checkpoint-")


def _is_megatron(names: frozenset[str]) -> bool:
    """Its first file is common.pt (0.4) or a shard, so a save that was killed may hold no more."""
    first = ("mp_rank_", "common.pt")
    return bool(names & MEGATRON_FILES) or any(
        name.startswith(first) or name.endswith(".distcp") for name in names
    )


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _read_global_step(path: Path) -> int | None:
    """The iteration of a whole trainer_state.json; None of one that is cut short.

    It holds all that was ever logged, and a run of many checkpoints has one in each: what Hugging
    Face's Trainer writes (sorted keys, indented) is told by its two ends, anything else is parsed.
    """
    try:
        descriptor = open_regular(path)
        with os.fdopen(descriptor, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if len(head) == _HEAD_BYTES:
                stream.seek(-_TAIL_BYTES, os.SEEK_END)
                tail = stream.read()
                step = _step_by_its_ends(head, tail)
                if step is not None:
                    return step
                if stream.tell() > _STATE_LIMIT:
                    return _sampled_step(head, tail)
            stream.seek(0)
            step = json.loads(stream.read(_STATE_LIMIT + 1))["global_step"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return step if isinstance(step, int) else None


def _step_by_its_ends(head: bytes, tail: bytes) -> int | None:
    """Only the outermost object is closed at a line's beginning."""
    before, history, _ = head.partition(b'\n  "log_history": [')
    match = _GLOBAL_STEP.search(before)
    whole = history and tail.rstrip().endswith(b"\n}")
    return int(match[1]) if match and whole else None


def _steps_per_epoch(folder: str) -> float | None:
    try:
        descriptor = open_regular(Path(folder, _TRAINER_STATE))
        try:
            head = os.read(descriptor, _HEAD_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    head = head.partition(b'"log_history"')[0]
    step, epoch = _GLOBAL_STEP.search(head), _EPOCH.search(head)
    if not step or not epoch or float(epoch[1]) <= 0:
        return None
    return int(step[1]) / float(epoch[1]) or None


def _sampled_step(head: bytes, tail: bytes) -> int | None:
    match = _GLOBAL_STEP.search(head)
    return int(match[1]) if match and tail.rstrip().endswith(b"}") else None


def _walk(path: str, depth: int = 0) -> _Folder | None:
    """Names at the top, bytes and newest change of all below; None once it is gone."""
    names: set[str] = set()
    size = 0
    try:
        newest = os.stat(path).st_mtime  # noqa: PTH116 - a hot path over many files
        with os.scandir(path) as entries:
            for entry in entries:
                names.add(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    below = _walk(entry.path, depth + 1) if depth < _DEPTH_LIMIT else None
                    if below:
                        size += below.size_bytes
                        newest = max(newest, below.modified_wall)
                    continue
                status = entry.stat()
                size += status.st_size
                newest = max(newest, status.st_mtime)
    except OSError:
        return None if not names else _Folder(frozenset(names), size, newest)
    return _Folder(frozenset(names), size, newest)
