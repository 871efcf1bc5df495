"""Faults of the drills in real containers, each diagnosed as root and as the container's own user.

A deadlock is in test_diagnose_containers.py; all looks are taken at once, for each takes seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import until
from engine import Engine, python
from hanging import WITHOUT_PTRACE, users
from stuck import asked, main_pid, make_run, open_folder

pytestmark = pytest.mark.timeout(300)

SCRIPT = """
import os, signal, sys, threading

def descend():
    return sum(each * each for each in range(1000))

def turn():
    while True:
        descend()

def spin():
    turning = threading.Thread(target=turn, name="spins")
    turning.start()
    turning.join()

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

def say():
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(writing)
        os.dup2(reading, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
    os.close(reading)
    os.dup2(writing, 1)
    while True:
        os.write(1, bytes(8192))

globals()[sys.argv[1]]()
"""
FAULTS = {
    # fault: (state or wait to stand in, cause, confidence, words of the sentence)
    "spin": ("R", "spinning", "likely", "turn (workspace/train.py:9)"),
    "stop": ("T", "stopped", "sure", "kill -CONT"),
    "say": ("pipe_write", "blocked-pipe", "sure", "its main thread is in say (workspace/train.py:"),
}
Key = tuple[str, int]


@pytest.fixture(scope="module")
def looks(engine: Engine) -> Iterator[Mapping[Key, dict[str, Any]]]:
    """What each user was told of each fault."""
    names = {fault: f"fault-{fault}-{os.getpid()}" for fault in FAULTS}
    with open_folder(WITHOUT_PTRACE) as folder, ThreadPoolExecutor(6) as pool:
        (folder / "train.py").write_text(SCRIPT)
        try:
            pids = dict(
                pool.map(lambda fault: (fault, start(engine, names, fault, folder)), FAULTS)
            )
            keys = [(fault, uid) for fault in FAULTS for uid in users()]
            yield dict(zip(keys, pool.map(lambda key: look(folder, pids, *key), keys), strict=True))
        finally:
            for name in names.values():
                engine.remove(name)


def start(engine: Engine, names: Mapping[str, str], fault: str, folder: Path) -> int:
    """Start *fault* in a container of its own and return the pid of its trainer here."""
    user = f"{WITHOUT_PTRACE}:{WITHOUT_PTRACE}"
    options = ("--init", "--user", user, "--volume", f"{folder}:/workspace:ro")
    made = engine.run(names[fault], python(), "/workspace/train.py", fault, options=options)
    (said,) = json.loads(engine.docker("inspect", made))
    pid = main_pid(said["State"]["Pid"])
    until(lambda: stands(pid, FAULTS[fault][0]), f"{fault} stands where it is to stand")
    return pid


def stands(pid: int, where: str) -> bool:
    tasks = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/stat")]
    if any(each.rpartition(")")[2].split()[0] == where for each in tasks):
        return where != "R" or len(tasks) == 2
    return where in Path(f"/proc/{pid}/wchan").read_text()


def look(folder: Path, pids: Mapping[str, int], fault: str, uid: int) -> dict[str, Any]:
    return asked(make_run(folder / f"{fault}-{uid}", pids[fault], uid), uid)


@pytest.mark.parametrize("uid", users())
@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_named(looks: Mapping[Key, dict[str, Any]], fault: str, uid: int) -> None:
    said = looks[fault, uid]
    _, cause, confidence, words = FAULTS[fault]
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == (cause, confidence), json.dumps(said, indent=1)
    assert words in found["sentence"], json.dumps(said, indent=1)
    assert said["facts"]["seconds"] < 15
    if fault != "spin":
        assert found["remedies"][0]["do"].startswith("kill -CONT"), "which loses nothing"
