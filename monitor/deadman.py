"""The dead man's switch: an outside service that rings when this machine falls silent.

The rule: while a run lives, `deadman_url` is requested once a minute from a thread of its own; at a
clean end it is signed off. A failure is shown and never delays a look.

Shapes. *healthchecks*: `URL/start` once a minute, which that service takes for "it runs, expect its
end within the grace time"; `URL` at a clean end, which leaves the running state, so that nothing
rings afterwards. *plain*: `URL` once a minute and once more at a clean end; such a service knows no
sign-off: it rings when its own period has passed without a ping. Both: `URL/fail` at an end that
nobody asked for, also that of a foreign run which is gone before its last iteration.

A last word that the service did not take is left to a process of its own (`python -m
monitor.deadman`, the URL on its stdin), for an end that is not told rings in vain.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.alert_settings import DEADMAN, DEADMAN_SHAPE, SHAPES, one_of, parse_url
from monitor.alerts import ended_badly, is_by_user
from monitor.bequest import leave
from monitor.model import FINAL
from monitor.rundir import RunDir

if TYPE_CHECKING:
    from monitor.parts import Say, Tick

EVERY_S = 60.0
ANSWER_S = 10.0
SILENT_S = 45.0
"""A request that has not come back by then is shown as failed: looking up a name has no limit."""
FAREWELL_S = 3.0
"""How long the end of the watch may wait for the sign-off."""
LAST_TRIES = 3
LATER_S = (5.0, 15.0, 60.0, 180.0, 600.0, 600.0, 1800.0)
"""Before each further try of a last word."""

_HEALTHCHECKS = re.compile(
    r"https?://hc-ping\.com/.+|https?://.+/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/?",
    re.IGNORECASE,
)


def shape_of(url: str, wanted: str = "auto") -> str:
    """healthchecks or plain; "auto" goes by the form of the URL."""
    if wanted != "auto":
        return wanted
    return "healthchecks" if _HEALTHCHECKS.fullmatch(url) else "plain"


class Sign(StrEnum):
    """What the service is to hear."""

    LIFE = "life"
    CLEAN_END = "clean end"
    BAD_END = "bad end"


def ping_url(url: str, shape: str, sign: Sign) -> str:
    """What to request so that the service hears *sign*."""
    if sign is Sign.BAD_END:
        return _with(url, "/fail")
    return _with(url, "/start") if shape == "healthchecks" and sign is Sign.LIFE else url


def _end_sign(tick: Tick) -> Sign:
    by_user = is_by_user(tick.target.cause)
    bad = ended_badly(tick.verdict, total=tick.observation.total, by_user=by_user)
    return Sign.BAD_END if bad else Sign.CLEAN_END


def _with(url: str, ending: str) -> str:
    """*url* with *ending* after its path, before its query."""
    path, mark, query = url.partition("?")
    return path.rstrip("/") + ending + mark + query


class DeadmanPart:
    """See `monitor.parts.Part`."""

    name = "deadman"

    def __init__(
        self,
        run_dir: RunDir,
        say: Say,
        remembered: object,  # noqa: ARG002 - nothing is worth keeping
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._dir, self._say = run_dir, say
        self._problem: str | None = None
        self._url, self._shape, self._trouble = _configured(
            os.environ if environment is None else environment
        )
        self._pinger = Pinger() if self._url else None
        self._due_s = 0.0
        self._ended = False
        self._last: str | None = None
        self._failing: str | None = None

    def tick(self, tick: Tick) -> None:
        """Ask for a ping when one is due; tell once of a spell of failures."""
        if self._trouble:
            self._say("note", self._trouble, tick.now)
            self._trouble = None
        if self._pinger is None or self._url is None:
            return
        now_s = tick.now.monotonic_s
        if tick.verdict.liveness in FINAL:
            if not self._ended:
                self._ended = True
                self._last = ping_url(self._url, self._shape, _end_sign(tick))
                self._pinger.ask(self._last, tries=LAST_TRIES)
        elif self._ended or now_s >= self._due_s:
            self._ended, self._due_s = False, now_s + EVERY_S
            self._pinger.ask(ping_url(self._url, self._shape, Sign.LIFE))
        problem = self._pinger.problem()
        began_or_ended = (problem is None) != (self._failing is None)
        self._failing = problem
        if began_or_ended:
            text = f"fails: {problem}; it is tried again" if problem else "answers again"
            self._say("note", f"the dead man's switch {text}", tick.now)

    def remembered(self) -> object:
        """Whether it fails, for `status`."""
        return {"failing": self._failing} if self._pinger else None

    def close(self) -> None:
        """Give the sign-off a moment, and leave it to another process if that was too short."""
        if self._pinger is None or not self._ended or self._last is None:
            return
        if not self._pinger.finish(FAREWELL_S):
            leave("monitor.deadman", str(self._dir.root), self._last.encode())


def _configured(environment: Mapping[str, str]) -> tuple[str | None, str, str | None]:
    """The URL, its shape, and what is wrong with them."""
    url = environment.get(DEADMAN)
    if not url:
        return None, "plain", None
    try:
        wanted = one_of(*SHAPES)(environment.get(DEADMAN_SHAPE) or "auto")
        return parse_url(url), shape_of(url, wanted), None
    except ValueError as error:
        return None, "plain", f"the dead man's switch is not used: {error}"


class Pinger:
    """Requests URLs one after the other on a thread of its own; `ask` returns at once."""

    def __init__(self) -> None:
        self._wanted: queue.Queue[tuple[str, int]] = queue.Queue(maxsize=4)
        self._dropped = False
        self._problem: str | None = None
        self._busy_since: float | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    def ask(self, url: str, tries: int = 1) -> None:
        """Request *url* as soon as may be; while too many wait, not at all."""
        self._idle.clear()
        try:
            self._wanted.put_nowait((url, tries))
        except queue.Full:
            self._dropped = True
            return
        self._dropped = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="deadman", daemon=True)
            self._thread.start()

    def problem(self) -> str | None:
        """Why the last request failed, or that this one takes too long; None when all is well."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > SILENT_S:
            return f"no answer for {time.monotonic() - since:.0f} s"
        return self._problem

    def finish(self, wait_s: float) -> bool:
        """Wait a little for what was asked; whether the service took the last of it."""
        return self._idle.wait(wait_s) and self._problem is None and not self._dropped

    def _work(self) -> None:
        while True:
            url, tries = self._wanted.get()
            self._busy_since = time.monotonic()
            self._problem = _request(url, tries)
            self._busy_since = None
            if self._wanted.empty():
                self._idle.set()


def _request(url: str, tries: int) -> str | None:
    """None when the service took it, else why not, without the URL: that is a secret."""
    # Loaded only where a switch is configured, and on this thread: it takes memory and time.
    import http.client
    import urllib.error
    import urllib.request

    problem: str | None = None
    for number in range(tries):
        time.sleep(0.5 * number)
        request = urllib.request.Request(url, headers={"User-Agent": "lanewatch"})  # noqa: S310 - parse_url allows http and https alone
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - as above
                answer.read(1024)
            return None
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"HTTP {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            problem = str(getattr(reason, "strerror", None) or type(reason).__name__)
    return problem


def main(arguments: list[str] | None = None) -> int:
    """Request the URL on stdin until the service takes it or the run's folder is gone."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    (folder,) = sys.argv[1:] if arguments is None else arguments
    url = sys.stdin.read()
    for pause_s in (0.0, *LATER_S):
        due = time.monotonic() + pause_s
        while time.monotonic() < due and Path(folder).exists():
            time.sleep(1.0)
        if not Path(folder).exists() or _request(url, tries=1) is None:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
