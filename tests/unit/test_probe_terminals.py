"""A trainer that writes to a terminal, on real ones: held flow, a program that is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from children import Start, starting, until

from monitor.model import PipeReading
from monitor.probes.pipes import read_pipe
from monitor.probes.terminals import terminal_holders

WRITER = "import os\nwhile True: os.write(1, b'x' * 100 + b'\\n')"
READER = "import os; os.read(0, 1)"
DRAIN = (
    "import os, pty, sys\n"
    "master, slave = os.openpty()\n"
    "print(os.ttyname(slave), flush=True)\n"
    "while True: os.read(master, 65536)\n"
)


@pytest.fixture
def start() -> Iterator[Start]:
    yield from starting()


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    """Both sides of a pseudo-terminal; this test is the program that shows it."""
    master, slave = os.openpty()
    yield master, slave
    for descriptor in (master, slave):
        with suppress(OSError):
            os.close(descriptor)


def look(pid: int) -> PipeReading:
    reading = read_pipe((pid,))
    assert reading is not None
    return reading


def test_a_terminal_is_named_and_holds_nobody_back_that_is_read(
    start: Start, pair: tuple[int, int]
) -> None:
    idle = start(sys.executable, "-c", READER, stdin=pair[1], stdout=pair[1])
    until(
        lambda: Path(f"/proc/{idle.pid}/wchan").read_text() == "wait_woken", "it reads a terminal"
    )
    reading = look(idle.pid)
    assert reading.terminal == os.ttyname(pair[1])
    assert (reading.writer_blocked, reading.readers) == (False, ())


def test_flow_control_holds_the_writer(start: Start, pair: tuple[int, int]) -> None:
    termios.tcflow(pair[1], termios.TCOOFF)  # what Ctrl-S does
    writer = start(sys.executable, "-c", WRITER, stdout=pair[1])
    until(lambda: look(writer.pid).writer_blocked, "its write is held")
    assert os.getpid() in terminal_holders(os.ttyname(pair[1]))


def test_the_program_of_a_terminal_that_is_stopped_is_named(start: Start) -> None:
    shows = start(sys.executable, "-c", DRAIN, stdout=subprocess.PIPE)
    assert shows.stdout is not None
    name = shows.stdout.readline().decode().strip()
    slave = os.open(name, os.O_WRONLY | os.O_NOCTTY)
    writer = start(sys.executable, "-c", WRITER, stdout=slave)
    os.close(slave)
    os.kill(shows.pid, signal.SIGSTOP)
    until(lambda: look(writer.pid).writer_blocked, "nobody takes what it writes")
    held = look(writer.pid)
    assert held.terminal == name
    assert [(each.pid, each.state) for each in held.readers] == [(shows.pid, "T")]
    os.kill(shows.pid, signal.SIGCONT)
    until(lambda: not look(writer.pid).writer_blocked, "it goes on")


def test_a_tee_whose_terminal_is_held_is_named_by_the_pipe_it_reads(
    start: Start, pair: tuple[int, int], tmp_path: Path
) -> None:
    """`python train.py | tee log` in a terminal in which somebody pressed Ctrl-S."""
    termios.tcflow(pair[1], termios.TCOOFF)
    tee = start("tee", str(tmp_path / "log"), stdin=subprocess.PIPE, stdout=pair[1])
    assert tee.stdin is not None
    writer = start(sys.executable, "-c", WRITER, stdout=tee.stdin.fileno())
    tee.stdin.close()
    tee.stdin = None
    terminal = os.ttyname(pair[1])
    until(lambda: look(writer.pid).writer_blocked, "the pipe is full")
    until(
        lambda: [each.terminal for each in look(writer.pid).readers][:1] == [terminal],
        "the tee is held in its write to the terminal",
    )


def test_script_whose_own_terminal_is_held_is_named(
    start: Start, pair: tuple[int, int], tmp_path: Path
) -> None:
    termios.tcflow(pair[1], termios.TCOOFF)
    file = tmp_path / "typescript"
    code = tmp_path / "writer.py"
    code.write_text(WRITER)
    command = f"exec {sys.executable} {code}"
    start("script", "-q", "-c", command, str(file), stdin=subprocess.DEVNULL, stdout=pair[1])

    def writer() -> int | None:
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if str(code).encode() in each.read_bytes().split(b"\0"):
                    return int(each.parent.name)
        return None

    until(lambda: writer() is not None, "the writer runs")
    pid = writer()
    assert pid is not None
    until(lambda: look(pid).writer_blocked, "its write is held")
    until(
        lambda: any(
            each.name == "script" and each.terminal == os.ttyname(pair[1])
            for each in look(pid).readers
        ),
        "script is held in its write to its own terminal",
    )
