"""The docker engine itself, on a real one: what a stage may do in there, how its end is told."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import until
from docker_stage import Stage, staged
from engine import Engine

from monitor.probes.process import is_alive
from runners.engines.base import Exit
from runners.engines.docker import DockerEngine
from runners.errors import EngineError
from runners.log_error import last_error

BIG = 200 << 20


@pytest.fixture
def stage(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield from staged(engine, tmp_path, monkeypatch)


LOOK = """
import json, os, pathlib
def writes(path):
    try:
        pathlib.Path(path, "x").write_text("x")
    except OSError as error:
        return error.strerror
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines()
              if ":\\t" in line)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "capabilities": int(status["CapEff"], 16),
    "no_new_privileges": status["NoNewPrivs"], "interfaces": sorted(os.listdir("/sys/class/net")),
    "data": writes("DATA"), "run": writes("RUN"), "home": writes(os.environ["HOME"]),
    "socket": os.path.exists("/var/run/docker.sock"), "environment": sorted(os.environ),
    "init": open("/proc/1/comm").read().strip(), "log": os.readlink("/proc/self/fd/1"),
    "shm": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
}))
"""


def test_what_a_stage_is_and_may_in_there(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    code = LOOK.replace("DATA", str(stage.run.data)).replace("RUN", str(stage.run.root))
    assert stage.ends(code, shm_bytes=64 << 20) == Exit(code=0)
    seen = json.loads(stage.log())
    assert (seen["uid"], seen["gid"]) == (os.getuid(), os.getgid())
    assert (seen["capabilities"], seen["no_new_privileges"]) == (0, "1")
    assert (seen["interfaces"], seen["socket"]) == (["lo"], False)
    assert seen["data"] == "Read-only file system"
    assert (seen["run"], seen["home"]) == (None, None)
    assert "HF_TOKEN" not in seen["environment"]
    assert seen["init"] in ("docker-init", "tini")
    assert seen["log"] == str(stage.run.log("train"))
    assert seen["shm"] == 64 << 20
    assert stage.run.log("train").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        pytest.param("raise SystemExit(7)", Exit(code=7), id="its own code"),
        pytest.param("import os; os.kill(os.getpid(), 11)", Exit(signal=11), id="a crash"),
        pytest.param("import os; os.abort()", Exit(signal=6), id="an abort"),
        pytest.param(
            "import mmap\nf = open('/dev/shm/x', 'w+b'); f.truncate(1 << 22)\n"
            "m = mmap.mmap(f.fileno(), 1 << 22); m[:] = bytes(1 << 22)",
            Exit(signal=signal.SIGBUS),
            id="more shared memory than there is",
        ),
    ],
)
def test_the_end_of_a_stage_is_told_as_it_was(stage: Stage, code: str, ended: Exit) -> None:
    assert stage.ends(code, shm_bytes=1 << 20) == ended


def test_a_python_that_the_image_lacks_is_named(stage: Stage) -> None:
    request = replace(stage.request("pass"), argv=("/no/python", "-m", "x"))
    handle = stage.docker.start(request)
    ended = until(lambda: stage.docker.poll(handle), "its end", 60)
    assert ended == Exit(code=127, note="docker.python says which Python of the image runs")
    assert "/no/python" in (last_error(stage.run.log("train")) or "")


def test_a_child_that_the_kernel_kills_for_memory_is_told_though_its_parent_exits_with_0(
    stage: Stage,
) -> None:
    code = (
        "import pathlib, subprocess, sys, time\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.05)\n"
        f"subprocess.run([sys.executable, '-c', 'x = bytearray({BIG}); x[:] = bytes({BIG})'])"
    )
    handle = stage.docker.start(stage.request(code))
    assert handle.container_id is not None
    stage.engine.docker("update", "--memory=64m", "--memory-swap=64m", handle.container_id)
    (stage.run.work / "go").touch()
    ended = until(lambda: stage.docker.poll(handle), "its end", 60)
    assert (ended.code, ended.oom_killed) == (0, True)


WAIT = "import time\nprint('there', flush=True)\ntime.sleep(300)"
ANSWER = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
    "signal.signal(signal.SIGINT, lambda *_: sys.exit(43))\n"
    "print('there', flush=True)\ntime.sleep(300)"
)


@pytest.mark.parametrize(("save", "code"), [(True, 42), (False, 43)])
def test_it_is_asked_to_stop_with_or_without_a_save(stage: Stage, save: bool, code: int) -> None:
    handle = stage.docker.start(stage.request(ANSWER))
    until(lambda: "there" in stage.log(), "the stage listens")
    assert stage.docker.poll(handle) is None
    stage.docker.ask_to_stop(handle, save=save)
    assert until(lambda: stage.docker.poll(handle), "its end") == Exit(code=code)


def test_another_engine_object_finds_it_living_and_then_ended(stage: Stage) -> None:
    """As a new keeper does, or one after the machine's owner killed the stage."""
    request = stage.request(WAIT)
    handle = stage.docker.start(request)
    until(lambda: "there" in stage.log(), "the stage")
    command = Path(f"/proc/{handle.process.pid}/cmdline").read_bytes()
    assert b"docker-init" not in command, "the stage's own process is watched, not the init"
    found = DockerEngine().find(request)
    assert found is not None
    assert (found.process, found.container_id) == (handle.process, handle.container_id)
    assert DockerEngine().find(replace(request, attempt=2)) is None
    os.kill(handle.process.pid, signal.SIGKILL)
    until(lambda: stage.docker.poll(handle), "its end")
    later = DockerEngine().find(request)
    assert later is not None
    assert not is_alive(later.process)
    assert DockerEngine().poll(later) == Exit(signal=9)
    DockerEngine().bury(request)
    assert DockerEngine().find(request) is None


