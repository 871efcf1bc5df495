"""Make data/ of a run: token ids, loss mask and order, once and the same for every lane.

A kill at any moment leaves either no manifest or a whole output: the old manifest goes first, every
other file appears by rename, the new manifest comes last.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from monitor.files import replace_bytes, sync_folder, write_json
from monitor.rundir import RunDir
from runners.prepare.faults import (
    LOST_END,
    LOST_THINK,
    fault,
    in_lines,
    remedy,
    too_long,
    too_many,
)
from runners.prepare.manifest import Manifest, Task, read_task, task_inputs
from runners.prepare.order import eval_lines, longest, percentile, shuffled_order, smoke_order
from runners.prepare.tokens import RowTokenizer, Tokens
from runners.recipe.base import weight_problems
from runners.recipe.data import BadRow, DataError, read_rows, survey

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""

FAULTS_TO_READ = 50
"""So many bad rows are enough to tell; the rest is not read."""


def prepare(run_dir: Path, *, on_progress: Progress | None = None) -> Manifest:
    """Write *run_dir*/data/{train.jsonl, eval.jsonl, order.json} and then manifest.json.

    Raises DataError when rows, tokenizer or run.json cannot be used, OSError when the disk cannot
    be written. *on_progress* may raise to stop; nothing half-made is then left to be trusted.
    """
    task = read_task(run_dir)
    return _Preparation(task, RunDir(run_dir).data, on_progress or (lambda *_: None)).run()


class _Lines:
    """A JSON Lines file that appears under its name once it is whole."""

    def __init__(self, path: Path, digest: Any) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._digest = digest
        self._stream = open(self._part, "wb", opener=_private)  # noqa: SIM115  closed by publish or discard

    def append(self, tokens: Tokens) -> None:
        value = {"ids": tokens.ids, "mask": tokens.mask}
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self._digest.update(line)
        self._stream.write(line)

    def publish(self) -> None:
        with self._stream:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        self._part.replace(self._path)

    def discard(self) -> None:
        self._stream.close()
        self._part.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Preparation:
    """One run of the stage; holds row lengths and nothing else of the rows."""

    def __init__(self, task: Task, folder: Path, on_progress: Progress) -> None:
        self._task, self._recipe, self._folder = task, task.recipe, folder
        self._on_progress = on_progress
        self._done = self._total = self._tokens = self._dropped = self._cut = 0
        self._lengths = array("I")
        self._tokenizer = RowTokenizer(task.base, self._recipe.model.sequence_length)

    def run(self) -> Manifest:
        # A base of the hub was not here when the run was launched, and the next stages are long.
        for field, text in weight_problems(self._recipe, self._task.base):
            raise DataError(f"{field}: {text}")
        inputs = task_inputs(self._task)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("manifest.json", "eval.jsonl"):
            (self._folder / name).unlink(missing_ok=True)
        sync_folder(self._folder)
        digest, eval_digest = hashlib.sha256(), hashlib.sha256()
        train = _Lines(self._folder / "train.jsonl", digest)
        held_out = _Lines(self._folder / "eval.jsonl", eval_digest)
        try:
            eval_rows = self._write_rows(train, held_out)
            train.publish()
            if eval_rows:
                held_out.publish()
        finally:
            train.discard()
            held_out.discard()
        digest.update(eval_digest.digest() if eval_rows else b"")
        self._write_order()
        return self._write_manifest(inputs, eval_rows, digest.hexdigest())

    def _write_rows(self, train: _Lines, held_out: _Lines) -> int:
        """Write all rows; returns how many are for evaluation. Raises DataError."""
        data = self._recipe.data
        lines = survey(Path(data.path)).lines
        kept = eval_lines(lines, data.eval_fraction, self._recipe.train.seed)
        evaluation = Path(data.eval_path) if data.eval_path else None
        self._total = lines + (survey(evaluation).lines if evaluation else 0)
        eval_rows = 0
        for index, tokens in self._usable(Path(data.path)):
            if index in kept:
                held_out.append(tokens)
                eval_rows += 1
            else:
                train.append(tokens)
                self._lengths.append(len(tokens.ids))
                self._tokens += len(tokens.ids)
        if evaluation:
            for _, tokens in self._usable(evaluation):
                held_out.append(tokens)
                eval_rows += 1
        if not self._lengths:
            raise DataError(f"{data.path}: no row is left to train on")
        if (kept or evaluation) and not eval_rows:
            raise DataError(f"{evaluation or data.path}: no row is left to evaluate on")
        self._on_progress(self._total, self._total)
        return eval_rows

    def _usable(self, path: Path) -> Iterator[tuple[int, Tokens]]:
        """Yield (index, tokens) of the rows that fit; raise DataError if others are a fault."""
        bad: list[tuple[int, str]] = []
        dropped: list[int] = []
        before = self._done
        rows = read_rows(path, self._recipe.data.shape)
        for index, tokens in enumerate(self._tokenizer.tokens(rows)):
            self._done += 1
            self._on_progress(self._done, self._total)
            if isinstance(tokens, BadRow):
                bad.append((tokens.line, tokens.reason))
            elif tokens.is_cut and self._recipe.data.drops:
                dropped.append(tokens.line)
            elif reason := fault(tokens):
                bad.append((tokens.line, reason))
            else:
                self._cut += tokens.is_cut
                yield index, tokens
            if len(bad) >= FAULTS_TO_READ:
                break
        if bad:
            raise DataError(self._complaint(path, bad))
        if self._recipe.data.too_long == "drop":
            self._refuse_many(path, self._done - before, dropped)
        self._dropped += len(dropped)

    def _refuse_many(self, path: Path, rows: int, dropped: list[int]) -> None:
        """A few rows may be left out unasked; more would train another corpus than is thought."""
        if excess := too_many(rows, len(dropped)):
            limit = self._recipe.model.sequence_length
            said = too_long(rows, len(dropped), dropped, limit, "dropped")
            raise DataError(f"{path}: {said}{excess}")

    def _complaint(self, path: Path, bad: list[tuple[int, str]]) -> str:
        lost = [line for line, reason in bad if reason in (LOST_THINK, LOST_END)]
        sentences = [f"line {line} {reason}" for line, reason in bad if line not in lost][:5]
        if lost:
            sentences.append(
                f"{in_lines(lost)}: </think> or the end-of-sequence token is lost; "
                f"{remedy(self._recipe.model.sequence_length)}"
            )
        return f"{path}: {'; '.join(sentences)} (lanewatch recipe check lists all)"

    def _write_order(self) -> None:
        """Smoke runs take the corpus's mix of lengths, then one iteration of the longest rows."""
        recipe, seed = self._recipe, self._recipe.train.seed
        extremes = longest(self._lengths, recipe.batch)
        steps = self._task.smoke_iterations
        if steps is not None:
            order = smoke_order(self._lengths, steps, recipe.batch, seed) + extremes
        else:
            rows = recipe.iterations_bound * recipe.batch
            order = shuffled_order(len(self._lengths), rows, seed)
        content = {"seed": seed, "order": order, "longest": extremes}
        text = json.dumps(content, separators=(",", ":"))
        replace_bytes(self._folder / "order.json", text.encode() + b"\n", durable=True)

    def _write_manifest(self, inputs: dict[str, Any], eval_rows: int, digest: str) -> Manifest:
        names = ["train.jsonl", "order.json", *(["eval.jsonl"] if eval_rows else [])]
        manifest = Manifest(
            rows=len(self._lengths),
            eval_rows=eval_rows,
            tokens=self._tokens,
            ids_sha256=digest,
            sequence_length=self._recipe.model.sequence_length,
            dropped=self._dropped,
            cut=self._cut,
            lengths={
                "p50": percentile(self._lengths, 0.5),
                "p95": percentile(self._lengths, 0.95),
                "max": max(self._lengths),
            },
            inputs=inputs,
            files={name: (self._folder / name).stat().st_size for name in names},
        )
        write_json(self._folder / "manifest.json", manifest.to_json(), durable=True)
        return manifest
