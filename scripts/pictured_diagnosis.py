"""A training that hangs, as its diagnosis is pictured: fixed facts, concluded as for a user."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from monitor.diagnosis.record import Diagnosis
from monitor.diagnosis.values import Frame

sys.path.append(str(Path(__file__).parents[1] / "tests" / "integration"))
from fabricated_diagnoses import FACTS, PINS, kernel, made_of, view

_LIMIT = "the iteration limit is 10 min, from its own pace"
REASON = f"no progress for 11 min ({_LIMIT}), iteration 241 of 625"
_BRIDGE = "/opt/Megatron-Bridge/src/megatron/bridge/training"
_MAIN = (
    Frame("on_train_step_end", "/home/ann/patents/night_report.py", 66),
    Frame("train", f"{_BRIDGE}/train.py", 533),
    Frame("pretrain", f"{_BRIDGE}/pretrain.py", 171),
    Frame("finetune", f"{_BRIDGE}/finetune.py", 53),
    Frame("main", "/runs/payload/nemo_train.py", 140),
)
_REPORT = (
    Frame("send_row", "/home/ann/patents/night_report.py", 59),
    Frame("run", "/usr/lib/python3.12/threading.py", 1012),
)


def diagnosed(run: str) -> Diagnosis:
    """Two threads of the trainer of *run* wait for each other's lock."""
    threads = (
        view("MainThread", 4711, _MAIN, "with self.rows_lock:", still=True),
        view("report", 4740, _REPORT, "with self.step_lock:", still=True),
        view("Thread-2", 4741, PINS, "data = in_queue.get()", still=False),
    )
    return made_of(
        replace(
            FACTS,
            run=run,
            reason=REASON,
            threads=threads,
            kernel=tuple(kernel(each.tid or 0) for each in threads),
            checkpoint_age_s=1664.0,
        )
    )
