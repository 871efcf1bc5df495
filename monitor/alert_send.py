"""The short process that sends one message: `python -m monitor.alert_send`, its job on stdin.

The only place where apprise is loaded. The rule: every channel gets its own thread and the same
time, so that one which hangs holds up no other; what is said back never holds a URL.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.alert_channels import Channel, ChannelError, channels_path, read_channels
from monitor.probes.text import clean_line

ANSWER_S = 20.0
"""A channel that has not answered by then has failed."""
READ_S = 10.0
"""A service's answer is waited for; apprise's own 4 s would send a slow one everything anew."""

PROBLEM_LIMIT = 160


def main() -> int:
    """Send what stdin asks for and say on stdout how each channel took it."""
    job = json.loads(sys.stdin.buffer.read())
    if "check" in job:
        _answer({"problem": problem_with(Channel("URL", str(job["check"]))), "results": []})
        return 0
    try:
        channels = _chosen(job)
    except ChannelError as error:
        _answer({"problem": str(error), "results": []})
        return 1
    results = send(channels, job) if channels else []
    _answer({"results": results})
    # Not through the interpreter's exit: that would wait for a thread that hangs.
    os._exit(0 if all(each["ok"] for each in results) else 1)


def _chosen(job: Mapping[str, Any]) -> list[Channel]:
    if url := job.get("url"):
        return [Channel(str(job.get("name") or "URL"), str(url))]
    names, without = job.get("channels"), job.get("without") or ()
    there = [each for each in read_channels(channels_path()) if each.name not in without]
    return [each for each in there if names is None or each.name in names]


def send(channels: Sequence[Channel], job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Send to all of *channels* at once; one result for each, in their order."""
    answers: queue.Queue[tuple[str, str | None]] = queue.Queue()
    for channel in channels:
        threading.Thread(
            target=lambda channel=channel: answers.put((channel.name, _send_one(channel, job))),
            name=channel.name,
            daemon=True,
        ).start()
    wait_s = float(job.get("answer_s") or ANSWER_S)
    problems = {each.name: f"no answer within {wait_s:.0f} s" for each in channels}
    told: dict[str, str | None] = dict(problems)
    deadline = time.monotonic() + wait_s
    for _ in channels:
        try:
            name, problem = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        told[name] = problem
    return [
        {"channel": each.name, "ok": told[each.name] is None, "problem": told[each.name]}
        for each in channels
    ]


def _send_one(channel: Channel, job: Mapping[str, Any]) -> str | None:
    """None when the service took it, else why not."""
    words = _Words()
    try:
        service = _service(channel, words)
        if service is None:
            return _UNKNOWN_URL
        done = service.notify(
            body=str(job.get("body") or ""),
            title=str(job.get("title") or ""),
            notify_type=_TYPES.get(str(job.get("severity")), "info"),
        )
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the reason is told
        return _redacted(f"{type(error).__name__}: {error}", channel.url)
    return None if done else _redacted(words.last or "the service refused it", channel.url)


def problem_with(channel: Channel) -> str | None:
    """Why nothing can ever be sent to *channel*; nobody is called."""
    try:
        known = _service(channel, _Words()) is not None
    except Exception as error:  # noqa: BLE001 - as above
        return _redacted(f"{type(error).__name__}: {error}", channel.url)
    return None if known else f"{channel.redacted}: {_UNKNOWN_URL}"


def _service(channel: Channel, words: _Words) -> Any:
    """apprise's object for a channel; None where it does not understand the URL."""
    import apprise

    log = logging.getLogger("apprise")
    log.propagate = False
    log.setLevel(logging.WARNING)
    log.addHandler(words)
    service = apprise.Apprise.instantiate(channel.url)
    # What the URL itself says (`?rto=5`) holds.
    if service and service.socket_read_timeout == type(service).socket_read_timeout:
        service.socket_read_timeout = READ_S
    return service


_UNKNOWN_URL = (
    "apprise does not know such a URL, or it lacks a part; see https://appriseit.com/services/"
)
_TYPES = {"wake": "failure", "tell": "info"}


class _Words(logging.Handler):
    """Keeps what apprise last complained of in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = record.getMessage()


def _redacted(text: str, url: str) -> str:
    """*text* without any part of *url* that could be a secret."""
    parts = [part for part in re.split(r"[/:@?&=,#%]+", url.partition("://")[2]) if len(part) > 3]
    for part in sorted([url, *parts], key=len, reverse=True):
        text = text.replace(part, "…")
    return clean_line(" ".join(text.split()), PROBLEM_LIMIT)


def _answer(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
