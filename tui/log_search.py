"""The asking side of `tui.log_scan`: starts the process, asks, and ends it.

To cancel a search is to kill its process: no pattern, however foolish, outlives the wish for it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tui.log_scan import STEP_CPU_S

TOO_LONG = -26
"""Its own limit on CPU time ended it: SIGVTALRM."""

Told = Callable[["Search", dict[str, Any]], None]
"""Called on a thread of the search with each answer; {"do": "ended", "why": ...} is the last."""


class Search:
    """One process that looks for lines in which all *patterns* occur, in an open file."""

    def __init__(self, descriptor: int, patterns: Sequence[str], told: Told) -> None:
        self.patterns = tuple(patterns)
        self._told = told
        self._number = 0
        self._closed = self._saving = False
        argv = [sys.executable, "-P", "-m", "tui.log_scan", str(descriptor), json.dumps(patterns)]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(descriptor,),
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, name="log-search", daemon=True)
        self._thread.start()

    def find(self, start: int, *, forwards: bool, count: int, stop: int | None = None) -> int:
        """Ask for *count* lines from *start* on, or before it, up to about *stop*.

        Returns the request's number.
        """
        asked = {"start": start, "forwards": forwards, "count": count, "stop": stop}
        return self._ask({"do": "find", **asked})

    def spans(self, texts: Sequence[str]) -> int:
        """Ask where the first pattern occurs in *texts*."""
        return self._ask({"do": "spans", "texts": list(texts)})

    def save(self, path: str) -> int:
        """Ask to write all matching lines to the new file *path*: all of them, or there is none."""
        self._saving = True
        return self._ask({"do": "save", "path": path})

    def close(self) -> None:
        """End it, whatever it is doing; what saves may remove its half of a file."""
        self._closed = True
        if self._saving:
            self._process.terminate()
        else:
            self._process.kill()

    def _ask(self, request: dict[str, Any]) -> int:
        self._number += 1
        line = json.dumps(request | {"id": self._number}).encode() + b"\n"
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended: the listener says so
            self._process.stdin.write(line)
            self._process.stdin.flush()
        return self._number

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not self._closed:
                self._told(self, json.loads(line))
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        if not self._closed:
            self._told(self, {"do": "ended", "id": 0, "why": _why(code)})


def _why(code: int) -> str:
    if code == TOO_LONG:
        return f"the pattern takes over {STEP_CPU_S:g} s on a few lines: put it more simply"
    return f"the search ended unexpectedly (exit {code}); press n to search again"
