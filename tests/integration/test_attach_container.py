"""`lanewatch attach` on trainers inside a real container, the article's own set-up first of all."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attaching import Start, attach, attached, shells
from conftest import Lanewatch, read, until
from engine import Engine, python
from foreign_trainers import MEGATRON

from monitor.history import LEARNT_GROWTHS
from monitor.rundir import RunDir
from runners.attach.docker_engine import DockerEngine
from runners.attach.search import Search

__all__ = ["attached"]  # a fixture: it is used by its name

TRAIN = (
    f"{python()} -u train_megatron.py --save /workspace/runs-full --train-iters 1000 "
    "--save-interval 10 --seconds 0.05"
)


class Box:
    """A container whose first process sleeps, with a folder of this machine as /workspace."""

    def __init__(self, engine: Engine, name: str, folder: Path) -> None:
        self.engine, self.name, self.folder = engine, name, folder
        self.mount = ("--volume", f"{folder}:/workspace", "--workdir", "/workspace")
        (folder / "train_megatron.py").write_text(MEGATRON)

    def sleep(self, *options: str) -> None:
        self.engine.run(self.name, "sleep", "infinity", options=(*self.mount, *options))


@pytest.fixture
def box(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    for name, value in engine.env.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "p65-nemo"
    folder.mkdir()
    made = Box(engine, f"train-{tmp_path.name[-20:].strip('_-.')}-{os.getpid()}", folder)
    yield made
    engine.remove(made.name)


@pytest.fixture
def shell(box: Box) -> Iterator[Start]:
    """Starts a shell line on this machine, in the folder that the container has as well."""
    with shells(box.folder) as start:
        yield start


def is_trainer(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[0] == python().encode() and b"train_megatron.py" in words


def saved(box: Box, iteration: int = 10) -> bool:
    return (box.folder / "runs-full" / f"iter_{iteration:07d}" / "run_config.yaml").exists()


def value(lanewatch: Lanewatch, run: RunDir) -> int:
    found: int = lanewatch.json("status", run.root.name)["iteration"]["value"] or 0
    return found


def articles_line(box: Box, train: str = TRAIN) -> str:
    return f"docker exec {box.name} bash -lc {shlex.quote(train)} 2>&1 | tee -a train.log"


def test_the_articles_own_setup(attached: Lanewatch, box: Box, shell: Start) -> None:
    box.sleep()
    shell(articles_line(box, TRAIN.replace("1000", "200")))
    until(lambda: saved(box), "a checkpoint")
    run, said = attach(attached, "--container", box.name)
    assert is_trainer(said["pid"])
    assert said["container"] == box.name
    assert said["checkpoints"] == str(box.folder / "runs-full")
    assert said["log"] == str(box.folder / "train.log")
    assert "stdout > docker" in said["log_from"]
    assert "> tee" in said["log_from"]
    assert said["total"] == 200
    assert said["hidden"] == []
    assert any("this tee can block the run after 64 KiB" in each for each in said["warnings"])
    assert any("docker client" in each for each in said["warnings"])
    until(lambda: value(attached, run) >= 30, "iterations are proven by the disk")
    assert "finished: reached 200 of 200" in attached("wait", run.root.name)
    shown = attached("status", run.root.name)
    assert f"in container {box.name}" in shown
    assert "warning" in shown


def test_the_list_finds_it_without_being_told(attached: Lanewatch, box: Box, shell: Start) -> None:
    box.sleep()
    shell(articles_line(box))
    until(lambda: saved(box), "a checkpoint")
    (found,) = (each for each in attached.json("attach") if each["container"] == box.name)
    assert is_trainer(found["pid"])
    assert found["checkpoints"] == str(box.folder / "runs-full")


def test_the_client_on_this_machine_stands_for_what_it_started(
    attached: Lanewatch, box: Box, shell: Start
) -> None:
    box.sleep()
    # An unrelated client of the same container, and one that began later.
    shell(f"docker exec {box.name} sleep 600 > other.log")
    shell(f"exec docker exec {box.name} bash -lc {shlex.quote(TRAIN)} > train.log 2>&1")
    until(lambda: saved(box), "a checkpoint")
    shell(f"docker exec {box.name} sleep 601 > another.log")
    client = _client(box)
    _, said = attach(attached, "--pid", str(client))
    assert is_trainer(said["pid"])
    assert said["log"] == str(box.folder / "train.log")


def _client(box: Box) -> int:
    """The client that started the trainer in this box; other tests may have theirs."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                words = (box.name.encode(), b"train_megatron")
                if command.startswith(b"docker\0exec") and all(each in command for each in words):
                    return int(entry.name)
    raise AssertionError("no such client")


