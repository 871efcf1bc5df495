"""The systemd --user unit that brings keepers and watchers back at boot and after death.

The rule: the unit holds nothing but the command; what it does is `runners.supervisor`, which can be
run and tested without systemd.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monitor.rundir import expanded
from runners.errors import RunnerError

UNIT = "lanewatch-keepers.service"
ANSWER_S = 10.0
KEPT = ("LANEWATCH_RUNS", "LANEWATCH_CACHE", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
"""Variables that say where runs and configuration lie; the unit must look where the user does."""

_TEMPLATE = """\
[Unit]
Description=lanewatch: bring keepers and watchers of live runs back

[Service]
ExecStart={command} service run
{environment}Restart=always
RestartSec=10
# Keepers and watchers outlive this process: stopping the unit must not end a run.
KillMode=process
Nice=5

[Install]
WantedBy=default.target
"""


class ServiceError(RunnerError):
    """The unit cannot be installed, removed or asked about here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """What is known of the unit. `None`: it cannot be asked."""

    path: str
    installed: bool
    manager: bool
    """A user manager of systemd answers."""
    active: bool | None = None
    enabled: bool | None = None
    linger: bool | None = None
    """The user manager runs from boot, and after the last logout."""


def unit_path() -> Path:
    """Where user units lie."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return expanded(home).absolute() / "systemd" / "user" / UNIT


def unit_text(python: str, environment: Mapping[str, str]) -> str:
    """The unit; pure."""
    kept = [
        f"Environment={_quoted(f'{key}={environment[key]}')}\n"
        for key in KEPT
        if environment.get(key)
    ]
    command = f"{_quoted(python).replace('$', '$$')} -P -m tui"  # "$" begins a variable there
    return _TEMPLATE.format(command=command, environment="".join(kept))


def _quoted(text: str) -> str:
    """systemd's quoting: of "%" too, which begins a specifier."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if escaped != text or " " in text else text


def install() -> Path:
    """Write, enable and start the unit. Raises ServiceError."""
    require_manager()
    path = unit_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit_text(sys.executable, os.environ))
    except OSError as error:
        raise ServiceError(f"cannot write {path}: {error.strerror or error}") from error
    _systemctl("daemon-reload")
    _systemctl("enable", UNIT)
    _systemctl("restart", UNIT)
    return path


def remove() -> bool:
    """Stop and delete the unit; False when there was none. Raises ServiceError."""
    path = unit_path()
    there = path.exists()
    if manager_answers():
        if there:
            _systemctl("disable", "--now", UNIT)
        path.unlink(missing_ok=True)
        _systemctl("daemon-reload")
    else:
        path.unlink(missing_ok=True)
    return there


def status() -> ServiceStatus:
    """Ask about the unit. Never raises."""
    path, manager = unit_path(), manager_answers()
    return ServiceStatus(
        path=str(path),
        installed=path.exists(),
        manager=manager,
        active=_says("is-active") == "active" if manager else None,
        enabled=_says("is-enabled") == "enabled" if manager else None,
        linger=lingers(),
    )


def manager_answers() -> bool:
    """True when a systemd user manager answers here."""
    if shutil.which("systemctl") is None:
        return False
    state = _ask("systemctl", "--user", "is-system-running")
    return state in ("running", "degraded", "starting", "initializing", "maintenance")


def require_manager() -> None:
    """Raise ServiceError where no user manager answers."""
    if shutil.which("systemctl") is None:
        raise ServiceError(
            "there is no systemd here, so nothing can start lanewatch at boot; have your own "
            "supervisor run `lanewatch service run`"
        )
    if not manager_answers():
        raise ServiceError(
            "no systemd user manager answers (`systemctl --user`); log in over ssh or at the "
            "console rather than through su or sudo, or have your own supervisor run "
            "`lanewatch service run`"
        )


def lingers() -> bool | None:
    """Whether the user manager is there without a login; None where nobody can say."""
    if shutil.which("loginctl") is None:
        return None
    answer = _ask("loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value")
    return {"yes": True, "no": False}.get(answer)


def linger_command() -> str:
    """How to have the user manager at boot."""
    return f"sudo loginctl enable-linger {getpass.getuser()}"


def _says(verb: str) -> str:
    return _ask("systemctl", "--user", verb, UNIT)


def _ask(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _systemctl(*words: str) -> None:
    argv = ["systemctl", "--user", *words]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise ServiceError(f"`{' '.join(argv)}` failed: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise ServiceError(f"`{' '.join(argv)}` failed: {said}")
