"""The list of runs: each is read again only as far as it can have changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from run_folders import FINISHED, Counted, later, unseen, write_run

from monitor.model import Liveness
from monitor.probes.clock import read_now
from monitor.status_model import KeeperView, RunStatus, WatcherView
from tui.run_list import HANDED_OVER_S, RECHECK_S, RunList


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one finished run."""
    folder = tmp_path / "runs" / FINISHED
    write_run(folder)
    return folder.parent


def test_a_finished_run_is_read_once_and_again_only_when_it_changed(root: Path) -> None:
    counted = Counted()
    runs = RunList(root, counted)
    now = read_now()
    first = runs.read(now, unseen)
    assert [run.verdict for run in first] == [Liveness.FINISHED]
    assert runs.read(later(now, 1), unseen) is first
    assert runs.read(later(now, 2 * RECHECK_S), unseen) is first
    assert counted.read == [FINISHED]

    write_run(root / "reference-20260522-101112-aaaa", status="failed")
    state = root / FINISHED / "state.json"
    os.utime(state, ns=(1, 1))
    second = runs.read(later(now, 4 * RECHECK_S), unseen)
    assert {run.verdict for run in second} == {Liveness.FINISHED, Liveness.FAILED}
    assert sorted(counted.read) == [FINISHED, FINISHED, "reference-20260522-101112-aaaa"]


def test_a_folder_that_becomes_a_run_is_read_at_once(root: Path) -> None:
    counted = Counted()
    runs = RunList(root, counted)
    now = read_now()
    made = root / "reference-20260522-101112-aaaa"
    made.mkdir()
    assert {run.verdict for run in runs.read(now, unseen)} == {Liveness.FINISHED, Liveness.LOST}
    runs.read(later(now, 1), unseen)
    assert counted.read.count(made.name) == 1, "nothing of it has changed"
    made.rmdir()
    write_run(made)
    assert {run.verdict for run in runs.read(later(now, 2), unseen)} == {Liveness.FINISHED}


def test_a_run_that_is_lost_between_two_stages_is_looked_at_again_at_once(
    root: Path, training: RunStatus
) -> None:
    said = [replace(training, verdict=Liveness.LOST), training]
    assert training.keeper.alive
    runs, now = RunList(root, lambda folder, now: said.pop(0)), read_now()
    assert [run.verdict for run in runs.read(now, unseen)] == [Liveness.LOST]
    assert [run.verdict for run in runs.read(later(now, 1), unseen)] == [Liveness.TRAINING]


def test_that_a_run_is_lost_is_no_news_while_its_keeper_may_act(
    root: Path, training: RunStatus
) -> None:
    lost, merging = replace(training, verdict=Liveness.LOST), replace(training, stage="merge")
    orphaned = replace(lost, keeper=KeeperView(pid=1))
    said = [training, lost, merging, lost, lost, orphaned, training, orphaned]
    runs, now = RunList(root, lambda folder, now: said.pop(0)), read_now()
    seen = [runs.read(later(now, at), unseen)[0] for at in (0, 1, 2, 3, 3 + HANDED_OVER_S)]
    assert seen == [training, training, merging, merging, lost]
    after = [runs.read(later(now, at), unseen)[0] for at in (20, 40, 41)]
    assert after == [orphaned, training, orphaned]


def test_a_run_folder_that_goes_leaves_the_list(root: Path) -> None:
    runs = RunList(root, Counted())
    now = read_now()
    runs.read(now, unseen)
    (root / FINISHED).rename(root / ".trash")
    assert runs.read(later(now, 1), unseen) == ()


def test_a_long_first_look_is_shown_in_parts(
    root: Path, training: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.run_list.PART_S", 0.0)
    for at in range(250):
        (root / f"run-{at:03d}").mkdir()
    parts: list[int] = []
    runs = RunList(root, lambda folder, now: training)
    found = runs.read(read_now(), lambda part: parts.append(len(part)))
    assert parts == [100, 200]
    assert len(found) == 251


def test_parts_are_not_drawn_more_often_than_can_be_seen(
    root: Path, training: RunStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.run_list.PART_S", 3600.0)
    for at in range(350):
        (root / f"run-{at:03d}").mkdir()
    parts: list[int] = []
    RunList(root, lambda folder, now: training).read(read_now(), lambda p: parts.append(len(p)))
    assert parts == [100]


def test_a_root_that_is_not_there_yet_has_no_runs(tmp_path: Path) -> None:
    assert RunList(tmp_path / "none", Counted()).read(read_now(), unseen) == ()


def test_a_verdict_that_no_watcher_keeps_is_as_old_as_its_first_look(
    root: Path, training: RunStatus
) -> None:
    alone = replace(training, watcher=WatcherView(pid=1, alive=False))
    sinces = [replace(alone, since_wall=100.0 + at) for at in range(3)]
    said = [*sinces, replace(sinces[2], verdict=Liveness.SUSPECT, since_wall=110.0)]
    runs, now = RunList(root, lambda folder, now: said.pop(0)), read_now()
    seen = [runs.read(later(now, at), unseen)[0].since_wall for at in range(4)]
    assert seen == [100.0, 100.0, 100.0, 110.0]
