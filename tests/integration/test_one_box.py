"""Two fine-tunes on one box: the second is refused, or waits its turn whatever dies meanwhile."""

from __future__ import annotations

import os
import signal

from conftest import RECIPE, Lanewatch, read, state, trained, until

from monitor.events import read_events
from monitor.rundir import RunDir

SHORT = ("--set=train.iterations=4", "--set=train.save_interval=2")


def launch(lanewatch: Lanewatch, *words: str) -> RunDir:
    return RunDir(lanewatch.root / lanewatch("launch", str(RECIPE), *SHORT, *words).strip())


def begun(run: RunDir) -> float:
    """When its first stage began, by the wall clock."""
    return float(
        min(each["started_wall"] for each in state(run)["stages"] if "started_wall" in each)
    )


def ended(run: RunDir) -> float:
    """When its last stage ended."""
    return float(max(each["ended_wall"] for each in state(run)["stages"] if "ended_wall" in each))


def test_three_runs_in_one_night_though_the_keepers_of_the_queued_ones_are_killed(
    lanewatch: Lanewatch,
) -> None:
    first = lanewatch.launch("--name=first", iterations=60, save_interval=4)
    refused = lanewatch("launch", str(RECIPE), *SHORT, code=2)
    assert f"the box is busy: {first.root.name} (first)" in refused
    assert "--after first" in refused

    second = launch(lanewatch, "--after=first", "--name=second")
    third = launch(lanewatch, "--after=second", "--name=third")
    assert "--after third" in lanewatch("launch", str(RECIPE), *SHORT, "--after=first", code=2)
    listed = {each["name"]: each["status"] for each in lanewatch.json("runs")}
    assert listed["second"] == listed["third"] == "queued"
    seen = lanewatch.json("status", "second")
    assert seen["reason"].startswith(f"queued: waits for the end of {first.root.name}")
    assert "queued" in lanewatch("runs")

    os.kill(state(second)["keeper"]["pid"], signal.SIGKILL)
    until(lambda: not lanewatch.json("status", "second")["keeper"]["alive"], "its keeper's death")
    assert "`lanewatch watch" in lanewatch.json("status", "second")["reason"]
    os.kill(state(third)["keeper"]["pid"], signal.SIGKILL)
    lanewatch("watch", "second")
    until(lambda: lanewatch.json("status", "second")["keeper"]["alive"], "a new keeper")
    lanewatch("service", "run", "--once")
    until(lambda: lanewatch.json("status", "third")["keeper"]["alive"], "the service's keeper")

    assert state(second)["status"] in ("queued", "starting", "running")
    lanewatch("stop", "third")
    lanewatch("wait", "third", code=1)
    assert state(third)["cause"] == "stopped by the user before stage fetch"
    assert all("started_wall" not in each for each in state(third)["stages"])

    lanewatch("wait", "second")
    assert state(first)["status"] == "finished"
    assert begun(second) >= ended(first)
    notes = [event.text for event in read_events(second.events) if event.kind == "note"]
    assert f"its turn: {first.root.name} is over (it finished)" in notes
    assert read(second.run_json)["after"] == first.root.name

    listed = lanewatch.json("prune", "--dry-run")
    assert {item["kind"] for item in listed["items"]} == {"merged", "checkpoints"}
    lanewatch("prune", "--yes")
    for run, last in ((first, 60), (second, 4)):
        assert not (run.export / "merged-hf-bf16").exists()
        assert (run.export / "adapter-hf" / "adapter_model.safetensors").exists()
        assert [each.name for each in run.checkpoints.glob("iter_*")] == [f"iter_{last:07d}"]
    assert lanewatch.json("du")["freeable_bytes"] == 0


def test_beside_a_run_only_with_anyway_and_a_resume_is_a_launch(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch("--name=long", iterations=4000, save_interval=1000)
    until(lambda: trained(run) >= 2, "two iterations")
    assert "is at iteration" in lanewatch("launch", str(RECIPE), *SHORT, code=2)
    beside = launch(lanewatch, "--anyway", "--name=beside")
    assert state(beside)["status"] != "queued"
    assert "lives or waits" in lanewatch("prune", "--yes", "long", code=2)
    lanewatch("stop", "beside", "--save")
    lanewatch.call("wait", "beside")
    if state(beside)["status"] == "stopped":
        assert "the box is busy" in lanewatch("resume", "beside", code=2)
    queued = launch(lanewatch, "--after=long", "--name=queued")
    other = lanewatch.launch("--anyway", "--name=other", iterations=4000, save_interval=1000)
    lanewatch("kill", "long")
    lanewatch("wait", "long", code=1)
    waits = f"queued: waits for the end of {other.root.name}"
    until(lambda: lanewatch.json("status", "queued")["reason"].startswith(waits), "whom it sees")
    assert state(queued)["status"] == "queued"
    lanewatch("kill", "other")
    lanewatch("wait", "queued")
    assert begun(queued) >= ended(other)
    late = launch(lanewatch, "--after=long", "--name=late")
    assert state(late)["status"] in ("queued", "starting", "running")
    lanewatch("kill", "late")
