"""What every tab of a run's screen has. Each is mounted when it is first opened.

The rule: a tab gets one frozen `Look` and hands its parts on; it asks nobody for anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

from textual.containers import Vertical

if TYPE_CHECKING:
    from monitor.status_model import RunStatus
    from tui.chart_view import ChartView
    from tui.state import RunDetail, Snapshot
    from tui.widgets.log_tail import LogTail


class Look(NamedTuple):
    """What a tab shows, and the room it has."""

    snapshot: Snapshot
    status: RunStatus | None
    detail: RunDetail | None
    view: ChartView
    width: int
    rows: int


class Scroller(Protocol):
    """A part of a tab that can be scrolled."""

    def scroll_lines(self, rows: int) -> None:
        """Move by *rows*."""

    def scroll_pages(self, pages: int) -> None:
        """Move by *pages*."""

    def jump(self, *, to_end: bool) -> None:
        """Go to the first or the last line."""


class RunTab(Vertical):
    """One tab; a subclass names its keys and fills it."""

    name_of_tab = ""
    charts = False
    """The keys of graphs do something here."""
    scrolls: ClassVar[Literal["", "list", "log"]] = ""
    """What the keys scroll here: known before it is made."""

    @property
    def scroller(self) -> Scroller | None:
        """What the keys scroll; None: nothing."""
        return None

    @property
    def log_tail(self) -> LogTail | None:
        """The log that is searched here."""
        return None

    @property
    def chosen_title(self) -> str | None:
        """Of the graph that keys act on."""
        return None

    def choose(self, steps: int) -> None:
        """Have another graph be the one that keys act on."""

    def choose_graph(self, graph: object) -> None:
        """Choose *graph*, which was clicked."""

    def reopen(self) -> None:
        """It comes to the front: the next look is shown at once."""

    def show(self, look: Look) -> None:
        """Show *look*."""
        raise NotImplementedError


def show_log(tail: LogTail, look: Look) -> None:
    """Show the end of the present stage's log in *tail*."""
    detail = look.detail
    name = detail.log_name if detail else None
    if detail is None:
        tail.empty_text = ""  # it is being read
    elif detail.problem:
        tail.empty_text = detail.problem
    elif look.status is not None:
        tail.empty_text = "this stage has written nothing to its log"
    tail.show(
        f"log {name}" if name else "log",
        detail.log_lines if detail else (),
        detail.log_first if detail else 0,
    )
