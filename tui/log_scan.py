"""Look for lines in a log, as a process of its own: `python -m tui.log_scan DESCRIPTOR PATTERNS`.

A regular expression can hold Python's interpreter for hours; here it holds nobody, and whoever
waits ends this process. Requests come as JSON lines on stdin, answers leave on stdout. The end of
stdin ends it. A step that takes more than `STEP_CPU_S` of CPU ends it as well, by SIGVTALRM.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.probes.text import clean_line
from tui.log_file import CHUNK_BYTES, HARD_BYTES, SHOWN_CHARS, LineReader
from tui.log_text import compiled, plain_word
from tui.new_file import new_file

STEP_CPU_S = 2.0
TELL_S = 0.2
"""Between two signs of progress."""

MARKS = 100
"""Of one line."""

_ODD = bytes(range(10)) + bytes(range(11, 13)) + bytes(range(14, 32)) + b"\x7f"
"""Control characters, but for newline and carriage return: a line that holds one is cleaned."""

_LOOKS_BEYOND = re.compile(r"\\[AZ]|\(\?[!>(]|\(\?<!|[*+?}]\+")
"""A line could match such a pattern by itself and yet not among others."""

_SPELT = re.compile(r"\\[xuUN0-9]|\(\?[a-zA-Z-]")
"""A character by its number, a group by its own, a flag inside the pattern."""

Found = tuple[list[int], int]
"""Beginnings of matching lines in the order of the search, and how far it has got."""


class Scanner:
    """Finds the lines in which every one of the patterns occurs, as they are shown."""

    def __init__(self, descriptor: int, patterns: Sequence[str]) -> None:
        self._lines = LineReader(descriptor)
        self._patterns = [compiled(each) for each in patterns]
        self._quick = [
            _quick(each) for each in self._patterns if not _LOOKS_BEYOND.search(each.pattern)
        ]
        words = [word for each in patterns if (word := plain_word(each)) is not None]
        self._word = max(words, key=len, default="").lower().encode()

    def measure(self) -> None:
        """Take notice of how large the file is."""
        size = os.fstat(self._lines.descriptor).st_size
        if size < self._lines.size:
            self._lines.forget()
        self._lines.size = size

    @property
    def size(self) -> int:
        return self._lines.size

    def text_at(self, start: int) -> str:
        """The line that begins at *start*, as it is shown."""
        return self._lines.line_at(start).text

    def find(self, start: int, *, forwards: bool, stop: int | None = None) -> Iterator[Found]:
        """Look at the lines from *start* on, or before it, a stretch of the file at a time.

        At *stop* it ends, give or take a stretch.
        """
        self.measure()
        start = min(start, self.size)
        block = (start if forwards else max(0, start - 1)) // HARD_BYTES
        last = self.size // HARD_BYTES
        while 0 <= block <= last:
            found = self._in_block(block)
            if forwards:
                inside = [each for each in found if each >= start]
                reached = min((block + 1) * HARD_BYTES, self._unfinished())
            else:
                inside = [each for each in reversed(found) if each < start]
                reached = block * HARD_BYTES
            yield inside, reached
            if stop is not None and (reached >= stop if forwards else reached <= stop):
                return
            block += 1 if forwards else -1

    def spans(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Where the first of the patterns occurs in each of *texts*."""
        pattern = self._patterns[0]
        found = [[each.span() for each in pattern.finditer(text)] for text in texts]
        return [[span for span in spans if span[0] < span[1]][:MARKS] for spans in found]

    def _unfinished(self) -> int:
        """Where the last line begins, if it has not ended yet: it is looked at again."""
        if not self.size or os.pread(self._lines.descriptor, 1, self.size - 1) == b"\n":
            return self.size
        return self._lines.start_of(self.size - 1)

    def _in_block(self, block: int) -> list[int]:
        """Beginnings of the matching lines that begin in an aligned stretch, ascending."""
        low, high = block * HARD_BYTES, min((block + 1) * HARD_BYTES, self.size)
        raw = os.pread(self._lines.descriptor, high - low, low)
        begins = self._lines.start_of(low) if low else 0
        first = low if begins == low else raw.find(b"\n") + 1 + low
        if begins != low and first == low:
            return []
        if raw.isascii() and len(raw.translate(None, _ODD)) == len(raw):
            if self._word:
                return self._with_word(raw, low, first)
            if self._has_no_match(raw, low):
                return []
        found = []
        start = first
        while start < high:
            end = raw.find(b"\n", start - low)
            far = end < 0 or end - (start - low) > CHUNK_BYTES
            line = self._lines.line_at(start) if far else None
            text = line.text if line else clean_line(raw[start - low : end], SHOWN_CHARS)
            if all(each.search(text) for each in self._patterns):
                found.append(start)
            start = line.end if line else low + end + 1
        return found

    def _has_no_match(self, raw: bytes, low: int) -> bool:
        """True when a look at the whole stretch shows that none of its lines can match.

        Its lines must stand there as they are shown; one that goes on behind it is looked at alone.
        """
        whole = raw.rfind(b"\n") + 1
        if b"\r" in raw or b" \n" in raw or (whole < len(raw) and self._matches(low + whole)):
            return False
        text = raw[:whole].decode("ascii")
        lower = text.lower()
        return any(
            each.search(lower if in_lower else text) is None for each, in_lower in self._quick
        )

    def _with_word(self, raw: bytes, low: int, first: int) -> list[int]:
        """Only lines that hold the plain word are looked at; the last one goes beyond *raw*."""
        folded = raw.lower()
        found = []
        at = first - low
        while (hit := folded.find(self._word, at)) >= 0:
            start = max(folded.rfind(b"\n", 0, hit) + 1, first - low)
            if self._matches(low + start):
                found.append(low + start)
            end = folded.find(b"\n", hit)
            if end < 0:
                return found
            at = end + 1
        last = max(folded.rfind(b"\n") + 1, first - low)
        if last < len(raw) and low + len(raw) < self.size and self._matches(low + last):
            found.append(low + last)
        return found

    def _matches(self, start: int) -> bool:
        text = self.text_at(start)
        return all(each.search(text) for each in self._patterns)


