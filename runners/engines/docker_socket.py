"""Where this machine's Docker engine listens, and whether this user may ask it; without its SDK.

The SDK is slow to load and wraps the cause of a refusal several times; a socket tells it in a word.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import re
import socket
import stat
import struct
from pathlib import Path

from monitor.files import read_json
from monitor.model import ProcessId
from monitor.probes.process import identify
from monitor.rundir import expanded
from runners.errors import EngineError

TIMEOUT_S = 10
DEFAULT = "unix:///var/run/docker.sock"
PID_FILE = Path("/var/run/docker.pid")

_CREDENTIALS = struct.Struct("3i")
"""pid, uid and gid."""


def engine_url() -> str:
    """Where the docker client would look: `$DOCKER_HOST`, context, chosen context, usual socket.

    In that order, as client 28 does it, whatever its manual says. Raises EngineError for a context
    that is not there.
    """
    if host := os.environ.get("DOCKER_HOST"):
        return host
    named = os.environ.get("DOCKER_CONTEXT")
    folder = expanded(os.environ.get("DOCKER_CONFIG") or "~/.docker")
    chosen = named or (read_json(folder / "config.json").value or {}).get("currentContext")
    if not isinstance(chosen, str) or chosen == "default":
        return DEFAULT
    meta = folder / "contexts" / "meta"
    digest = hashlib.sha256(chosen.encode()).hexdigest()
    context = read_json(meta / digest / "meta.json").value or {}
    try:
        return str(context["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        whose = "DOCKER_CONTEXT" if named else str(folder / "config.json")
        raise EngineError(
            f"the Docker context {chosen} that {whose} names is not there: `docker context ls` "
            "shows those that are"
        ) from None


def socket_path(url: str, why: str) -> Path:
    """The socket that *url* names. Raises EngineError, with *why*, for another machine's engine."""
    scheme, parted, path = url.partition("://")
    if scheme == "unix" and parted:
        return Path(path)
    if url.startswith("/"):
        raise EngineError(f"Docker is set to {url}, which is no address: is unix://{url} meant?")
    if re.match(r"(localhost|127\.[\d.]+|\[::1\])(:|/|$)", path):
        raise EngineError(
            f"Docker is set to {url}, a port, behind which any machine may be: let DOCKER_HOST be "
            "this machine's socket (unix:///var/run/docker.sock), or run lanewatch on that host"
        )
    raise EngineError(f"Docker is set to {url}, another machine's engine, {why}")


def knock(path: Path) -> None:
    """Raise EngineError unless an engine listens at *path*, and this user may ask it."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.settimeout(TIMEOUT_S)
            knocking.connect(str(path))
    except PermissionError as error:
        raise EngineError(
            f"this user may not ask Docker ({path}): {remedy_for_groups(path)}"
        ) from error
    except OSError as error:
        raise EngineError(
            f"no Docker engine answers at {path} ({error.strerror or error}): is it running, is "
            "DOCKER_HOST right?"
        ) from error


def listener(path: Path) -> ProcessId | None:
    """The engine's own process; None where nobody answers or it cannot be told.

    Where systemd holds the socket, the engine's pid file says who answers.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.settimeout(TIMEOUT_S)
            knocking.connect(str(path))
            credentials = knocking.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
            )
            pid = _CREDENTIALS.unpack(credentials)[0]
        return identify(pid if pid > 1 else int(PID_FILE.read_text()))
    except (OSError, ValueError):
        return None


def remedy_for_groups(path: Path) -> str:
    """What a user whom the socket at *path* refuses has to do."""
    user = user_name()
    try:
        status = path.stat()
        number, group = status.st_gid, grp.getgrgid(status.st_gid)
    except (OSError, KeyError):
        return "run as a user who may, or ask whoever keeps this machine"
    if not status.st_mode & stat.S_IWGRP:
        return "only its owner may: run with sudo, or ask whoever keeps this machine"
    if number in (os.getegid(), *os.getgroups()):
        return f"its group {group.gr_name} may not either; `ls -l {path}` shows who may"
    if user in group.gr_mem:
        return (
            f"{user} is in the group {group.gr_name}, but not yet in this session: log out and in "
            f"again, or run `newgrp {group.gr_name}` first"
        )
    return f"`sudo usermod -aG {group.gr_name} {user}`, then log out and in again"


def user_name() -> str:
    """Who we are; the number where no entry of /etc/passwd names it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
