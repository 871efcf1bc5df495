"""Stages as containers of this machine's Docker engine; those of the host stay plain processes.

A container is found again by its labels. Whether it lives is asked of the kernel, by the host's
pid and start ticks: an engine that is down changes nothing. How it ended is asked of the engine,
and an end is only believed once that says the container does not run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from monitor.model import ProcessId
from monitor.probes.process import is_alive
from runners.engines.base import Container, Exit, Gpu, Handle, Need, StageRequest
from runners.engines.docker_access import refuse_unreadable
from runners.engines.docker_client import (
    DockerConnection,
    NotThereError,
    elsewhere,
    gpu_request,
    live_restore,
    remapped,
    rootless,
)
from runners.engines.docker_ends import (
    BEGUN_AGAIN,
    NO_SUCH_PROGRAM,
    PYTHON_HINT,
    REMOVED,
    RESTARTED,
    by_command,
    has_ended_before,
)
from runners.engines.docker_errors import NO_GPU, image_missing, name_taken
from runners.engines.docker_process import NO_PROCESS, main_process
from runners.engines.docker_request import (
    ATTEMPT,
    FOLDER,
    HOME,
    STAGE,
    ULIMITS,
    USUAL_GPU,
    container_body,
    container_name,
    labels,
)
from runners.engines.local import KILL_WAIT_S, LocalEngine
from runners.errors import EngineError

logger = logging.getLogger(__name__)

SILENCE_S = 120.0
"""How long an engine may keep silent about the end of a process that is seen to be gone."""

SIGNALLED = 128
"""An init tells a signal as 128 + its number."""

LIMIT_REFUSED = "setting rlimit"


class DockerEngine:
    """See `runners.engines.base.Engine`."""

    name = "docker"

    def __init__(self, connection: DockerConnection | None = None) -> None:
        self._engine = connection or DockerConnection()
        self._host = LocalEngine()
        self._silent_since: float | None = None
        self._process: ProcessId | None = None
        """The engine's own, while the stage was seen to live."""
        self._killing = False
        """It was we who asked the engine to end it."""

    def check(self, need: Need) -> None:
        user(self._about())
        image = require_image(need.image, need.lane)
        if not need.pull and self.image_id(image) is None:
            raise EngineError(image_missing(image))

    def _about(self) -> dict[str, Any]:
        """What the engine says of itself. Raises EngineError where it is not of this machine."""
        # Asked anew before it is refused: the machine may have got another name since.
        for anew in (False, True):
            about = self._engine.about(anew=anew)
            if (why := elsewhere(about)) is None:
                return about
        raise EngineError(str(why))

    def check_requests(self, requests: Sequence[StageRequest]) -> None:
        wanted = {container_name(each): each for each in requests if each.container is not None}
        if not wanted:
            return
        for asked in wanted.values():
            self.describe(asked)
            if asked.container is not None:
                refuse_unreadable(asked.container)
        run = next(iter(wanted.values())).run
        for each in self._having({"name": [f"lanewatch-{run}-"]}):
            for name in (str(named).lstrip("/") for named in each.get("Names") or ()):
                request = wanted.get(name)
                if request is not None and not _is_of(each, request):
                    raise EngineError(name_taken(name))

    def image_id(self, name: str) -> str | None:
        """The id of the image called *name* on this machine, if it is there."""
        try:
            return str(self._engine.ask(lambda client: client.inspect_image(name))["Id"])
        except NotThereError:
            return None

    def start(self, request: StageRequest) -> Handle:
        needs = request.container
        if needs is None:
            return self._host.start(request)
        about = self._about()
        if needs.gpu is Gpu.REQUIRED and gpu_request(about) is None:
            raise EngineError(NO_GPU)
        self._refuse_a_second(request)
        _make_ready(request, needs)
        image = self.image_id(require_image(needs.image))
        if image is None:
            raise EngineError(image_missing(str(needs.image)))
        return self._start_within_limits(
            request, needs, {"image": image, "user": user(about), "gpu": gpu_request(about)}
        )

    def _start_within_limits(
        self, request: StageRequest, needs: Container, given: dict[str, Any]
    ) -> Handle:
        """Ask for less and less of what the engine may be too weak to grant."""
        for dropped in range(len(ULIMITS) + 1):
            body = container_body(request, needs, **given, ulimits=ULIMITS[dropped:])
            try:
                container = self._create_and_start(body, container_name(request))
            except EngineError as error:
                if LIMIT_REFUSED not in str(error) or dropped == len(ULIMITS):
                    raise
            else:
                notes = (*_without(dropped), *self._mortal())
                return self._handle(container, given["image"], notes)
        raise AssertionError("the last round raises or returns")

    def _mortal(self) -> tuple[str, ...]:
        """What is to be known of an engine that takes its containers with it."""
        if live_restore(self._engine.about()):
            return ()
        return (
            "live-restore is off: when the Docker engine is restarted, the trainer saves and ends; "
            '{"live-restore": true} in /etc/docker/daemon.json lets it go on',
        )

    def _create_and_start(self, body: dict[str, Any], name: str) -> str:
        """Return the id. Raises EngineError; then no container is left."""
        made = self._engine.ask(
            lambda client: client.create_container_from_config(body, name), body["Image"]
        )
        container = str(made["Id"])
        try:
            self._engine.ask(lambda client: client.start(container))
        except EngineError:
            with contextlib.suppress(EngineError):
                self._remove(container)
            raise
        return container

    def _refuse_a_second(self, request: StageRequest) -> None:
        """Bury what an earlier try of this stage left; refuse beside a living one of this run."""
        for each in self._listed({FOLDER: str(request.folder)}):
            same = {key: each["Labels"].get(key) for key in (STAGE, ATTEMPT)}
            ours = same == {STAGE: str(request.stage), ATTEMPT: str(request.attempt)}
            if each["State"] in ("running", "paused", "restarting") and not ours:
                raise EngineError(
                    f"container {each['Names'][0].lstrip('/')} of this run still runs "
                    f"(stage {same[STAGE]}, attempt {same[ATTEMPT]}); `lanewatch kill` ends it"
                )
            self._remove(each["Id"])

    def find(self, request: StageRequest) -> Handle | None:
        if request.container is None:
            return self._host.find(request)
        for each in self._listed(labels(request)):
            if each["State"] == "created":
                self._remove(each["Id"])  # its keeper died before it was started
                continue
            return self._handle(each["Id"], each.get("ImageID"), ())
        return None

    def poll(self, handle: Handle) -> Exit | None:
        if handle.container_id is None:
            return self._host.poll(handle)
        if is_alive(handle.process):
            self._silent_since = None
            if self._process is None:
                self._process = self._engine.process()
            return None
        try:
            seen = self._engine.ask(lambda client: client.inspect_container(handle.container_id))
        except NotThereError:
            return Exit(note=REMOVED)
        except EngineError as error:
            return self._silent(error)
        state = seen.get("State") or {}
        if state.get("Running"):
            return self._begun_again(handle) if has_ended_before(state) else None
        return self._told(handle, state)

    def _begun_again(self, handle: Handle) -> Exit | None:
        """Somebody started it anew, by `docker restart` say: the stage itself has ended.

        What runs there knows nothing of that: it begins where the stage began, over its own saves.
        """
        try:
            self._remove(str(handle.container_id))
        except EngineError as error:
            logger.warning("a container that was started again cannot be removed: %s", error)
            return None
        return Exit(note=BEGUN_AGAIN)

    def _silent(self, error: EngineError) -> Exit | None:
        """Its process is gone and the engine, which knows how, does not say."""
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            logger.warning("a container has ended, and how cannot be asked now: %s", error)
        if now - self._silent_since < SILENCE_S:
            return None
        return Exit(note=str(error))

    def _told(self, handle: Handle, state: dict[str, Any]) -> Exit:
        code, killed = int(state.get("ExitCode") or 0), bool(state.get("OOMKilled"))
        note = str(state.get("Error") or "") or (RESTARTED if self._came_back() else None)
        if state.get("Status") == "removing":
            note = REMOVED
        self._silent_since = None
        if SIGNALLED < code < SIGNALLED + signal.NSIG:
            number = code - SIGNALLED
            if number == signal.SIGKILL and not (note or killed or self._killing):
                note = by_command(self._engine, str(handle.container_id))
            return Exit(signal=number, oom_killed=killed, note=note)
        return Exit(code=code, oom_killed=killed, note=note or self._first_words(handle, code))

    def _came_back(self) -> bool:
        """True where the engine is another process than before and spares no container."""
        now, before = self._engine.process(), self._process
        if now is None or before is None or now == before:
            return False
        with contextlib.suppress(EngineError):
            return not live_restore(self._engine.about(anew=True))
        return False

    def _first_words(self, handle: Handle, code: int) -> str | None:
        """What was said before there was a log: that it could not be opened, say."""
        if code == 0:
            return None
        with contextlib.suppress(EngineError):
            said = self._engine.ask(lambda client: client.logs(handle.container_id, tail=5))
            lines = said.decode(errors="replace").splitlines()
            own = [line for line in lines if not line.startswith("lanewatch: this stage writes to")]
            if own:
                return str(own[-1])
        return PYTHON_HINT if code == NO_SUCH_PROGRAM else None

    def ask_to_stop(self, handle: Handle, *, save: bool) -> None:
        if handle.container_id is None:
            self._host.ask_to_stop(handle, save=save)
            return
        self._signal(handle, signal.SIGTERM if save else signal.SIGINT)

    def kill(self, handle: Handle) -> None:
        if handle.container_id is None:
            self._host.kill(handle)
            return
        self._killing = True
        self._signal(handle, signal.SIGKILL)
        with contextlib.suppress(EngineError):  # its main process's end ends it too
            self._engine.ask(lambda client: client.kill(handle.container_id))
        deadline = time.monotonic() + KILL_WAIT_S
        while self.poll(handle) is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _signal(self, handle: Handle, number: signal.Signals) -> None:
        """Straight to the process, which needs no engine; by that where the kernel refuses."""
        if is_alive(handle.process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(handle.process.pid, number)
                return
        with contextlib.suppress(EngineError):
            self._engine.ask(lambda client: client.kill(handle.container_id, number))

    def bury(self, request: StageRequest) -> None:
        if request.container is None:
            self._host.bury(request)
            return
        try:
            for each in self._listed(labels(request)):
                self._remove(each["Id"])
        except EngineError as error:
            # Its name holds the attempt: a leftover is in nobody's way, and `start` clears it.
            logger.warning("a container of stage %s may be left: %s", request.stage, error)

    def describe(self, request: StageRequest) -> dict[str, Any]:
        needs = request.container
        if needs is None:
            return self._host.describe(request)
        body = container_body(
            request,
            needs,
            image=require_image(needs.image),
            user=f"{os.geteuid()}:{os.getegid()}",
            gpu=USUAL_GPU,
        )
        env = dict(each.split("=", 1) for each in body["Env"])
        return {
            "stage": request.stage,
            "argv": list(request.argv),
            "env": env,
            "cwd": str(request.cwd),
            "log": str(request.log),
            "container": {"name": container_name(request), "create": body},
        }

    def _listed(self, wanted: dict[str, str]) -> list[dict[str, Any]]:
        return self._having({"label": [f"{key}={value}" for key, value in wanted.items()]})

    def _having(self, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        return list(self._engine.ask(lambda client: client.containers(all=True, filters=filters)))

    def _remove(self, container: str) -> None:
        with contextlib.suppress(NotThereError):
            self._engine.ask(lambda client: client.remove_container(container, v=True, force=True))

    def _handle(self, container: str, image: str | None, notes: tuple[str, ...]) -> Handle:
        seen = self._engine.ask(lambda client: client.inspect_container(container))
        init = int((seen.get("State") or {}).get("Pid") or NO_PROCESS)
        return Handle(process=main_process(init), container_id=container, image=image, notes=notes)


def _is_of(listed: dict[str, Any], request: StageRequest) -> bool:
    """True for a container of the request's own run: `start` knows what to do with it."""
    return (listed.get("Labels") or {}).get(FOLDER) == str(request.folder)


def user(about: dict[str, Any]) -> str:
    """ "uid:gid" by which the caller's own files are his inside too. Raises EngineError."""
    if rootless(about):
        return "0:0"
    if remapped(about):
        raise EngineError(
            "this Docker engine shifts the user ids of containers (userns-remap), so that a stage "
            "could not write its run's folder: use a rootless engine or one without userns-remap"
        )
    return f"{os.geteuid()}:{os.getegid()}"


def require_image(image: str | None, lane: str | None = None) -> str:
    """The image's name. Raises EngineError where nobody has given one."""
    if not image:
        of_lane = f"the {lane} lane" if lane else "this lane"
        raise EngineError(
            f"{of_lane} has no container image of its own: name one with "
            "--set docker.image=NAME, in the recipe ([docker] image) or the configuration"
        )
    return image


def _make_ready(request: StageRequest, needs: Container) -> None:
    """Make what must be there before the mounts are: the log with its mode, HOME, the cache."""
    os.close(os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    for folder in (request.cwd / HOME, *needs.writable):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _without(dropped: int) -> tuple[str, ...]:
    if not dropped:
        return ()
    names = " and ".join(str(each["Name"]) for each in ULIMITS[:dropped])
    return (
        f"the Docker engine may not raise the limit {names}: started without it; pinned memory "
        "may be short (LimitMEMLOCK=infinity in the engine's systemd unit)",
    )
