"""Who reads a log's pipe, on real processes: stopped, filtering, and full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import Start, starting, until

from monitor.model import PipeReading, ProcessReading
from monitor.probes import pipes
from monitor.probes.pipes import HoldProbe, read_pipe, read_waits
from monitor.probes.process import identify, read_process

SLEEPER = "import time; time.sleep(60)"
WRITER = "import sys\nwhile True: sys.stdout.write('x' * 100 + '\\n')"


@pytest.fixture
def run() -> Iterator[Start]:
    yield from starting()


def through(run: Start, reader: list[str], code: str) -> tuple[int, int]:
    """Start `python -c code | reader`; returns their pids, writer first."""
    second = run(*reader, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert second.stdin is not None
    first = run(sys.executable, "-c", code, stdout=second.stdin.fileno())
    second.stdin.close()
    second.stdin = None
    name = Path(reader[0]).name
    until(lambda: Path(f"/proc/{second.pid}/comm").read_text().strip() == name, name)
    return first.pid, second.pid


def test_a_log_that_is_a_file_has_no_pipe(run: Start, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        child = run(sys.executable, "-c", SLEEPER, stdout=log.fileno(), stderr=log.fileno())
    assert read_pipe((child.pid,)) is None


def test_the_reader_is_named_with_its_state(run: Start) -> None:
    writer, tee = through(run, ["tee"], SLEEPER)
    reading = read_pipe((writer,))
    assert reading is not None
    assert (reading.descriptor, reading.writer_blocked) == (1, False)
    assert [(each.pid, each.name) for each in reading.readers] == [(tee, "tee")]


def test_a_stopped_reader_blocks_the_writer(run: Start) -> None:
    writer, tee = through(run, ["tee"], WRITER)
    os.kill(tee, signal.SIGSTOP)

    def look() -> PipeReading:
        reading = read_pipe((writer,))
        assert reading is not None
        return reading

    until(lambda: look().writer_blocked, "the pipe is full")
    until(lambda: look().readers[0].state == "T", "the reader is stopped")
    own = identify(writer)
    assert own is not None
    read = read_process(own).value
    assert read is not None
    until(lambda: dict(read_waits(writer)).keys() & pipes.PIPE_WAITS != set(), "a wait is named")
    os.kill(tee, signal.SIGCONT)


def test_whoever_is_further_down_the_pipe_is_named_too(run: Start) -> None:
    tee = run("tee", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert tee.stdin is not None
    grep = run("grep", "x", stdin=subprocess.PIPE, stdout=tee.stdin.fileno())
    assert grep.stdin is not None
    writer = run(sys.executable, "-c", SLEEPER, stdout=grep.stdin.fileno())
    grep.stdin.close()
    tee.stdin.close()
    grep.stdin = tee.stdin = None

    def names() -> list[str]:
        reading = read_pipe((writer.pid,))
        return [each.name for each in reading.readers] if reading else []

    until(lambda: names() == ["grep", "tee"], "grep, then tee")


def test_a_reader_that_is_not_on_stdin_is_found(run: Start) -> None:
    read_end, write_end = os.pipe()
    code = f"import time; time.sleep(60)  # {read_end}"
    holder = subprocess.Popen([sys.executable, "-c", code], pass_fds=(read_end,))
    writer = run(sys.executable, "-c", SLEEPER, stdout=write_end)
    os.close(read_end)
    os.close(write_end)
    try:
        reading = read_pipe((writer.pid,))
        assert reading is not None
        assert [each.pid for each in reading.readers] == [holder.pid]
    finally:
        holder.kill()
        holder.wait()


def test_a_stopped_container_client_is_named_by_what_it_started(
    run: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real thing but for the container: a process called docker, and a trainer it names."""
    sleep = shutil.which("sleep")
    bash = shutil.which("bash")
    assert sleep is not None
    assert bash is not None
    client = tmp_path / "docker"
    shutil.copy(bash, client)
    script = tmp_path / "exec"
    script.write_text("sleep 60 & wait\n")
    started = run(str(client), str(script), sys.executable, "-c", SLEEPER, cwd=str(tmp_path))
    monkeypatch.setattr(pipes, "_STARTS", frozenset({str(script).encode()}))
    monkeypatch.setattr(pipes, "in_container", lambda _: True)
    trainer = run(sys.executable, "-c", SLEEPER, stdout=subprocess.PIPE)
    os.kill(started.pid, signal.SIGSTOP)

    def stopped() -> bool:
        reading = read_pipe((trainer.pid,))
        return reading is not None and any(
            (each.pid, each.name, each.state) == (started.pid, "docker", "T")
            for each in reading.readers
        )

    until(stopped, "the client is named as stopped")


def test_it_is_looked_at_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(pipes, "read_pipe", lambda pids: looks.append(pids[0]))
    monkeypatch.setattr(pipes, "read_waits", lambda _: ())
    probe = HoldProbe()
    for second in range(100):
        probe.add(ProcessReading(alive=True, cpu_s=float(second), pids=(7,)), 1000.0 + second)
    assert len(looks) == 4
    for second in range(100, 130):
        probe.add(ProcessReading(alive=True, cpu_s=99.0, pids=(7,)), 1000.0 + second)
    assert len(looks) > 8, "who does nothing is looked at more often"
    probe.add(ProcessReading(alive=False, pids=(7,)), 2000.0)
    probe.add(ProcessReading(alive=True), 2000.0)


def test_who_is_gone_holds_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    child.wait()
    assert child.stdout is not None
    child.stdout.close()
    assert read_pipe((child.pid,)) is None
    assert read_waits(child.pid) == ()


def test_a_dead_child_that_nobody_waits_for_is_named(run: Start) -> None:
    code = "import subprocess, time; child = subprocess.Popen(['true']); time.sleep(60)"
    parent = run(sys.executable, "-c", code)
    own = identify(parent.pid)
    assert own is not None

    def zombies() -> tuple[str, ...]:
        read = read_process(own).value
        return read.zombies if read else ()

    until(lambda: zombies() == ("true",), "a zombie")
    read = read_process(own).value
    assert read is not None
    assert read.pids == (parent.pid,)
