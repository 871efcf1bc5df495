"""Send what is left when the watch of a run ends: `python -m monitor.alert_aftermath RUN`.

The rule: it sends, reminds and ends. It judges nothing and holds no lock of the run; it leaves once
all is sent and the failure is acknowledged, resumed or its folder gone, at the latest after a day.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monitor.ack import AckWatch
from monitor.alert_channels import channels_path
from monitor.alert_model import Due, Severity
from monitor.alert_settings import AlertSettings, minute_of_day
from monitor.alert_text import Facts, compose, digest
from monitor.bequest import leave
from monitor.codec import decode, dumps
from monitor.events import append_event
from monitor.files import read_json
from monitor.outbox import Outbox
from monitor.probes.clock import read_now
from monitor.quiet import QuietHours
from monitor.rundir import RunDir

POLL_S = 0.5
LOOK_S = 5.0
LONGEST_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that is left to do."""

    facts: Facts
    outbox: Any = None
    held: tuple[str, ...] = ()
    reminder: Due | None = None
    attempt: int = 1
    ack: str | None = None
    repeat_s: float = 900.0
    quiet: QuietHours | None = None


def leave_to_aftermath(
    run: RunDir,
    *,
    outbox: Outbox,
    held: tuple[str, ...],
    reminder: Due | None,
    facts: Facts,
    settings: AlertSettings,
    attempt: int,
    ack: str | None,
) -> None:
    """Start the process, if there is anything left for it. Raises OSError."""
    if not channels_path().exists() or not (held or reminder or not outbox.empty):
        return
    job = Job(
        facts=facts,
        outbox=outbox.remembered(),
        held=held,
        reminder=reminder,
        attempt=attempt,
        ack=ack,
        repeat_s=settings.repeat_s,
        quiet=settings.quiet,
    )
    leave("monitor.alert_aftermath", str(run.root), dumps({"job": job}))


def aged(facts: Facts, seconds: float) -> Facts:
    """The facts of *seconds* ago: what was lost then has only become more."""
    progress, checkpoint = facts.progress_age_s, facts.checkpoint_age_s
    return replace(
        facts,
        progress_age_s=None if progress is None else progress + seconds,
        checkpoint_age_s=None if checkpoint is None else checkpoint + seconds,
    )


class Aftermath:
    """Works off one job."""

    def __init__(self, run: RunDir, job: Job) -> None:
        self._run, self._job = run, job
        self._outbox = Outbox(job.outbox)
        self._ack = AckWatch(run, job.ack)
        self._held, self._reminder = job.held, job.reminder
        self._remind_s = time.monotonic() + job.repeat_s
        self._look_s = self._began_s = time.monotonic()

    def work(self) -> None:
        """Send, remind, and return when nothing is left."""
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end and self._run.root.exists():
            self._step(time.monotonic())
            if self._outbox.empty and not self._held and self._reminder is None:
                break
            time.sleep(POLL_S)
        self._outbox.close()

    def _step(self, now_s: float) -> None:
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            if self._resumed():
                self._end_reminders()
        if self._ack.is_new():
            self._end_reminders()
        if self._held and not self._is_quiet():
            text = digest(self._held, self._job.facts)
            self._held = ()
            self._outbox.put(str(Severity.TELL), text.title, text.body)
        if self._reminder is not None and now_s >= self._remind_s:
            self._remind(self._reminder, now_s)
        for said in self._outbox.poll(now_s):
            self._event("note", said)

    def _remind(self, due: Due, now_s: float) -> None:
        self._remind_s = now_s + self._job.repeat_s
        self._reminder = due = replace(due, reminders=due.reminders + 1)
        text = compose(due, aged(self._job.facts, now_s - self._began_s))
        fields = {"severity": str(due.severity), "key": due.key, "about": str(due.kind)}
        self._event("alert", f"{text.title}: {due.reason}", **fields)
        self._outbox.send(due, text)

    def _end_reminders(self) -> None:
        self._reminder = None
        self._outbox.forget_reminders()

    def _resumed(self) -> bool:
        attempt = (read_json(self._run.state).value or {}).get("attempt")
        return isinstance(attempt, int) and attempt != self._job.attempt

    def _is_quiet(self) -> bool:
        quiet = self._job.quiet
        return quiet is not None and quiet.hold(minute_of_day(time.time()))

    def _event(self, kind: str, text: str, **fields: Any) -> None:
        append_event(self._run.events, kind, text, "watcher", read_now(), **fields)


def read_job(raw: bytes) -> Job:
    """Raises ValueError."""
    value: Mapping[str, Any] = json.loads(raw)
    return decode(Job, value.get("job"))


def main(arguments: list[str] | None = None) -> int:
    """Work off the job on stdin."""
    logging.raiseExceptions = False
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    (folder,) = sys.argv[1:] if arguments is None else arguments
    Aftermath(RunDir(Path(folder)), read_job(sys.stdin.buffer.read())).work()
    return 0


if __name__ == "__main__":
    sys.exit(main())
