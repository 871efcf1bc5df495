"""Frozen values to JSON and back, so that what was written can be trusted when it is read again.

The rule: `decode` gives a value of exactly the declared types or raises ValueError; a key that is
missing takes the field's default, a key that is not known is left out. Nothing in between.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
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
        decoded: T = _decode(kind, value, kind.__name__)
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


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(_hints(kind))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = [each for each in arguments if each is not type(None)]
        return _decode(inner, value, where)
    if origin is tuple:
        return _decode_tuple(arguments, value, where)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is no object")
        return {key: _decode(arguments[1], each, where) for key, each in value.items()}
    return _decode_plain(hint, value, where)


def _decode_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no object")
    hints = _hints(kind)
    known = {
        name: _decode(hints[name], value[name], f"{where}.{name}")
        for name in _names(kind)
        if name in value
    }
    try:
        return kind(**known)
    except TypeError as error:
        raise ValueError(f"{where} lacks a field: {error}") from error


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is no list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], each, where) for each in value)
    if len(arguments) != len(value):
        raise ValueError(f"{where} has {len(value)} values, not {len(arguments)}")
    return tuple(_decode(hint, each, where) for hint, each in zip(arguments, value, strict=True))


def _decode_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(value, str):
        return hint(value)  # ValueError for a word that is not one
    elif type(value) is hint:
        return value
    raise ValueError(f"{where} is {type(value).__name__}, not {getattr(hint, '__name__', hint)}")
