"""Where real trainers wait, and what a user who may not look is told of them."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hanging import WITHOUT_PTRACE, users
from stuck import asked, make_run, open_folder, trainer

pytestmark = pytest.mark.timeout(180)
AS_ORDINARY = users()[-1]
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root may mount, or be two users")

DEAD_WORKER = """
import multiprocessing, os, signal, time

def work(queue):
    time.sleep(600)

queue = multiprocessing.get_context("fork").Queue()
worker = multiprocessing.get_context("fork").Process(target=work, args=(queue,))
worker.start()
os.kill(worker.pid, signal.SIGKILL)
worker.join()
print("stands", flush=True)
queue.get()
"""

STOPPED_WRITER = """
import os, signal, subprocess
writer = subprocess.Popen(["sleep", "600"], stdout=subprocess.PIPE)
os.kill(writer.pid, signal.SIGSTOP)
print("stands", flush=True)
writer.stdout.read()
"""

LOCK = """
import threading, time
lock, taken = threading.Lock(), threading.Event()

def keeps():
    with lock:
        taken.set()
        time.sleep(600)

threading.Thread(target=keeps, name="keeper", daemon=True).start()
taken.wait()
print("stands", flush=True)
with lock:
    pass
"""

SOCKET = """
import socket
listening = socket.create_server(("127.0.0.1", 0))
ours = socket.create_connection(listening.getsockname())
theirs, _ = listening.accept()
print("stands", flush=True)
ours.recv(1)
"""

FILE = """
import os
print("stands", flush=True)
os.stat(os.environ["WHERE"] + "/weights.safetensors")
"""

HELD_WORKER = """
import multiprocessing, os

def load(queue):
    queue.put(os.stat(os.environ["WHERE"] + "/shard7"))

fork = multiprocessing.get_context("fork")
queue = fork.Queue()
worker = fork.Process(target=load, args=(queue,), daemon=True)
worker.start()
print("stands", flush=True)
queue.get()
"""

CODE_ELSEWHERE = """
import os, threading
code = "import threading\\nprint('stands', flush=True)\\nthreading.Event().wait()\\n"
exec(compile(code, os.environ["WHERE"] + "/job/train.py", "exec"))
"""

SHUT = """
import ctypes, time
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
print("stands", flush=True)
time.sleep(600)
"""

RANKS = """
import os, socket, subprocess, sys
free = socket.create_server(("127.0.0.1", 0))
port = str(free.getsockname()[1])
free.close()
ranks = [
    subprocess.Popen(
        [sys.executable, "-u", os.environ["WORKER"]],
        stdout=subprocess.PIPE,
        env=os.environ
        | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"},
    )
    for rank in (0, 1)
]
for rank in ranks:
    rank.stdout.readline()
print("stand", flush=True)
ranks[0].wait()
"""

WORKER = """
import os, pickle, time
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
gradient = torch.ones(4)

def nap():
    time.sleep(600)

def record():
    raw = b""
    while not raw or not pickle.loads(raw)["entries"][0]["retired"]:  # a thread of gloo's does it
        time.sleep(0.05)
        raw = torch._C._distributed_c10d._dump_fr_trace()
    with open(os.environ["TORCH_FR_DUMP_TEMP_FILE"] + os.environ["RANK"], "wb") as stream:
        stream.write(raw)

def step():
    dist.all_reduce(gradient)

def step_as_nccl_does():
    work = dist.all_reduce(gradient, async_op=True)
    record()
    print("recorded", flush=True)
    work.wait()

step()
if "TORCH_FR_DUMP_TEMP_FILE" not in os.environ:
    print("together", flush=True)
    nap() if dist.get_rank() == 1 else step()
elif dist.get_rank() == 1:
    record()
    print("recorded", flush=True)
    nap()
else:
    step_as_nccl_does()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder(AS_ORDINARY) as made:
        yield made


def told(folder: Path, uid: int, script: str, reader: int | None = None, **env: str) -> Any:
    """What is said to *reader* of a trainer of *uid* that runs *script*; and its pid."""
    with trainer(uid, folder, script, **env) as child:
        run = make_run(folder / "runs", child.pid, uid if reader is None else reader)
        return asked(run, uid if reader is None else reader), child.pid


