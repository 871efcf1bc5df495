"""Read training rows, one a line, whatever shape they have. Streams: never holds the whole file.

A row that cannot be used is a value with its line number and the reason, not an exception; only a
file that cannot be read at all is a DataError.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from runners.errors import RunnerError

LINE_LIMIT_BYTES = 64 * 1024 * 1024
"""No row of a fine-tune is longer; without a limit one missing newline reads the whole file."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
}
"""ShareGPT's words for who speaks."""

FOREIGN = {
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"PAR1": "a Parquet file; export it as JSON Lines first",
    b"PK\x03\x04": "a ZIP archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive; unpack it first",
    b"ARROW1": "an Arrow file; export it as JSON Lines first",
}


BOM = b"\xef\xbb\xbf"
"""Some editors of Windows begin a UTF-8 file with it."""


class DataError(RunnerError):
    """The rows cannot be used; says which file, which lines and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One usable row: a conversation that ends with the answer, or plain text."""

    line: int
    """In the file, from 1."""
    shape: str
    messages: tuple[Mapping[str, Any], ...] = ()
    """Turns before the answer; empty for plain texts."""
    prompt: str | None = None
    """What comes before the answer as it is, where no chat template is to be used."""
    answer: str = ""
    """What is learnt."""
    call: Mapping[str, Any] | None = None
    """The last turn where it calls tools: the template has to write it."""
    tools: tuple[Any, ...] | None = None
    """What may be called, for the template."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that is no usable row."""

    line: int
    reason: str


class _BadShape(Exception):
    """Why a row cannot be used."""


def read_rows(path: Path, shape: str = "auto") -> Iterator[Row | BadRow]:
    """Yield the rows of the JSON Lines file *path* in order; blank lines are passed over.

    *shape* is that of the recipe's data.shape. Raises DataError when the file cannot be read, is
    no text or holds no line.
    """
    empty = True
    with open_data(path) as stream:
        for line, raw in _lines(stream):
            empty = False
            yield (
                BadRow(line, "is over 64 MiB long") if raw is None else parse_row(line, raw, shape)
            )
    if empty:
        raise DataError(f"{path} is empty: it has no row")


