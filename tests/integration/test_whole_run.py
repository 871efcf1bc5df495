"""A run from launch to its end by way of the command line: real keeper, watcher and trainer."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from conftest import Lanewatch, read, state, trained, until

from monitor.events import read_events
from monitor.metrics import read_metrics
from monitor.rundir import RunDir


def test_launch_watch_finish(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch("--name=first", iterations=12, save_interval=4)
    live = lanewatch.json("status", "first")
    assert live["run"] == run.root.name
    assert live["keeper"]["alive"] is True
    until(lambda: trained(run) >= 2, "two iterations")
    assert lanewatch.json("status", "first")["stage"] == "train"
    done = lanewatch.json("wait", "first")
    assert (done["verdict"], done["iteration"]["value"]) == ("finished", 12)

    runs = lanewatch.json("runs")
    assert [(each["run"], each["verdict"], each["iteration"]) for each in runs] == [
        (run.root.name, "finished", 12)
    ]
    assert [each["iteration"] for each in done["checkpoints"] if each["complete"]] == [4, 8, 12]
    assert read(run.result)["reloaded"] is True
    assert (run.export / "merged-hf-bf16" / "config.json").exists()
    assert (run.export / "adapter-hf" / "adapter_config.json").exists()
    assert read(run.run_json)["data"]["ids_sha256"]

    summary = read(run.summary)
    assert summary["iterations"] == 12
    assert summary["saves"] == 3
    assert summary["step_median_s"] > 0
    assert summary["tokens_per_s"] > 0
    assert [stage["status"] for stage in summary["stages"]] == ["done"] * 4

    kinds = {event.kind for event in read_events(run.events)}
    assert {"verdict", "checkpoint", "stage"} <= kinds
    assert "iteration 12/12" in lanewatch("logs", "first", "--stage=train")
    assert "merged" in lanewatch("logs", "first")
    everything = [path for path in run.root.rglob("*") if not path.is_symlink()]
    assert not [path for path in everything if path.stat().st_mode & 0o077], "0600 and 0700 only"


def test_stop_and_save_then_resume_to_the_end_with_the_same_losses(lanewatch: Lanewatch) -> None:
    whole = lanewatch.launch(iterations=24, save_interval=8)
    lanewatch("wait", whole.root.name)
    run = lanewatch.launch(iterations=24, save_interval=8)
    until(lambda: trained(run) >= 9, "nine iterations")
    lanewatch("stop", run.root.name, "--save")
    lanewatch("wait", run.root.name, code=1)
    stopped = lanewatch.json("status", run.root.name)
    assert stopped["verdict"] == "stopped"
    at = stopped["iteration"]["value"]
    assert 9 <= at < 24
    assert f"saved at iteration {at}" in stopped["cause"]
    assert stopped["checkpoints"][-1]["iteration"] == at

    assert lanewatch("resume", run.root.name).strip() == run.root.name
    assert lanewatch.json("wait", run.root.name)["attempt"] == 2
    resumed, uninterrupted = (read_metrics(each.metrics).iterations for each in (run, whole))
    assert [each.iteration for each in resumed] == list(range(1, 25))
    assert [each.attempt for each in resumed] == [1] * at + [2] * (24 - at)
    assert [each.loss for each in resumed] == pytest.approx([each.loss for each in uninterrupted])
    refused = lanewatch("resume", run.root.name, code=2)
    assert "already finished" in refused


def test_stop_without_saving_loses_what_was_not_saved(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=500, save_interval=500)
    until(lambda: trained(run) >= 2, "two iterations")
    lanewatch("stop", run.root.name)
    lanewatch("wait", run.root.name, code=1)
    status = lanewatch.json("status", run.root.name)
    assert status["verdict"] == "stopped"
    assert "nothing saved" in status["cause"]
    assert status["checkpoints"] == []


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT")],
)
def test_a_trainer_killed_by_a_signal_has_failed_and_the_signal_is_named(
    lanewatch: Lanewatch, number: signal.Signals, name: str
) -> None:
    run = lanewatch.launch(iterations=500, save_interval=500)
    until(lambda: trained(run) >= 1, "an iteration")
    os.kill(state(run)["process"]["pid"], number)
    lanewatch("wait", run.root.name, code=1)
    status = lanewatch.json("status", run.root.name)
    assert status["verdict"] == "failed"
    assert name in status["cause"]
    assert state(run)["exit"] == {"code": None, "signal": number}


def test_kill_ends_a_stopped_process_too(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=500, save_interval=500)
    until(lambda: trained(run) >= 1, "an iteration")
    os.kill(state(run)["process"]["pid"], signal.SIGSTOP)
    lanewatch("kill", run.root.name)
    lanewatch("wait", run.root.name, code=1)
    status = lanewatch.json("status", run.root.name)
    assert (status["verdict"], status["cause"]) == ("stopped", "killed by the user in stage train")


def test_smoke_projects_the_whole_run_and_the_whole_run_says_how_wrong_that_was(
    lanewatch: Lanewatch,
) -> None:
    smoke = lanewatch.launch("--smoke=6", "--name=smoke", iterations=30, save_interval=10)
    told = lanewatch("wait", "smoke")
    assert "projected   the whole training, 30 iterations and 3 saves" in told
    assert "peak memory" in lanewatch("status", "smoke")
    assert not smoke.export.exists()
    summary = read(smoke.summary)
    projection = summary["projection"]
    assert (projection["iterations"], projection["saves"]) == (30, 3)
    assert projection["naive_s"] == pytest.approx(30 * summary["smoke"]["step_median_s"])
    assert projection["padded_s"] == pytest.approx(1.16 * projection["naive_s"])
    assert projection["save_aware_s"] > projection["naive_s"]
    assert projection["peak_memory_bytes"] > 50 << 20

    whole = lanewatch.launch(iterations=30, save_interval=10)
    lanewatch("wait", whole.root.name)
    errors = read(whole.summary)["projection_errors"]
    assert errors["smoke_run"] == smoke.root.name
    assert errors["naive"] < errors["padded"]
    assert errors["actual_from"] == "metrics"
    assert f"smoke run {smoke.root.name} was off by: naive " in lanewatch("status", whole.root.name)


def test_dry_run_says_what_would_start_and_makes_nothing(lanewatch: Lanewatch) -> None:
    recipe = str(Path(__file__).parents[2] / "recipes" / "demo.toml")
    plan = lanewatch.json("launch", recipe, "--lane=reference", "--engine=local", "--dry-run")
    assert [stage["stage"] for stage in plan["stages"]] == ["fetch", "prepare", "train", "merge"]
    assert plan["stages"][2]["env"]["OMP_NUM_THREADS"] == "1"
    assert not lanewatch.root.exists()


def test_no_secret_reaches_the_trainer_or_the_run_folder(lanewatch: Lanewatch) -> None:
    secret = "hf_" + "x" * 30
    os.environ["HF_TOKEN"] = secret
    try:
        run = lanewatch.launch(iterations=400, save_interval=400)
    finally:
        del os.environ["HF_TOKEN"]
    until(lambda: trained(run) >= 1, "an iteration")
    pid = state(run)["process"]["pid"]
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    lanewatch("kill", run.root.name)
    assert secret.encode() not in environment
    files = [path for path in run.root.rglob("*") if path.is_file()]
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_rm_refuses_a_living_run_and_asks_before_it_deletes(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=400, save_interval=400)
    until(lambda: trained(run) >= 1, "an iteration")
    assert "is alive" in lanewatch("rm", run.root.name, "--yes", code=2)
    lanewatch("kill", run.root.name)
    lanewatch("wait", run.root.name, code=1)
    until(lambda: lanewatch.call("rm", run.root.name).returncode == 2, "a refusal without --yes")
    assert run.root.exists()
    until(lambda: lanewatch.call("rm", run.root.name, "--yes").returncode == 0, "the deletion")
    assert not run.root.exists()


def test_wait_times_out_and_leaves_the_run_alone(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=400, save_interval=400)
    said = lanewatch("wait", run.root.name, "--timeout=0.3", code=75)
    assert "goes on" in said
    assert state(run)["status"] in ("starting", "running")
    lanewatch("kill", run.root.name)


def test_events_and_logs_follow_a_run_to_its_end(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=5, save_interval=5)
    events = [
        json.loads(line)
        for line in lanewatch("events", run.root.name, "--json", "--follow").splitlines()
    ]
    assert "the run finished" in [event["text"] for event in events]
    assert "reloaded" in lanewatch("logs", run.root.name, "--follow", "--stage=merge")


def test_a_second_resume_is_refused(lanewatch: Lanewatch) -> None:
    import subprocess

    from conftest import CLI

    run = lanewatch.launch(iterations=300, save_interval=100)
    until(lambda: trained(run) >= 2, "two iterations")
    lanewatch("stop", run.root.name, "--save")
    lanewatch("wait", run.root.name, code=1)
    both = [
        subprocess.Popen([*CLI, "resume", run.root.name], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [(each.communicate(timeout=60)[1], each.returncode) for each in both]
    assert sorted(code for _, code in ends) == [0, 2]
    refusal = next(text for text, code in ends if code == 2)
    assert "Traceback" not in refusal
    assert "already has a keeper" in refusal or "still runs" in refusal
    assert state(run)["attempt"] == 2
    lanewatch("kill", run.root.name)
    assert RunDir(run.root).run_json.exists()
