"""Turn rows into token ids and a loss mask. The same row always gives the same ids, in every lane.

The mask is 1 on what is learnt: the answer with its end, or the whole of a plain text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from runners.prepare.chat import ChatTemplate, TemplateError, join
from runners.recipe.data import BadRow, DataError, Row

END_THINK = "</think>"
BATCH_ROWS = 64
"""Rows tokenised in one call: enough to keep the tokenizer busy, little to hold."""

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
"""All of a model folder that ids can depend on."""

SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One row, tokenised and cut to the sequence limit."""

    line: int
    shape: str
    ids: tuple[int, ...]
    mask: tuple[int, ...]
    length: int
    """Tokens before the cut."""
    lost_think: bool = False
    """An end of reasoning that the row's answer had is not among the ids."""
    lost_end: bool = False
    """The last id is not the model's end-of-sequence."""
    unopened: bool = False
    """The template opens a reasoning that the answer does not continue."""

    @property
    def is_cut(self) -> bool:
        """True when the row did not fit."""
        return self.length > len(self.ids)


@dataclass(frozen=True, slots=True)
class _Text:
    """A rendered row."""

    row: Row
    prompt: str
    answer: str


class RowTokenizer:
    """A model's tokenizer and chat template, as found in its folder."""

    def __init__(self, folder: Path, sequence_length: int) -> None:
        """Load them from *folder*; ids are cut at *sequence_length*. Raises DataError."""
        self._limit = sequence_length
        self._tokenizer = _load(folder / "tokenizer.json")
        config = _read_json(folder / "tokenizer_config.json")
        special = special_tokens(config, _read_json(folder / "special_tokens_map.json"))
        if "eos_token" not in special:
            raise DataError(f"{folder}: tokenizer_config.json names no eos_token")
        self._eos = special["eos_token"]
        self._eos_id = self._id(self._eos, folder)
        self._begin = self._beginning()
        if not self._begin and config.get("add_bos_token") and "bos_token" in special:
            self._begin = [self._id(special["bos_token"], folder)]
        self._known = _vocabulary(folder)
        # Metaspace and the like put a mark before the first word of every text, answers included.
        joint, first, second = self._encode(["\na", "\n", "a"])
        self._marks_start = joint != first + second
        self._think_id = self._tokenizer.token_to_id(END_THINK)
        source = chat_template_source(folder, config)
        self._chat = ChatTemplate(source, special) if source else None

    def tokens(self, rows: Iterable[Row | BadRow]) -> Iterator[Tokens | BadRow]:
        """Yield each row's tokens, in order; a row that cannot be rendered becomes a BadRow."""
        iterator = iter(rows)
        while batch := list(islice(iterator, BATCH_ROWS)):
            yield from self._batch([self._rendered(row) for row in batch])

    def _beginning(self) -> list[int]:
        """The ids that the tokenizer itself puts before every text, as transformers uses it."""
        plain, whole = (
            self._tokenizer.encode("a", add_special_tokens=special).ids for special in (False, True)
        )
        found = (at for at in range(len(whole)) if whole[at : at + len(plain)] == plain)
        return list(whole[: next(found, 0)])

    def _batch(self, batch: list[_Text | BadRow]) -> Iterator[Tokens | BadRow]:
        texts = [each for each in batch if isinstance(each, _Text)]
        prompts = self._encode([each.prompt for each in texts])
        answers = self._encode([each.answer for each in texts])
        if self._marks_start:
            answers = [
                self._answer(text, prompt, answer)
                for text, prompt, answer in zip(texts, prompts, answers, strict=True)
            ]
        made = iter(zip(texts, prompts, answers, strict=True))
        for each in batch:
            yield each if isinstance(each, BadRow) else self._tokens(*next(made))

    def _encode(self, texts: list[str]) -> list[list[int]]:
        found = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [each.ids for each in found]

    def _rendered(self, row: Row | BadRow) -> _Text | BadRow:
        if isinstance(row, BadRow):
            return row
        prompt, end, answer = row.prompt, self._eos, row.answer
        if prompt is None:
            if self._chat is None:
                return BadRow(row.line, "is a conversation, but the model has no chat template")
            try:
                prompt = self._chat.prompt(row.messages, row.tools)
                if row.call is not None:
                    answer = self._chat.call(row.messages, row.call, row.tools)
            except TemplateError as error:
                return BadRow(row.line, f"is refused by the model's chat template: {error}")
            if not self._chat.turn_end.endswith(end):
                end = self._chat.turn_end + end
            else:
                end = self._chat.turn_end
        try:
            (prompt + answer).encode()
        except UnicodeEncodeError:
            return BadRow(row.line, "renders to half of a surrogate pair")
        answer = join(prompt, answer)
        return _Text(row, prompt, answer if answer.endswith(end) else answer + end)

    def _answer(self, text: _Text, prompt: list[int], alone: list[int]) -> list[int]:
        """Return the answer's ids without the mark that this tokenizer puts at a text's start."""
        whole = self._encode([text.prompt + text.answer])[0]
        return whole[len(prompt) :] if whole[: len(prompt)] == prompt else alone

    def _tokens(self, text: _Text, prompt: list[int], answer: list[int]) -> Tokens | BadRow:
        # As a model meets it when it is used: the prompt by itself, then what follows.
        whole, mask = prompt + answer, [0] * len(prompt) + [1] * len(answer)
        if whole[: len(self._begin)] != self._begin:
            whole, mask = [*self._begin, *whole], [0] * len(self._begin) + mask
        if self._known is not None and max(whole) >= self._known:
            return BadRow(
                text.row.line,
                f"has the token id {max(whole)}, but the model knows {self._known}: tokenizer and "
                "config.json (vocab_size) do not belong together",
            )
        ids = whole[: self._limit]
        return Tokens(
            line=text.row.line,
            shape=text.row.shape,
            ids=tuple(ids),
            mask=tuple(mask[: self._limit]),
            length=len(whole),
            lost_think=self._ends_of_thought(ids, mask) < text.row.answer.count(END_THINK),
            lost_end=ids[-1:] != [self._eos_id],
            unopened=text.prompt.rstrip().endswith("<think>") and END_THINK not in text.row.answer,
        )

    def _ends_of_thought(self, ids: list[int], mask: list[int]) -> int:
        learnt = [each for each, counts in zip(ids, mask, strict=False) if counts]
        if self._think_id is not None:
            return learnt.count(self._think_id)
        return self._tokenizer.decode(learnt, skip_special_tokens=False).count(END_THINK)

    def _id(self, token: str, folder: Path) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise DataError(f"{folder}: tokenizer.json does not know the token {token!r}")
        return int(found)


