"""Decide which alert is due. Pure: the same looks always give the same alerts.

The rule: an alert is an edge, not a state. A trouble is sent once when it has held, again only
while it is a `wake` that nobody acknowledged, and its end only where its beginning was sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from monitor.alert_model import AlertState, Due, Kind, Look, Severity, Spell, Trouble
from monitor.frozen import replace
from monitor.model import FINAL, Liveness, Verdict
from monitor.troubles import of_verdict

RECOVERED_LOOKS = 10
"""A trouble must be away for so many looks before its end is told."""
CALM_LOOKS: Mapping[str, int] = {"memory": 60, "slow": 60, "log-stuck": 30, "disk-low": 600}
"""Of troubles that come and go: free space swings with whatever else writes there."""
REARM_S = 1800.0
"""A `tell` of the same key is sent again after this long at the earliest."""


def advance(state: AlertState, look: Look, repeat_s: float) -> tuple[AlertState, tuple[Due, ...]]:
    """Take one look into account. Returns the new state and the alerts that are due, in order."""
    if look.acknowledged:
        state = replace(state, spells={key: _acked(each) for key, each in state.spells.items()})
    if look.attempt != state.attempt:  # what was told of the attempt before is past
        apart = {key: spell for key, spell in state.spells.items() if spell.apart}
        state = replace(state, attempt=look.attempt, spells=apart, ended=None)
    if look.verdict is not None and look.verdict.liveness in FINAL:
        return _end(state, look, look.verdict, repeat_s)
    kept = {key: each for key, each in state.spells.items() if key not in look.others_speak}
    state = replace(state, spells=kept)
    fold = _Fold(state, look, repeat_s)
    present = {each.key: each for each in (*of_verdict(look.verdict), *look.others)}
    for key in (*present, *(key for key in state.spells if key not in present)):
        fold.see(key, present.get(key))
    return fold.result()


def sent_now(state: AlertState, key: str, now_s: float) -> AlertState:
    """What was due earlier is sent only now: its reminders count from here."""
    spell = state.spells.get(key)
    if spell is None:
        return state
    return replace(state, spells={**state.spells, key: replace(spell, sent_s=now_s, reminders=0)})


def _acked(spell: Spell) -> Spell:
    return replace(spell, acked=True) if spell.sent_s is not None else spell


class _Fold:
    """One look, trouble by trouble."""

    def __init__(self, state: AlertState, look: Look, repeat_s: float) -> None:
        self._state, self._look, self._repeat_s = state, look, repeat_s
        self._spells: dict[str, Spell] = {}
        self._told = dict(state.told_s)
        self.due: list[Due] = []

    def see(self, key: str, trouble: Trouble | None) -> None:
        spell = self._state.spells.get(key)
        if trouble is not None:
            spell = self._present(key, trouble, spell)
        elif spell is not None:
            spell = self._absent(key, spell)
        if spell is not None:
            self._spells[key] = spell

    def result(self) -> tuple[AlertState, tuple[Due, ...]]:
        if any(key == "stalled" for key in self._raised()):
            for key in ("log-stuck", "slow"):  # said again, worse
                self._spells.pop(key, None)
        return replace(self._state, spells=self._spells, told_s=self._told), tuple(self.due)

    def _raised(self) -> list[str]:
        return [due.key for due in self.due if due.kind is Kind.RAISED]

    def _present(self, key: str, trouble: Trouble, spell: Spell | None) -> Spell:
        spell = spell or Spell(severity=trouble.severity, word=trouble.word, reason="")
        risen = spell.confirmed and trouble.level > spell.level
        spell = replace(
            spell,
            severity=trouble.severity,
            word=trouble.word,
            reason=trouble.reason,
            level=trouble.level,
            apart=trouble.apart,
            looks=spell.looks + 1,
            away=0,
            confirmed=spell.confirmed or spell.looks + 1 >= trouble.looks,
        )
        if not spell.confirmed:
            return spell
        if spell.sent_s is None or risen:
            return self._raise(key, spell)
        return self.remind(key, spell)

    def _raise(self, key: str, spell: Spell) -> Spell:
        now_s = self._look.now_s
        if spell.severity is Severity.TELL:
            told = self._told.get(key)
            if told is not None and 0 <= now_s - told < REARM_S:
                return spell
            self._told[key] = now_s
        self.due.append(_due(key, spell, Kind.RAISED))
        return replace(spell, sent_s=now_s, reminders=0, acked=False)

    def remind(self, key: str, spell: Spell) -> Spell:
        sent = spell.sent_s
        if spell.severity is not Severity.WAKE or spell.acked or sent is None:
            return spell
        if 0 <= self._look.now_s - sent < self._repeat_s:
            return spell
        spell = replace(spell, sent_s=self._look.now_s, reminders=spell.reminders + 1)
        self.due.append(_due(key, spell, Kind.REMINDER))
        return spell

    def _absent(self, key: str, spell: Spell) -> Spell | None:
        if not spell.confirmed:
            return None
        doubtful = key in self._look.unclear or (not spell.apart and _unclear(self._look.verdict))
        if doubtful:
            return self.remind(key, replace(spell, away=0))
        spell = replace(spell, away=spell.away + 1)
        if spell.away < CALM_LOOKS.get(key, RECOVERED_LOOKS):
            return spell
        if spell.sent_s is not None:
            verdict = self._look.verdict
            now = verdict.reason if verdict is not None and not spell.apart else ""
            now = now or f"it was: {spell.reason}"
            self.due.append(_due(key, replace(spell, reason=now), Kind.RECOVERED))
        return None


def _due(key: str, spell: Spell, kind: Kind) -> Due:
    severity = Severity.TELL if kind is Kind.RECOVERED else spell.severity
    return Due(
        key=key,
        severity=severity,
        kind=kind,
        word=spell.word,
        reason=spell.reason,
        reminders=spell.reminders,
    )


def _unclear(verdict: Verdict | None) -> bool:
    """While it is not known to train again, no trouble of a run is over."""
    doubtful = (Liveness.SUSPECT, Liveness.STALLED, Liveness.LOST)
    return verdict is not None and verdict.liveness in doubtful


def _end(
    state: AlertState, look: Look, verdict: Verdict, repeat_s: float
) -> tuple[AlertState, tuple[Due, ...]]:
    """An ending is told once; a failure is a trouble that stays until it is acknowledged."""
    key = str(verdict.liveness)
    if state.ended == key:
        fold = _Fold(state, look, repeat_s)
        spells = {key: fold.remind(key, spell) for key, spell in state.spells.items()}
        return replace(state, spells=spells), tuple(fold.due)
    severity = _severity_of_end(look, verdict)
    if severity is None:
        return replace(state, ended=key, spells={}), ()
    spell = Spell(
        severity=severity,
        word=key,
        reason=verdict.reason,
        confirmed=True,
        sent_s=look.now_s,
    )
    kept = {key: spell} if severity is Severity.WAKE else {}
    return replace(state, ended=key, spells=kept), (_due(key, spell, Kind.ENDED),)


def _severity_of_end(look: Look, verdict: Verdict) -> Severity | None:
    if look.again:
        return None  # it was told then
    if verdict.liveness is Liveness.FAILED:
        return Severity.WAKE
    if verdict.liveness is Liveness.STOPPED and look.by_user:
        return None
    if verdict.liveness is Liveness.ENDED and cut_short(verdict, look.total):
        return Severity.WAKE  # all that can be seen of a foreign run's failure
    return Severity.TELL


def cut_short(verdict: Verdict, total: int | None) -> bool:
    """It is over before its last iteration; where none was ever seen, it did not get there."""
    if total is None:
        return False
    if verdict.iteration is None:
        return True
    return verdict.iteration + verdict.iteration_error < total


def ended_badly(verdict: Verdict, *, total: int | None, by_user: bool) -> bool:
    """An end that nobody asked for: failed, over too early, or stopped by something else."""
    if verdict.liveness is Liveness.STOPPED:
        return not by_user
    ended_early = verdict.liveness is Liveness.ENDED and cut_short(verdict, total)
    return verdict.liveness is Liveness.FAILED or ended_early


def is_by_user(cause: str | None) -> bool:
    """Whether the cause of a stop names the person who would be told of it."""
    return "by the user" in (cause or "")
