"""The command palette's entries: what can be done from the screen in front. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tui.launching.values import Choice
from tui.presentation import count

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

Command = tuple[str, str, str]
"""What it does in words, its key, its action in Textual's notation."""

SETTINGS = "app.settings"
EVERYWHERE: tuple[Command, ...] = (
    ("log: the whole log of the run in front", "t", "app.open_log"),
    ("events: what happened while you were away", "v", "app.open_events(True)"),
    ("events of the run in front", "V", "app.open_events"),
    ("mark the run in front for a comparison", "space", "app.mark"),
    ("compare the marked runs with the one in front", "c", "app.open_compare"),
    ("help: all keys and what each verdict means", "?", "app.help"),
    ("settings: theme, memory limit, alert channels", ",", SETTINGS),
    ("quit; every run goes on", "q", "app.quit"),
)
CHANGING: tuple[Command, ...] = (
    ("launch a run", "n", "app.launch"),
    ("attach: watch a training that lanewatch did not start", "a", "app.attach"),
)
MOST_RUNS = 200


def palette(
    own: Iterable[Command],
    runs: Iterable[RunStatus],
    themes: Iterable[str],
    *,
    may_change: bool,
    read_only: bool = False,
) -> Iterator[Choice]:
    """The screen's own commands first, then those of everywhere, then the runs."""
    everywhere = [each for each in EVERYWHERE if not (read_only and each[2] == SETTINGS)]
    commands = [*own, *(CHANGING if may_change else ()), *everywhere]
    for title, key, action in commands:
        yield Choice(value=action, title=title, note=key)
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
