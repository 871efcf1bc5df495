"""Status of a run that is over: a list of runs tells the same figures as the run by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fabricated import FabricatedRun, wait_for

from monitor.files import write_json
from monitor.status import list_runs, read_status
from monitor.status_model import PeaksView


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / "reference-1")
    yield fabricated
    fabricated.close()


def test_a_list_tells_the_figures_of_a_run_that_is_over(run: FabricatedRun) -> None:
    run.train(step=0.01, save=5)
    wait_for(lambda: read_status(run.root).step_s)
    run.trainer.kill()
    run.write_state("failed", process=None)
    lists = read_status(run.root), *list_runs(run.root.parent)
    assert [each.step_s is not None for each in lists] == [True, True]
    assert [each.loss for each in lists] == [1.0, 1.0]
    left = {"final_loss": 0.5, "step_median_s": 32.4, "peak_memory_bytes": 7, "gpu_peak_bytes": 3}
    write_json(run.root / "summary.json", left, durable=False)
    for status in (read_status(run.root), *list_runs(run.root.parent)):
        assert (status.loss, status.step_s) == (0.5, 32.4)
        assert status.peaks == PeaksView(machine_bytes=7, gpu_bytes=3)
        assert status.memory is None
