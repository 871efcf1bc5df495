"""The contract writer: what it writes, what it swallows, and what it makes of an exception."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.payload import contract as contract_module
from runners.payload import files
from runners.payload.causes import CAUSE_LIMIT, StageError, describe, one_line
from runners.payload.contract import Contract


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "reference-20261123-120000-abcd"
    (folder / "work").mkdir(parents=True)
    return folder


def _read(path: Path) -> dict[str, Any]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{path.name} holds {word}, which is not JSON")

    value = json.loads(path.read_text(), parse_constant=refuse)
    assert isinstance(value, dict)
    return value


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_heartbeat_keeps_what_the_caller_does_not_name(run_dir: Path) -> None:
    writer = Contract(run_dir, stage="train", attempt=2)
    writer.heartbeat(phase="iteration", done=3, total=60, loss=1.5)
    first = _read(run_dir / "heartbeat.json")
    writer.heartbeat(done=4)
    second = _read(run_dir / "heartbeat.json")
    assert (second["done"], second["total"], second["loss"]) == (4, 60, 1.5)
    assert (second["stage"], second["phase"], second["attempt"]) == ("train", "iteration", 2)
    assert second["seq"] == first["seq"] + 1
    assert second["pid"] == os.getpid()
    assert second["monotonic_s"] >= first["monotonic_s"]
    assert second["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_heartbeat_is_private_and_leaves_nothing_beside_it(run_dir: Path) -> None:
    Contract(run_dir, stage="train").heartbeat()
    assert (run_dir / "heartbeat.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in run_dir.iterdir()) == ["heartbeat.json", "work"]


def test_a_heartbeat_field_that_does_not_exist_is_a_mistake_of_the_caller(run_dir: Path) -> None:
    fields: Any = {"iteration": 3}
    with pytest.raises(TypeError, match="iteration"):
        Contract(run_dir, stage="train").heartbeat(**fields)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_null_and_said_so(run_dir: Path, loss: float) -> None:
    writer = Contract(run_dir, stage="train")
    writer.heartbeat(loss=loss)
    writer.metric(1, loss=loss, lr=0.1)
    writer.finish(True, "finished", final_loss=loss, nested={"each": [loss]})
    for value in (_read(run_dir / "heartbeat.json"), _read(run_dir / "metrics.jsonl")):
        assert value["loss"] is None
        assert value["nan"] is True
    result = _read(run_dir / "result.json")
    assert (result["final_loss"], result["nan"], result["nested"]) == (None, True, {"each": [None]})
    writer.heartbeat(phase="saving")
    assert _read(run_dir / "heartbeat.json")["nan"] is True
    writer.heartbeat(loss=1.0, grad_norm=loss)
    assert "nan" not in _read(run_dir / "heartbeat.json")


def test_progress_writes_the_last_count_and_few_of_the_others(run_dir: Path) -> None:
    writer = Contract(run_dir, stage="prepare")
    for done in range(1, 5001):
        writer.progress(done, 5000)
    beat = _read(run_dir / "heartbeat.json")
    assert (beat["done"], beat["total"]) == (5000, 5000)
    assert beat["seq"] < 1000


def test_a_metrics_line_torn_by_a_killed_writer_does_not_swallow_the_next(run_dir: Path) -> None:
    (run_dir / "metrics.jsonl").write_bytes(b'{"attempt":1,"iteration":1}\n{"attempt":1,"iter')
    writer = Contract(run_dir, stage="train", attempt=2)
    writer.metric(2, loss=0.5)
    writer.metric(3, loss=0.25)
    lines = (run_dir / "metrics.jsonl").read_text().split("\n")
    assert [json.loads(line)["iteration"] for line in (lines[0], *lines[2:4])] == [1, 2, 3]
    assert lines[4:] == [""]


def _failing_write(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def write(_descriptor: int, _content: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "write", write)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_write_that_fails_is_counted_and_forgotten(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    writer = Contract(run_dir, stage="train")
    writer.heartbeat(done=1)
    with monkeypatch.context() as patch:
        _failing_write(patch, number)
        for done in range(2, 7):
            writer.heartbeat(done=done)
            writer.metric(done, loss=1.0)
    assert writer.write_errors == 10
    writer.heartbeat(done=7)
    beat = _read(run_dir / "heartbeat.json")
    assert (beat["done"], beat["write_errors"]) == (7, 10)


def test_a_value_that_json_does_not_know_never_ends_a_training(run_dir: Path) -> None:
    writer = Contract(run_dir, stage="train")
    foreign: Any = object()
    writer.heartbeat(loss=foreign)
    writer.metric(1, loss=foreign)
    assert writer.write_errors == 2


def test_a_result_of_a_newer_attempt_is_left_alone(run_dir: Path) -> None:
    Contract(run_dir, stage="train", attempt=3).finish(True, "finished", iteration=60)
    Contract(run_dir, stage="train", attempt=2).finish(False, "failed", "came too late")
    assert _read(run_dir / "result.json")["attempt"] == 3
    Contract(run_dir, stage="merge", attempt=3).finish(True, "finished")
    assert _read(run_dir / "result.json")["stage"] == "merge"


def test_a_stage_that_fails_keeps_the_facts_it_had(run_dir: Path) -> None:
    writer = Contract(run_dir, stage="train")
    writer.facts.update(iteration=12, peak_memory_bytes=100)
    writer.finish(False, "failed", "out of\nmemory")
    result = _read(run_dir / "result.json")
    assert (result["iteration"], result["peak_memory_bytes"]) == (12, 100)
    assert (result["ok"], result["outcome"], result["cause"]) == (False, "failed", "out of memory")


def test_a_result_that_cannot_be_written_is_no_second_failure(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _failing_write(monkeypatch, errno.EIO)
    Contract(run_dir, stage="train").finish(False, "failed", "whatever")
    monkeypatch.undo()
    assert "result.json was not written" in capsys.readouterr().err
    assert not (run_dir / "result.json").exists()


def test_a_stop_at_once_is_not_softened_by_a_later_stop_with_saving(run_dir: Path) -> None:
    writer = Contract(run_dir, stage="train")
    writer.request_stop("save")
    assert writer.stop_requested == "save"
    writer.request_stop("now")
    writer.request_stop("save")
    assert writer.stop_requested == "now"


def test_a_stop_while_nothing_can_be_saved_ends_the_stage_at_once(run_dir: Path) -> None:
    writer = Contract(run_dir, stage="train")
    writer.raise_on_stop = True
    with pytest.raises(contract_module.StopRequested):
        writer.request_stop("save")
    writer.raise_on_stop = False
    writer.request_stop("now")
    with pytest.raises(contract_module.StopRequested):
        writer.raise_if_stopped()


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch names its own; causes are told by name, without PyTorch."""


