"""Make foreign text safe to show: no control sequence of a log ever reaches the terminal."""

from __future__ import annotations

import re

LINE_LIMIT = 1000
"""Characters kept of one line; more than a terminal shows."""

_RAW_FACTOR = 8
_SEGMENTS_LIMIT = 64

_SEQUENCES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)"  # OSC …
    "|\x1b[ -/]*[0-~]"  # two-character ones
)
_HARMFUL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # C0 and C1 controls, except the tab
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # bidi, invisible, line separators
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean_line(line: str | bytes, limit: int = LINE_LIMIT) -> str:
    """Return *line* as plain printable text of at most *limit* characters.

    A progress bar that redraws itself with carriage returns shows its last state only. A longer
    line ends in an ellipsis. What is left of a cut-off control sequence is shown, not obeyed.
    """
    if isinstance(line, bytes):
        line = _decode(line, limit)
    if len(line) <= limit and line.isascii() and line.isprintable():
        return line.rstrip()  # nearly every line: there is nothing in it to clean
    line = line.rstrip("\r\n")
    for _ in range(_SEGMENTS_LIMIT):
        line, _, segment = line.rpartition("\r")
        text = _clean_segment(segment, limit)
        if text.strip() or not line:
            return text
    return ""


def _decode(line: bytes, limit: int) -> str:
    """Decode; of a huge line only one end: its start, or its last redraw."""
    most = limit * _RAW_FACTOR
    if len(line) <= 2 * most:
        return line.decode("utf-8", "replace")
    tail = line[-most:]
    if b"\r" in tail.rstrip(b"\r\n"):
        return tail.decode("utf-8", "replace")
    if b"\r" in line.rstrip(b"\r\n"):
        line = line.rstrip(b"\r\n").rpartition(b"\r")[2]
    return line[:most].decode("utf-8", "replace")


def _clean_segment(segment: str, limit: int) -> str:
    cut = len(segment) > limit * _RAW_FACTOR
    text = _SEQUENCES.sub("", segment[: limit * _RAW_FACTOR])
    text = _SURROGATES.sub("\ufffd", _HARMFUL.sub("", text)).expandtabs(8).rstrip()
    if cut or len(text) > limit:
        return text[: limit - 1] + "…"
    return text
