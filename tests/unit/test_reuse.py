"""`launch --from`: what of an earlier run is taken, and from which run nothing is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.model import Stage
from monitor.rundir import RunDir
from runners.base_identity import base_identity
from runners.errors import RunnerError
from runners.reuse import Donor, find_donor, take, told
from runners.stages import Plan

HUB = "owner/model"
Make = Callable[..., Plan]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A model as the hub's cache has it: its files are links to blobs that others read, too."""
    home = tmp_path / "hub" / "models--owner--model"
    made = home / "snapshots" / "abc"
    made.mkdir(parents=True)
    (home / "blobs").mkdir()
    blob = home / "blobs" / "1"
    blob.write_text("weights")
    blob.chmod(0o644)
    (made / "model.safetensors").symlink_to(os.path.relpath(blob, made))
    return made


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(number: int, base: Path | None = None, **info: Any) -> Plan:
        run = RunDir(tmp_path / "runs" / f"reference-20261129-07000{number}-000{number}")
        for folder in (run.work, run.data):
            folder.mkdir(parents=True)
        content = {
            "lane": "reference",
            "engine": "local",
            "kind": "full",
            "recipe": {"model": {"path": HUB}, "train": {}, "data": {"path": "/rows"}},
            "recipe_hash": "h",
            "payload_hash": "p",
            "paths": {"base": str(base or run.work / "base")},
            "fetch": {"hub": HUB, "cache": "/hub"} if base is None else None,
        } | info
        run.run_json.write_text(json.dumps({"run": run.root.name, **content}))
        return Plan(run, content)

    return made


def mark(plan: Plan, *stages: Stage) -> None:
    for each in plan.stages:
        if each.stage in stages:
            plan.mark_done(each)


def test_a_base_in_the_hubs_cache_is_led_to_and_its_files_stay_as_they_are(
    make: Make, snapshot: Path
) -> None:
    fetched = {"hub": HUB, "cache": "/hub", "revision": "abc"}
    old, new = make(1, fetch=fetched), make(2)
    (old.run.work / "base").symlink_to(snapshot)
    mark(old, Stage.FETCH)
    donor = Donor(old, (Stage.FETCH,))
    take(donor, new)
    ours = new.run.work / "base"
    assert ours.is_symlink()
    assert ours.resolve() == snapshot
    assert (snapshot / "model.safetensors").stat().st_mode & 0o777 == 0o644
    assert new.is_done(next(each for each in new.stages if each.stage is Stage.FETCH))
    assert told(donor)["fetch"] == fetched


def test_what_was_trained_on_another_base_is_not_merged_into_this_one(
    make: Make, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name on the hub means a newer snapshot by now; the run's own link says which it had."""
    monkeypatch.setattr("runners.reuse._has", lambda *_: True)
    old = make(1)
    (old.run.work / "base").symlink_to(snapshot)
    newer = snapshot.with_name("def")
    newer.mkdir()
    given = (old.run.root.parent, old.info, old.stages, "merge")
    assert find_donor(*given, snapshot).run == old.run
    with pytest.raises(RunnerError, match="no run of this recipe"):
        find_donor(*given, newer)


def test_what_was_trained_before_another_model_was_put_in_the_folder_is_not_taken(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same path, same recipe, same tokenizer: the adapter would be merged into foreign weights."""
    monkeypatch.setattr("runners.reuse._has", lambda *_: True)
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"old")
    was = base_identity(base)
    old = make(1, base, base_identity=was)
    given = (old.run.root.parent, {**old.info, "base_identity": base_identity(base)})
    assert find_donor(*given, old.stages, "merge", base).run == old.run
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").write_bytes(b"new")
    os.utime(base / "model.safetensors", ns=(0, 0))
    given = (given[0], {**old.info, "base_identity": base_identity(base)})
    with pytest.raises(RunnerError, match="with another content of the base"):
        find_donor(*given, old.stages, "merge", base)
    before = make(2, base)  # by an older lanewatch, which noted no identity
    assert find_donor(*given, old.stages, "merge", base).run == before.run
