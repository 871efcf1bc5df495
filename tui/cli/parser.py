"""What can be typed. Building the parser loads no command: each is named as "module:function"."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tui.cli.names import COMMANDS
from tui.cli.values import count, pause, process_id, seconds, speed

EPILOG = """\
exit codes: 0 ok · 1 what was asked about failed · 2 usage or environment · 75 timed out ·
78 bad configuration · 130 interrupted (the run is left alone)"""


def build_parser(*, board: bool = False) -> argparse.ArgumentParser:
    """Return the parser; with *board*, the one for `lanewatch [RUN]`."""
    parser = argparse.ArgumentParser(
        prog="lanewatch",
        usage="lanewatch [-h] [--version] [--readonly] [RUN | COMMAND ...]",
        description="Launch LoRA fine-tunes and watch them. Without a command: the terminal UI, "
        "the board or,\nwith a part of a run's id or name, that run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_ShowVersion, help="show the version and exit")
    parser.add_argument("--readonly", action="store_true", help="the UI may change nothing")
    if board:
        parser.add_argument("run", nargs="?", help="show this run (any unique part of id or name)")
        parser.set_defaults(command=None, handler="tui.cli.screen:screen_command")
        return parser
    subparsers = parser.add_subparsers(
        prog="lanewatch", dest="command", metavar="COMMAND", required=True
    )
    for name, (about, handler) in COMMANDS.items():
        sub = subparsers.add_parser(name, help=about, description=about, allow_abbrev=False)
        sub.set_defaults(handler=handler)
        _ARGUMENTS.get(name, _one_run)(sub)
    return parser


class _ShowVersion(argparse.Action):
    """Finds the version only when asked: that takes longer than most commands."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import importlib.metadata

        parser.exit(message=f"lanewatch {importlib.metadata.version('lanewatch')}\n")