def _quick(pattern: re.Pattern[str]) -> tuple[re.Pattern[str], bool]:
    """For ASCII text of many lines; True: of lower case, where Python searches much faster."""
    lower = pattern.flags & re.I and pattern.pattern.isascii()
    if lower and not _SPELT.search(pattern.pattern):
        return re.compile(pattern.pattern, re.M), True
    return re.compile(pattern.pattern, pattern.flags | re.M), False


class Server:
    """Carries out one request after another; between two steps a newer one is heard."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._jobs: list[dict[str, Any]] = []
        self._input = b""
        self._ended = False

    def serve(self) -> None:
        """Serve until stdin ends."""
        while not self._ended:
            self._listen(wait=not self._jobs)
            if self._jobs:
                self._carry_out(self._jobs.pop(0))

    def _carry_out(self, job: dict[str, Any]) -> None:
        if job["do"] == "spans":
            with_limit()
            answer(job, spans=self._scanner.spans(job["texts"]))
        elif job["do"] == "save":
            self._save(job)
        else:
            self._find(job)

    def _find(self, job: dict[str, Any]) -> None:
        hits: list[int] = []
        wanted, told_s = job["count"], time.monotonic()
        forwards = job["forwards"]
        with_limit()
        reached = job["start"]
        for found, reached in self._scanner.find(
            job["start"], forwards=forwards, stop=job.get("stop")
        ):
            hits += found
            if len(hits) >= wanted:
                # The rest of this stretch was not asked for: it is looked at again.
                hits = hits[:wanted]
                reached = hits[-1] + 1 if forwards else hits[-1]
                break
            if time.monotonic() - told_s > TELL_S:
                answer(job, hits=hits, reached=reached, done=False)
                hits, told_s, wanted = [], time.monotonic(), wanted - len(hits)
            self._listen(wait=False)
            if self._ended or any(each["do"] == "find" for each in self._jobs):
                return
            self._carry_out_small()
            with_limit()
        answer(job, hits=hits, reached=reached, done=True)

    def _carry_out_small(self) -> None:
        small = [each for each in self._jobs if each["do"] == "spans"]
        self._jobs = [each for each in self._jobs if each["do"] != "spans"]
        for each in small:
            self._carry_out(each)

    def _save(self, job: dict[str, Any]) -> None:
        """Write the matching lines, as they are shown, to a new file."""
        count, told_s = 0, time.monotonic()
        try:
            with _ended_gently(), new_file(Path(job["path"])) as file:
                with_limit()
                for found, reached in self._scanner.find(0, forwards=True):
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)  # to write is no pattern's fault
                    for start in found:
                        file.write(self._scanner.text_at(start) + "\n")
                    count += len(found)
                    self._listen(wait=False)
                    if self._ended:
                        raise SystemExit
                    if time.monotonic() - told_s > TELL_S:
                        told_s = time.monotonic()
                        answer(job, reached=reached, done=False)
                    with_limit()
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except OSError as error:
            answer(job, problem=error.strerror or str(error), lines=count, done=True)
            return
        answer(job, problem=None, lines=count, done=True)

    def _listen(self, *, wait: bool) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        while select.select([0], [], [], None if wait else 0)[0]:
            read = os.read(0, 1 << 16)
            if not read:
                self._ended = True
                return
            *lines, self._input = (self._input + read).split(b"\n")
            self._jobs += [json.loads(line) for line in lines]
            wait = wait and not self._jobs


class _TooLong(BaseException):
    """The limit on CPU time was reached."""


@contextmanager
def _ended_gently() -> Iterator[None]:
    """What ends this process ends the block first: it leaves no half of a file behind."""

    def leave(number: int, _: object) -> None:
        raise _TooLong if number == signal.SIGVTALRM else SystemExit

    for each in (signal.SIGVTALRM, signal.SIGTERM):
        signal.signal(each, leave)
    try:
        yield
    except _TooLong:
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGVTALRM)
    finally:
        for each in (signal.SIGVTALRM, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)


def with_limit() -> None:
    """From now on this process may use so much CPU time before it listens again."""
    signal.setitimer(signal.ITIMER_VIRTUAL, STEP_CPU_S)


def answer(job: dict[str, Any], **said: Any) -> None:
    """Tell whoever asked."""
    sys.stdout.write(json.dumps({"do": job["do"], "id": job["id"], **said}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve one asker. Its terminal's ctrl+c is not for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Server(Scanner(int(sys.argv[1]), json.loads(sys.argv[2]))).serve()
    except (BrokenPipeError, re.error):
        os._exit(1)


if __name__ == "__main__":
    main()
