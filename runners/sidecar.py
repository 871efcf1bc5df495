"""Stacks of a trainer in a container into which this user may not look: another container can.

The rule: only after somebody said yes. It sees the processes of that one container, has no network
and no capability but SYS_PTRACE, runs nothing but this machine's own py-spy from a read-only mount,
never pulls an image (it is made of the trainer's own), ends by itself and is removed.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.diagnosis.namespaces import as_here, pid_inside, threads_inside
from monitor.diagnosis.pyspy import (
    DUMP_S,
    NATIVE_S,
    Dump,
    dump_argv,
    failed_dump,
    find_pyspy,
    parse_dump,
)
from monitor.diagnosis.rights import container_id, may_look
from monitor.probes.process import is_alive
from monitor.rundir import RunDir
from monitor.target import read_target
from runners.engines.docker_client import DockerConnection
from runners.engines.docker_errors import EngineSilentError
from runners.errors import EngineError

LABEL = "lanewatch.sidecar"
PROGRAM = "/lanewatch-py-spy"
CAPABILITY = "SYS_PTRACE"
PROCESSES = 4
"""Each has a container of its own, and a start takes half a second."""
START_S = 5.0
"""To make a container, to start it and to end it."""
ANSWER_S = 2
"""An engine that is slower than that is part of the trouble."""
LEFT_S = 120.0
"""A container of ours that is older was left by somebody who was killed."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What could be started, in words for a confirm."""

    container: str
    """The trainer's container, by name."""
    container_id: str
    image: str
    """The id of its image, which is on this machine."""
    image_name: str
    program: str

    @property
    def words(self) -> str:
        """One sentence that says what would be done."""
        return (
            f"this user may not look into the trainer; a short-lived container can: image "
            f"{self.image_name} (already here), the processes of container {self.container}, "
            f"capability {CAPABILITY}, no network, py-spy mounted read-only, removed afterwards"
        )


def offer_for(run: RunDir, connection: DockerConnection | None = None) -> Offer | None:
    """What would have to be confirmed; None where it is not needed or cannot help.

    Raises EngineError where the trainer is in a container and the engine cannot be asked.
    """
    process = read_target(run.root).process
    program = find_pyspy()
    if process is None or program is None or not is_alive(process) or may_look(process.pid):
        return None
    container = container_id(process.pid)
    if container is None or not is_static(Path(program)):
        return None
    engine = connection or DockerConnection(answer_s=ANSWER_S)
    found = engine.ask(lambda client: client.inspect_container(container))
    return Offer(
        container=str(found["Name"]).lstrip("/"),
        container_id=str(found["Id"]),
        image=str(found["Image"]),
        image_name=str((found.get("Config") or {}).get("Image") or found["Image"]),
        program=str(Path(program).resolve()),
    )


def is_static(program: Path) -> bool:
    """An ELF file that asks for no loader: it runs in any image of this architecture."""
    try:
        with program.open("rb") as stream:
            head = stream.read(4096)
    except OSError:
        return False
    return head.startswith(b"\x7fELF") and b"/ld-" not in head


class Sidecar:
    """See `monitor.diagnosis.pyspy.Spy`. A context manager: what it made is gone afterwards."""

    dump_s, native_s = DUMP_S + START_S, NATIVE_S + START_S

    def __init__(self, offer: Offer, connection: DockerConnection | None = None) -> None:
        self._offer = offer
        self._engine = connection or DockerConnection(answer_s=ANSWER_S)
        self._made: dict[tuple[int, bool], tuple[str, int]] = {}
        """Of each (pid there, native): the container, and how much of its output was read."""

    def __enter__(self) -> Self:
        with contextlib.suppress(EngineError):
            self._bury_what_was_left()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(EngineError):  # the next one buries what is left
            for container, _ in self._made.values():
                self._remove(container)
        self._engine.close()

    def available(self) -> str | None:
        return None

    def dump(self, pid: int, *, native: bool = False, limit_s: float = DUMP_S + START_S) -> Dump:
        """No question is begun that could not be answered, and its container ended, in time."""
        until_s = time.monotonic() + limit_s - 2 * ANSWER_S
        inside = pid_inside(pid)
        if inside is None:
            return Dump(problem=f"pid {pid} has ended", foreign=True)
        if (inside, native) not in self._made and len(self._made) >= PROCESSES + native:
            return Dump(problem=f"{PROCESSES} processes are looked at already", foreign=True)
        try:
            got = self._look(pid, inside, until_s, native=native)
        except EngineError as error:
            return Dump(problem=f"the container that was to look: {error}", foreign=True)
        return replace(got, stacks=as_here(got.stacks, pid, threads_inside(pid)))

    def _look(self, pid: int, inside: int, until_s: float, *, native: bool) -> Dump:
        late = Dump(problem=f"py-spy gave no stacks of pid {pid} in its time")
        if time.monotonic() > until_s:
            return late
        if (inside, native) not in self._made:
            body = sidecar_body(self._offer, inside, native=native)
            made = self._engine.ask(
                lambda client: client.create_container_from_config(body), self._offer.image_name
            )
            self._made[inside, native] = str(made["Id"]), 0
        if time.monotonic() > until_s:
            return late
        container, read = self._made[inside, native]
        self._engine.ask(lambda client: client.start(container))
        if not self._ended(container, until_s):
            self._engine.ask(lambda client: client.kill(container))
            return late
        raw: bytes = self._engine.ask(lambda client: client.logs(container, stderr=False))
        self._made[inside, native] = container, len(raw)
        if raw[read:].strip():
            return parse_dump(raw[read:])
        said: bytes = self._engine.ask(lambda client: client.logs(container, stdout=False))
        return failed_dump(pid, said[-4096:])

    def _ended(self, container: str, until_s: float) -> bool:
        while time.monotonic() < until_s:
            found = self._engine.ask(lambda client: client.inspect_container(container))
            if not found["State"]["Running"]:
                return True
            time.sleep(0.02)
        return False

    def _bury_what_was_left(self) -> None:
        listed = self._engine.ask(
            lambda client: client.containers(all=True, filters={"label": [LABEL]})
        )
        for each in listed:
            if time.time() - float(each["Created"]) > LEFT_S:
                self._remove(str(each["Id"]))

    def _remove(self, container: str) -> None:
        """Raises EngineSilentError: then another question is of no use."""
        try:
            self._engine.ask(lambda client: client.remove_container(container, force=True, v=True))
        except EngineSilentError:
            raise
        except EngineError:  # it is gone already, or somebody else is about it
            return


def sidecar_body(offer: Offer, pid: int, *, native: bool) -> dict[str, Any]:
    """The request for a container that dumps the stacks of *pid* (as counted there) and ends."""
    return {
        "Image": offer.image,
        "Entrypoint": [PROGRAM],
        "Cmd": dump_argv(PROGRAM, pid, native=native)[1:],
        "User": "0:0",
        "WorkingDir": "/",
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        # An engine whose default runtime is NVIDIA's would give it the GPUs.
        "Env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "Labels": {LABEL: offer.container_id},
        "HostConfig": {
            "PidMode": f"container:{offer.container_id}",
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "CapAdd": [CAPABILITY],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "LogConfig": {"Type": "json-file"},
            "Mounts": [
                {"Type": "bind", "Source": offer.program, "Target": PROGRAM, "ReadOnly": True}
            ],
        },
    }