def test_a_tee_inside_the_container_writes_the_log_there(attached: Lanewatch, box: Box) -> None:
    box.sleep()
    line = f"cd /workspace && {TRAIN} 2>&1 | tee -a inside.log; true"
    box.engine.docker("exec", "--detach", "--workdir", "/", box.name, "bash", "-lc", line)
    until(lambda: saved(box), "a checkpoint")
    _, said = attach(attached, "--container", box.name)
    assert is_trainer(said["pid"])
    assert said["log"] == str(box.folder / "inside.log")
    assert any("this tee can block" in each for each in said["warnings"])


def test_an_init_as_first_process_is_not_the_trainer(attached: Lanewatch, box: Box) -> None:
    box.engine.run(box.name, "bash", "-c", f"{TRAIN}; true", options=("--init", *box.mount))
    until(lambda: saved(box), "a checkpoint")
    run, said = attach(attached, "--container", box.name)
    assert is_trainer(said["pid"])
    assert said["log"] is None
    assert any("docker logs" in each for each in said["warnings"])
    assert said["checkpoints"] == str(box.folder / "runs-full")
    until(lambda: value(attached, run) >= 20, "without a log, the disk proves it")
    box.engine.docker("kill", box.name)
    done = attached.call("wait", run.root.name)
    assert done.returncode == 1
    assert "exit status not observable" in done.stdout


def test_what_lies_in_the_containers_own_layer_is_found(attached: Lanewatch, box: Box) -> None:
    box.sleep()
    train = TRAIN.replace("/workspace/runs-full", "/root/out")
    box.engine.docker(
        "exec", "--detach", box.name, "bash", "-c", f"{train} > /root/train.log 2>&1; true"
    )
    until(
        lambda: box.engine.call("exec", box.name, "cat", "/root/out/iter_0000010/.metadata").stdout,
        "a checkpoint",
    )
    run, said = attach(attached, "--container", box.name)
    assert said["checkpoints"].endswith("/root/out")
    assert said["log"].endswith("/root/train.log")
    until(lambda: value(attached, run) >= 20, "it is followed")
    assert "iteration" in attached("logs", run.root.name, "-n", "2")


def test_a_stalled_client_silences_the_log_while_the_disk_proves_progress(
    attached: Lanewatch, box: Box, shell: Start
) -> None:
    box.sleep()
    shell(articles_line(box, TRAIN.replace("1000", "100000")))
    until(lambda: saved(box), "a checkpoint")
    run, _ = attach(attached, "--container", box.name)
    until(
        lambda: read(run.watch).get("history", {}).get("log_growths", 0) >= LEARNT_GROWTHS,
        "how often the log speaks is learnt",
    )
    client = _client(box)
    os.kill(client, signal.SIGSTOP)
    log = box.folder / "train.log"
    size = until(lambda: _still(log), "the log stands still")
    reached = value(attached, run)
    until(lambda: value(attached, run) > reached + 20, "training goes on")
    until(lambda: attached.json("status", run.root.name)["verdict"] == "log-stuck", "it is told")
    said = attached.json("status", run.root.name)
    assert log.stat().st_size == size
    assert said["iteration"]["source"] == "tracker"
    assert f"kill -CONT {client}" in said["reason"]


def _still(path: Path) -> int | None:

    before = path.stat().st_size
    time.sleep(1.0)
    return before if path.stat().st_size == before else None


def test_a_container_in_which_nothing_trains(attached: Lanewatch, box: Box) -> None:
    box.sleep()
    complaint = attached("attach", "--container", box.name, code=2)
    assert "no trainer runs in it, only sleep" in complaint
    assert complaint.count("\n") == 1