def at(script: str, text: str, file: str = "train.py") -> str:
    """The place of the line that holds *text*, as a frame says it."""
    (number,) = (n for n, line in enumerate(script.splitlines(), 1) if text in line)
    return f"{file}:{number})"


def test_a_worker_that_died_and_was_forgotten(folder: Path) -> None:
    said, pid = told(folder, os.geteuid(), DEAD_WORKER)
    found = said["conclusion"]
    assert found["cause"] == ("worker-dead" if ROOT else "waits-for-pipe"), found
    (wait,) = (each for each in said["facts"]["around"]["waits"] if each["tid"] == pid)
    assert (wait["kind"], wait["ends"]) == ("pipe", [] if ROOT else None)
    assert at(DEAD_WORKER, "queue.get()") in found["sentence"]


def test_whoever_ought_to_write_is_stopped(folder: Path) -> None:
    said, _ = told(folder, AS_ORDINARY, STOPPED_WRITER)
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("peer-stopped", "likely"), found
    assert "sleep (pid" in found["sentence"]
    assert found["remedies"][0]["do"].startswith("kill -CONT")


def test_the_thread_that_keeps_the_lock_is_named(folder: Path) -> None:
    said, _ = told(folder, AS_ORDINARY, LOCK)
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("lock-held", "likely"), found
    assert "`lock`" in found["sentence"]
    assert "thread keeper holds it and stands in keeps (" in found["sentence"]
    assert at(LOCK, "time.sleep(600)") in found["sentence"]
    assert all(each["idle"] for each in said["facts"]["threads"])


def test_the_peer_of_a_connection_is_named(folder: Path) -> None:
    said, pid = told(folder, AS_ORDINARY, SOCKET)
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("waits-for-socket", "unsure"), found
    assert "tcp 127.0.0.1:" in found["sentence"]
    assert f"(pid {pid}, state S) holds" in found["sentence"]
    assert found["decides"]


@needs_root
def test_a_file_system_that_does_not_answer(folder: Path) -> None:
    with silent_mount(folder / "server") as point:
        said, _ = told(folder, 0, FILE, WHERE=str(point))
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("file-system", "likely"), found
    assert f"{point}/weights.safetensors" in found["sentence"]
    assert f"{point} (fuse of fuse), which has not answered" in found["sentence"]
    assert said["facts"]["seconds"] < 15


@needs_root
def test_a_worker_that_a_file_system_holds_up(folder: Path) -> None:
    with silent_mount(folder / "server") as point:
        said, _ = told(folder, 0, HELD_WORKER, WHERE=str(point))
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("file-system", "likely"), found
    assert found["sentence"].startswith("its main thread waits for python"), found
    assert f"{point}/shard7 on {point} (fuse of fuse), which has not answered" in found["sentence"]
    assert at(HELD_WORKER, "queue.get()") in found["sentence"]


@needs_root
def test_checkpoints_on_a_file_system_that_does_not_answer_do_not_hold_the_diagnosis(
    folder: Path,
) -> None:
    with silent_mount(folder / "server") as point, trainer(0, folder, LOCK) as child:
        run = make_run(folder / "runs", child.pid, 0)
        run.checkpoints.rmdir()
        run.checkpoints.symlink_to(point)
        said = asked(run, 0)
    assert said["facts"]["around"]["checkpoints_silent"]["silent_s"] > 1
    assert said["conclusion"]["cause"] == "lock-held", "it waits for something else"


@needs_root
def test_source_on_a_file_system_that_does_not_answer_is_not_read(folder: Path) -> None:
    """The trainer was loaded before its file server went; whoever read a line of it would hang."""
    with silent_mount(folder / "server") as point:
        said, pid = told(folder, 0, CODE_ELSEWHERE, WHERE=str(point))
    (main,) = (each for each in said["facts"]["threads"] if each["tid"] == pid)
    assert any(each["file"] == f"{point}/job/train.py" for each in main["stays_in"]), said
    assert main["line"] is None or "wait" in main["line"], "the library's own line may be read"


@contextlib.contextmanager
def silent_mount(point: Path) -> Iterator[Path]:
    """A FUSE file system whose server never says a word."""
    point.mkdir()
    library = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    made = library.mount(b"fuse", os.fsencode(point), b"fuse", 0, options)
    assert made == 0, os.strerror(ctypes.get_errno())
    try:
        yield point
    finally:
        os.close(device)  # whoever waits is told that nobody will answer
        library.umount2(os.fsencode(point), 2)


