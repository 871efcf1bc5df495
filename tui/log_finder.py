"""Search and filter of one log's view: which processes look for what, and what they have found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monitor.errors import MonitorError
from monitor.rundir import expanded
from tui.log_filter import FilteredLines, Wanted
from tui.log_pager import LogPager, Spans
from tui.log_search import Search
from tui.log_text import Row

Later = Callable[[Callable[[], None]], None]
"""Has a call carried out on the thread that owns the pager."""


class Finder:
    """Belongs to the pager's thread; answers of the searches are brought there by *later*."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._pager: LogPager | None = None
        self.pattern = ""
        self.only = ""
        self.hit: int | None = None
        self.searching = self.saving = ""
        self._forwards = self._going = True
        self._turned = False
        self._began = 0
        self._search: Search | None = None
        self._sieve: Search | None = None
        self._saver: Search | None = None
        self._find_id = 0
        self._sieving: tuple[int, Wanted] | None = None
        self._marking: tuple[int, list[tuple[int, str]]] | None = None
        self._marks: dict[int, tuple[str, Spans]] = {}

    def told(self) -> dict[str, Any]:
        """What a page says of search and filter."""
        pattern = self.pattern
        spans = {line: spans for line, (_, spans) in self._marks.items() if spans}
        return {
            "pattern": pattern,
            "only": self.only,
            "hit": self.hit,
            "searching": self.searching,
            "saving": self.saving,
            "spans": spans,
        }

    def search(self, pager: LogPager, pattern: str, *, forwards: bool) -> None:
        """Look for *pattern* from the view on, or backwards; an empty one takes the search back."""
        self._drop_search()
        pager.notice = ""
        self.pattern, self._forwards = pattern, forwards
        if pattern:
            self._find(pager, forwards=forwards)

    def again(self, pager: LogPager, *, same_way: bool) -> None:
        """Show the next match, or the one before."""
        pager.notice = "" if self.pattern else "nothing is searched for yet: / or ? does"
        if self.pattern:
            self._find(pager, forwards=self._forwards is same_way)

    def filter(self, pager: LogPager, pattern: str) -> None:
        """Show only the lines in which *pattern* occurs; an empty one shows all again."""
        self._close_sieve()
        pager.notice = ""
        self.only = pattern
        pager.filter(FilteredLines(pager.file.lines, pager.file.lines.size) if pattern else None)
        if self._search is not None:  # it must look for lines that pass the filter, too
            self._search.close()
            self._search = None
        self._marks, self._marking, self.searching = {}, None, ""

    def save(self, pager: LogPager, name: str) -> None:
        """Write what is shown of the whole log, cleaned, to a new file."""
        try:
            path = expanded(name)
        except MonitorError as error:
            pager.notice = str(error)
            return
        self._close_saver()
        if not pager.file.is_open:
            pager.notice = "there is no log yet to be saved"
            return
        self._pager, self.saving = pager, f"saving to {path}"

        def told(search: Search, answer: dict[str, Any]) -> None:
            self._later(lambda: self._saved(path, search, answer))

        self._saver = Search(pager.file.lines.descriptor, [self.only] if self.only else [], told)
        self._saver.save(str(path))

    def stop_saving(self, pager: LogPager) -> None:
        """End it; of the file nothing is left."""
        pager.notice = "saving was ended: no file was written"
        self._close_saver()

    def file_changed(self, pager: LogPager) -> None:
        """The descriptor is another one: what looked at the old file ends."""
        self._pager = pager
        only, self.searching = self.only, ""
        for each in (self._search, self._sieve):
            if each is not None:
                each.close()
        self._search = self._sieve = None
        self._marks, self._marking, self._sieving, self.hit = {}, None, None, None
        if only:
            pager.filter(FilteredLines(pager.file.lines, pager.file.lines.size))

    def close(self) -> None:
        """End every search."""
        for each in (self._search, self._sieve):
            if each is not None:
                each.close()
        self._search = self._sieve = None
        self._close_saver()

    def advance(self, pager: LogPager, rows: Sequence[Row]) -> None:
        """Ask for what the view lacks: matching lines, and where the pattern stands in them."""
        self._pager = pager
        filtered = pager.filtered
        if filtered is not None and filtered.wanted is not None and self._sieving is None:
            wanted, filtered.wanted = filtered.wanted, None
            if self._sieve is None:
                self._sieve = self._begin([self.only])
            number = self._sieve.find(wanted.start, forwards=wanted.forwards, count=wanted.count)
            self._sieving = (number, wanted)
        if (self.pattern or self.only) and self._marking is None:
            self._ask_marks(pager, rows)

    def _ask_marks(self, pager: LogPager, rows: Sequence[Row]) -> None:
        lines = dict.fromkeys(row.line for row in rows)
        texts = [(line, pager.lines.line_at(line).text) for line in lines]
        self._marks = {
            line: self._marks[line]
            for line, text in texts
            if line in self._marks and self._marks[line][0] == text
        }
        missing = [each for each in texts if each[0] not in self._marks]
        if missing:
            marker = self._marker()
            self._marking = (marker.spans([text for _, text in missing]), missing)

    def _marker(self) -> Search:
        if self.pattern:
            return self._searcher()
        if self._sieve is None:
            self._sieve = self._begin([self.only])
        return self._sieve

    def _searcher(self) -> Search:
        if self._search is None:
            self._search = self._begin([self.pattern, *([self.only] if self.only else [])])
        return self._search

    def _begin(self, patterns: Sequence[str]) -> Search:
        assert self._pager is not None

        def told(search: Search, answer: dict[str, Any]) -> None:
            self._later(lambda: self._take(search, answer))

        return Search(self._pager.file.lines.descriptor, patterns, told)

    def _find(self, pager: LogPager, *, forwards: bool, turned: bool = False) -> None:
        if not pager.file.is_open:
            pager.notice = "there is no log yet to be searched"
            return
        self._pager, self._turned = pager, turned
        stop = None
        if turned:
            stop = self._began
            start = 0 if forwards else pager.file.lines.size
        elif self.hit is not None:
            start = self.hit + 1 if forwards else self.hit
        else:
            start = pager.top if forwards else pager.below_view
        self._going = forwards
        if not turned:
            self._began = start
        elif stop == start or (not forwards and self._began >= start):
            self.searching, pager.notice = "", f"no match for {self.pattern}"
            return
        self._find_id = self._searcher().find(start, forwards=forwards, count=1, stop=stop)
        self.searching = f"searching for {self.pattern}"

    def _take(self, search: Search, answer: dict[str, Any]) -> None:
        pager = self._pager
        if pager is None or search not in (self._search, self._sieve):
            return
        if answer["do"] == "ended":
            self._ended(pager, search, answer["why"])
        elif answer["do"] == "spans":
            self._take_marks(answer)
        elif search is self._sieve:
            self._take_sieved(pager, answer)
        elif answer["id"] == self._find_id:
            self._take_hit(pager, answer)

    def _take_hit(self, pager: LogPager, answer: dict[str, Any]) -> None:
        if answer["hits"]:
            self.hit = answer["hits"][0]
            pager.show_line(self.hit)
            self.searching = ""
            if self._turned:
                pager.notice = f"searched round, from the {'top' if self._going else 'end'} again"
        elif not answer["done"]:
            self.searching = f"searching for {self.pattern}: {_share(answer, pager)}"
        elif self._turned:
            self.searching, pager.notice = "", f"no match for {self.pattern}"
        else:
            self._find(pager, forwards=self._going, turned=True)

    def _take_sieved(self, pager: LogPager, answer: dict[str, Any]) -> None:
        if self._sieving is None or pager.filtered is None or answer["id"] != self._sieving[0]:
            return
        done = answer["done"]
        left = pager.filtered.take(self._sieving[1], answer["hits"], answer["reached"], done=done)
        if not left.forwards:
            pager.fill()
        self._sieving = None if done else (answer["id"], left)
        self.searching = "" if done else f"filtering: {_share(answer, pager)}"

    def _take_marks(self, answer: dict[str, Any]) -> None:
        if self._marking is None or answer["id"] != self._marking[0]:
            return
        for (line, text), spans in zip(self._marking[1], answer["spans"], strict=True):
            self._marks[line] = (text, tuple((first, last) for first, last in spans))
        self._marking = None

    def _ended(self, pager: LogPager, search: Search, why: str) -> None:
        """A pattern that cannot be carried out is given up, so that it is not begun again."""
        if search is self._sieve:
            self.filter(pager, "")
        else:
            self._drop_search()
        pager.notice = why

    def _saved(self, path: Path, search: Search, answer: dict[str, Any]) -> None:
        pager = self._pager  # of the log that is shown now, another than is saved perhaps
        if pager is None or search is not self._saver:
            return
        if answer.get("done") is False:
            self.saving = f"saving to {path}: {_share(answer, pager)}"
            return
        self._close_saver()
        problem = answer.get("why") or answer.get("problem")
        lines = "1 line" if answer.get("lines") == 1 else f"{answer.get('lines', 0)} lines"
        pager.notice = f"{path} was not written: {problem}" if problem else f"{lines} in {path}"

    def _drop_search(self) -> None:
        if self._search is not None:
            self._search.close()
        self._search, self.pattern, self.hit, self.searching = None, "", None, ""
        self._marks, self._marking = {}, None

    def _close_saver(self) -> None:
        if self._saver is not None:
            self._saver.close()
        self._saver, self.saving = None, ""

    def _close_sieve(self) -> None:
        if self._sieve is not None:
            self._sieve.close()
        self._sieve, self._sieving = None, None


def _share(answer: dict[str, Any], pager: LogPager) -> str:
    size = max(1, pager.file.lines.size)
    return f"{min(100, 100 * answer['reached'] // size)} % of the log"
