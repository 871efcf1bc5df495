"""Render conversations with a model's own chat template, as transformers does it.

The template is foreign code: it runs in jinja2's immutable sandbox. It renders only what comes
before the answer; the answer itself is appended as it is, because templates of the R1 family delete
the reasoning of every assistant turn (`content.split('</think>')[-1]`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runners.recipe.data import DataError

THE_DAY = datetime(2024, 7, 26, tzinfo=UTC)
"""What templates that write the date (Llama 3's, Mistral's) are told: else two lanes in one night
would train on other ids after midnight. It is the day that Llama's own template falls back to."""

THINK = "<think>"
PROBE = "lanewatchprobe"
"""A word that stands for an answer while the end of a turn is looked for."""


class TemplateError(Exception):
    """The template refused a conversation; its text is the template's own reason."""


class Generation(jinja2.ext.Extension):
    """Lets `{% generation %}…{% endgeneration %}` render what it encloses."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        """Replace the block by its body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """jinja2's own filter would escape HTML characters."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _now(pattern: str) -> str:
    return THE_DAY.strftime(pattern)


def environment() -> ImmutableSandboxedEnvironment:
    """Return a sandbox with what transformers gives a chat template."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _refuse
    made.globals["strftime_now"] = _now
    return made


class ChatTemplate:
    """A model's chat template, ready to render prompts."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        """Compile *source*; *special_tokens* are `eos_token` and the like. Raises DataError."""
        self._special = dict(special_tokens)
        try:
            self._template = environment().from_string(source)
        except jinja2.TemplateError as error:
            raise DataError(
                f"the model's chat template cannot be used: {_first_line(error)}"
            ) from None
        self.turn_end = self._find_turn_end()
        """What the template writes after an answer, without trailing space; often the EOS."""

    def prompt(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] | None = None
    ) -> str:
        """Return all that comes before the answer, the opening of its turn included.

        *tools* are those that may be called. Raises TemplateError.
        """
        prompt = self._render(messages, tools, opens_answer=True)
        calls = [each for turn in messages for each in turn.get("tool_calls") or ()]
        if any(name not in prompt for name in _names([*(tools or ()), *calls])):
            raise TemplateError("it leaves tools or their calls out")
        return prompt

    def call(
        self,
        messages: Sequence[Mapping[str, Any]],
        call: Mapping[str, Any],
        tools: Sequence[Any] | None = None,
    ) -> str:
        """Return the turn *call*, which calls tools, as it comes after the prompt of *messages*.

        Only the template knows how a call is written. Raises TemplateError where it does not.
        """
        prompt = self.prompt(messages, tools)
        whole = self._render([*messages, call], tools, opens_answer=False)
        if not whole.startswith(prompt):
            raise TemplateError("it writes a tool call otherwise than after its own prompt")
        written = whole[len(prompt) :].rstrip()
        if any(name not in written for name in _names(call["tool_calls"])):
            raise TemplateError("it leaves tool calls out")
        return written

    def _render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Any] | None = None,
        *,
        opens_answer: bool,
    ) -> str:
        try:
            return self._template.render(
                messages=[dict(message) for message in messages],
                tools=None if tools is None else list(tools),
                documents=None,
                add_generation_prompt=opens_answer,
                **self._special,
            )
        except Exception as error:  # noqa: BLE001  a template is foreign code and raises anything
            raise TemplateError(_first_line(error)) from None

    def _find_turn_end(self) -> str:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": PROBE}]
        try:
            rendered = self._render(turns, opens_answer=False)
        except TemplateError:
            return ""
        _, found, after = rendered.rpartition(PROBE)
        return after.strip() if found else ""


def _names(tools: Iterable[Any]) -> list[str]:
    """Of tools, or of calls of them: as OpenAI nests them, or plain."""
    inner = [each.get("function", each) for each in tools if isinstance(each, dict)]
    return [each["name"] for each in inner if isinstance(each, dict) and _is_text(each.get("name"))]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def join(prompt: str, answer: str) -> str:
    """Return *answer* as it continues *prompt*; an open `<think>` is not opened again."""
    opened, text = prompt.rstrip(), answer.lstrip()
    if not opened.endswith(THINK) or not text.startswith(THINK):
        return answer
    text = text[len(THINK) :]
    ends_line = len(prompt) > len(opened)
    return text.removeprefix("\n") if ends_line else text


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