@needs_root
def test_anothers_trainer_is_seen_from_far_and_the_right_is_named(folder: Path) -> None:
    said, _ = told(folder, 0, LOCK, reader=WITHOUT_PTRACE)
    assert said["facts"]["source"] is None
    assert "uid 0's" in said["facts"]["missing"][0]
    assert "as root" in said["facts"]["missing"][0]
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("waits", "unsure"), found
    assert found["decides"] == said["facts"]["missing"][0]
    assert said["facts"]["kernel"][0]["state"] == "S"


def test_a_trainer_that_forbids_ptrace_and_has_no_handler_is_sent_nothing(folder: Path) -> None:
    if not users()[-1]:
        pytest.skip("root may look anyway")
    said, _ = told(folder, AS_ORDINARY, SHUT)
    assert said["facts"]["source"] is None, said
    assert "PR_SET_DUMPABLE" in said["facts"]["missing"][0]
    assert said["conclusion"]["cause"] == "waits"


@needs_root
def test_root_looks_into_a_trainer_that_forbids_ptrace(folder: Path) -> None:
    said, _ = told(folder, WITHOUT_PTRACE, SHUT, reader=0)
    assert said["facts"]["source"] == "py-spy", said
    assert said["conclusion"]["cause"] == "sleeps"
    assert at(SHUT, "time.sleep(600)") in said["conclusion"]["sentence"]


def test_the_rank_that_sleeps_is_named_while_the_other_waits_for_it(folder: Path) -> None:
    worker = folder / "worker.py"
    worker.write_text(WORKER)
    said, _ = told(folder, os.geteuid(), RANKS, WORKER=str(worker))
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("rank-behind", "likely"), said
    assert found["sentence"].startswith("rank 1 (pid "), found
    assert "stands in nap (" in found["sentence"]
    assert f"{at(WORKER, 'time.sleep(600)', 'worker.py')}, asleep" in found["sentence"]
    assert "rank 0 waits in all_reduce, called from step (" in found["sentence"]
    assert [each["rank"] for each in said["facts"]["around"]["ranks"]] == [0, 1]


def test_where_the_stacks_do_not_tell_pytorchs_own_recorder_does(folder: Path) -> None:
    worker = folder / "worker.py"
    worker.write_text(WORKER)
    recorder = {"TORCH_FR_DUMP_TEMP_FILE": f"{folder}/fr_", "TORCH_FR_BUFFER_SIZE": "100"}
    said, _ = told(folder, os.geteuid(), RANKS, WORKER=str(worker), **recorder)
    found = said["conclusion"]
    assert (found["cause"], found["confidence"]) == ("rank-behind", "likely"), said
    assert found["sentence"].startswith("rank 1 is behind by the flight recorder"), found
    waits, naps = said["facts"]["around"]["collectives"]
    assert (waits["done"], waits["pending"], waits["pending_number"]) == (1, "gloo:all_reduce", 2)
    assert at(WORKER, "async_op=True", "worker.py") in waits["place"]
    assert (naps["done"], naps["pending"]) == (1, None)


def files_of(root: Path) -> dict[str, int]:
    """Every file below *root* with the time of its last change."""
    found = (each for each in root.rglob("*") if each.is_file())
    return {str(each.relative_to(root)): each.stat().st_mtime_ns for each in found}


def test_native_calls_are_told_on_request_and_nothing_of_the_run_is_touched(folder: Path) -> None:
    with trainer(os.geteuid(), folder, LOCK) as child:
        run = make_run(folder / "runs", child.pid, os.geteuid())
        before = files_of(run.root)
        said = asked(run, os.geteuid(), "--native")
        assert child.poll() is None
        status = Path(f"/proc/{child.pid}/status").read_text()
    assert "TracerPid:\t0\n" in status, "whoever looked has let go"
    assert "State:\tS" in status
    after = files_of(run.root)
    new = after.keys() - before.keys()
    assert {each: after[each] for each in before} == before
    assert {each.split("/")[0] for each in new} == {"diagnosis"}
    (main,) = (each for each in said["facts"]["threads"] if each["tid"] == child.pid)
    assert main["native"], said
    assert all(".py" not in each for each in main["native"])
