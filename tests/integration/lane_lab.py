"""A run folder as a keeper would make it, and its stages as processes: to test a lane's scripts."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2]
ITERATIONS = 30
ROWS = 40


class Lab:
    """One run folder as a keeper would make it, and its stages."""

    train_module = "train_reference"

    def __init__(
        self, root: Path, base: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.root = root
        self.environment = dict(environment or {})
        self.imported: dict[str, Any] = {}
        self.trained: dict[str, Any] = {}
        self.last_beat: dict[str, Any] = {}
        for name in ("work", "data", "logs"):
            (root / name).mkdir(parents=True)
        self.base = base or root / "work" / "base"
        self.cache = root.parent / "cache"
        package = root / "payload" / "lanewatch_payload"
        package.mkdir(parents=True)
        for path in (SOURCE / "runners" / "payload").glob("*.py"):
            shutil.copyfile(path, package / path.name)
        self._write_data()

    def _write_data(self) -> None:
        draw = random.Random(7)
        rows = [[draw.randrange(3, 280) for _ in range(draw.randrange(8, 40))] for _ in range(ROWS)]
        text = [json.dumps({"ids": ids, "mask": [0, 0] + [1] * (len(ids) - 2)}) for ids in rows]
        order = [draw.randrange(ROWS) for _ in range(ITERATIONS * 4)]
        longest = sorted(range(ROWS), key=lambda each: -len(rows[each]))
        data = self.root / "data"
        (data / "train.jsonl").write_text("\n".join(text) + "\n")
        (data / "eval.jsonl").write_text("\n".join(text[:4]) + "\n")
        (data / "order.json").write_text(json.dumps({"order": order, "longest": longest}))
        corpus = [{"text": f"{each} and {each} make {2 * each}"} for each in range(50)]
        (data / "corpus.jsonl").write_text("".join(json.dumps(each) + "\n" for each in corpus))

    def recipe(self, **train: Any) -> dict[str, Any]:
        settings = {"micro_batch": 2, "accumulation": 2, "lr": 1e-3, "schedule": "cosine"}
        settings |= {"warmup": 0.1, "keep_last": 0, "precision": "fp32", "seed": 3407}
        targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
        return {
            "model": {"path": "tiny-random-qwen3", "sequence_length": 256},
            "data": {"path": str(self.root / "data" / "corpus.jsonl"), "eval_interval": 0},
            "lora": {"rank": 4, "alpha": 8.0, "dropout": 0.1, "targets": targets},
            "train": settings | train,
            "lanes": {"reference": {"device": "cpu", "threads": 1}},
        }

    def start(self, stage: str, module: str, attempt: int, job: dict[str, Any]) -> Any:
        names = ("data", "checkpoints", "work", "export")
        paths = {name: str(self.root / name) for name in names} | {"base": str(self.base)}
        paths["cache"] = str(self.cache)
        given = {"schema": 1, "run": self.root.name, "attempt": attempt, "stage": stage}
        given |= {"recipe": self.recipe(), "paths": paths}
        given |= {"iterations": ITERATIONS, "save_interval": 10}
        (self.root / "work" / "job.json").write_text(json.dumps(given | job))
        environment = os.environ | {
            "LANEWATCH_RUN_DIR": str(self.root),
            "LANEWATCH_RUN": self.root.name,
            "LANEWATCH_STAGE": stage,
            "LANEWATCH_ATTEMPT": str(attempt),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        environment |= self.environment
        more = self.environment.get("PYTHONPATH", "").split(os.pathsep)
        places = [str(self.root / "payload"), *(each for each in more if each)]
        environment["PYTHONPATH"] = os.pathsep.join(places)
        with self.log(stage).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"lanewatch_payload.{module}"],
                cwd=self.root / "work",
                env=environment,
                stdout=log,
                stderr=log,
            )

    def run(self, stage: str, module: str, *, attempt: int = 1, **job: Any) -> dict[str, Any]:
        """Run a stage that has to succeed; returns its result."""
        assert self.start(stage, module, attempt, job).wait() == 0, self.log(stage).read_text()
        return self.result()

    def train_until(
        self, iteration: int, number: signal.Signals, *, attempt: int, **job: Any
    ) -> dict[str, Any]:
        """Train, send *number* once *iteration* is reached, and return the result."""
        process = self.start("train", self.train_module, attempt, job)
        while max(self.losses(), default=0) < iteration:
            assert process.poll() is None, self.log("train").read_text()
            time.sleep(0.002)
        process.send_signal(number)
        assert process.wait() == 0, self.log("train").read_text()
        return self.result()

    def log(self, stage: str) -> Path:
        return self.root / "logs" / f"{stage}.log"

    def result(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "result.json").read_text()))

    def heartbeat(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "heartbeat.json").read_text()))

    def lines(self) -> list[dict[str, Any]]:
        path = self.root / "metrics.jsonl"
        whole = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in whole]

    def losses(self) -> dict[int, float]:
        """Loss by iteration; a later attempt's replaces an earlier one's."""
        return {line["iteration"]: line["loss"] for line in self.lines() if "loss" in line}

    def published(self) -> list[int]:
        return sorted(int(path.name[5:]) for path in (self.root / "checkpoints").glob("iter_*"))

    def tracker(self) -> str:
        return (self.root / "checkpoints" / "latest_checkpointed_iteration.txt").read_text()


def assert_learns_the_same_though_stopped_twice(lab: Lab, whole: Lab) -> None:
    """Stop with a save, stop without one, go on: fail unless every loss is that of *whole*."""
    saved = lab.train_until(4, signal.SIGTERM, attempt=1)
    at = saved["iteration"]
    assert (saved["outcome"], saved["ok"], lab.tracker()) == ("stopped", True, f"{at}\n")
    assert [line["forced"] for line in lab.lines() if "save_s" in line][-1] is (at % 10 != 0)
    abandoned = lab.train_until(at + 1, signal.SIGINT, attempt=2, resume_from=at)
    assert (abandoned["outcome"], abandoned["attempt"]) == ("stopped", 2)
    assert at < abandoned["iteration"] < ITERATIONS
    last = int(lab.tracker())
    result = lab.run("train", lab.train_module, attempt=3, resume_from=last)
    assert (result["outcome"], result["iteration"]) == ("finished", ITERATIONS)
    assert next(line["iteration"] for line in lab.lines() if line["attempt"] == 3) == last + 1
    assert lab.losses() == pytest.approx(whole.losses(), abs=1e-5)


def assert_is_base_plus_adapter(merged: Path, base: Path, adapter: Path, layers: int = 8) -> None:
    """Fail unless *merged* differs from *base* by the adapter alone, in *layers* linear layers."""
    import torch
    from safetensors.torch import load_file

    new, old = (load_file(each / "model.safetensors") for each in (merged, base))
    lora = load_file(adapter / "adapter_model.safetensors")
    changed = 0
    for name, weight in old.items():
        key = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{key}.lora_A.weight" not in lora:
            assert torch.equal(new[name], weight), name
            continue
        delta = 2.0 * (lora[f"{key}.lora_B.weight"] @ lora[f"{key}.lora_A.weight"])
        # bf16 keeps 8 bits: the sum and the delta are each rounded once.
        room = (weight.abs() + 2 * delta.abs()) / 256
        assert bool(((new[name].float() - weight.float() - delta).abs() <= room).all()), name
        assert not torch.equal(new[name], weight), name
        changed += 1
    assert changed == layers


def strange_base(base: Path, folder: Path) -> Path:
    """*base* as some models lie on the hub: in float16; tied, yet both ends in the file; a buffer
    and a head that transformers does not load; and the same weights again, in other words."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"tie_word_embeddings": True, "dtype": "float16"}
    (folder / "config.json").write_text(json.dumps(config))
    weights = {name: each.half() for name, each in load_file(folder / "model.safetensors").items()}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = weights["model.norm.weight"].float()
    weights["mtp.head.weight"] = weights["model.norm.weight"].clone()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    save_file({"wq": weights["mtp.head.weight"]}, folder / "consolidated.safetensors")
    return folder
