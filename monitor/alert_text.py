"""What an alert says: a title and at most six lines, to be read on a phone at 3 a.m. Pure.

The rule: which run, what is wrong, how far it is proven to be, what is at stake, what to do first
and how to get there, in this order and nothing else. What is not known is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from monitor.alert_model import Due, Kind
from monitor.memory_model import is_of_others
from monitor.words import duration

LINE_LIMIT = 160
TITLE_LIMIT = 100
DIGEST_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the run when an alert is due."""

    run: str
    host: str
    name: str | None = None
    iteration: int | None = None
    iteration_error: int = 0
    iteration_source: str | None = None
    total: int | None = None
    checkpoint: int | None = None
    """The last whole one."""
    checkpoint_age_s: float | None = None
    progress_age_s: float | None = None
    """Since progress was last proven; None: never, or it ended."""
    signature: str | None = None
    """What a stall looks like, as `monitor.signatures` names it."""
    memory_share: float | None = None
    """Of the climb of memory, 0 to 1, what this run explains."""
    memory_holder: str | None = None
    """Who else holds most, with its pid and how much."""
    foreign: bool = False
    diagnosis: str | None = None
    """Where it hangs and why, in a sentence."""
    resumes_itself: bool = False
    """The keeper will end it and go on from the last whole checkpoint."""


@dataclass(frozen=True, slots=True)
class Text:
    """A message."""

    title: str
    body: str


def compose(due: Due, facts: Facts) -> Text:
    """Say one alert."""
    return Text(_cut(_title(due, facts), TITLE_LIMIT), "\n".join(_lines(due, facts)))


def digest(titles: tuple[str, ...], facts: Facts) -> Text:
    """Say in one message what was held back over the quiet hours, oldest first."""
    shown = titles if len(titles) < DIGEST_LINES else titles[: DIGEST_LINES - 2]
    lines = [_cut(each, LINE_LIMIT) for each in shown]
    if len(titles) > len(shown):
        lines.append(f"and {len(titles) - len(shown)} more: lanewatch events {facts.run}")
    lines.append(_way_in(facts))
    many = "1 message" if len(titles) == 1 else f"{len(titles)} messages"
    title = f"{many} from the quiet hours: {_called(facts)}"
    return Text(_cut(title, TITLE_LIMIT), "\n".join(lines))


def _title(due: Due, facts: Facts) -> str:
    if due.kind is Kind.RECOVERED:
        return f"recovered ({due.word} is over): {_called(facts)}"
    if due.kind is Kind.REMINDER:
        return f"still {due.word} (reminder {due.reminders}): {_called(facts)}"
    return f"{due.word}: {_called(facts)}"


def _called(facts: Facts) -> str:
    return f"{facts.name} ({facts.run})" if facts.name else facts.run


def _lines(due: Due, facts: Facts) -> Iterator[str]:
    yield _cut(due.reason, LINE_LIMIT)
    if facts.diagnosis is None:
        yield _how_far(facts)
        yield _checkpoint(facts)
    else:  # six lines are all that a phone shows
        yield _cut(facts.diagnosis, LINE_LIMIT)
        yield _cut(f"{_how_far(facts)}; {_checkpoint(facts)}", LINE_LIMIT)
    if due.kind is not Kind.RECOVERED and (lost := _lost(due, facts)):
        yield lost
    if due.kind is not Kind.RECOVERED and (remedy := first_remedy(due, facts)):
        yield _cut(f"first: {remedy}", LINE_LIMIT)
    yield _way_in(facts)


def _how_far(facts: Facts) -> str:
    if facts.iteration is None:
        return "no iteration proven yet"
    of = f" of {facts.total}" if facts.total else ""
    error = f", up to {facts.iteration_error} more" if facts.iteration_error else ""
    source = f" (proven by {facts.iteration_source}{error})" if facts.iteration_source else error
    return f"iteration {facts.iteration}{of}{source}"


def _checkpoint(facts: Facts) -> str:
    if facts.checkpoint is None:
        return "no whole checkpoint yet"
    if facts.checkpoint_age_s is None:
        return f"last checkpoint {facts.checkpoint}"
    return f"last checkpoint {facts.checkpoint}, {duration(facts.checkpoint_age_s)} old"


def _lost(due: Due, facts: Facts) -> str | None:
    """What stands to be lost: work since the last whole checkpoint, time since progress stopped."""
    if due.key not in ("stalled", "failed", "ended", "nan-loss"):
        return None
    parts = []
    if due.key == "stalled" and facts.progress_age_s is not None:
        parts.append(f"{_minutes(facts.progress_age_s)} without progress")
    if facts.checkpoint is not None and facts.checkpoint_age_s is not None:
        parts.append(f"{_minutes(facts.checkpoint_age_s)} since that checkpoint")
    return f"lost so far: {', '.join(parts)}" if parts else None