def _vocabulary(folder: Path) -> int | None:
    """How many ids the model in *folder* has an embedding for; None where that is not said."""
    config = _read_json(folder / "config.json")
    inner = config.get("text_config")
    said = [each.get("vocab_size") for each in (config, inner) if isinstance(each, Mapping)]
    return max((size for size in said if type(size) is int and size > 0), default=None)


def tokenizer_hash(folder: Path) -> str:
    """Return the SHA-256, in hex, over the files of *folder* that ids depend on. Raises OSError."""
    digest = hashlib.sha256()
    for name in FILES:
        path = folder / name
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def special_tokens(*sources: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens that the files name, as text; the first file wins."""
    found: dict[str, str] = {}
    for name in SPECIAL:
        for source in sources:
            value = source.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            if isinstance(text, str) and text:
                found.setdefault(name, text)
    return found


def chat_template_source(folder: Path, config: Mapping[str, Any]) -> str | None:
    """Return the model's chat template: chat_template.jinja, else that of tokenizer_config.json."""
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except FileNotFoundError:
        found = config.get("chat_template")
    except (OSError, UnicodeError) as error:
        raise DataError(f"{folder / 'chat_template.jinja'} cannot be read: {error}") from None
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _load(path: Path) -> Tokenizer:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; the base model folder is not whole")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  the library raises bare Exception
        raise DataError(f"{path} is no tokenizer: {str(error)[:200]}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        raise DataError(f"{path} cannot be read as JSON") from None
    return value if isinstance(value, dict) else {}