def test_bad_containers_are_one_sentence(attached: Lanewatch, box: Box) -> None:
    complaint = attached("attach", "--container", "nosuch", code=2)
    assert "no such container" in complaint
    box.sleep()
    box.engine.docker("kill", box.name)
    assert "it is not running" in attached("attach", "--container", box.name, code=2)
    for host, says in (
        ("unix:///no/such.sock", "no Docker engine answers"),
        ("tcp://10.0.0.1:2375", "another machine's engine"),
        ("ssh://root@spark", "another machine's engine"),
    ):
        done = attached.call("attach", "--container", "c", DOCKER_HOST=host)
        assert done.returncode == 2
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


def test_without_an_answer_of_the_engine_the_rest_goes_on(
    attached: Lanewatch, box: Box, shell: Start
) -> None:
    box.sleep()
    shell(articles_line(box))
    until(lambda: saved(box), "a checkpoint")
    done = attached.call("attach", "--json", DOCKER_HOST="unix:///no/such.sock")

    container = box.engine.docker("inspect", "--format", "{{.Id}}", box.name)
    (found,) = (each for each in json.loads(done.stdout) if each["container"] == container)
    assert is_trainer(found["pid"])
    assert found["checkpoints"] == str(box.folder / "runs-full")
    assert any("no Docker engine answers" in each for each in found["hidden"])


class Nobody:
    """This process as a user who may ask Docker and read nothing of root's, for as long as asked.

    Not another program: the Python that runs the tests may lie where nobody else can read it.
    """

    def __enter__(self) -> None:
        self._groups = os.getgroups()
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(self._groups)


@pytest.fixture
def public(box: Box) -> Iterator[Box]:
    """The box with a folder that everybody may use, and an engine that everybody may ask."""
    with tempfile.TemporaryDirectory(prefix="lw-public-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        box.engine.folder.chmod(0o711)
        asked_by = stat.S_IMODE(box.engine.socket.stat().st_mode)
        box.engine.socket.chmod(0o666)
        yield Box(box.engine, box.name, folder)
        box.engine.socket.chmod(asked_by)  # other files' tests ask the same engine
        box.engine.remove(box.name)  # or its trainer would write into what is being removed


def as_nobody(box: Box, line: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["bash", "-c", f"{line}; true"],
        cwd=box.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=65534,
        group=65534,
        extra_groups=[],
        env=os.environ | box.engine.env | {"HOME": "/tmp"},
    )


def test_who_may_ask_docker_needs_no_root(public: Box) -> None:
    """The article's user: the container's processes are root's, the client and the tee are his."""
    public.sleep()
    client = as_nobody(public, articles_line(public))
    try:
        until(lambda: saved(public), "a checkpoint")
        DockerEngine().find(public.name)  # loads the SDK, which nobody could read
        with Nobody():
            search = Search()
            found = search.candidate(search.in_container(public.name))
        assert is_trainer(found.pid)
        assert found.checkpoints is not None
        assert found.checkpoints.path == str(public.folder / "runs-full")
        assert found.log is not None
        assert found.log.path == str(public.folder / "train.log")
        (hidden,) = found.hidden
        assert "may not read the open files" in hidden
        assert "run with sudo" in hidden
    finally:
        os.killpg(client.pid, signal.SIGKILL)
        client.wait()


def test_who_may_not_ask_docker_is_told_once_and_how_to(public: Box) -> None:
    public.sleep()
    public.engine.socket.chmod(0o600)
    client = subprocess.Popen(
        ["bash", "-c", articles_line(public)],
        cwd=public.folder,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: saved(public), "a checkpoint")
        DockerEngine().find(public.name)
        with Nobody():
            search = Search()
            found = [search.candidate(each) for each in search.trainers()]
        container = public.engine.docker("inspect", "--format", "{{.Id}}", public.name)
        (ours,) = (each for each in found if each.container_id == container)
        assert ours.checkpoints is not None
        assert ours.checkpoints.path == str(public.folder / "runs-full")
        assert ours.log is None
        (told,) = (each for each in ours.hidden if "may not ask Docker" in each)
        assert "only its owner may" in told
    finally:
        os.killpg(client.pid, signal.SIGKILL)
        client.wait()
