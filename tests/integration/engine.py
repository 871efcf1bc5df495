"""A real Docker engine for tests, with an image that needs no registry.

The engine is our own even where another one runs: its data, its socket and its state lie in a
temporary folder, and it is stopped afterwards. The image is the Python that runs the tests, with a
shell and what the pipelines under test are made of, imported from a tar.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

IMAGE = "lanewatch-test/python"
PROGRAMS = ("bash", "sh", "tee", "cat", "grep", "sleep", "env", "mkdir", "kill")
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "site-packages",
            "dist-packages", "__pycache__", "turtledemo", "pydoc_data"}  # fmt: skip
UP_S = 60.0
DOWN_S = 30.0


class Engine:
    """A running engine; every command of the docker client goes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "docker.sock"
        self.env = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONTEXT": ""}
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Bring the engine up. Raises RuntimeError with the end of its log."""
        with (self.folder / "dockerd.log").open("wb") as log:
            self._daemon = subprocess.Popen(
                [
                    "dockerd",
                    f"--host=unix://{self.socket}",
                    f"--data-root={self.folder / 'data'}",
                    f"--exec-root={self.folder / 'exec'}",
                    f"--pidfile={self.folder / 'docker.pid'}",
                    "--bridge=none",
                    "--iptables=false",
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + UP_S
        while self.call("version").returncode:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                tail = (self.folder / "dockerd.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"dockerd did not come up:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End every container and the engine, and remove all that it made."""
        if self._daemon is None:
            return
        with contextlib.suppress(subprocess.SubprocessError):
            running = self.docker("ps", "--quiet", "--all").split()
            if running:
                self.docker("rm", "--force", *running)
        self._daemon.terminate()
        try:
            self._daemon.wait(DOWN_S)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()
        for mounted in reversed(self._mounts()):  # what an engine that was killed left behind
            subprocess.run(["umount", "--lazy", mounted], capture_output=True, check=False)

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        return [each for line in lines if (each := line.split()[1]).startswith(f"{self.folder}/")]

    def crash(self) -> None:
        """End the engine without a chance to say goodbye; its containers know nothing of it."""
        assert self._daemon is not None
        containerd = int((self.folder / "exec/containerd/containerd.pid").read_text())
        self._daemon.kill()
        self._daemon.wait()
        (self.folder / "docker.pid").unlink(missing_ok=True)  # else the next one refuses to start
        # The kernel ends it with its parent; a new one takes it for living until it has gone.
        deadline = time.monotonic() + DOWN_S
        while Path(f"/proc/{containerd}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def say_goodbye(self) -> None:
        """End it as a shutdown does: without live-restore it waits for its containers."""
        assert self._daemon is not None
        self._daemon.terminate()
        self._daemon.wait(UP_S)

    def restart(self, *options: str) -> None:
        """Crash it and bring it back."""
        self.crash()
        self.start(*options)

    def docker(self, *words: str) -> str:
        """Run one docker command and return what it says; fail when it does."""
        done = self.call(*words)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one docker command and return all of it."""
        return subprocess.run(
            ["docker", *words],
            env=os.environ | self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, name: str, *words: str, options: tuple[str, ...] = ()) -> str:
        """Start a container that goes on; return its id."""
        isolated = ("--detach", "--network=none", f"--name={name}")
        return self.docker("run", *isolated, *options, IMAGE, *words)

    def remove(self, name: str) -> None:
        """End a container and forget it."""
        self.call("rm", "--force", name)

    def make_image(self) -> None:
        """Import the image from a tar of this machine's own files."""
        tar = self.folder / "image.tar"
        with tarfile.open(tar, "w") as archive:
            for path in sorted(image_files()):
                # Links are followed: the target of one may not be in the image.
                archive.add(path.resolve(), arcname=str(path), recursive=False)
            _folder(archive, "/tmp", 0o1777)
            for name in ("proc", "sys", "dev", "etc", "root"):
                _folder(archive, f"/{name}", 0o755)
        paths = sorted({str(path.parent) for path in map(Path, _programs())})
        self.docker("import", "--change", f"ENV PATH={':'.join(paths)}", str(tar), IMAGE)
        tar.unlink()


@contextlib.contextmanager
def running_engine(*options: str) -> Iterator[Engine]:
    """An engine with the test image; stopped and removed in the end."""
    # Not pytest's own folder: the path of a Unix socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="lw-engine-"))
    engine = Engine(folder)
    try:
        engine.start(*options)
        engine.make_image()
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def why_not_here() -> str | None:
    """Why no engine can be started; None where one can, or must (in CI it is never left out)."""
    if os.environ.get("CI") or os.environ.get("LANEWATCH_CI"):
        return None
    if os.geteuid() != 0:
        return "only root can start a Docker engine"
    if shutil.which("dockerd") is None:
        return "dockerd is missing: apt-get install docker.io"
    return None


def image_files() -> set[Path]:
    """Python with its library, some programs, and every shared library that these load."""
    standard = Path(sysconfig.get_path("stdlib"))
    files = {path for path in _below(standard) if path.is_file()}
    binaries = [path for path in files if path.suffix == ".so"]
    binaries += [Path(each) for each in _programs()]
    return files | set(binaries) | _libraries(binaries)


def trainer_paths() -> list[str]:
    """What a container must read, besides the image, to train with the Python of these tests.

    A trainer's libraries take gigabytes: they are mounted where they lie. /usr brings what they
    load of C++; it is this machine's, as the image's C library is.
    """
    return ["/usr", sys.prefix, sys.base_prefix]


def python() -> str:
    """The image's Python."""
    return os.path.realpath(sys._base_executable)


def _programs() -> list[str]:
    found = [shutil.which(name) for name in PROGRAMS]
    return [python(), *(each for each in found if each is not None)]


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each not in LEFT_OUT]
        yield from (Path(root, name) for name in names if not name.endswith((".a", ".pyc")))


def _libraries(binaries: list[Path]) -> set[Path]:
    listed = subprocess.run(
        ["ldd", *map(str, binaries)], capture_output=True, text=True, check=False
    ).stdout
    words = {word for line in listed.splitlines() for word in line.split()}
    return {
        Path(word)
        for word in words
        if word.startswith("/") and ".so" in word and not word.endswith(":")
    }


def _folder(archive: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    archive.addfile(entry)
