"""What the command palette offers on a screen: what its keys do, in the words of their bindings.

A key whose binding has no words is offered by no name: one step of a cursor is no command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual.binding import Binding, BindingType

from tui.widgets.key_bar import shown_as

Commands = tuple[tuple[str, str, str], ...]
"""Words, key, action."""


def commands_of(bindings: Iterable[BindingType]) -> Commands:
    """The keys that have words, in their order."""
    return tuple(
        (each.description, shown_as(each.key.split(",")[0]), each.action)
        for each in _whole(bindings)
        if each.description
    )


def keys_of(bindings: Iterable[BindingType]) -> frozenset[str]:
    """All keys, as they are shown: there none of them means what it means elsewhere."""
    return frozenset(shown_as(key) for each in _whole(bindings) for key in each.key.split(","))


def without(commands: Commands, *names: str) -> Commands:
    """*commands* without those whose action is one of *names*, or begins with one as `name(`."""
    return tuple(
        each for each in commands if not {each[2], each[2].split("(")[0]}.intersection(names)
    )


def _whole(bindings: Iterable[BindingType]) -> Iterator[Binding]:
    for each in bindings:
        yield each if isinstance(each, Binding) else Binding(*each)
