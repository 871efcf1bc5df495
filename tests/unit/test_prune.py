"""What may be freed, and what never: run folders as launch, keeper and trainer leave them."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.rundir import RunDir
from runners.cache_roots import known_roots, note_root
from runners.errors import RunnerError
from runners.holdings import Kind, cache_use, check_runs, disk_use, freeable, runs_use
from runners.pruning import prune
from tui.cli.main import run as lanewatch

MIB = 1 << 20


class Box:
    """A run root and a cache below one folder."""

    def __init__(self, folder: Path) -> None:
        self.root, self.cache = folder / "runs", folder / "cache"
        self.root.mkdir()

    def run(
        self, number: int, status: str = "finished", saved: tuple[int, ...] = (10, 20, 30)
    ) -> RunDir:
        run = RunDir(self.root / f"reference-20261128-15000{number}-000{number}")
        for folder in (run.work, run.checkpoints, run.export / "merged-hf-bf16"):
            folder.mkdir(parents=True)
        run.run_json.write_text(json.dumps({"run": run.root.name, "lane": "reference"}))
        run.state.write_text(json.dumps({"status": status}))
        (run.export / "merged-hf-bf16" / "model.safetensors").write_bytes(b"m" * MIB)
        for iteration in saved:
            self.save(run, iteration)
        if saved:
            run.tracker.write_text(f"{saved[-1]}\n")
        return run

    def save(self, run: RunDir, iteration: int) -> None:
        """As the reference lane does: the trainer's own folder, and hard links to its files."""
        own = run.work / "trainer" / f"checkpoint-{iteration}"
        own.mkdir(parents=True)
        (own / "optimizer.pt").write_bytes(b"o" * MIB)
        (own / "trainer_state.json").write_text(json.dumps({"global_step": iteration}))
        published = run.checkpoint(iteration)
        published.mkdir()
        for path in own.iterdir():
            os.link(path, published / path.name)

    def shared(self, kind: str, name: str) -> Path:
        folder = self.cache / kind / name
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(b"w" * MIB)
        return folder

    def free(self) -> dict[Kind, list[str]]:
        found: dict[Kind, list[str]] = {}
        for each in freeable(self.root, self.cache):
            found.setdefault(each.kind, []).append(each.path.name)
        return found


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(tmp_path)
    monkeypatch.setenv("LANEWATCH_RUNS", str(made.root))
    monkeypatch.setenv("LANEWATCH_CACHE", str(made.cache))
    return made


def test_of_a_run_that_is_over_the_newest_checkpoint_and_the_adapter_stay(box: Box) -> None:
    box.run(1)
    assert box.free() == {
        Kind.MERGED: ["merged-hf-bf16"],
        Kind.CHECKPOINT: ["iter_0000010", "iter_0000020"],
    }


def test_what_the_tracker_names_stays_even_if_it_is_not_the_newest(box: Box) -> None:
    run = box.run(1)
    run.tracker.write_text("20\n")
    assert box.free()[Kind.CHECKPOINT] == ["iter_0000010"]


def test_what_a_merge_reads_stays(box: Box) -> None:
    run = box.run(1)
    (run.work / "keep-iterations").write_text("10\n")
    assert box.free()[Kind.CHECKPOINT] == ["iter_0000020"]


def test_of_a_stopped_run_the_newest_that_can_be_read_stays_too(box: Box) -> None:
    run = box.run(1, status="stopped")
    (run.checkpoint(30) / "adapter_model.safetensors").write_bytes(b"cut")
    assert box.free()[Kind.CHECKPOINT] == ["iter_0000010"]


@pytest.mark.parametrize("status", ["queued", "starting", "running", "stopping"])
def test_a_run_that_is_not_over_keeps_all_and_the_cache_with_it(box: Box, status: str) -> None:
    box.run(1, status=status)
    box.shared("imports", "abc")
    assert box.free() == {}


def test_a_run_in_which_somebody_lives_is_left_alone_whatever_its_state_says(box: Box) -> None:
    run = box.run(1)
    with run.run_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert box.free() == {}
        with pytest.raises(RunnerError, match="lives or waits"):
            check_runs([run])
    assert box.free()


