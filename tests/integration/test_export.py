"""Any checkpoint exported, and a run begun in the middle, by way of the command line."""

from __future__ import annotations

from conftest import RECIPE, Lanewatch, read, state, trained, until

from monitor.metrics import read_metrics
from monitor.rundir import RunDir

MERGED = "merged-hf-bf16/model.safetensors"


def merged_bytes(run: RunDir) -> bytes:
    return (run.export / MERGED).read_bytes()


def test_any_checkpoint_of_a_finished_run_is_exported_and_the_run_stays_what_it_was(
    lanewatch: Lanewatch,
) -> None:
    run = lanewatch.launch(iterations=12, save_interval=4)
    lanewatch("wait", run.root.name)
    last, summary = merged_bytes(run), read(run.summary)

    refused = lanewatch("export", run.root.name, "--iteration=5", code=2)
    assert "no checkpoint of iteration 5; it has 4, 8, 12" in refused
    assert lanewatch("export", run.root.name, "--iteration=4").strip() == run.root.name
    done = lanewatch.json("wait", run.root.name)
    assert (done["verdict"], done["attempt"]) == ("finished", 2)
    assert (read(run.result)["iteration"], read(run.result)["stage"]) == (4, "merge")
    assert merged_bytes(run) != last
    assert read(run.summary) == summary
    statuses = {each["name"]: each["status"] for each in state(run)["stages"]}
    assert statuses == {
        "fetch": "skipped", "prepare": "skipped", "train": "skipped", "merge": "done",
    }  # fmt: skip

    again = lanewatch.launch("--from=merge", iterations=12, save_interval=4)
    lanewatch("wait", again.root.name)
    assert [each["status"] for each in state(again)["stages"]] == ["skipped"] * 3 + ["done"]
    assert merged_bytes(again) == last
    assert read(again.run_json)["taken_from"]["run"] == run.root.name
    trained_again = lanewatch.launch("--from=train", iterations=12, save_interval=4)
    lanewatch("wait", trained_again.root.name)
    statuses = [each["status"] for each in state(trained_again)["stages"]]
    assert statuses == ["skipped", "skipped", "done", "done"]
    assert [line.iteration for line in read_metrics(trained_again.metrics).iterations][-1] == 12
    assert merged_bytes(trained_again) == last
    recipe = ("--set=train.iterations=12", "--set=train.lr=0.5", "--set=train.save_interval=4")
    words = ("launch", str(RECIPE), "--lane=reference", *recipe, "--from=merge")
    assert "no run of this recipe in the reference lane" in lanewatch(*words, code=2)
    unknown = lanewatch(*words[:-1], "--from=bake", code=2)
    assert "the reference lane has fetch, prepare, train, merge" in unknown


def test_a_stopped_run_is_exported_and_can_still_be_resumed(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=160, save_interval=8)
    until(lambda: trained(run) >= 9, "nine iterations")
    refused = lanewatch("export", run.root.name, code=2)
    assert "still runs" in refused or "has a keeper" in refused
    lanewatch("stop", run.root.name, "--save")
    lanewatch("wait", run.root.name, code=1)
    stopped = lanewatch.json("status", run.root.name)
    at = stopped["iteration"]["value"]
    assert at < 160, "a machine so fast needs a longer run here"
    lanewatch("export", run.root.name)
    until(lambda: state(run).get("status") == "stopped" and state(run)["attempt"] == 2, "its end")
    assert read(run.result)["iteration"] == at
    assert state(run)["cause"] == stopped["cause"]
    early = merged_bytes(run)

    lanewatch("resume", run.root.name)
    assert lanewatch.json("wait", run.root.name)["verdict"] == "finished"
    assert read(run.result)["iteration"] == 160
    assert merged_bytes(run) != early
