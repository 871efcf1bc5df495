"""Alerts of the keeper, or of a foreign run's guard: a lost watcher, its own deeds, an unseen end.

The rule: the watcher alerts while there is one; the keeper speaks where the watcher cannot, with
the same words, the same channels and the same acknowledgement.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from monitor.ack import AckWatch
from monitor.alert_aftermath import leave_to_aftermath
from monitor.alert_model import AlertState, Due, Kind, Look, Severity
from monitor.alert_settings import minute_of_day, read_settings
from monitor.alert_text import Facts, compose
from monitor.alerts import advance, is_by_user
from monitor.events import append_event
from monitor.model import FINAL, Liveness, Status
from monitor.outbox import Outbox
from monitor.probes.clock import read_now
from monitor.probes.text import clean_line
from monitor.rundir import RunDir
from monitor.status import read_status
from monitor.troubles import watcher_trouble
from monitor.watch_state import read_watch

logger = logging.getLogger(__name__)

LOOK_S = 1.0


class KeeperAlerts:
    """Alerts of one run, from its keeper."""

    def __init__(self, run: RunDir, source: str = "keeper") -> None:
        self._run = run
        self._source = source
        self._settings = read_settings()
        self._state = AlertState()
        self._outbox = Outbox()
        self._ack = AckWatch(run)
        self._ack.is_new()  # what was acknowledged before this keeper is past
        self._look_s = 0.0
        self._held: tuple[str, ...] = ()

    def tend(self, *, watcher_lost: bool) -> None:
        """Go on with sending; wake somebody once the watcher is given up. Returns at once."""
        now_s = time.monotonic()
        if now_s < self._look_s:
            return
        self._look_s = now_s + LOOK_S
        trouble = watcher_trouble("it died again and again; nobody judges the run now")
        look = Look(
            verdict=None,
            now_s=now_s,
            others=(trouble,) if watcher_lost else (),
            acknowledged=self._ack.is_new(),
        )
        if look.acknowledged:
            self._outbox.forget_reminders()
        self._state, due = advance(self._state, look, self._settings.repeat_s)
        for each in due:
            self._raise(each)
        for text in self._outbox.poll(now_s):
            self._event("note", text)

    def tell(self, key: str, word: str, reason: str) -> None:
        """Alert of something that the keeper did by itself."""
        due = Due(key=key, severity=Severity.TELL, kind=Kind.RAISED, word=word, reason=reason)
        self._raise(due)

    def close(self, status: Status | None, cause: str | None, attempt: int) -> None:
        """Alert of the end if no watcher did, and leave what is unsent to the aftermath.

        *status* None: a foreign run's process is gone, and nobody saw how it ended.
        """
        reminder = None
        if not self._watcher_told(attempt):
            reminder = self._tell_end(status, cause)
        self._outbox.close()
        try:
            leave_to_aftermath(
                self._run,
                outbox=self._outbox,
                held=self._held,
                reminder=reminder,
                facts=self._facts(),
                settings=self._settings,
                attempt=attempt,
                ack=self._ack.seen,
            )
        except OSError as error:
            logger.warning("cannot send what is left: %s", error)

    def _watcher_told(self, attempt: int) -> bool:
        word = read_watch(self._run.watch).value
        return word is not None and word.attempt == attempt and word.recorded in FINAL

    def _tell_end(self, status: Status | None, cause: str | None) -> Due | None:
        if status is Status.STOPPED and is_by_user(cause):
            return None
        failed = status in (Status.FAILED, None)
        word = str(status or Liveness.ENDED)
        due = Due(
            key=word,
            severity=Severity.WAKE if failed else Severity.TELL,
            kind=Kind.ENDED,
            word=word,
            reason=f"{cause or word}; no watcher saw it",
        )
        self._raise(due)
        return due if failed else None

    def _raise(self, due: Due) -> None:
        text = compose(due, self._facts())
        fields = {"severity": str(due.severity), "key": due.key, "about": str(due.kind)}
        self._event("alert", f"{text.title}: {due.reason}", **fields)
        quiet = self._settings.quiet
        if due.severity is Severity.TELL and quiet and quiet.hold(minute_of_day(time.time())):
            self._held = (*self._held, text.title)
            return
        self._outbox.send(due, text)

    def _facts(self) -> Facts:
        status = read_status(self._run.root)
        whole = [each for each in status.checkpoints if each.complete]
        return Facts(
            run=self._run.root.name,
            host=self._settings.host,
            name=status.name,
            iteration=status.iteration.value,
            iteration_error=status.iteration.error,
            iteration_source=status.iteration.source,
            total=status.iteration.total,
            checkpoint=whole[-1].iteration if whole else None,
            checkpoint_age_s=whole[-1].age_s if whole else None,
            foreign=status.foreign is not None,
        )

    def _event(self, kind: str, text: str, **fields: Any) -> None:
        problem = append_event(
            self._run.events, kind, clean_line(text), self._source, read_now(), **fields
        )
        if problem:
            logger.warning("%s", problem)
