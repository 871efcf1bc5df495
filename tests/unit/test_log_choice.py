"""Which of a run's logs is looked at first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui.log_choice import choose_log


@pytest.mark.parametrize(
    ("state", "logs", "shown"),
    [
        pytest.param({"stage": "merge", "status": "running"}, "train merge", "merge", id="merging"),
        pytest.param({"stage": "merge", "status": "failed"}, "train merge", "merge", id="failed"),
        pytest.param({"stage": "merge", "status": "finished"}, "train merge", "train", id="done"),
        pytest.param({"stage": "merge", "status": "finished"}, "merge pull", "merge", id="other"),
        pytest.param({"stage": "train", "status": "stopped"}, "prepare train", "train", id="stop"),
        pytest.param({"stage": 7, "status": ["finished"]}, "train", "train", id="foreign-content"),
        pytest.param({}, "", None, id="nothing"),
    ],
)
def test_of_a_run_that_has_finished_it_is_that_of_the_training(
    tmp_path: Path, state: dict[str, Any], logs: str, shown: str | None
) -> None:
    (tmp_path / "logs").mkdir()
    for name in logs.split():
        (tmp_path / "logs" / f"{name}.log").write_text("x\n")
    (tmp_path / "state.json").write_text(json.dumps(state))
    found = choose_log(tmp_path).shown
    assert (found.stem if found else None) == shown