@contextmanager
def open_data(path: Path) -> Iterator[IO[bytes]]:
    """Open a data file for reading. Raises DataError with one clear sentence."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DataError(f"{path} is a folder; name the JSON Lines file in it")
        if not stat.S_ISREG(mode):
            raise DataError(f"{path} is not a regular file")
        with path.open("rb") as stream:
            head = stream.read(4096)
            start = len(BOM) if head.startswith(BOM) else 0
            _refuse_foreign(path, head[start:])
            stream.seek(start)
            yield stream
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such data file") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def can_be_read(path: Path) -> bool:
    """True for a file of text; a pipe would keep whoever opens it waiting, a device never ends."""
    try:
        with open_data(path):
            return True
    except DataError:
        return False


def _refuse_foreign(path: Path, head: bytes) -> None:
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise DataError(f"{path} is {what}")
    if b"\0" in head:
        raise DataError(f"{path} is a binary file, not JSON Lines")
    if head.lstrip().startswith(b"["):
        raise DataError(f"{path} is one JSON array; write one object a line (JSON Lines) instead")


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield (number, line) of all that are not blank; None in place of an endless one."""
    number = 0
    while raw := stream.readline(LINE_LIMIT_BYTES):
        number += 1
        if len(raw) == LINE_LIMIT_BYTES and not raw.endswith(b"\n"):
            while (rest := stream.readline(LINE_LIMIT_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif raw.strip():
            yield number, raw


def parse_row(line: int, raw: bytes, shape: str = "auto") -> Row | BadRow:
    """Return the row that one line holds, or why it holds none."""
    try:
        row = json.loads(raw.decode())
        if not isinstance(row, dict):
            return BadRow(line, "is not a JSON object")
        parsed = _SHAPES[_shape_of(row, shape)](line, row)
        _refuse_half_characters(parsed)
    except _BadShape as error:
        return BadRow(line, str(error))
    except UnicodeError:
        return BadRow(line, "is not UTF-8 text")
    except (ValueError, RecursionError):
        return BadRow(line, "is not JSON")
    return parsed


def _refuse_half_characters(row: Row) -> None:
    """JSON can spell half of a surrogate pair, which no tokenizer takes."""
    texts = [row.prompt or "", row.answer, *(str(turn["content"] or "") for turn in row.messages)]
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise _BadShape("holds half of a surrogate pair (\\ud800 to \\udfff)") from None


def _shape_of(row: Mapping[str, Any], wanted: str) -> str:
    found = [
        name
        for name, keys in (
            ("messages", ("messages",)),
            ("conversations", ("conversations",)),
            ("prompt_completion", ("prompt", "completion")),
            ("text", ("text",)),
        )
        if all(key in row for key in keys)
    ]
    if wanted != "auto":
        if wanted not in found:
            raise _BadShape(f"has not the shape {wanted} that data.shape asks for")
        return wanted
    if not found:
        raise _BadShape(
            "has no known shape: neither messages, prompt + completion, text nor conversations"
        )
    return found[0]


def _from_messages(line: int, row: Mapping[str, Any]) -> Row:
    return _conversation(line, "messages", _turns(row["messages"], "messages"), row)


def _from_conversations(line: int, row: Mapping[str, Any]) -> Row:
    turns = []
    for each in _list(row["conversations"], "conversations"):
        if not isinstance(each, dict) or not isinstance(each.get("from"), str):
            raise _BadShape('a turn of conversations has no "from"')
        if each["from"] not in SPEAKERS:
            raise _BadShape(f"conversations: unknown speaker {each['from'][:30]!r}")
        turns.append({"role": SPEAKERS[each["from"]], "content": each.get("value")})
    if isinstance(row.get("system"), str) and row["system"] and turns[0]["role"] != "system":
        turns.insert(0, {"role": "system", "content": row["system"]})
    return _conversation(line, "conversations", _turns(turns, "conversations"), row)


def _from_pair(line: int, row: Mapping[str, Any]) -> Row:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, str) and isinstance(completion, str):
        _refuse_empty(completion, "completion")
        return Row(line=line, shape="prompt_completion", prompt=prompt, answer=completion)
    if isinstance(prompt, list) and isinstance(completion, list):
        turns = [*_turns(prompt, "prompt"), *_turns(completion, "completion")]
        return _conversation(line, "prompt_completion", turns, row)
    raise _BadShape("prompt and completion must both be texts or both be lists of messages")


def _from_text(line: int, row: Mapping[str, Any]) -> Row:
    if not isinstance(row["text"], str):
        raise _BadShape("text is not a text")
    _refuse_empty(row["text"], "text")
    return Row(line=line, shape="text", prompt="", answer=row["text"])


_SHAPES = {
    "messages": _from_messages,
    "conversations": _from_conversations,
    "prompt_completion": _from_pair,
    "text": _from_text,
}


def _conversation(
    line: int, shape: str, turns: list[dict[str, Any]], row: Mapping[str, Any]
) -> Row:
    if not any(turn["role"] == "assistant" for turn in turns):
        raise _BadShape("has no assistant turn to learn from")
    *before, last = turns
    if last["role"] != "assistant":
        raise _BadShape(f"ends with a turn of the {last['role']}, not of the assistant")
    if not before:
        raise _BadShape("has no turn before the assistant's answer")
    call = last if last.get("tool_calls") else None
    if call is None:
        _refuse_empty(last["content"], "the assistant's answer")
    return Row(
        line=line,
        shape=shape,
        messages=tuple(before),
        answer=_with_reasoning(last),
        call=call,
        tools=_tools(row.get("tools")),
    )


def _tools(value: object) -> tuple[Any, ...] | None:
    """What the row says may be called; some corpora keep it as JSON in a text."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise _BadShape("tools is a text that is not JSON") from None
    if value is None or value in ("", []):
        return None
    if not isinstance(value, list):
        raise _BadShape("tools is not a list")
    return tuple(value)


def _with_reasoning(turn: Mapping[str, Any]) -> str:
    """Some corpora keep the reasoning in a field of its own, which no template must lose."""
    reasoning, content = turn.get("reasoning_content"), str(turn["content"] or "")
    if not isinstance(reasoning, str) or not reasoning.strip() or "</think>" in content:
        return content
    return f"<think>\n{reasoning.strip()}\n</think>\n\n{content.lstrip()}"


def _turns(value: object, name: str) -> list[dict[str, Any]]:
    turns = []
    for each in _list(value, name):
        if not isinstance(each, dict):
            raise _BadShape(f"a turn of {name} is not an object")
        role = each.get("role")
        if not isinstance(role, str) or role not in ROLES:
            raise _BadShape(f"{name}: unknown role {str(role)[:30]!r}")
        turns.append({**each, "content": _content_of(each, name)})
    return turns


def _content_of(turn: Mapping[str, Any], name: str) -> str | None:
    """Return a turn's text; one that calls tools need not have any, and templates ask for None."""
    calls = turn.get("tool_calls")
    if calls and not (isinstance(calls, list) and all(isinstance(each, dict) for each in calls)):
        raise _BadShape(f"{name}: tool_calls is not a list of calls")
    if calls and turn.get("content") is None:
        return None
    return _content(turn.get("content"), name)


def _content(value: object, name: str) -> str:
    """Return a turn's text; a list of text parts is joined."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [each.get("text") for each in value if isinstance(each, dict)]
        texts = [each for each in parts if isinstance(each, str)]
        if value and len(texts) == len(value):
            return "".join(texts)
    raise _BadShape(f"a turn of {name} has no text")


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise _BadShape(f"{name} is not a list of turns")
    return value


def _refuse_empty(text: str, name: str) -> None:
    if not text.strip():
        raise _BadShape(f"{name} is empty")


@dataclass(frozen=True, slots=True)
class Survey:
    """A data file as a whole."""

    sha256: str
    """Of its bytes, in hex; a byte order mark apart."""
    lines: int
    """That are not blank."""


def survey(path: Path) -> Survey:
    """Read *path* once and return its hash and how many rows it has. Raises DataError."""
    digest, lines, inside = hashlib.sha256(), 0, False
    with open_data(path) as stream:
        while raw := stream.readline(LINE_LIMIT_BYTES):
            digest.update(raw)
            inside = inside or bool(raw.strip())
            if raw.endswith(b"\n"):
                lines, inside = lines + inside, False
    return Survey(digest.hexdigest(), lines + inside)
