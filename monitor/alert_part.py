"""The watcher's part that alerts: judges each look, records what is due, and has it sent.

The rule: a verdict never waits for a message. What is to be sent lies in the outbox, a child sends
it, and what is left at the end of the watch goes on in a process of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from monitor.ack import AckWatch
from monitor.alert_aftermath import leave_to_aftermath
from monitor.alert_model import AlertState, Due, Kind, Look, Severity, Trouble
from monitor.alert_settings import AlertSettings, minute_of_day, read_settings
from monitor.alert_text import Facts, Text, compose, digest
from monitor.alerts import advance, is_by_user, sent_now
from monitor.codec import decode, dumps
from monitor.diagnosis.inquiry import Inquiry
from monitor.frozen import replace
from monitor.model import FINAL, Liveness, Verdict
from monitor.outbox import Outbox
from monitor.probes.clock import Now
from monitor.probes.process import is_alive
from monitor.probes.text import clean_line
from monitor.rundir import RunDir
from monitor.status_model import AlertView
from monitor.troubles import end_trouble, keeper_trouble, memory_trouble

if TYPE_CHECKING:
    from monitor.parts import Say, Tick

HELD_LIMIT = 50
"""Messages kept over the quiet hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What watch.json keeps under `parts.alerts`. It never holds a URL."""

    state: AlertState = field(default_factory=AlertState)
    held: tuple[str, ...] = ()
    """Titles that wait for the end of the quiet hours."""
    last: AlertView | None = None
    ack: str | None = None
    pending: tuple[str, ...] = ()
    acked: tuple[str, ...] = ()
    channels_failing: Mapping[str, str] = field(default_factory=dict)
    outbox: Any = None
    waiting: Due | None = None
    """A stall that is alerted of once its diagnosis is there."""
    diagnosed: int | None = None
    """The attempt that was last diagnosed."""


class AlertPart:
    """See `monitor.parts.Part`."""

    name = "alerts"

    def __init__(
        self,
        run_dir: RunDir,
        say: Say,
        remembered: object,
        settings: AlertSettings | None = None,
    ) -> None:
        self._dir, self._say = run_dir, say
        self._settings = settings or read_settings()
        kept = _decoded(remembered)
        self._state, self._held, self._last = kept.state, list(kept.held), kept.last
        self._ack = AckWatch(run_dir, kept.ack)
        self._outbox = Outbox(kept.outbox)
        self._facts = Facts(run=run_dir.root.name, host=self._settings.host)
        self._problems = self._settings.problems
        self._attempt = 1
        self._waiting = kept.waiting
        self._inquiry = Inquiry(run_dir, kept.diagnosed)

    def tick(self, tick: Tick) -> None:
        """Judge one look; record and queue what is due; go on with sending."""
        now, self._facts = tick.now, _facts(tick, self._settings.host)
        self._attempt = tick.target.attempt
        for problem in self._problems:
            self._say("note", problem, now)
        self._problems = ()
        look = _look(tick, acknowledged=self._ack.is_new())
        if look.acknowledged:
            self._outbox.forget_reminders()
        self._state, due = advance(self._state, look, self._settings.repeat_s)
        due = tuple(each for each in due if not self._is_early(each))
        over = tick.verdict.liveness in FINAL
        if over or not self._inquiry.pending or any(each.key == "stalled" for each in due):
            self._raise_waiting(tick)
        for each in due:
            if not self._diagnose_first(each, tick):
                self._raise(each, now)
        self._let_go(now)
        for text in self._outbox.poll(now.monotonic_s):
            self._say("note", text, now)

    def remembered(self) -> object:
        """State, outbox and what `status` shows."""
        kept = Remembered(
            state=self._state,
            held=tuple(self._held),
            last=self._last,
            ack=self._ack.seen,
            pending=self._state.pending,
            acked=self._state.acked,
            channels_failing=self._outbox.failing,
            outbox=self._outbox.remembered(),
            waiting=self._waiting,
            diagnosed=self._inquiry.asked,
        )
        plain: dict[str, Any] = json.loads(dumps({"alerts": kept}))["alerts"]
        return plain

    def close(self) -> None:
        """Leave what is unsent, held back or to be repeated to a process that lives on."""
        self._outbox.close()
        leave_to_aftermath(
            self._dir,
            outbox=self._outbox,
            held=tuple(self._held),
            reminder=self._reminder(),
            facts=self._facts,
            settings=self._settings,
            attempt=self._attempt,
            ack=self._ack.seen,
        )

    def _reminder(self) -> Due | None:
        """The failure that nobody has acknowledged yet."""
        ended = [key for key in self._state.pending if key in ("failed", "ended")]
        if self._state.ended is None or not ended:
            return None
        spell = self._state.spells[ended[0]]
        return Due(
            key=ended[0],
            severity=spell.severity,
            kind=Kind.REMINDER,
            word=spell.word,
            reason=spell.reason,
            reminders=spell.reminders,
        )

    def _diagnose_first(self, due: Due, tick: Tick) -> bool:
        """Whether *due* is to wait until it is known why the run has stalled."""
        if due.key != "stalled" or due.kind is not Kind.RAISED:
            return False
        process = tick.target.process
        if process is None or not is_alive(process) or not self._inquiry.begin(tick.target.attempt):
            return False
        self._waiting = due
        return True

    def _is_early(self, due: Due) -> bool:
        """It reminds of what waits, and would overtake it."""
        waiting = self._waiting
        return waiting is not None and due.kind is Kind.REMINDER and due.key == waiting.key

    def _raise_waiting(self, tick: Tick) -> None:
        due, self._waiting = self._waiting, None
        found = self._inquiry.answer()
        if due is not None:
            self._state = sent_now(self._state, due.key, tick.observation.taken_at)
            self._raise(due, tick.now, found)

    def _raise(self, due: Due, now: Now, diagnosis: str | None = None) -> None:
        text = compose(due, replace(self._facts, diagnosis=diagnosis))
        self._last = AlertView(
            number=self._last.number + 1 if self._last else 1,
            key=due.key,
            severity=str(due.severity),
            title=text.title,
            wall_s=now.wall_s,
        )
        fields = {"severity": str(due.severity), "key": due.key, "about": str(due.kind)}
        reason = due.reason
        if diagnosis is not None:
            fields["diagnosis"] = diagnosis
            reason += f"; diagnosis: {diagnosis}"
        self._say("alert", f"{text.title}: {reason}", now, **fields)
        if due.severity is Severity.TELL and self._is_quiet(now):
            self._held = [*self._held, text.title][-HELD_LIMIT:]
            return
        self._outbox.send(due, text)

    def _let_go(self, now: Now) -> None:
        """After the quiet hours: one message of all that was held back."""
        if self._held and not self._is_quiet(now):
            text: Text = digest(tuple(self._held), self._facts)
            self._held = []
            self._outbox.put(str(Severity.TELL), text.title, text.body)

    def _is_quiet(self, now: Now) -> bool:
        quiet = self._settings.quiet
        return quiet is not None and quiet.hold(minute_of_day(now.wall_s))


def _look(tick: Tick, *, acknowledged: bool) -> Look:
    return Look(
        verdict=_cleaned(tick.verdict),
        now_s=tick.observation.taken_at,
        attempt=tick.target.attempt,
        total=tick.observation.total,
        by_user=is_by_user(tick.target.cause),
        again=tick.target.exported,
        others=tuple(_others(tick)),
        unclear=("memory",) if tick.memory is None else (),
        others_speak=("memory",) if tick.memory is not None and not tick.memory.speaks else (),
        acknowledged=acknowledged,
    )


def _cleaned(verdict: Verdict) -> Verdict:
    """A reason may hold the words of a log."""
    return replace(verdict, reason=clean_line(verdict.reason))


def _others(tick: Tick) -> Iterator[Trouble]:
    memory = tick.memory
    if memory is not None and memory.speaks:
        trouble = memory_trouble(str(memory.level), clean_line(memory.reason))
        if trouble is not None:
            yield trouble
    process = tick.observation.process
    if tick.verdict.liveness is Liveness.LOST and process is not None and not process.alive:
        yield end_trouble(tick.verdict.reason)
    if tick.keeper_lost is not None:
        yield keeper_trouble(tick.keeper_lost, foreign=tick.target.foreign)


def _facts(tick: Tick, host: str) -> Facts:
    target, verdict, seen = tick.target, tick.verdict, tick.observation
    last = seen.checkpoints.last_complete if seen.checkpoints else None
    return Facts(
        run=target.run_dir.root.name,
        host=host,
        name=target.name,
        iteration=verdict.iteration,
        iteration_error=verdict.iteration_error,
        iteration_source=verdict.iteration_source,
        total=seen.total,
        checkpoint=last.iteration if last else None,
        checkpoint_age_s=max(0.0, tick.now.wall_s - last.modified_wall) if last else None,
        progress_age_s=seen.ages.progress_s,
        foreign=target.foreign,
        signature=verdict.signature,
        memory_share=tick.memory.run_share if tick.memory else None,
        memory_holder=tick.memory.holder if tick.memory else None,
        resumes_itself=target.on_failure == "resume-once" and not target.resumed_by_itself,
    )


def _decoded(remembered: object) -> Remembered:
    """What the part before this one left; anything else is nothing."""
    try:
        return decode(Remembered, remembered) if remembered else Remembered()
    except ValueError:
        return Remembered()
