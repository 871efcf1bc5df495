"""Programs of the same trade that are measured beside ours, where they run on this machine."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measure import environment, peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A full-screen program and how to have it look once a second."""

    name: str
    argv: tuple[str, ...]
    needs_gpu: bool = False


SCREENS = (
    Peer(name="nvitop", argv=("nvitop", "--interval", "1"), needs_gpu=True),
    Peer(name="glances", argv=("glances", "-t", "1", "--disable-check-update")),
    Peer(name="htop", argv=("htop", "-d", "10")),
    Peer(name="btop", argv=("btop", "--utf-force")),
)


LOG_VIEWERS = (
    Peer(name="less", argv=("less", "-n", "+F")),
    Peer(name="toolong", argv=("tl",)),
)


def log_viewers(log: Path) -> tuple[list[Peer], dict[str, str]]:
    """Programs that follow *log*, as far as they are here, and their versions."""
    found, about = [], {}
    for each in LOG_VIEWERS:
        path = peer(each.argv[0])
        about[each.name] = version(each.argv[0]) if path else "not installed"
        if path is not None:
            argv = (path, *each.argv[1:], str(log))
            found.append(Peer(name=f"{each.name}, the live log", argv=argv))
    return found, about


def usable() -> tuple[list[Peer], dict[str, str]]:
    """The peers that run here, and of all of them the version or why they are not measured."""
    found, about = [], {}
    for each in SCREENS:
        path = peer(each.name)
        if path is None:
            about[each.name] = "not installed"
        elif each.needs_gpu and not _answers([path, "--once"]):
            stand_in = _on_a_stand_in(path)
            if stand_in is None:
                about[each.name] = "refuses to run without an NVIDIA driver"
            else:
                about[each.name] = f"{version(each.name)}, on a stand-in driver of one idle GPU"
                found.append(Peer(name=each.name, argv=(*stand_in, *each.argv[1:])))
        else:
            about[each.name] = version(each.name)
            found.append(Peer(name=each.name, argv=(path, *each.argv[1:])))
    return found, about


def _on_a_stand_in(path: str) -> tuple[str, ...] | None:
    """The command with our own idle GPU in place of the driver; None where that does not do."""
    compiler, source = shutil.which("cc"), Path(__file__).with_name("nvml_stand_in.c")
    if compiler is None:
        return None
    folder = tempfile.mkdtemp(prefix="lanewatch-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = f"{folder}/libnvidia-ml.so.1"
    if not _answers([compiler, "-shared", "-fPIC", "-o", library, str(source)]):
        return None
    argv = ("env", f"LD_LIBRARY_PATH={folder}", path)
    return argv if _answers([*argv, "--once"]) else None


def version(name: str) -> str:
    """The first number that `NAME --version` says."""
    path = peer(name)
    if path is None:
        return "not installed"
    done = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False, env=environment()
    )
    words = (done.stdout + done.stderr).split()
    numbers = [word.strip("v,") for word in words if word.strip("v,")[:1].isdigit()]
    return numbers[0] if numbers else "version unknown"


def _answers(argv: list[str]) -> bool:
    done = subprocess.run(argv, capture_output=True, check=False, env=environment())
    return done.returncode == 0
