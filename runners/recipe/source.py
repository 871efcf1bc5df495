"""Get a recipe's tables out of a file that may be anything at all.

A file that is no recipe is one clear sentence; a huge one is refused without being read.
"""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

from runners.recipe.problems import Problem, RecipeError

SIZE_LIMIT_BYTES = 1024 * 1024
"""A recipe is a few kilobytes; what is larger is some other file and is not read."""


def read_tables(path: Path) -> dict[str, Any]:
    """Return the TOML tables of *path*. Raises RecipeError."""
    return _parse(_read(path), path)


def _read(path: Path) -> bytes:
    def refuse(message: str) -> RecipeError:
        return RecipeError([Problem("", message)], str(path))

    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise refuse("is a folder; name the recipe file in it")
        if not stat.S_ISREG(found.st_mode):
            raise refuse("is not a regular file")
        if found.st_size > SIZE_LIMIT_BYTES:
            raise refuse(f"has {found.st_size:,} bytes; a recipe has at most 1 MiB, not read")
        with path.open("rb") as stream:
            content = stream.read(SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise refuse("no such file; `lanewatch recipe init` writes one to start from") from None
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise refuse("is not a file name") from None
    if not content.strip():
        raise refuse("is empty; `lanewatch recipe init` writes a recipe to start from")
    return content


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    try:
        if b"\0" in content:
            raise UnicodeError
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeError:
        message = "is not a text file (a recipe is TOML in UTF-8)"
    except tomllib.TOMLDecodeError as error:
        message = f"is not TOML: {str(error)[:200]}"
    except (ValueError, RecursionError, OverflowError):
        message = "is not TOML: a value in it is out of all bounds"
    raise RecipeError([Problem("", message)], str(path))
