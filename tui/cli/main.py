"""Parse the command line, call the command, and turn every error into one sentence and a code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from monitor.errors import BadConfigError, MonitorError
from runners.config import ConfigError, apply_config
from runners.errors import RunnerError, RunNotFoundError
from tui.cli import exits
from tui.cli.names import COMMANDS
from tui.cli.output import complain

Handler = Callable[[Any], int]


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        return _dispatch(list(arguments))
    except KeyboardInterrupt:
        complain("interrupted; runs go on")
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, say) has gone: nothing more can be told, and Python must not try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except (ConfigError, BadConfigError) as error:
        complain(f"lanewatch: {error}")
        return exits.BAD_CONFIG
    except (RunnerError, MonitorError) as error:
        complain(f"lanewatch: {error}")
        return exits.USAGE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = f"{where}{error.strerror or error}"
        if not error.filename and _is_nowhere():
            told = "the current folder is gone: cd to one that is there"
        complain(f"lanewatch: {told}")
        return exits.USAGE


def _is_nowhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - only whether it is there
    except FileNotFoundError:
        return True
    return False


def _dispatch(arguments: list[str]) -> int:
    command = next((word for word in arguments if not word.startswith("-")), None)
    options = _for_the_screen(arguments) or _parsed(arguments, command)
    if options.command != "config":
        apply_config()
    module, _, function = options.handler.partition(":")
    handler: Handler = getattr(importlib.import_module(module), function)
    try:
        return handler(options)
    except RunNotFoundError:
        import difflib

        near = difflib.get_close_matches(command or "", COMMANDS, n=1, cutoff=0.7)
        if options.command is None and near:
            complain(f"did you mean `lanewatch {near[0]}`?")
        raise


def _for_the_screen(arguments: list[str]) -> SimpleNamespace | None:
    """The options of `lanewatch [--readonly] [RUN]`, for which no parser is loaded; else None."""
    names = [word for word in arguments if word != "--readonly"]
    if len(names) > 1 or any(name.startswith("-") or name in COMMANDS for name in names):
        return None
    return SimpleNamespace(
        run=names[0] if names else None,
        readonly="--readonly" in arguments,
        command=None,
        handler="tui.cli.screen:screen_command",
    )


def _parsed(arguments: list[str], command: str | None) -> Any:
    from tui.cli.parser import build_parser

    asks = set(arguments) & {"-h", "--help", "--version"}
    return build_parser(board=command not in COMMANDS and not asks).parse_args(arguments)
