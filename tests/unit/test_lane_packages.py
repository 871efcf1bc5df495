"""Which packages a lane brings along, when they are whole, and how a stage finds them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runners.payload.causes import StageError
from runners.payload.lane_packages import (
    enter,
    environment_folder,
    environment_key,
    is_whole,
    mark_whole,
    name_environment,
    pins,
    use,
    wanted_packages,
)

GIVEN = {"lane": "unsloth", "lock": "unsloth.lock.txt", "imports": ["json"], "hidden": []}


def test_a_lock_is_exact_and_names_are_compared_as_indexes_do() -> None:
    text = "# a comment\n\nUnsloth_Zoo==2026.10.9  # why\npydantic.core==2\n"
    assert pins(text) == {"unsloth-zoo": "2026.10.9", "pydantic-core": "2"}


@pytest.mark.parametrize("line", ["peft", "peft>=1", "-r other.txt", "peft==1; python_version>'3'"])
def test_a_line_that_is_no_exact_pin_is_refused(line: str) -> None:
    with pytest.raises(StageError, match="line 2"):
        pins(f"trl==1\n{line}\n")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="a job of another lane"),
        pytest.param({"lane": "unsloth"}, id="without a lock"),
        pytest.param(GIVEN | {"imports": None}, id="nothing to import"),
    ],
)
def test_a_job_that_names_no_packages_is_one_sentence(given: Any) -> None:
    with pytest.raises(StageError, match="packages is not usable"):
        wanted_packages(given)


def test_the_key_follows_lock_and_image_and_else_the_interpreter() -> None:
    key = environment_key(wanted_packages(GIVEN))
    inside = environment_key(wanted_packages(GIVEN | {"image": "sha256:1"}))
    other = environment_key(wanted_packages(GIVEN | {"image": "sha256:2"}))
    assert key["interpreter"] is not None
    assert inside["interpreter"] is None, "an image is the same wherever its Python lies"
    folders = {environment_folder(Path("/c"), each) for each in (key, inside, other)}
    assert len(folders) == 3
    assert all(each.name.startswith("unsloth-") for each in folders)
    assert "unsloth==2026.10.9" in key["lock"]


def made(folder: Path, key: dict[str, Any]) -> None:
    (folder / "site" / "thing-1.dist-info").mkdir(parents=True)
    mark_whole(folder, key)


def test_an_environment_is_whole_while_all_that_it_had_is_there(tmp_path: Path) -> None:
    key, folder = {"lane": "x", "format": 1}, tmp_path / "e"
    assert not is_whole(folder, key)
    made(folder, key)
    assert is_whole(folder, key)
    assert not is_whole(folder, key | {"format": 2})
    (folder / "site" / "thing-1.dist-info").rmdir()
    assert not is_whole(folder, key)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": {"lane": "x"}, "metadata": []}'])
def test_a_marker_that_says_nothing_means_install_again(tmp_path: Path, content: str) -> None:
    (tmp_path / "environment.json").write_text(content)
    assert not is_whole(tmp_path, {"lane": "x"})


def test_the_lane_lies_before_other_packages_and_after_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["/payload", "/lib/python3.12", "/v/site-packages", "/w"])
    monkeypatch.setattr(sys, "pycache_prefix", "/elsewhere")
    use(tmp_path)
    assert sys.path == [
        "/payload",
        "/lib/python3.12",
        str(tmp_path),
        "/v/site-packages",
        "/w",
    ]
    assert sys.pycache_prefix is None, "compiled files lie beside the packages"
    monkeypatch.setattr(sys, "path", ["/lib/python3.12"])
    use(tmp_path)
    assert sys.path[-1] == str(tmp_path)


def test_a_hidden_module_is_as_if_it_were_not_installed(tmp_path: Path) -> None:
    code = "from runners.payload.lane_packages import use; import importlib.util, sys\n"
    code += "use(None, ['jinja2']); assert importlib.util.find_spec('jinja2') is None\n"
    code += "try:\n import jinja2\nexcept ModuleNotFoundError:\n print('hidden')"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.stdout == "hidden\n", done.stderr
    assert importlib.util.find_spec("jinja2") is not None


def test_a_module_that_the_lock_brings_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchao").mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path])
    use(tmp_path, ["torchao"])
    assert "torchao" not in sys.modules


def test_a_stage_enters_what_the_run_named_or_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    enter(tmp_path)  # a lane that brings nothing
    with pytest.raises(StageError, match="import stage has to run first"):
        enter(tmp_path, required=True)
    name_environment(tmp_path, tmp_path / "gone", ())
    with pytest.raises(StageError, match="is gone: resume makes it again"):
        enter(tmp_path)
    name_environment(tmp_path, None, ())
    before = [*sys.path]
    enter(tmp_path, required=True)
    assert sys.path == before
    assert json.loads((tmp_path / "environment.json").read_text())["site"] is None
