"""Text to the clipboard of the machine at which a person sits: through the terminal, by OSC 52.

No terminal answers whether it took it, so nothing more is claimed. tmux by its defaults takes it
from no program, but from its own command: there that is called as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from textual.app import App

WITHOUT = ("", "dumb", "linux")
"""Terminals that have no clipboard and would print the sequence, or swallow what follows it."""

TMUX_S = 5.0


def copy(app: App[Any], text: str, what: str, environment: Mapping[str, str] = os.environ) -> str:
    """Copy *text*, which is *what*; returns the sentence that says how far that can be known."""
    inside_tmux = bool(environment.get("TMUX"))
    if not inside_tmux and environment.get("TERM", "") in WITHOUT:
        return f"This terminal has no clipboard: {what} was not copied."
    app.copy_to_clipboard(text)
    if inside_tmux:
        # Not waited for: a server that hangs holds up no key.
        threading.Thread(target=to_tmux, args=(text,), daemon=True).start()
        return f"Copied {what} for tmux, and to the clipboard where the terminal allows it."
    return f"Copied {what}, where the terminal allows it."


def to_tmux(text: str) -> None:
    """Into tmux's newest buffer, and from there to the terminal where tmux can (3.2)."""
    tmux = shutil.which("tmux")
    for options in (["-w"], []) if tmux else ():
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [str(tmux), "load-buffer", *options, "-"],
                input=text.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TMUX_S,
                check=False,
            )
            if done.returncode == 0:
                return
