"""`lanewatch config init|print|path`."""

from __future__ import annotations

import argparse

from runners.config import KEYS, Setting, config_path, render_config, settings
from runners.errors import RunnerError
from tui.cli import exits
from tui.cli.output import out, out_json
from tui.presentation import UNKNOWN

HIDDEN = "(set, not shown)"


def config_command(options: argparse.Namespace) -> int:
    """Show or make the configuration file."""
    path = config_path()
    if options.verb == "path":
        out(str(path))
    elif options.verb == "init":
        _init()
    elif options.json:
        out_json(
            {
                each.key: {"value": _shown(each), "source": each.source}
                for each in settings().values()
            }
        )
    else:
        for each in settings().values():
            out(f"{each.key} = {_shown(each) or UNKNOWN}  ({each.source})")
    return exits.OK


def _shown(setting: Setting) -> str | None:
    """A secret is only said to be there."""
    if setting.value is None or not KEYS[setting.key].secret:
        return setting.value
    return HIDDEN


def _init() -> None:
    path = config_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("x") as stream:
            stream.write(render_config())
        path.chmod(0o600)
    except FileExistsError:
        raise RunnerError(f"{path} exists already; it was left as it is") from None
    out(str(path))
