"""Frozen values to JSON and back, so that what was written can be trusted when it is read again.

The rule: `decode` gives a value of exactly the declared types or raises ValueError; a key that is
missing takes the field's default, a key that is not known is left out. Nothing in between.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from monitor.frozen import fields_of

T = TypeVar("T")


def dumps(value: Mapping[str, Any]) -> bytes:
    """Return *value*, which may hold dataclasses at any depth, as one line of JSON."""
    return _ENCODER.encode(value).encode() + b"\n"


def decode(kind: type[T], value: object) -> T:
    """Return *value* as the dataclass *kind*. Raises ValueError naming the field that is wrong."""
    try:
        of_its_kind: Any = kind
        decoded: T = _decoder(of_its_kind)(value)
    except _WrongError as error:
        raise ValueError(f"{'.'.join((kind.__name__, *error.names))} {error.words}") from error
    except OverflowError as error:
        raise ValueError(f"{kind.__name__} holds a number beyond measure") from error
    return decoded


def _fields_of(value: object) -> dict[str, Any]:
    kind: type = type(value)
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no JSON form")
    names, read = fields_of(kind)
    return dict(zip(names, read(value), strict=True))


_ENCODER = json.JSONEncoder(default=_fields_of, separators=(",", ":"))


class _WrongError(ValueError):
    """What is wrong; who passes it on puts the name of its field in front."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
        self.names: tuple[str, ...] = ()


_Decoder = Callable[[Any], Any]


@cache  # a replay decodes a hundred thousand fields of a few dozen kinds
def _decoder(hint: Any) -> _Decoder:
    """Return what makes a value of the type *hint* of JSON, or raises _WrongError."""
    if hint is Any:
        return lambda value: value
    if dataclasses.is_dataclass(hint):
        return _dataclass_decoder(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = [_decoder(each) for each in arguments if each is not type(None)]
        if type(None) not in arguments:
            return inner
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin is Mapping:
        return _mapping_decoder(_decoder(arguments[1]))
    return _plain_decoder(hint)


def _dataclass_decoder(kind: Any) -> _Decoder:
    decoders: dict[str, _Decoder] = {}  # filled at the first use: a kind may hold its like

    def decoded(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _WrongError("is no object")
        if not decoders:
            hints = get_type_hints(kind)
            decoders.update({name: _decoder(hint) for name, hint in hints.items()})
        known, name = {}, ""
        try:
            for name, decoder in decoders.items():
                if name in value:
                    known[name] = decoder(value[name])
        except _WrongError as error:
            error.names = (name, *error.names)
            raise
        try:
            return kind(**known)
        except TypeError as error:
            raise _WrongError(f"lacks a field: {error}") from error

    return decoded


def _tuple_decoder(arguments: tuple[Any, ...]) -> _Decoder:
    endless = len(arguments) == 2 and arguments[1] is Ellipsis
    decoders = [_decoder(each) for each in arguments if each is not Ellipsis]

    def decoded(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _WrongError("is no list")
        if endless:
            return tuple(map(decoders[0], value))
        if len(decoders) != len(value):
            raise _WrongError(f"has {len(value)} values, not {len(decoders)}")
        return tuple(decoder(each) for decoder, each in zip(decoders, value, strict=True))

    return decoded


def _mapping_decoder(inner: _Decoder) -> _Decoder:
    def decoded(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _WrongError("is no object")
        return {key: inner(each) for key, each in value.items()}

    return decoded


def _plain_decoder(hint: Any) -> _Decoder:
    is_word = isinstance(hint, type) and issubclass(hint, StrEnum)

    def decoded(value: Any) -> Any:
        if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
            if math.isfinite(value):
                return float(value)
        elif is_word and isinstance(value, str):
            return hint(value)  # ValueError for a word that is not one
        elif type(value) is hint:
            return value
        name = getattr(hint, "__name__", hint)
        raise _WrongError(f"is {type(value).__name__}, not {name}")

    return decoded
