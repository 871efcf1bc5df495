"""The nemo lane for real: Megatron-Bridge imports, trains, stops, resumes, merges, on the CPU.

Each stage is a process of its own, started from a copied payload as in production; what is stood in
for (CUDA, packages that a LoRA does not use) is in nemo_shims.
"""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from lane_lab import ITERATIONS, Lab
from nemo_site import environment, site_or_skip

ADAPTER_PARAMETERS = 2 * (4 * (128 + 128) * 2 + 4 * (128 + 64) * 2)
"""Two layers, rank 4: q and o are 128 wide, k and v 64, each with an A and a B."""


class NemoLab(Lab):
    """A run of the nemo lane."""

    train_module = "train_nemo"

    def recipe(self, **train: Any) -> dict[str, Any]:
        recipe = super().recipe(**{"keep_last": 2} | train)
        recipe["lora"]["dropout"] = 0.0
        return recipe | {"lanes": {"nemo": {"lora": "canonical"}}}


@pytest.fixture(scope="module")
def around() -> dict[str, str]:
    return environment(site_or_skip())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, around: dict[str, str]) -> NemoLab:
    """A run that nobody disturbed: fetched, imported and trained to its end."""
    folder = tmp_path_factory.mktemp("lane")
    fetched = Lab(folder / "fetched")
    fetched.run("fetch", "make_tiny")
    lab = NemoLab(folder / "whole", base=fetched.base, environment=around)
    lab.imported = lab.run("import", "import_nemo")
    lab.run("train", "train_nemo")
    lab.trained, lab.last_beat = lab.result(), lab.heartbeat()
    return lab


@pytest.fixture
def lab(tmp_path: Path, whole: NemoLab, around: dict[str, str]) -> NemoLab:
    """A new run with the base and the import of the whole one."""
    made = NemoLab(tmp_path / "run", base=whole.base, environment=around)
    made.cache = whole.cache
    shutil.copyfile(whole.root / "work" / "import.json", made.root / "work" / "import.json")
    return made


def test_the_import_has_the_rope_and_the_answers_of_the_base(whole: NemoLab) -> None:
    result = whole.imported
    assert (result["made"], result["rope_error"]) == (True, pytest.approx(0.0, abs=1e-6))
    assert result["logit_difference"] < 0.03  # bf16
    assert result["versions"]["megatron-bridge"] == "0.4.2"
    assert result["yarn"]["yarn_correction_range_round_to_int"] is True
    marker = json.loads((Path(result["folder"]) / "import.json").read_text())
    assert marker["source"] == str(whole.base)


def test_a_training_reports_every_iteration_and_publishes_every_save(whole: NemoLab) -> None:
    lines = whole.lines()
    assert [line["iteration"] for line in lines if "loss" in line] == [*range(1, ITERATIONS + 1)]
    assert [line["iteration"] for line in lines if "save_s" in line] == [10, 20, 30]
    assert (whole.published(), whole.tracker()) == ([20, 30], "30\n")
    result, beat = whole.trained, whole.last_beat
    assert (result["outcome"], result["iteration"]) == ("finished", ITERATIONS)
    assert result["final_loss"] == whole.losses()[ITERATIONS]
    assert result["tokens"] == sum(line.get("tokens", 0) for line in lines)
    assert result["trainable_parameters"] == ADAPTER_PARAMETERS
    assert (beat["phase"], beat["done"], beat["total"]) == ("stopping", ITERATIONS, ITERATIONS)
    assert beat["write_errors"] == 0
    kept = [path.name for path in (whole.root / "work" / "trainer").glob("iter_*")]
    assert kept == ["iter_0000030"]


def test_stopped_twice_and_resumed_a_run_learns_as_if_nobody_had_touched_it(
    lab: NemoLab, whole: NemoLab
) -> None:
    saved = lab.train_until(4, signal.SIGTERM, attempt=1)
    at = saved["iteration"]
    assert (saved["outcome"], saved["ok"], lab.tracker()) == ("stopped", True, f"{at}\n")
    assert [line["forced"] for line in lab.lines() if "save_s" in line][-1] is (at % 10 != 0)
    abandoned = lab.train_until(at + 1, signal.SIGINT, attempt=2, resume_from=at)
    assert (abandoned["outcome"], abandoned["attempt"]) == ("stopped", 2)
    assert at < abandoned["iteration"] < ITERATIONS
    last = int(lab.tracker())
    result = lab.run("train", "train_nemo", attempt=3, resume_from=last)
    assert (result["outcome"], result["iteration"]) == ("finished", ITERATIONS)
    assert next(line["iteration"] for line in lab.lines() if line["attempt"] == 3) == last + 1
    assert lab.losses() == pytest.approx(whole.losses(), abs=1e-5)
