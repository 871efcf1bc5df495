"""`lanewatch service install|remove|status|run`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys

from monitor.rundir import runs_root
from runners import service
from tui.cli import exits
from tui.cli.output import complain, out, out_json


def service_command(options: argparse.Namespace) -> int:
    """Carry out one of the verbs."""
    verbs = {"install": _install, "remove": _remove, "status": _status, "run": _run}
    return verbs[options.verb](options)


def _install(options: argparse.Namespace) -> int:
    if options.dry_run:
        out_text(service.unit_text(sys.executable, os.environ))
        return exits.OK
    out(str(service.install()))
    _tell_linger(service.lingers())
    return exits.OK


def out_text(text: str) -> None:
    """Write several lines of results."""
    for line in text.splitlines():
        out(line)


def _tell_linger(linger: bool | None) -> None:
    if linger is False:
        complain(
            "lingering is off: your services start at your first login and end at your last "
            f"logout, not at boot. Turn it on with: {service.linger_command()}"
        )
    elif linger is None:
        complain("whether your services start at boot cannot be told here (loginctl is silent)")


def _remove(_options: argparse.Namespace) -> int:
    if service.remove():
        complain("the service was removed; runs go on")
    else:
        complain("there was no service to remove")
    return exits.OK


def _status(options: argparse.Namespace) -> int:
    found = service.status()
    if options.json:
        out_json(dataclasses.asdict(found))
        return exits.OK
    out(f"unit      {found.path}" + ("" if found.installed else " (not installed)"))
    if not found.manager:
        out("manager   no systemd user manager answers here")
    else:
        out("running   " + _words(found.active))
        out("enabled   " + _words(found.enabled))
    out("linger    " + _words(found.linger))
    _tell_linger(found.linger) if found.installed else None
    return exits.OK


def _words(value: bool | None) -> str:
    return "not known" if value is None else "yes" if value else "no"


def _run(options: argparse.Namespace) -> int:
    from runners.supervisor import Supervisor

    # What one look did is its result, on stdout.
    logging.basicConfig(format="%(message)s", level="WARNING" if options.once else "INFO")
    supervisor = Supervisor(runs_root())
    if options.once:
        for deed in supervisor.look():
            out(deed)
        return exits.OK if supervisor.problem is None else exits.USAGE
    complain(f"looking after the runs in {runs_root()} every {options.every:g} s")
    supervisor.run(options.every)
    return exits.OK
