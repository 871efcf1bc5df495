"""What a person may do to a run from its screen, and what each of it would lose. Pure.

The question is shown before anything happens; the command line's own functions then do it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from tui.presentation import duration, size
from tui.state import QUEUED, is_over, silence

if TYPE_CHECKING:
    from monitor.status_model import CheckpointView, RunStatus
    from tui.state import Snapshot


class Action(StrEnum):
    """By the name of its command. How to stop, with a save or without, is a question of its own."""

    STOP = "stop"
    KILL = "kill"
    RESUME = "resume"
    EXPORT = "export"
    WATCH = "watch"
    ACK = "ack"


class Question(NamedTuple):
    """What is asked before an action."""

    title: str
    loses: str
    does: str
    """What the key for "yes" does."""


def offered(status: RunStatus | None) -> tuple[tuple[str, Action], ...]:
    """(key, action) that make sense for *status* now, the most useful first."""
    if status is None:
        return ()
    pending = (("a", Action.ACK),) if status.alerts.pending else ()
    if status.foreign is not None:
        # lanewatch ends nothing that it did not start.
        return (*pending, *((("w", Action.WATCH),) if silence(status) else ()))
    if not is_over(status):
        watch = (("w", Action.WATCH),) if silence(status) else ()
        return (*pending, *watch, ("s", Action.STOP), ("K", Action.KILL))
    unfinished = status.verdict in ("failed", "stopped") and status.kind != "smoke"
    resume = (("R", Action.RESUME),) if unfinished else ()
    whole = last_whole(status) is not None and "merge" in {each.name for each in status.stages}
    return (*pending, *resume, *((("e", Action.EXPORT),) if whole else ()))


def question(action: Action, status: RunStatus) -> Question:
    """What to ask before *action*, with what it loses."""
    return Question(
        title=f"{action.value.capitalize()} {status.name or status.run}?",
        loses=_TOLD[action](status),
        does=_DOES[action],
    )


def question_now(action: Action, run: str, snapshot: Snapshot) -> Question | None:
    """What to ask now; None where *action* makes no sense any more."""
    status = snapshot.status_of(run)
    if status is None or action not in [each for _, each in offered(status)]:
        return None
    return question(action, status)


def refusal(action: Action, status: RunStatus, *, read_only: bool = False) -> str:
    """Why *action* is not offered for *status* now, and what to do instead: one sentence."""
    name = status.name or status.run
    if read_only:
        return "This view is read-only: nothing of a run is changed from here."
    if action is Action.WATCH:
        return f"Keeper and watcher of {name} are not lost: nothing is to be brought back."
    if action is Action.ACK:
        return f"No alert of {name} is repeated: there is nothing to acknowledge."
    if status.foreign is not None:
        ends = action in (Action.STOP, Action.KILL)
        what = "end it where it was started" if ends else "it has no recipe to go on with"
        return f"lanewatch did not start this run: {what}."
    if action in (Action.STOP, Action.KILL):
        return f"{name} is over already ({status.verdict.value}): there is nothing to end."
    if not is_over(status):
        return f"{name} goes on: that is for a run that is over; s stops it."
    if action is Action.EXPORT:
        none = last_whole(status) is None
        what = "no whole checkpoint" if none else "no stage merge"
        return f"{name} has {what}: there is nothing to export."
    if status.kind == "smoke":
        return f"{name} is a smoke run, which is not resumed: n launches another."
    return f"{name} is {status.verdict.value}: there is nothing to resume; n launches another."


def loss_sentence(status: RunStatus, how: str = "Stopping without a save") -> str:
    """What would be lost since the last whole checkpoint."""
    last, value = last_whole(status), status.iteration.value
    if status.status == QUEUED:
        return "It waits for its turn: nothing of it has begun, nothing is lost."
    if not value:
        return f"No iteration is done yet: {_lower(how)} loses the work of this stage."
    if last is None:
        return f"There is no checkpoint yet: {_lower(how)} loses all {value} iterations."
    lost = max(0, value - last.iteration)
    if lost == 0:
        return f"Checkpoint {last.iteration} is the newest iteration: nothing would be lost."
    cost = f", about {duration(lost * status.step_s)} of work" if status.step_s else ""
    plural = "iteration" if lost == 1 else "iterations"
    return f"{how} loses {lost} {plural} since checkpoint {last.iteration}{cost}."


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


def last_whole(status: RunStatus) -> CheckpointView | None:
    """The newest checkpoint that a resume can begin at."""
    return next((each for each in reversed(status.checkpoints) if each.complete), None)


def _kill(status: RunStatus) -> str:
    saves = " It is saving: that checkpoint stays half-written." if _saving(status) else ""
    return loss_sentence(status, "Killing it") + saves


def _saving(status: RunStatus) -> bool:
    return status.verdict == "saving" or "saving" in status.flags


def _resume(status: RunStatus) -> str:
    last, value = last_whole(status), status.iteration.value
    if last is None:
        return "No checkpoint is whole: it begins again from its first iteration."
    again = max(0, (value or 0) - last.iteration)
    more = f"; {again} iterations are trained again" if again else ""
    return f"It goes on from checkpoint {last.iteration}, attempt {status.attempt + 1}{more}."


def _export(status: RunStatus) -> str:
    last = last_whole(status)
    assert last is not None
    return (
        f"Checkpoint {last.iteration} ({size(last.size_bytes)}) is merged into the run's export "
        "folder, in the place of what is there."
    )


def _watch(status: RunStatus) -> str:
    whom = "Its watcher is" if status.foreign is not None else "Its keeper and watcher are"
    return f"{whom} brought back; the training itself is not touched."


def _ack(status: RunStatus) -> str:
    return f"No more reminders of: {', '.join(status.alerts.pending)}. A new trouble still alerts."


_TOLD = {
    Action.KILL: _kill,
    Action.RESUME: _resume,
    Action.EXPORT: _export,
    Action.WATCH: _watch,
    Action.ACK: _ack,
}

_DOES = {
    Action.KILL: "kill it now",
    Action.RESUME: "resume it",
    Action.EXPORT: "merge and export it",
    Action.WATCH: "bring them back",
    Action.ACK: "acknowledge",
}