def test_a_stop_that_python_wraps_while_a_class_is_made_is_a_stop() -> None:
    class Interrupting:
        def __set_name__(self, owner: type, name: str) -> None:
            raise contract_module.StopRequested("save")

    # Up to Python 3.11 a RuntimeError caused by it, from 3.12 on itself with a note.
    with pytest.raises((RuntimeError, contract_module.StopRequested)) as caught:
        type("Made", (), {"field": Interrupting()})
    assert contract_module.is_stop(caught.value)
    assert not contract_module.is_stop(RuntimeError("its own"))
    while_stopping = RuntimeError("in a finally")
    while_stopping.__context__ = contract_module.StopRequested("save")
    assert not contract_module.is_stop(while_stopping), "what failed while it stopped has failed"


def _hidden_full_disk() -> Exception:
    error = RuntimeError("unexpected pos 64 vs 0")
    error.__context__ = OSError(errno.ENOSPC, "No space left on device", "/data/optimizer.pt")
    return error


CAUSES = [
    pytest.param(MemoryError(), "out of memory: ", id="Python's own memory error"),
    pytest.param(OutOfMemoryError("tried 2 GiB"), "out of memory: tried 2 GiB", id="CUDA's"),
    pytest.param(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        "out of memory: DefaultCPUAllocator",
        id="PyTorch's on a CPU",
    ),
    pytest.param(
        OSError(errno.ENOSPC, "No space left on device", "/data/x.pt"),
        "disk full: No space left on device while writing /data/x.pt",
        id="disk full",
    ),
    pytest.param(_hidden_full_disk(), "disk full: ", id="disk full behind a library's error"),
    pytest.param(
        RuntimeError("I/O error: No space left on device (os error 28)"),
        "disk full: ",
        id="disk full as Rust says it",
    ),
    pytest.param(
        PermissionError(errno.EACCES, "Permission denied", "/base"),
        "permission denied: /base",
        id="a folder of someone else",
    ),
    pytest.param(
        FileNotFoundError(errno.ENOENT, "No such file", "/base"), "file not found: /base", id="lost"
    ),
    pytest.param(
        ModuleNotFoundError("No module named 'peft.tuners'", name="peft.tuners"),
        "the module peft is missing: `pip install '.[reference]'` in a checkout of lanewatch",
        id="an extra that is not installed",
    ),
    pytest.param(
        ModuleNotFoundError("No module named 'unsloth'", name="unsloth"),
        "the module unsloth is missing from this lane's environment",
        id="another lane's module",
    ),
    pytest.param(ValueError("width 3"), "bad value: width 3", id="a bad value"),
    pytest.param(FloatingPointError("loss"), "not a number: loss", id="a loss that is none"),
    pytest.param(KeyError("lr"), "missing key: 'lr'", id="a missing key"),
    pytest.param(StageError("just this"), "just this", id="a sentence of ours"),
    pytest.param(ZeroDivisionError("by 0"), "ZeroDivisionError: by 0", id="anything else"),
]


@pytest.mark.parametrize(("error", "beginning"), CAUSES)
def test_an_exception_becomes_a_sentence(
    error: BaseException, beginning: str, tmp_path: Path
) -> None:
    assert describe(error, tmp_path).startswith(beginning)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        pytest.param(OutOfMemoryError("CUDA out of memory"), (True, False), id="the GPU's"),
        pytest.param(MemoryError(), (False, True), id="a limit on the address space"),
        pytest.param(OSError(errno.ENOMEM, "Cannot allocate memory"), (False, True), id="a fork"),
        pytest.param(
            RuntimeError("DefaultCPUAllocator: can't allocate memory"), (True, True), id="a CPU's"
        ),
    ],
)
def test_the_advice_is_for_the_memory_that_is_short(
    error: BaseException, advice: tuple[bool, bool], tmp_path: Path
) -> None:
    said = describe(error, tmp_path)
    assert ("micro_batch" in said, "host memory" in said) == advice


@given(text=st.text(max_size=800))
def test_a_cause_is_always_one_short_printable_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= CAUSE_LIMIT
    assert line.isprintable()
    assert line == one_line(line)


def test_a_cycle_of_causes_ends(tmp_path: Path) -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert describe(one, tmp_path) == "bad value: one"


def test_every_heartbeat_field_is_declared_once() -> None:
    declared = contract_module._CHANGEABLE
    assert declared == {"phase", "unit", *contract_module._OPTIONAL_FIELDS}
