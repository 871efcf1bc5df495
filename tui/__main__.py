"""Console entry point: everything else is loaded only when a command needs it."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line and return its exit code."""
    _open_what_is_closed()
    try:
        from tui.cli.main import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # before there was a command that could have said so
        return 130


def _open_what_is_closed() -> None:
    """A daemon may start us without stdin, stdout or stderr: then nobody reads or writes there."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))


if __name__ == "__main__":
    sys.exit(main())
