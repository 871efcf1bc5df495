"""The nemo lane in real containers: the real Megatron-Bridge, a user without a name, no network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
from boxed import Stranger, stranger_at
from conftest import read, state, trained, until
from engine import Engine, trainer_paths
from nemo_site import SHIMS, python, site_or_skip, version

from monitor.metrics import read_metrics
from monitor.rundir import RunDir

ITERATIONS = 20
"""So many that a stop is carried out before the last, also where a command takes seconds."""

STAGE_S = 600.0
"""For a stage that takes ten seconds, on a machine that does other things."""

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def stranger(engine: Engine) -> Iterator[Stranger]:
    """A user who may ask the engine."""
    engine.folder.chmod(0o711)
    with stranger_at(engine) as cli:
        yield cli


@pytest.fixture
def brought(stranger: Stranger) -> tuple[str, ...]:
    """The settings that bring Megatron-Bridge and what is stood in for into the containers."""
    folder = stranger.home / "nemo"
    # The cache of whoever runs the tests, and what he made there, may be his alone.
    site = shutil.copytree(site_or_skip(), folder / "site")
    site.chmod(0o755)
    shims = shutil.copytree(SHIMS, folder / "shims")
    program = python(folder, site, shims)
    mounts = [*trainer_paths(), str(folder)]
    return (
        "--lane=nemo",
        f"--set=docker.python={program}",
        f"--set=docker.read_only={json.dumps(mounts)}",
        "--set=train.accumulation=1",
        "--anyway",  # the lane is of a GPU, and this engine has no runtime for one
    )


def test_imported_trained_stopped_resumed_merged_and_loaded_again(
    stranger: Stranger, brought: tuple[str, ...]
) -> None:
    run = stranger.train(*brought, iterations=ITERATIONS, save_interval=15)
    until(lambda: trained(run) >= 2 or _ended(run), "two iterations", STAGE_S)
    assert not _ended(run), (state(run)["cause"], _log(run))
    (container,) = stranger.containers(run)
    mounts = {each["Destination"]: each["RW"] for each in container["Mounts"]}
    assert mounts[str(stranger.home / "cache")] is False, "a trainer may not change what is shared"
    assert container["HostConfig"]["NetworkMode"] == "none"
    stranger("stop", run.root.name, "--save")
    until(lambda: _ended(run), "the save", STAGE_S)
    stranger("wait", run.root.name, code=1)
    at = stranger.json("status", run.root.name)["iteration"]["value"]

    stranger("resume", run.root.name, "--anyway")
    until(lambda: state(run)["status"] in ("finished", "failed"), "the merge", STAGE_S)
    stranger("wait", run.root.name)
    metrics = read_metrics(run.metrics).iterations
    assert [each.iteration for each in metrics] == [*range(1, ITERATIONS + 1)]
    assert [each.attempt for each in metrics] == [1] * at + [2] * (ITERATIONS - at)
    result = read(run.result)
    assert (result["stage"], result["reloaded"]) == ("merge", True)
    (imported,) = (stranger.home / "cache" / "imports").glob("nemo-*/import.json")
    assert read(imported)["key"]["versions"]["megatron-bridge"] == version(site_or_skip())
    assert stranger.containers(run) == []


def _ended(run: RunDir) -> bool:
    return state(run).get("status") in ("failed", "stopped", "finished")


def _log(run: RunDir) -> str:
    return "\n".join(path.read_text()[-3000:] for path in run.logs.glob("*.log"))