def _one_run(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("run", help="a run id or name, or any unique part of one")


def _json(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--json", action="store_true", help="machine-readable result on stdout")


def _launch(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("recipe", nargs="?", help="recipe file (TOML); see `lanewatch recipe init`")
    sub.add_argument(
        "--data", metavar="FILE", help="rows to train on, with --model: no recipe file"
    )
    sub.add_argument("--model", metavar="M", help="base model: a folder or a hub id")
    sub.add_argument(
        "--lane", help="how: reference, unsloth, nemo (default from the configuration)"
    )
    sub.add_argument("--engine", help="where: local, docker (default from the configuration)")
    _set(sub)
    sub.add_argument("--smoke", type=count, metavar="N", help="N steps, 2 saves: project all")
    sub.add_argument(
        "--from",
        dest="from_stage",
        metavar="STAGE",
        help="begin there, with what the newest run of this recipe made before it",
    )
    sub.add_argument("--name", help="a name to find the run by")
    sub.add_argument(
        "--after", metavar="RUN", help="wait for the end of RUN and for its memory, then start"
    )
    _anyway(sub)
    sub.add_argument("--dry-run", action="store_true", help="print what would be started")
    _json(sub)


def _anyway(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--anyway",
        action="store_true",
        help="go on although the box is busy, the memory of the run before has not come back, or "
        "the doctor advises against it",
    )


def _resume(sub: argparse.ArgumentParser) -> None:
    _one_run(sub)
    _anyway(sub)


def _export(sub: argparse.ArgumentParser) -> None:
    _one_run(sub)
    sub.add_argument(
        "--iteration", type=count, metavar="N", help="which checkpoint; default: the newest"
    )
    _anyway(sub)


def _set(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE",
        help="change one field of the recipe; may be repeated",
    )


def _attach(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--pid", type=process_id, metavar="P", help="this process or one it started")
    sub.add_argument("--container", metavar="C", help="the trainer inside this Docker container")
    sub.add_argument("--checkpoints", metavar="DIR", help="where it saves, on this machine")
    sub.add_argument("--log", metavar="FILE", help="where its output goes, on this machine")
    sub.add_argument("--total", type=count, metavar="N", help="iterations that it will do")
    sub.add_argument("--name", help="a name to find the run by")
    sub.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE",
        help="a limit of liveness.* or memory.*; may be repeated",
    )
    _json(sub)


def _demo(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--headless", action="store_true", help="progress lines instead of the UI")
    _set(sub)


def _runs(sub: argparse.ArgumentParser) -> None:
    _json(sub)


def _status(sub: argparse.ArgumentParser) -> None:
    _one_run(sub)
    _json(sub)


def _events(sub: argparse.ArgumentParser) -> None:
    _status(sub)
    sub.add_argument("--follow", "-f", action="store_true", help="go on until the run has ended")


def _events_trace(sub: argparse.ArgumentParser) -> None:
    _events(sub)
    sub.add_argument(
        "--trace",
        metavar="FILE",
        help="write what the watcher saw, for `lanewatch replay`; - for stdout",
    )


def _replay(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("trace", help="a trace (JSON lines), see docs/trace-format.md; - for stdin")
    _json(sub)


def _logs(sub: argparse.ArgumentParser) -> None:
    _one_run(sub)
    sub.add_argument("--follow", "-f", action="store_true", help="go on until the run has ended")
    sub.add_argument("--stage", help="of this stage; default: the newest")
    sub.add_argument("--lines", "-n", type=count, default=50, metavar="N", help="from the end (50)")
    _json(sub)


def _compare(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("run", nargs="+", help="ids or names, or any unique parts; first: the base")
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--md", action="store_true", help="as Markdown")
    form.add_argument("--json", action="store_true", help="machine-readable result on stdout")


def _wait(sub: argparse.ArgumentParser) -> None:
    _status(sub)
    sub.add_argument(
        "--timeout", type=seconds, metavar="S", help="give up after S seconds: exit 75"
    )


def _stop(sub: argparse.ArgumentParser) -> None:
    _one_run(sub)
    sub.add_argument("--save", action="store_true", help="save a checkpoint first")


def _rm(sub: argparse.ArgumentParser) -> None:
    _one_run(sub)
    sub.add_argument("--yes", action="store_true", help="do not ask")


def _drill(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("drill", nargs="?", metavar="NAME", help="which; without one: list them")
    sub.add_argument("--keep", action="store_true", help="leave the run among your runs")
    sub.add_argument(
        "--diagnose", action="store_true", help="diagnose it too: is the true cause named?"
    )
    sub.add_argument(
        "--speed", type=speed, default=1.0, metavar="X", help="so many times as fast (0.05 to 3)"
    )
    _json(sub)


def _diagnose(sub: argparse.ArgumentParser) -> None:
    _status(sub)
    sub.add_argument(
        "--bundle", metavar="FILE.tar.gz", help="also write all that was seen, without secrets"
    )
    sub.add_argument(
        "--native", action="store_true", help="native calls too; pauses the trainer for some 60 ms"
    )
    sub.add_argument(
        "--yes",
        action="store_true",
        help="where this user may not look into a container: start one that can, without asking",
    )


def _doctor(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("recipe", nargs="?", help="recipe file (TOML); without one: the machine alone")
    sub.add_argument(
        "--lane",
        help="how it will be trained (default from the configuration); without a recipe: whether "
        "the engine has what this lane needs",
    )
    sub.add_argument("--engine", help="where: local, docker (default from the configuration)")
    _set(sub)
    sub.add_argument(
        "--prove",
        action="store_true",
        help="a tiny random model through the lane for real: train, stop, resume, merge, reload",
    )
    sub.add_argument("--report", metavar="FILE", help="where --prove writes what it found")
    _json(sub)


def _prune(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("run", nargs="*", help="only of these runs; default: of all that are over")
    for kind, about in PRUNED.items():
        sub.add_argument(f"--{kind}", action="store_true", help=about)
    sub.add_argument("--dry-run", action="store_true", help="list, and delete nothing")
    sub.add_argument("--yes", action="store_true", help="do not ask")
    _json(sub)


PRUNED = {
    "imports": "bases imported for a lane that no run needs now",
    "environments": "environments installed for a lane's image that no run needs now",
    "merged": "merged models of runs that are over; their adapters stay",
    "checkpoints": "checkpoints of runs that are over, but the one the tracker names",
}
"""What `prune` frees; without any of them, all."""


def _recipe(sub: argparse.ArgumentParser) -> None:
    verbs = sub.add_subparsers(dest="verb", metavar="init|check", required=True)
    init = verbs.add_parser("init", help="write the default recipe with comments")
    init.add_argument("file", nargs="?", default="recipe.toml", help="where; - for stdout")
    check = verbs.add_parser("check", help="check a recipe and its data")
    check.add_argument("file", help="the recipe file")
    _set(check)
    _json(check)


def _config(sub: argparse.ArgumentParser) -> None:
    verbs = sub.add_subparsers(dest="verb", metavar="init|print|path", required=True)
    verbs.add_parser("init", help="write a configuration file with comments")
    _json(verbs.add_parser("print", help="what is in force, and from where"))
    verbs.add_parser("path", help="where the file is")


def _alerts(sub: argparse.ArgumentParser) -> None:
    verbs = sub.add_subparsers(dest="verb", metavar="add|list|test|remove", required=True)
    add = verbs.add_parser("add", help="send alerts to this service as well")
    add.add_argument(
        "url", help="an apprise URL, ntfy://TOPIC for one; - reads it from stdin (it is a secret)"
    )
    add.add_argument("--name", help="what to call it; default: the name of the service")
    _json(verbs.add_parser("list", help="the channels, and what is known to fail"))
    test = verbs.add_parser("test", help="send a test message; exits 1 if a channel failed")
    test.add_argument("channel", nargs="?", help="a name or a URL; default: every channel")
    _json(test)
    verbs.add_parser("remove", help="forget a channel").add_argument("name")


def _service(sub: argparse.ArgumentParser) -> None:
    verbs = sub.add_subparsers(dest="verb", metavar="install|remove|status|run", required=True)
    install = verbs.add_parser("install", help="write and start a systemd --user unit")
    install.add_argument("--dry-run", action="store_true", help="print the unit")
    verbs.add_parser("remove", help="stop the unit and delete it; runs go on")
    _json(verbs.add_parser("status", help="whether it is installed, runs, and starts at boot"))
    run = verbs.add_parser("run", help="what the unit runs, in the foreground")
    run.add_argument("--every", type=pause, default=30.0, metavar="S", help="between scans (30)")
    run.add_argument("--once", action="store_true", help="scan once and exit")


_ARGUMENTS = {
    "launch": _launch,
    "demo": _demo,
    "attach": _attach,
    "runs": _runs,
    "status": _status,
    "events": _events_trace,
    "logs": _logs,
    "compare": _compare,
    "wait": _wait,
    "stop": _stop,
    "resume": _resume,
    "export": _export,
    "rm": _rm,
    "alerts": _alerts,
    "service": _service,
    "replay": _replay,
    "drill": _drill,
    "diagnose": _diagnose,
    "doctor": _doctor,
    "du": _runs,
    "prune": _prune,
    "recipe": _recipe,
    "config": _config,
}
