"""The contract in a process of its own: signals, the lock, exit codes, a full disk."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.payload.contract import Contract

SOURCE = Path(__file__).parents[2]

PRELUDE = """\
import os, signal, subprocess, sys, time
from pathlib import Path
from lanewatch_payload.contract import Contract, StageError, end_process, run_stage, say
"""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "reference-20261123-120000-abcd"
    (folder / "work").mkdir(parents=True)
    return folder


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


@pytest.fixture
def payload(run_dir: Path) -> Path:
    """The payload as production has it: a copy under another name, outside this package."""
    folder = run_dir / "payload" / "lanewatch_payload"
    folder.mkdir(parents=True)
    for path in (SOURCE / "runners" / "payload").glob("*.py"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder.parent


def _command(script: str) -> list[str]:
    return [sys.executable, "-c", PRELUDE + textwrap.dedent(script)]


def _environment(run_dir: Path, payload: Path, **more: str) -> dict[str, str]:
    named = {"RUN_DIR": str(run_dir), "STAGE": "train", "ATTEMPT": "1", "RUN": run_dir.name}
    ours = {f"LANEWATCH_{key}": value for key, value in named.items()}
    return os.environ | ours | {"PYTHONPATH": str(payload)} | more


def _start(script: str, run_dir: Path, payload: Path) -> subprocess.Popen[bytes]:
    with (run_dir / "log").open("wb") as log:
        return subprocess.Popen(
            _command(script), env=_environment(run_dir, payload), stdout=log, stderr=log
        )


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, (path.parent.parent / "log").read_text()
        time.sleep(0.002)


def _is_free(lock: Path) -> bool:
    with lock.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


UNTIL_STOPPED = """
def main(contract):
    child = os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)
    (contract.work / "child").write_text(str(child))
    contract.facts["iteration"] = 5
    contract.heartbeat(phase="iteration", done=5)
    (contract.work / "ready").touch()
    while contract.stop_requested is None:
        time.sleep(0.002)
    return {"outcome": "stopped", "how": contract.stop_requested}
end_process(run_stage(main))
"""


@pytest.fixture
def living(run_dir: Path, payload: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = _start(UNTIL_STOPPED, run_dir, payload)
    _wait_for(run_dir / "work" / "ready", process)
    yield process
    process.kill()
    process.wait()
    os.kill(int((run_dir / "work" / "child").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(("number", "how"), [(signal.SIGTERM, "save"), (signal.SIGINT, "now")])
def test_a_stage_is_asked_to_stop_and_ends_as_stopped(
    living: subprocess.Popen[bytes], run_dir: Path, number: signal.Signals, how: str
) -> None:
    living.send_signal(signal.SIGHUP)
    living.send_signal(number)
    assert living.wait(30) == 0
    result = _read(run_dir / "result.json")
    assert (result["ok"], result["outcome"], result["how"]) == (True, "stopped", how)
    assert (result["iteration"], result["stage"], result["cause"]) == (5, "train", None)


def test_the_lock_is_held_for_as_long_as_the_stage_lives_and_no_child_keeps_it(
    living: subprocess.Popen[bytes], run_dir: Path
) -> None:
    assert not _is_free(run_dir / "run.lock")
    living.kill()
    living.wait()
    assert _is_free(run_dir / "run.lock")


def test_sigusr1_shows_where_every_thread_is(
    living: subprocess.Popen[bytes], run_dir: Path
) -> None:
    living.send_signal(signal.SIGUSR1)
    living.send_signal(signal.SIGTERM)
    assert living.wait(30) == 0
    assert "most recent call first" in (run_dir / "log").read_text()


def test_a_stage_that_raises_says_why_and_exits_with_1(run_dir: Path, payload: Path) -> None:
    script = """
    def main(contract):
        contract.facts["iteration"] = 7
        raise StageError("the data is gone: look for it")
    end_process(run_stage(main))
    """
    process = _start(script, run_dir, payload)
    assert process.wait(30) == 1
    assert "Traceback" in (run_dir / "log").read_text()
    result = _read(run_dir / "result.json")
    assert (result["ok"], result["outcome"], result["iteration"]) == (False, "failed", 7)
    assert result["cause"] == "the data is gone: look for it"


def test_what_a_stage_leaves_is_private_and_an_old_result_of_the_same_try_is_gone(
    run_dir: Path, payload: Path
) -> None:
    Contract(run_dir, stage="train").finish(True, "finished", iteration=1)
    script = """
    def main(contract):
        assert not (contract.run_dir / "result.json").exists()
        (contract.work / "folder").mkdir()
        (contract.work / "folder" / "file").touch()
        return {}
    end_process(run_stage(main))
    """
    process = _start(script, run_dir, payload)
    assert process.wait(30) == 0, (run_dir / "log").read_text()
    assert (run_dir / "work" / "folder").stat().st_mode & 0o777 == 0o700
    assert (run_dir / "work" / "folder" / "file").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (run_dir / "work").iterdir()) == ["folder"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("LANEWATCH_RUN_DIR", "relative", id="a relative run folder"),
        pytest.param("LANEWATCH_RUN_DIR", "/no/such/folder", id="no run folder"),
        pytest.param("LANEWATCH_ATTEMPT", "one", id="an attempt that is no number"),
        pytest.param("LANEWATCH_STAGE", "", id="no stage"),
    ],
)
def test_a_wrong_environment_is_one_sentence_and_exit_code_2(
    run_dir: Path, payload: Path, name: str, value: str
) -> None:
    done = subprocess.run(
        _command("end_process(run_stage(lambda contract: {}))"),
        env=_environment(run_dir, payload, **{name: value}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_the_contract_loads_nothing_but_the_standard_library(payload: Path, run_dir: Path) -> None:
    script = """
    foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    say(" ".join(sorted(name for name in foreign if not name.startswith(("_", "sitecustom")))))
    """
    done = subprocess.run(
        [sys.executable, "-S", *_command(script)[1:]],
        env=_environment(run_dir, payload),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["lanewatch_payload"]


FULL_DISK = """
def main(contract):
    beat = contract.run_dir / "heartbeat.json"
    contract.heartbeat(phase="iteration", done=0, total=200)
    source = contract.work / "save"
    source.mkdir()
    (source / "weights").write_bytes(b"x" * 1000)
    room = open(contract.run_dir / "filler", "wb", buffering=0)
    try:
        while True:
            room.write(b"x" * 512)
    except OSError:
        pass
    for done in range(1, 201):
        contract.heartbeat(done=done, loss=1.0)
        contract.metric(done, loss=1.0)
    import json
    seen = json.loads(beat.read_text())
    assert seen["done"] == 200, seen
    assert seen["write_errors"] >= 200, seen
    assert contract.checkpoints.latest() is None
    contract.facts["seen"] = seen["done"]
    contract.publish(source, 200)
end_process(run_stage(main))
"""


def test_a_full_disk_ends_no_training_but_fails_a_checkpoint_and_says_so(
    run_dir: Path, payload: Path
) -> None:
    mount = run_dir.parent / "small-disk"
    mount.mkdir()
    inner = (
        'mount -t tmpfs -o size=256k none "$0" && mkdir "$0/work" && "$@"; code=$?; '
        'cat "$0/result.json"; exit $code'
    )
    probe = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$0"', str(mount)]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount of our own here; the same is tested with a write that fails")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", inner, str(mount), *_command(FULL_DISK)],
        env=_environment(mount, payload),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["outcome"], result["seen"]) == ("failed", 200)
    assert result["cause"].startswith("disk full: ")
