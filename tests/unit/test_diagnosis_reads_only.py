"""A diagnosis from a view that only reads: nothing is written, the trainer is asked nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compared import make_run

from monitor.diagnosis import look as looking
from monitor.diagnosis.record import LATEST, diagnose
from monitor.diagnosis.sampling import Taken
from monitor.model import Liveness
from monitor.rundir import RunDir


def files(run: RunDir) -> dict[str, float]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(run.root.rglob("*"))}


def test_nothing_is_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    before = files(run)
    diagnose(run, reads_only=True)
    assert files(run) == before
    diagnose(run)
    assert (run.diagnosis / LATEST).is_file()


@pytest.mark.parametrize("reads_only", [True, False])
def test_a_trainer_that_hangs_is_sent_no_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads_only: bool
) -> None:
    asked: list[Any] = []
    really = looking.seen_of

    def hangs(*args: Any) -> Any:
        seen = really(*args)
        return replace(seen, verdict=replace(seen.verdict, liveness=Liveness.STALLED))

    monkeypatch.setattr(looking, "seen_of", hangs)
    monkeypatch.setattr(looking, "_may_be_asked", lambda *_: True)
    monkeypatch.setattr(Taken, "ask", lambda *each: asked.append(each))
    found = diagnose(make_run(tmp_path, "a"), reads_only=reads_only)
    assert bool(asked) != reads_only
    assert any("only reads" in each for each in found.facts.missing) == reads_only
