"""The command palette's entries: what can be done from the screen in front. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from tui.launching.values import Choice
from tui.presentation import count

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

Command = tuple[str, str, str]
"""What it does in words, its key, its action in Textual's notation."""

LOG, MARK, COMPARE = "app.open_log", "app.mark", "app.open_compare"
EVENTS, EVENTS_OF_ALL = "app.open_events", "app.open_events(True)"
SETTINGS = "app.settings"
EVERYWHERE: tuple[Command, ...] = (
    ("log: the whole log of the run in front", "t", LOG),
    ("events: what happened while you were away", "v", EVENTS_OF_ALL),
    ("events of the run in front", "V", EVENTS),
    ("mark the run in front for a comparison", "space", MARK),
    ("compare the marked runs with the one in front", "c", COMPARE),
    ("help: all keys and what each verdict means", "?", "app.help"),
    ("settings: theme, memory limit, alert channels", ",", SETTINGS),
    ("quit; every run goes on", "q", "app.quit"),
)
MOST_RUNS = 200


def palette(
    own: Iterable[Command],
    runs: Iterable[RunStatus],
    themes: Iterable[str],
    *,
    taken: Collection[str] = (),
    idle: Collection[str] = (),
) -> Iterator[Choice]:
    """The screen's own commands first, then those of everywhere, then the runs.

    *taken* are keys that mean something of the screen's own there, *idle* actions that would do
    nothing.
    """
    here = tuple(own)
    for title, key, action in here:
        yield Choice(value=action, title=title, note=key)
    done_here = {*idle, *(action for _, _, action in here)}
    for title, key, action in EVERYWHERE:
        if action not in done_here:
            yield Choice(value=action, title=title, note="" if key in taken else key)
    for theme in themes:
        yield Choice(value=f"app.theme('{theme}')", title=f"theme: {theme}")
    for number, run in enumerate(runs):
        if number == MOST_RUNS:
            break
        done = count(run.iteration.value, run.iteration.total)
        yield Choice(
            value=f"app.open({run.run!r})",
            title=f"open {run.name or run.run}",
            note=f"{run.verdict.value} {done}",
            detail=run.reason,
        )
