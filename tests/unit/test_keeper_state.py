"""What state.json says of attempts that only export."""

from __future__ import annotations

from pathlib import Path

from monitor.model import Status
from monitor.rundir import RunDir
from monitor.target import read_target
from runners.keeper_state import KeeperState


def state(root: Path) -> KeeperState:
    return KeeperState(RunDir(root), ["prepare", "train", "merge"], "boot")


def test_an_export_remembers_how_the_run_had_ended_also_after_one_that_failed(
    tmp_path: Path,
) -> None:
    run = state(tmp_path)
    run.end(Status.STOPPED, "stopped by the user in stage train")
    run.begin_export(70)
    run.end(Status.FAILED, "stage merge: disk full")
    assert run.save()
    again = state(tmp_path)
    assert (again.exported, again.attempt) == (70, 2)
    again.begin_export(140)
    assert (again.exported, again.attempt) == (140, 3)
    assert again.before_export == (Status.STOPPED, "stopped by the user in stage train")
    again.begin_attempt()
    assert again.exported is None


def test_only_after_an_export_that_went_well_has_a_run_ended_as_before(tmp_path: Path) -> None:
    def exported() -> bool:
        assert run.save()
        return read_target(tmp_path).exported

    run = state(tmp_path)
    run.end(Status.FAILED, "out of memory")
    assert not exported()
    run.begin_export(70)
    assert not exported(), "it is under way"
    run.end(*run.before_export)
    assert exported()
    run.begin_export(70)
    run.end(Status.STOPPED, "stopped by the user in stage merge")
    assert not exported()
    run.begin_attempt()
    run.end(Status.FAILED, "out of memory again")
    assert not exported(), "this attempt trained"
