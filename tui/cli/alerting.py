"""`lanewatch alerts add|list|test|remove` and `lanewatch ack RUN`. No URL is ever printed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from monitor.ack import write_ack
from monitor.alert_channels import (
    Channel,
    channels_path,
    problem_of,
    read_channels,
    with_channel,
    write_channels,
)
from monitor.alert_settings import read_settings
from monitor.events import append_event
from monitor.model import FINAL
from monitor.outbox import start_sender
from monitor.probes.clock import read_now
from monitor.rundir import RunDir, runs_root
from monitor.status import read_status
from runners.errors import RunnerError
from runners.runs import find_run, iter_runs, read_status_word
from tui.cli import exits
from tui.cli.output import complain, out, out_json

TEST_S = 45.0
"""The sender itself gives up after 20 s."""


def alerts_command(options: argparse.Namespace) -> int:
    """Carry out one of the verbs."""
    verbs = {"add": _add, "list": _list, "test": _test, "remove": _remove}
    return verbs[options.verb](options)


def _add(options: argparse.Namespace) -> int:
    url = sys.stdin.readline().strip() if options.url == "-" else options.url
    channel = checked_channel(url, options.name)
    keep_channel(channel)
    out(channel.name)
    complain(f"try it: lanewatch alerts test {channel.name}")
    return exits.OK


def checked_channel(url: str, name: str | None) -> Channel:
    """What may be kept as a channel; nothing is kept yet. No message holds the URL.

    Raises ChannelError, and RunnerError for what apprise does not know.
    """
    channel = with_channel(read_channels(channels_path()), url, name)
    _ask_sender({"check": channel.url})
    return channel


def keep_channel(channel: Channel) -> None:
    """Add *channel* to those that are kept. Raises ChannelError, also where its name is taken."""
    channels = read_channels(channels_path())
    write_channels(channels_path(), (*channels, with_channel(channels, channel.url, channel.name)))


def _remove(options: argparse.Namespace) -> int:
    remove_channel(options.name)
    out(options.name)
    return exits.OK


def remove_channel(name: str) -> None:
    """Keep the channel of that name no longer. Raises ChannelError, RunnerError for no such one."""
    channels = read_channels(channels_path())
    left = tuple(each for each in channels if each.name != name)
    if len(left) == len(channels):
        raise RunnerError(_unknown(name, channels))
    write_channels(channels_path(), left)


def _unknown(name: str, channels: tuple[Channel, ...]) -> str:
    have = ", ".join(each.name for each in channels) or "none yet; see `lanewatch alerts add`"
    return f"no alert channel is called {name!r}; there are: {have}"


def _list(options: argparse.Namespace) -> int:
    channels = read_channels(channels_path())
    failing = _failing()
    if options.json:
        out_json(
            [
                {"name": each.name, "url": each.redacted, "failing": failing.get(each.name)}
                for each in channels
            ]
        )
        return exits.OK
    if not channels:
        complain("no alert channel; `lanewatch alerts add URL` makes one, for example ntfy://TOPIC")
    for each in channels:
        problem = f"  fails: {failing[each.name]}" if each.name in failing else ""
        out(f"{each.name}  {each.redacted}{problem}")
    return exits.OK


def _failing() -> dict[str, str]:
    """Channels that a live run could not send to, with the reason."""
    found: dict[str, str] = {}
    try:
        runs = list(iter_runs(runs_root()))
    except RunnerError as error:
        complain(f"whether a channel fails is not known: {error}")
        return {}
    for run in runs:
        word = read_status_word(run)  # a foreign run has none
        if word is None or not word.final:
            status = read_status(run.root, now=read_now())
            if status.verdict not in FINAL:
                found |= dict(status.alerts.channels_failing)
    return found


def _test(options: argparse.Namespace) -> int:
    results = send_test(options.channel)
    failed = [each for each in results if not each["ok"]]
    if options.json:
        out_json(results)
    else:
        for each in results:
            out(f"{each['channel']}: " + ("sent" if each["ok"] else f"failed, {each['problem']}"))
    return exits.FAILED if failed else exits.OK


def send_test(chosen: str | None) -> list[dict[str, Any]]:
    """Send a test to one channel or all; a result each. Raises RunnerError."""
    host = read_settings().host
    job: dict[str, Any] = {
        "title": f"lanewatch test from {host}",
        "body": f"Alerts of {host} arrive here.\nssh -t {host} lanewatch",
        "severity": "tell",
    }
    channels = read_channels(channels_path())
    if chosen is not None and "://" in chosen:
        if (problem := problem_of(chosen)) is not None:
            raise RunnerError(problem)
        job["url"] = chosen
    elif chosen is not None:
        if chosen not in {each.name for each in channels}:
            raise RunnerError(_unknown(chosen, channels))
        job["channels"] = [chosen]
    elif not channels:
        raise RunnerError("there is no alert channel to test; `lanewatch alerts add URL` makes one")
    return _ask_sender(job)


def _ask_sender(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Its results; only that process loads apprise. Raises RunnerError with what it refuses."""
    sender = start_sender(job)
    assert sender.stdout is not None
    try:
        with sender:
            raw, _ = sender.communicate(timeout=TEST_S)
        answer = json.loads(raw)
    except (subprocess.TimeoutExpired, ValueError) as error:
        sender.kill()
        raise RunnerError("the process that sends gave no answer") from error
    if answer.get("problem"):
        raise RunnerError(str(answer["problem"]))
    return list(answer["results"])


def ack_command(options: argparse.Namespace) -> int:
    """Say that somebody knows: reminders of what was sent until now cease."""
    complain(acknowledge(find_run(runs_root(), options.run)))
    return exits.OK


def acknowledge(run: RunDir) -> str:
    """Acknowledge what was sent for *run* until now; returns what to tell. Raises RunnerError."""
    now = read_now()
    pending = read_status(run.root, now=now).alerts.pending
    try:
        write_ack(run, now)
    except OSError as error:
        raise RunnerError(f"cannot write {run.ack}: {error.strerror or error}") from error
    append_event(run.events, "action", "the alerts were acknowledged", "user", now, ack=True)
    what = ", ".join(pending) if pending else "nothing was waiting for it"
    return f"{run.root.name}: acknowledged ({what})"
