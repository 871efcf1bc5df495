"""Packages that stand for experiment trackers' own, and write what they are told into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TENSORBOARD = """
import json, os
class SummaryWriter:
    def __init__(self, log_dir, **others):
        os.makedirs(log_dir)
        self.file = open(os.path.join(log_dir, "told.jsonl"), "a")
    def add_scalar(self, name, value, step):
        print(json.dumps([name, float(value), step]), file=self.file, flush=True)
    def __getattr__(self, name):
        return lambda *words, **others: None
"""

WANDB = """
import json, os
class _Anything:
    def __getattr__(self, name):
        return _Anything()
    def __call__(self, *words, **others):
        return self
    def __setitem__(self, name, value):
        pass
run, config, watch, define_metric, Artifact = (_Anything() for _ in range(5))
def _told():
    return open(os.path.join(os.environ["LANEWATCH_RUN_DIR"], "work", "wandb.jsonl"), "a")
def init(**settings):
    with _told() as file:
        print(json.dumps(["init", settings["project"]]), file=file)
def log(values, step=None, **others):
    step = step or values.get("train/global_step")
    with _told() as file:
        for name, value in values.items():
            print(json.dumps([name, float(value), step]), file=file)
def finish(*words, **others):
    pass
"""


def put_trackers(folder: Path) -> Path:
    """Write the packages into *folder*, for a trainer's PYTHONPATH."""
    files = {
        "tensorboard/__init__.py": "",  # torch sees that it is none, and the next one is asked
        "tensorboardX/__init__.py": TENSORBOARD,
        "wandb/__init__.py": WANDB,
        "wandb/sdk/lib/config_util.py": "class ConfigError(Exception): pass",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def told(path: Path, *names: str) -> dict[int, float]:
    """What a tracker was told under one of *names*, by iteration."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    scalars: list[tuple[Any, ...]] = [tuple(line) for line in lines if len(line) == 3]
    return {step: value for name, value, step in scalars if name in names}
