"""Finding runs by a part of their id or name, and making new ones."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from pathlib import Path

import pytest

from runners.errors import RunnerError, RunNotFoundError
from runners.requests import Action, clear_request, put_request, read_request
from runners.runs import (
    RUN_ID,
    create_run,
    find_run,
    iter_runs,
    lock_is_free,
    new_run_id,
    read_run,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    for run_id, name in (
        ("nemo-20260101-000000-aaaa", "night"),
        ("nemo-20260102-000000-bbbb", "night-2"),
        ("unsloth-20260101-000000-aaab", None),
    ):
        (folder / run_id).mkdir(parents=True)
        (folder / run_id / "run.json").write_text(json.dumps({"name": name}))
    (folder / "not a run").mkdir()
    (folder / "file").touch()
    return folder


@pytest.mark.parametrize(
    ("part", "found"),
    [
        pytest.param("nemo-20260101-000000-aaaa", "nemo-20260101-000000-aaaa", id="whole id"),
        pytest.param("bbbb", "nemo-20260102-000000-bbbb", id="hex part"),
        pytest.param("unsloth", "unsloth-20260101-000000-aaab", id="lane"),
        pytest.param("night", "nemo-20260101-000000-aaaa", id="a whole name beats a part of one"),
        pytest.param("ght-2", "nemo-20260102-000000-bbbb", id="part of a name"),
    ],
)
def test_a_unique_part_finds_a_run(root: Path, part: str, found: str) -> None:
    assert find_run(root, part).root.name == found


@pytest.mark.parametrize(
    ("part", "says"),
    [
        pytest.param("zzz", "no run matches 'zzz'", id="none"),
        pytest.param("", "no run matches ''", id="nothing"),
        pytest.param("aaa", "2 runs match 'aaa'", id="several"),
        pytest.param("../../etc", "no run matches", id="a path"),
    ],
)
def test_anything_else_is_one_sentence(root: Path, part: str, says: str) -> None:
    with pytest.raises(RunNotFoundError, match=says):
        find_run(root, part)


def test_a_missing_root_holds_no_runs(tmp_path: Path) -> None:
    assert list(iter_runs(tmp_path / "none")) == []


def test_a_run_id_tells_lane_and_moment() -> None:
    moment = datetime.datetime(2026, 11, 23, 4, 5, 6, tzinfo=datetime.UTC)
    run_id = new_run_id("nemo", moment)
    assert run_id.startswith("nemo-20261123-040506-")
    assert RUN_ID.fullmatch(run_id)


def test_create_makes_a_private_folder(tmp_path: Path) -> None:
    run = create_run(tmp_path / "a" / "runs", "reference", {"lane": "reference"}, "first")
    assert run.root.stat().st_mode & 0o777 == 0o700
    assert run.run_json.stat().st_mode & 0o777 == 0o600
    assert json.loads(run.run_json.read_text())["name"] == "first"


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-x", "a\nb"])
def test_a_name_that_would_be_trouble_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunnerError, match="not usable"):
        create_run(tmp_path, "reference", {}, name)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    create_run(tmp_path, "reference", {}, "first")
    with pytest.raises(RunnerError, match="already called 'first'"):
        create_run(tmp_path, "reference", {}, "first")


def test_a_root_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunnerError, match="cannot make a run"):
        create_run(tmp_path / "file" / "runs", "reference", {}, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "run.json is missing", id="missing"),
        pytest.param("", "run.json is empty", id="empty"),
        pytest.param("{", "run.json is not JSON", id="half"),
        pytest.param("[]", "run.json holds no JSON object", id="a list"),
        pytest.param("{}", "lacks recipe, lane, engine", id="foreign"),
    ],
)
def test_a_broken_run_json_is_one_sentence(root: Path, content: str | None, says: str) -> None:
    run = find_run(root, "bbbb")
    run.run_json.unlink()
    if content is not None:
        run.run_json.write_text(content)
    with pytest.raises(RunnerError, match=says):
        read_run(run)


def test_a_lock_is_free_exactly_while_nobody_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    assert lock_is_free(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    assert lock_is_free(path)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert not lock_is_free(path)
    os.close(descriptor)
    assert lock_is_free(path)


def test_a_milder_request_does_not_replace_a_stronger_one(tmp_path: Path) -> None:
    run = create_run(tmp_path, "reference", {}, None)
    for asked, waits in (
        (Action.WATCH, Action.WATCH),
        (Action.STOP_AND_SAVE, Action.STOP_AND_SAVE),
        (Action.WATCH, Action.STOP_AND_SAVE),
        (Action.KILL, Action.KILL),
        (Action.STOP, Action.KILL),
    ):
        put_request(run, asked)
        assert read_request(run) is waits
    clear_request(run)
    assert read_request(run) is None
