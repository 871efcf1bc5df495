"""How a keeper outlives the session that started it.

Where systemd may end a user's processes at logout, a keeper lives in a scope of the user manager,
and only where lingering keeps that manager alive; everywhere else a session of its own is enough.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

ANSWER_S = 3.0


def detached_argv(argv: Sequence[str], run: str) -> list[str]:
    """Return *argv*, under `systemd-run --user --scope` where that outlives a logout.

    A scope, not a service: it runs the command in place, so the pipe to the starter is kept, and
    the death of the keeper does not end the other processes of the scope.
    """
    if not user_manager_lingers():
        return list(argv)
    scope = ["systemd-run", "--user", "--scope", "--quiet", "--collect"]
    return [*scope, f"--unit=lanewatch-{run}-{os.getpid()}", "--", *argv]


def user_manager_lingers() -> bool:
    """True when a systemd user manager answers here and stays after the last logout."""
    if not all(map(shutil.which, ("systemd-run", "systemctl", "loginctl"))):
        return False
    state = _ask("systemctl", "--user", "is-system-running")
    if state not in ("running", "degraded"):
        return False
    linger = _ask("loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value")
    return linger == "yes"


def _ask(*argv: str) -> str:
    try:
        result = subprocess.run(argv, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
