"""What is read of a run that is over: its record, its own traceback, its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.diagnosis.record import Diagnosis, diagnose
from monitor.rundir import RunDir

NAME = "reference-20261128-170538-26cf"
TRACEBACK = """Traceback (most recent call last):
  File "/a/train.py", line 10, in step
    torch.cat(x)
RuntimeError: shapes [1] do not fit
"""


def over(folder: Path, cause: str, log: str = "") -> RunDir:
    """A run that has failed of *cause*."""
    run = RunDir(folder / NAME)
    run.logs.mkdir(parents=True)
    run.run_json.write_text(json.dumps({"schema": 1, "run": NAME, "lane": "reference"}))
    state = {"status": "failed", "stage": "train", "attempt": 2, "cause": f"stage train: {cause}"}
    run.state.write_text(json.dumps(state))
    run.log("train").write_text(log)
    return run


def found(run: RunDir) -> Diagnosis:
    return diagnose(run)


def test_the_traceback_that_ended_it_names_function_and_line(tmp_path: Path) -> None:
    run = over(tmp_path, "RuntimeError: shapes [1] do not fit", f"iteration 1\n{TRACEBACK}")
    said = found(run).conclusion
    assert (said.cause, said.confidence) == ("crashed", "sure")
    assert "at step (a/train.py:10)" in said.sentence


@pytest.mark.parametrize(
    "cause",
    [
        pytest.param("ValueError: another one", id="another exception"),
        pytest.param("exited with code 1; see its log", id="an exit code"),
    ],
)
def test_the_traceback_of_an_earlier_attempt_is_nobodys(tmp_path: Path, cause: str) -> None:
    said = found(over(tmp_path, cause, TRACEBACK)).conclusion
    assert "train.py" not in said.sentence
    assert said.confidence == "likely"


def test_a_checkpoint_that_its_tracker_names_and_that_is_gone_is_told(tmp_path: Path) -> None:
    run = over(tmp_path, "killed by SIGKILL")
    run.checkpoints.mkdir()
    run.tracker.write_text("16")
    said = found(run).conclusion
    assert said.cause == "killed"
    assert "checkpoint 16 is gone as well" in said.sentence
    run.checkpoint(16).mkdir()
    assert "gone" not in found(run).conclusion.sentence, "whole or not, it is there"


def test_foreign_text_cannot_reach_the_terminal(tmp_path: Path) -> None:
    raised = "RuntimeError: \x1b[31mred\x07 [bold]x"
    lines = f'Traceback (most recent call last):\n  File "/a\x1b[2J/t.py", line 1, in f\n{raised}\n'
    said = json.dumps(found(over(tmp_path, "RuntimeError: red [bold]x", lines)).to_json())
    assert "\\u001b" not in said
    assert "\\u0007" not in said
    assert "t.py:1" in said


def test_it_is_kept_in_the_folder_for_its_readers(tmp_path: Path) -> None:
    run = over(tmp_path, "killed by SIGKILL")
    assert found(run).unwritten is None
    kept = json.loads((run.diagnosis / "latest.json").read_text())
    assert kept["conclusion"]["cause"] == "killed"
    assert kept["facts"]["told"]["cause"] == "stage train: killed by SIGKILL"