def test_a_foreign_run_is_not_ours_to_prune(box: Box) -> None:
    run = box.run(1)
    run.run_json.write_text(json.dumps({"kind": "foreign"}))
    assert box.free() == {}
    with pytest.raises(RunnerError, match="started elsewhere"):
        check_runs([run])


def test_the_merged_model_of_a_run_without_checkpoints_is_all_it_has(box: Box) -> None:
    box.run(1, saved=())
    assert box.free() == {}


def test_shared_things_go_while_nothing_lives(box: Box) -> None:
    box.run(1)
    box.shared("imports", "abc")
    box.shared("environments", "def")
    free = box.free()
    assert (free[Kind.IMPORT], free[Kind.ENVIRONMENT]) == (["abc"], ["def"])
    assert [(each.kind, each.name) for each in cache_use(box.cache)] == [
        ("environments", "def"),
        ("imports", "abc"),
    ]


def test_shared_things_stay_while_a_run_of_another_root_lives_on_them(
    box: Box, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box.run(1)
    kept = box.shared("imports", "nemo-1")
    (tmp_path / "other").mkdir()
    other = Box(tmp_path / "other")
    note_root(box.cache, other.root)
    note_root(box.cache, tmp_path / "gone")
    theirs = other.run(2, "running")
    assert Kind.IMPORT not in box.free()
    assert lanewatch(["prune", "--imports", "--dry-run"]) == 0
    assert f"environments stay: {theirs.root} lives or waits" in capsys.readouterr().err
    theirs.state.write_text('{"status": "finished"}')
    assert box.free()[Kind.IMPORT] == [kept.name]
    items = freeable(box.root, box.cache)
    theirs.state.write_text('{"status": "running"}')
    assert "needed by now" in str(
        {each.path: why for each, why in prune(box.root, box.cache, items)}[kept]
    )
    assert kept.is_dir()
    assert not (tmp_path / "gone").exists()
    note_root(box.cache, box.root)
    assert known_roots(box.cache) == sorted([box.root, other.root])
    assert len(list((box.cache / "roots").iterdir())) == 2, "what is gone is forgotten"


def test_pruning_frees_the_trainers_own_copy_of_a_checkpoint_as_well(box: Box) -> None:
    run = box.run(1)
    before = disk_use(run.root)
    items = [each for each in freeable(box.root, box.cache) if each.kind is Kind.CHECKPOINT]
    assert [problem for _, problem in prune(box.root, box.cache, items)] == [None, None]
    assert disk_use(run.root) <= before - 2 * MIB
    assert sorted(path.name for path in run.checkpoints.glob("*")) == [
        "iter_0000030",
        "latest_checkpointed_iteration.txt",
    ]
    assert [path.name for path in (run.work / "trainer").iterdir()] == ["checkpoint-30"]
    assert "pruned iter_0000010" in run.events.read_text()


def test_what_has_come_to_life_since_is_left(box: Box) -> None:
    run = box.run(1)
    items = freeable(box.root, box.cache)
    run.state.write_text(json.dumps({"status": "starting"}))
    problems = [problem for _, problem in prune(box.root, box.cache, items)]
    assert problems == ["it is needed by now"] * 3
    assert (run.export / "merged-hf-bf16" / "model.safetensors").exists()


def test_files_with_several_names_count_once(box: Box) -> None:
    box.run(1)
    (use,) = runs_use(box.root)
    assert 3 * MIB <= use.checkpoints < 3.2 * MIB
    assert use.rest < MIB


def test_a_launch_that_died_before_its_keeper_keeps_nothing_for_ever(box: Box) -> None:
    run = box.run(1, saved=())
    run.state.unlink()
    box.shared("imports", "abc")
    assert box.free() == {}, "it may have been launched this moment"
    long_ago = time.time() - 600
    os.utime(run.root, (long_ago, long_ago))
    assert box.free() == {Kind.IMPORT: ["abc"]}
    with run.keeper_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert box.free() == {}


def test_what_a_killed_deletion_save_or_merge_left_is_found(box: Box) -> None:
    run = box.run(1)
    left = (run.checkpoints / ".trash-iter_0000001-9", run.export / ".merged-hf-bf16.tmp")
    for folder in left:
        folder.mkdir()
        (folder / "weights").write_bytes(b"w" * MIB)
    assert ".trash-iter_0000001-9" in box.free()[Kind.CHECKPOINT]
    assert ".merged-hf-bf16.tmp" in box.free()[Kind.MERGED]
    assert not any(why for _, why in prune(box.root, box.cache, freeable(box.root, box.cache)))
    assert not any(each.exists() for each in left)
    assert list(run.checkpoints.glob(".*")) == list(run.export.glob(".*")) == []


def test_what_may_not_be_looked_into_is_named_and_not_half_deleted(
    box: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that a run made with sudo; its files here belong to whoever runs the tests."""
    locked = box.shared("imports", "abc") / "of-root"
    locked.mkdir()
    scandir, access = os.scandir, os.access

    def refused(path: object) -> Any:
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("runners.holdings.os.scandir", refused)
    may = lambda path, mode: str(path) != str(locked) and access(path, mode)  # noqa: E731
    monkeypatch.setattr("runners.pruning.os.access", may)
    assert lanewatch(["du"]) == 0
    assert f"{locked} may not be read" in capsys.readouterr().err
    assert lanewatch(["du", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unreadable"] == [str(locked)]
    assert lanewatch(["prune", "--yes"]) == 1
    assert f"sudo rm -r {locked.parent}" in capsys.readouterr().out
    assert (locked.parent / "weights").exists(), "it is as it was, under its own name"


def test_a_run_that_may_not_be_looked_into_keeps_nobody_from_freeing_another(
    box: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's container closed one run's exports; in another a file stands in the folder's place."""
    closed, odd, usual = box.run(1), box.run(2), box.run(3)
    odd.checkpoints.rename(odd.root / "moved")
    odd.checkpoints.write_text("")
    is_dir = Path.is_dir

    def refused(path: Path) -> bool:
        if path.parent == closed.export:
            raise PermissionError(13, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refused)
    assert lanewatch(["du"]) == 0
    assert usual.root.name in capsys.readouterr().out
    assert lanewatch(["prune", "--yes"]) == 0
    assert not usual.checkpoint(10).exists()
    assert closed.checkpoint(10).exists()
    assert lanewatch(["prune", "--yes", closed.root.name]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_a_checkpoint_or_a_model_that_is_kept_elsewhere_stays(box: Box) -> None:
    """A link to it was renamed out of sight and then could not be emptied: half was lost."""
    run = box.run(1)
    for place in (run.checkpoint(10), run.export / "merged-hf-bf16"):
        place.rename(box.cache.parent / place.name)
        place.symlink_to(box.cache.parent / place.name)
    assert box.free() == {Kind.CHECKPOINT: ["iter_0000020"]}
    assert lanewatch(["prune", "--yes"]) == 0
    assert run.checkpoint(10).is_symlink()


def test_du_and_prune_on_the_command_line(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    run = box.run(1)
    box.shared("imports", "abc")
    assert lanewatch(["du", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"][0]["merged_bytes"] >= MIB
    assert told["freeable_bytes"] >= 4 * MIB

    assert lanewatch(["prune", "--json", "--dry-run"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["items"]) == 4
    assert not told["removed"]
    assert run.checkpoint(10).exists()

    assert lanewatch(["prune"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert run.checkpoint(10).exists()

    assert lanewatch(["prune", "--yes", "--checkpoints"]) == 0
    assert "freed" in capsys.readouterr().out
    assert not run.checkpoint(10).exists()
    assert run.checkpoint(30).exists()
    assert (box.cache / "imports" / "abc").exists()

    assert lanewatch(["prune", "--yes", run.root.name]) == 0
    assert not (run.export / "merged-hf-bf16").exists()
    assert (box.cache / "imports" / "abc").exists(), "only this run was named"

    assert lanewatch(["prune", "--yes"]) == 0
    assert not (box.cache / "imports" / "abc").exists()
    capsys.readouterr()
    assert lanewatch(["prune", "--yes"]) == 0
    assert "nothing to free" in capsys.readouterr().err
