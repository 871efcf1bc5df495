"""What `lanewatch attach` asks, takes and refuses."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from attaching import Start, attach, attached, megatron, start, status, trainer_of
from conftest import Lanewatch, read

__all__ = ["attached", "start"]  # fixtures: they are used by their names


def test_on_a_terminal_one_is_picked_by_its_number(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    pid = trainer_of(start(f"{megatron(tmp_path)} > train.log"))
    numbers = [each["pid"] for each in attached.json("attach")]
    leader, follower = pty.openpty()
    picking = subprocess.Popen(
        [sys.executable, "-P", "-m", "tui", "attach"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        close_fds=True,
    )
    os.close(follower)
    said = b""
    while b"which one?" not in said:
        said += os.read(leader, 4096)
    os.write(leader, f"99\n{numbers.index(pid) + 1}\n".encode())
    assert picking.wait(60) == 0
    os.close(leader)
    (run,) = attached.root.glob("foreign-*")
    assert read(run / "run.json")["process"]["pid"] == pid


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["--pid", "4194303"], "no such process", id="a pid that nobody has"),
        pytest.param(["--pid", "x"], "--pid", id="a pid that is none"),
        pytest.param(["--pid", "1", "--container", "c"], "not both", id="two places"),
        pytest.param(["--checkpoints", "/no/such"], "no such folder", id="no such folder"),
        pytest.param(["--checkpoints", "/etc/passwd"], "no such folder", id="a file as folder"),
        pytest.param(["--log", "/no/such"], "no such file", id="no such log"),
        pytest.param(["--log", "/tmp"], "no regular file", id="a folder as log"),
        pytest.param(["--container", ""], "it is empty", id="a container without a name"),
        pytest.param(["--log", ""], "it is empty", id="a log without a name"),
        pytest.param(["--pid", "9" * 30], "is no process id", id="a pid that no kernel gives"),
        pytest.param(["--total", "0"], "is no whole number of 1", id="no iterations"),
        pytest.param(["--set", "liveness.save_flor_s=3"], "save_floor_s", id="a misspelt limit"),
        pytest.param(["--set", "lora.rank=3"], "only liveness", id="a field of a recipe"),
        pytest.param(["--set", "memory.limit_gib=-1"], "memory", id="a limit that is none"),
        pytest.param(["--set", "memory.limit_gib"], "table.key=value", id="a set without a value"),
        pytest.param(["--name", "a b"], "not usable", id="a name with a space"),
    ],
)
def test_bad_input_is_one_sentence(
    attached: Lanewatch, start: Start, tmp_path: Path, words: list[str], says: str
) -> None:
    pid = trainer_of(start(f"{megatron(tmp_path)} > train.log")) if "--name" in words else None
    named = ["--pid", str(pid)] if pid else []
    complaint = attached("attach", *named, *words, code=2)
    assert says in complaint.strip().splitlines()[-1]
    assert not list(attached.root.glob("foreign-*"))


def test_limits_that_are_set_are_those_of_its_watcher(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    pid = trainer_of(start(f"{megatron(tmp_path)} > train.log"))
    words = ("--set=liveness.iteration_default_s=7", "--set=memory.limit_gib=3", "--total=44")
    run, said = attach(attached, "--pid", str(pid), "--name=mine", *words)
    assert read(run.run_json)["recipe"] == {
        "liveness": {"iteration_default_s": 7},
        "memory": {"limit_gib": 3},
    }
    assert said["total"] == 44
    now = status(attached, run)
    assert (now["name"], now["memory"]["limit_bytes"]) == ("mine", 3 << 30)
