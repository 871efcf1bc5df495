"""Nothing that dies around it harms a trainer: not a terminal, not the CLI, watcher or keeper."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
import time

from conftest import CLI, RECIPE, Lanewatch, state, trained, until

from monitor.metrics import read_metrics
from monitor.probes.process import find_by_environment
from monitor.rundir import RunDir
from runners.runs import lock_is_free

KILLS = 54
SEED = 20261123


def trainer_pid(run: RunDir) -> int | None:
    """The living trainer's pid, found by what it carries in its environment."""
    found = find_by_environment({"LANEWATCH_RUN": run.root.name, "LANEWATCH_STAGE": "train"})
    return found[0].pid if found else None


def test_closing_the_terminal_ends_the_cli_and_not_the_run(lanewatch: Lanewatch) -> None:
    leader, follower = pty.openpty()
    cli = subprocess.Popen(
        [
            *CLI,
            "launch",
            str(RECIPE),
            "--set=train.iterations=300",
            "--set=train.save_interval=300",
        ],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: os.close(leader),
    )
    os.close(follower)
    run = RunDir(until(lambda: next(iter(lanewatch.root.glob("reference-*")), None), "a run"))
    until(run.state.exists, "a keeper")
    os.close(leader)  # the terminal is gone: its whole session gets SIGHUP
    cli.wait(timeout=60)
    until(lambda: trained(run) >= 2, "training after the terminal was closed")
    keeper = state(run)["keeper"]["pid"]
    os.kill(keeper, signal.SIGHUP)
    os.kill(trainer_pid(run), signal.SIGHUP)
    before = trained(run)
    until(lambda: trained(run) > before + 1, "training after SIGHUP")
    assert state(run)["keeper"]["pid"] == keeper
    lanewatch("kill", run.root.name)
    lanewatch("wait", run.root.name, code=1)


def test_seeded_kills_of_watcher_keeper_and_cli_harm_nothing(lanewatch: Lanewatch) -> None:
    """KILLS times -9 at random moments; one trainer, one attempt, no iteration lost or doubled."""
    choose = random.Random(SEED)
    run = lanewatch.launch(iterations=3000, save_interval=50)
    until(lambda: trained(run) >= 1, "an iteration")
    trainer = trainer_pid(run)
    counts = dict.fromkeys(("watcher", "keeper", "cli"), 0)
    for _ in range(KILLS):
        victim = choose.choice(sorted(counts))
        counts[victim] += 1
        time.sleep(choose.random() * 0.3)
        if victim == "cli":
            kill_a_cli(run, choose)
        else:
            kill_and_bring_back(lanewatch, run, victim)
        assert trainer_pid(run) == trainer, f"the trainer died with the {victim}"
    assert min(counts.values()) >= 10
    before = trained(run)
    until(lambda: trained(run) > before, "training goes on")
    until(lambda: is_there(run, "keeper") and is_there(run, "watcher"), "both are back")
    assert state(run)["attempt"] == 1
    lanewatch("stop", run.root.name, "--save")
    lanewatch("wait", run.root.name, code=1)
    iterations = [each.iteration for each in read_metrics(run.metrics).iterations]
    assert iterations == list(range(1, len(iterations) + 1))
    lines = run.metrics.read_text().count('"loss"')
    assert lines == len(iterations), "no iteration was trained twice"
    status = lanewatch.json("status", run.root.name)
    assert status["verdict"] == "stopped"
    assert status["checkpoints"][-1]["iteration"] == iterations[-1]


def is_there(run: RunDir, role: str) -> bool:
    lock = run.keeper_lock if role == "keeper" else run.watcher_lock
    return not lock_is_free(lock)


def kill_and_bring_back(lanewatch: Lanewatch, run: RunDir, role: str) -> None:
    identity = state(run).get(role) or {}
    if is_there(run, role) and "pid" in identity:
        with contextlib.suppress(ProcessLookupError):  # it may just have been replaced
            os.kill(identity["pid"], signal.SIGKILL)
    lanewatch.call("watch", run.root.name)
    until(lambda: is_there(run, "keeper"), "a keeper", 30)
    until(lambda: is_there(run, "watcher"), "a watcher", 30)


def kill_a_cli(run: RunDir, choose: random.Random) -> None:
    words = choose.choice([("status", "--json"), ("watch",), ("logs", "--follow"), ("wait",)])
    cli = subprocess.Popen(
        [*CLI, words[0], run.root.name, *words[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(choose.random() * 0.4)
    cli.kill()
    cli.wait()