def _minutes(seconds: float) -> str:
    return f"{max(0, round(seconds / 60))} min"


def first_remedy(due: Due, facts: Facts) -> str | None:
    """The one thing to try first."""
    if due.key == "stalled" and facts.resumes_itself:
        return f"nothing; its keeper ends it and resumes it once (lanewatch events {facts.run})"
    if due.key in ("stalled", "log-stuck") and facts.signature in _LET_GO_ON:
        command = _command(due.reason)
        if command:
            return f"{command}; {_LET_GO_ON[facts.signature]}"
    if due.key == "stalled" and facts.signature in _SIGNATURES:
        return _SIGNATURES[facts.signature].format(run=facts.run)
    if due.key == "log-stuck" and facts.signature in _WILL_STOP:
        return _SIGNATURES[facts.signature].format(run=facts.run)
    if due.key == "memory" and is_of_others(facts.memory_share):
        return _end_others(facts)
    if facts.foreign:
        return _FOREIGN.get(due.key, "").format(run=facts.run) or None
    if due.key == "failed" and facts.checkpoint is None:
        return f"lanewatch logs {facts.run}; there is nothing to resume from"
    return _REMEDIES.get(due.key, "").format(run=facts.run) or None


def _command(reason: str) -> str | None:
    """The command that a sign gives; the sign's words come last."""
    found = re.findall(r"`(kill -CONT [0-9]+)`", reason)
    return found[-1] if found else None


def _end_others(facts: Facts) -> str:
    share = f"this run explains {facts.memory_share:.0%} of the climb"
    return f"look at {facts.memory_holder or 'what else runs here'}; {share}"


_LET_GO_ON = {
    "stopped": "something stopped its process",
    "blocked-pipe": "the reader of its output is stopped",
    "stopped-reader": "the reader of its output is stopped",
    "stalled-client": "the reader of its output is stopped",
    "blocked-terminal": "the program of its terminal is stopped",
}
"""Where the reason names the command that lets it go on."""

_WILL_STOP = ("blocked-pipe", "blocked-terminal")
"""A silent log is the least of it: the trainer waits in its own write, or soon will."""

_SIGNATURES = {
    "stopped": "kill -CONT its process (lanewatch status {run} names it); something stopped it",
    "blocked-pipe": "let the reader of its output read again (lanewatch status {run} names it)",
    "blocked-terminal": "Ctrl-Q in its terminal, if Ctrl-S holds it (lanewatch status {run})",
    "gpu-lost": "nvidia-smi; a GPU that fell off needs a reset or a restart of the machine",
    "swap-thrash": "free memory: end what needs it least, then look again",
}
"""Stalls that a kill is not the first answer to."""

_REMEDIES = {
    "stalled": "lanewatch kill {run}, then lanewatch resume {run}",
    "failed": "lanewatch logs {run}, then lanewatch resume {run}",
    "memory": "lanewatch stop {run} --save",
    "nan-loss": "lanewatch stop {run}; no later iteration mends it, lower train.lr",
    "exploding-loss": "lanewatch status {run}; if it goes on, stop it and lower train.lr",
    "disk-low": "free space where the run saves, before the next checkpoint",
    "end-untold": "df and dmesg: does the disk of the run still take anything?",
    "keeper-lost": "lanewatch watch {run}",
    "watcher-lost": "lanewatch watch {run}",
    "lost": "lanewatch status {run} says what cannot be read",
    "log-stuck": "nothing; training goes on, lanewatch status {run} counts it",
    "slow": "lanewatch status {run} names the cause it can see",
    "finished": "lanewatch status {run}",
    "stopped": "lanewatch resume {run} goes on from the last checkpoint",
}

_FOREIGN = {
    "stalled": "look at it, then end it where it was started; lanewatch does not own it",
    "ended": "read its own log; lanewatch cannot see its exit status",
    "memory": "end what needs it least; lanewatch does not own this run",
    "nan-loss": "end it where it was started; no later iteration mends it",
    "disk-low": "free space where the run saves, before the next checkpoint",
    "log-stuck": "nothing; training goes on, lanewatch status {run} counts it",
    "slow": "lanewatch status {run} names the cause it can see",
    "lost": "lanewatch status {run} says what cannot be read",
    "end-untold": "df and dmesg: does the disk of the run still take anything?",
    "keeper-lost": "lanewatch watch {run}",
    "watcher-lost": "lanewatch watch {run}",
}


def _way_in(facts: Facts) -> str:
    return f"ssh -t {facts.host} lanewatch {facts.run}"


def _cut(text: str, limit: int) -> str:
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    whole, _, _ = text[:limit].rpartition(" ")
    return (whole if len(whole) > limit // 2 else text[: limit - 1]).rstrip(",;:") + "…"
