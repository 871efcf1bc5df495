"""Change frozen values: what `dataclasses.replace` does, cheaply enough for every look. Pure.

The rule: it is for values whose fields are all given to their `__init__`, as all of ours are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import replace as replace  # the type checker knows what it may be given
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """Return *value* with *changes*. Raises TypeError for a field that it has not."""
        kind = value.__class__
        names, read = fields_of(kind)
        return kind(**(dict(zip(names, read(value), strict=True)) | changes))


@cache
def fields_of(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of a dataclass's fields, and what reads all their values of an instance."""
    names = tuple(each.name for each in fields(kind))
    if len(names) == 1:
        (name,) = names
        return names, lambda value: (getattr(value, name),)
    return names, attrgetter(*names) if names else (lambda _: ())
