"""The thread that reads a log for its screen: a dead disk holds up neither keys nor quitting.

The screen hands it calls, it hands back one `LogPage` whenever that has changed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui.log_choice import choose_log, place_of
from tui.log_finder import Finder
from tui.log_pager import LogPage, LogPager

LOOK_S = 0.5
"""Between two looks at a file that is followed."""

CHOOSE_S = 3.0
"""Between two looks at which logs there are."""

Call = Callable[["LogWorker"], object]


class LogWorker:
    """Owns the pager of one run's logs. `do` from any thread; `emit` is called on its own."""

    def __init__(
        self,
        folder: Path,
        emit: Callable[[LogPage], object],
        *,
        stage: str | None = None,
        at_wall: float | None = None,
    ) -> None:
        self.folder = folder
        self.pager = LogPager(folder / "logs")
        self.finder = Finder(lambda call: self.do(lambda _: call()))
        self.names: tuple[str, ...] = ()
        self._emit = emit
        self._logs: tuple[Path, ...] = ()
        self._stage, self._at_wall = stage, at_wall
        self._chosen = False
        self._choose_s = 0.0
        self._shown: LogPage | None = None
        self._calls: queue.Queue[Call] = queue.Queue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it is not waited for, since a read may hang."""
        self._stopping.set()
        self.do(lambda _: None)

    def do(self, call: Call) -> None:
        """Have *call* carried out on the thread."""
        self._calls.put(call)

    def act(self, call: Call) -> None:
        """Have *call* carried out; what was said before it is no news any more."""

        def carried_out(worker: LogWorker) -> None:
            worker.pager.notice = ""
            call(worker)

        self.do(carried_out)

    def switch(self, by: int) -> None:
        """Show the next log of the run, or the one before."""

        def carried_out(worker: LogWorker) -> None:
            if worker._logs:
                now = worker.pager.file.path
                at = worker._logs.index(now) + by if now in worker._logs else 0
                worker._chosen = True
                worker._show(worker._logs[at % len(worker._logs)])

        self.do(carried_out)

    def _run(self) -> None:
        call: Call | None = None
        while not self._stopping.is_set():
            try:
                self._step(call)
            except Exception as error:  # noqa: BLE001 - the thread's rim: say it and go on
                self.pager.notice = f"the log could not be read: {type(error).__name__}: {error}"
            call = self._next()
        self.finder.close()
        self.pager.file.close()

    def _next(self) -> Call | None:
        try:
            return self._calls.get(timeout=LOOK_S)
        except queue.Empty:
            return None

    def _step(self, call: Call | None) -> None:
        self._choose()
        if self.pager.look() is not None:
            self.finder.file_changed(self.pager)
        while call is not None:
            call(self)
            call = None if self._calls.empty() else self._calls.get_nowait()
        if not self._stopping.is_set():
            self._show_page()

    def _show_page(self) -> None:
        rows = self.pager.page()
        self.finder.advance(self.pager, rows)
        page = self._page(rows)
        if page != self._shown:
            self._shown = page
            self._emit(page)

    def _page(self, rows: tuple[Any, ...]) -> LogPage:
        pager = self.pager
        size = pager.file.lines.size
        end = pager.lines.line_at(rows[-1].line).end if rows else 0
        whole = pager.filtered is None
        page = LogPage(
            path=str(pager.file.path),
            rows=rows,
            size=size,
            modified_wall=pager.file.modified_wall,
            follow=pager.follow,
            wrap=pager.wrap,
            percent=round(100 * end / size) if size and rows and whole else None,
            below=max(0, size - end) if rows and whole else 0,
            notice=pager.notice,
            problem=(pager.file.problem or "") if self._logs else self._none(),
        )
        return replace(page, **self.finder.told())

    def _none(self) -> str:
        return "this run has no log" if self.folder.is_dir() else "this run's folder is gone"

    def _choose(self) -> None:
        """See which logs there are; follow the run into its next stage unless one was chosen."""
        now = time.monotonic()
        if now < self._choose_s:
            return
        choice = choose_log(self.folder)
        self._choose_s = now + (CHOOSE_S if choice.logs else 0.0)
        self._logs = choice.logs
        self.names = tuple(path.name for path in choice.logs)
        if self._at_wall is not None:
            self._show_moment(self._at_wall)
            return
        if self._stage is not None:
            wanted = next((each for each in choice.logs if each.stem == self._stage), None)
            self._stage, self._chosen = None, wanted is not None
            if wanted is not None:
                self._show(wanted)
                return
        shown = choice.shown
        if shown is not None and not self._chosen and self.pager.follow:
            self._show(shown)

    def _show_moment(self, wall_s: float) -> None:
        self._at_wall = None
        place = place_of(self.folder, wall_s)
        shown = choose_log(self.folder).shown
        if place is None:
            if shown is not None:
                self._show(shown)
            self.pager.notice = "of that moment no telemetry was kept: this is the log's end"
            return
        self._chosen = True
        self._show(place[0])
        self.pager.look()
        self.pager.show_offset(max(0, place[1] - 1))
        self.pager.notice = "the log as long as it was at that moment ends about here"

    def _show(self, path: Path) -> None:
        old = self.pager
        if path == old.file.path:
            return
        old.file.close()
        self.pager = LogPager(path, old.width, old.height)
        self.pager.wrap = old.wrap
        self.pager.look()
        self.finder.file_changed(self.pager)