def test_kill_ends_it_though_it_is_stopped_and_the_engine_is_told_of_a_paused_one(
    stage: Stage,
) -> None:
    handle = stage.docker.start(stage.request(WAIT))
    os.kill(handle.process.pid, signal.SIGSTOP)
    stage.docker.kill(handle)
    assert stage.docker.poll(handle) == Exit(signal=9)


def test_a_container_that_somebody_removes_has_an_unknown_end(stage: Stage) -> None:
    handle = stage.docker.start(stage.request(WAIT))
    assert handle.container_id is not None
    stage.engine.remove(handle.container_id)
    ended = until(lambda: stage.docker.poll(handle), "its end")
    assert ended == Exit(note="its container was removed by somebody else")


@pytest.mark.parametrize("command", ["kill", "stop", None])
def test_who_killed_it_is_told_where_the_engine_was_asked_to(
    stage: Stage, command: str | None
) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WAIT}"
    handle = stage.docker.start(stage.request(code))
    assert handle.container_id is not None
    until(lambda: "there" in stage.log(), "the stage")
    if command is None:
        os.kill(handle.process.pid, signal.SIGKILL)
    else:
        words = ("--time=0",) if command == "stop" else ()
        stage.engine.docker(command, *words, handle.container_id)
    ended = until(lambda: stage.docker.poll(handle), "its end")
    assert ended.signal == signal.SIGKILL
    assert ("`docker kill`" in (ended.note or "")) == (command is not None)


def test_a_container_that_somebody_starts_again_has_ended_and_goes_on_with_nothing(
    stage: Stage,
) -> None:
    """What runs in it would train over the stage's own saves, and nobody would watch it."""
    handle = stage.docker.start(stage.request(WAIT))
    assert handle.container_id is not None
    until(lambda: "there" in stage.log(), "the stage")
    stage.engine.docker("restart", "--time=0", handle.container_id)
    ended = until(lambda: stage.docker.poll(handle), "its end")
    assert "was started again by somebody else" in (ended.note or "")
    assert stage.containers() == []


def test_a_second_container_of_the_run_is_refused_and_what_is_left_of_a_first_try_is_buried(
    stage: Stage,
) -> None:
    stage.docker.start(stage.request(WAIT))
    with pytest.raises(EngineError, match="of this run still runs"):
        stage.docker.start(stage.request(WAIT, attempt=2))
    left = stage.containers()
    again = stage.docker.start(stage.request("pass"))
    assert again.container_id not in left
    assert len(stage.containers()) == 1


def test_what_the_engine_may_not_raise_is_left_out_with_a_note(stage: Stage) -> None:
    """Where root itself may raise no limit; elsewhere there is nothing to note."""
    handle = stage.docker.start(stage.request("pass"))
    until(lambda: stage.docker.poll(handle), "its end")
    limits = stage.engine.docker(
        "inspect", "--format", "{{json .HostConfig.Ulimits}}", *stage.containers()
    )
    assert any("limit memlock" in each for each in handle.notes) == ("memlock" not in limits)
    assert any("live-restore is off" in each for each in handle.notes)


def test_an_engine_that_dies_changes_nothing_for_a_living_stage(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = stage.docker.start(stage.request(WAIT))
    monkeypatch.setenv("DOCKER_HOST", "unix:///gone/docker.sock")
    lonely = DockerEngine()
    assert lonely.poll(handle) is None
    lonely.ask_to_stop(handle, save=True)
    until(lambda: not is_alive(handle.process), "the stage's end, which needs no engine")
    assert lonely.poll(handle) is None, "it may not be said how it ended before somebody knows"
    monkeypatch.setattr("runners.engines.docker.SILENCE_S", 0.0)
    time.sleep(0.01)
    ended = lonely.poll(handle)
    assert ended is not None
    assert not ended.known
    assert "no Docker engine answers" in (ended.note or "")
