"""The unsloth lane in real containers: a user without a name, no network, wheels from a folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from boxed import Stranger, stranger_at
from conftest import read, state, trained, until
from engine import Engine
from lane_cache import MADE_S, wheelhouse

from monitor.metrics import read_metrics
from monitor.rundir import RunDir

pytestmark = [pytest.mark.timeout(1800), pytest.mark.xdist_group("unsloth")]


@pytest.fixture
def stranger(engine: Engine) -> Iterator[Stranger]:
    """A user who may ask the engine."""
    engine.folder.chmod(0o711)
    with stranger_at(engine) as cli:
        yield cli


def test_installed_stopped_resumed_merged_and_loaded_again(stranger: Stranger) -> None:
    run = stranger.train(
        "--lane=unsloth",
        "--set=lanes.unsloth.device=cpu",
        iterations=40,
        save_interval=20,
        LANEWATCH_WHEELHOUSE=str(wheelhouse()),
    )
    until(lambda: _stage(run, "import") in ("running", "done", "failed"), "the stage begins")
    until(lambda: _stage(run, "import") != "running", "the environment", MADE_S)
    assert _stage(run, "import") == "done", (state(run)["cause"], _log(run))
    until(lambda: trained(run) >= 3 or _ended(run), "three iterations")
    assert not _ended(run), state(run)["cause"]
    (container,) = stranger.containers(run)
    mounts = {each["Destination"]: each["RW"] for each in container["Mounts"]}
    assert mounts[str(stranger.home / "cache")] is False, "a trainer may not change what is shared"
    assert container["HostConfig"]["NetworkMode"] == "none"
    stranger("stop", run.root.name, "--save")
    stranger("wait", run.root.name, code=1)
    at = stranger.json("status", run.root.name)["iteration"]["value"]

    stranger("resume", run.root.name)
    stranger("wait", run.root.name)
    assert f"{_packages()} packages made before in" in run.log("import").read_text()
    metrics = read_metrics(run.metrics).iterations
    assert [each.iteration for each in metrics] == [*range(1, 41)]
    assert [each.attempt for each in metrics] == [1] * at + [2] * (40 - at)
    result = read(run.result)
    assert (result["stage"], result["reloaded"]) == ("merge", True)
    marker = next((stranger.home / "cache" / "environments").glob("*/environment.json"))
    assert read(marker)["key"]["image"] == read(run.run_json)["image"]["id"]


def _stage(run: RunDir, name: str) -> str:
    found = {each["name"]: each["status"] for each in state(run).get("stages", ())}
    return str(found.get(name, "pending"))


def _ended(run: RunDir) -> bool:
    return state(run).get("status") in ("failed", "stopped", "finished")


def _packages() -> int:
    return len([*wheelhouse().glob("*.whl")])


def _log(run: RunDir) -> str:
    return "\n".join(path.read_text()[-3000:] for path in run.logs.glob("*.log"))
