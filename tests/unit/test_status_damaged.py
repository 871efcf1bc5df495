"""Status of run folders whose files hold what they should not: unknown, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fabricated import FabricatedRun

from monitor.files import write_json
from monitor.model import Liveness
from monitor.status import list_runs, read_status
from monitor.target import read_target


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / "reference-1")
    yield fabricated
    fabricated.close()


@pytest.mark.parametrize(
    ("run_json", "state"),
    [
        pytest.param({"recipe": {"memory": {"limit_gib": 1e300}}}, {}, id="an endless limit"),
        pytest.param({"recipe": {"memory": {"limit_gib": 1e15}}}, {}, id="a limit past counting"),
        pytest.param({"paths": {"checkpoints": "/a\0b"}}, {}, id="a path with a NUL"),
        pytest.param({"paths": {"checkpoints": "/\ud800"}}, {}, id="a path that is no text"),
        pytest.param({}, {"stage": "tr\0ain"}, id="a stage with a NUL"),
        pytest.param({}, {"stage": "../../x"}, id="a stage that leaves the folder"),
    ],
)
def test_words_that_name_no_file_are_unknown(
    run: FabricatedRun, run_json: dict[str, Any], state: dict[str, Any]
) -> None:
    run.write_run(**run_json)
    run.write_state(**{"process": None} | state)
    target = read_target(run.root)
    assert target.checkpoints == run.root / "checkpoints"
    assert target.memory_limit_bytes is None
    assert target.log in (None, run.root / "logs" / "train.log")
    json.dumps(read_status(run.root).to_json())


GARBAGE = b"\xff\x00{[" * 50


@pytest.mark.parametrize(
    "names",
    [
        pytest.param((), id="an empty folder"),
        pytest.param(("run.json",), id="run.json"),
        pytest.param(("state.json",), id="state.json"),
        pytest.param(
            ("run.json", "state.json", "watch.json", "heartbeat.json", "metrics.jsonl"),
            id="everything",
        ),
    ],
)
def test_a_folder_of_garbage_is_lost_and_says_what_is_wrong(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = tmp_path / "runs" / "garbage"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(GARBAGE)
    for status in (read_status(folder), *list_runs(folder.parent)):
        assert status.verdict is Liveness.LOST
        assert status.run == "garbage"
        for name in names:
            if name != "metrics.jsonl":
                assert any(name in problem for problem in status.problems)
        json.dumps(status.to_json())


@pytest.mark.parametrize("value", [None, 3, [], {}, "x", -1, 10**400, {"pid": "x"}])
def test_fields_of_wrong_types_are_unknown(run: FabricatedRun, value: object) -> None:
    keys = ("stage", "attempt", "status", "stages", "process", "keeper", "watcher", "boot_id")
    write_json(run.root / "state.json", dict.fromkeys(keys, value), durable=False)
    run.write_run(**dict.fromkeys(("recipe", "paths", "stages", "iterations", "lane"), value))
    status = read_status(run.root)
    assert status.status is None
    json.dumps(status.to_json())
