"""`lanewatch drill`: rehearse a fault and see what the watcher says of it."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import signal
from collections.abc import Iterator
from typing import Any

from monitor.model import Liveness
from runners.drills.director import Show, Shown
from runners.drills.rehearse import Rehearsed, may_rehearse, rehearse, replay_instead
from runners.drills.table import DRILLS, Drill
from runners.errors import RunnerError
from tui.cli import exits
from tui.cli.output import complain, out, out_json


def drill_command(options: argparse.Namespace) -> int:
    """List the drills, or rehearse one. 0: as expected, 1: not."""
    if options.drill is None:
        return _list(options.json)
    drill = _find(options.drill)
    real = may_rehearse(drill)
    rate = drill.rate * options.speed
    if not options.json:
        out(f"{drill.name}: {drill.about}")
        if real:
            out(f"time is judged {rate:g} times as fast here: 60 s pass in {60 / rate:.1f} s")
        else:
            out(f"this user may not {drill.needs} here: a recording of the drill is judged instead")
    try:
        with _ended_by_signals():
            show: Show = _silent if options.json else _Teller()
            rehearsed = (
                rehearse(drill, rate=rate, keep=options.keep, show=show, diagnose=options.diagnose)
                if real
                else replay_instead(drill, show=show)
            )
    except KeyboardInterrupt:
        complain("interrupted; the drill was cleared away")
        return exits.INTERRUPTED
    if options.json:
        out_json(_json_of(rehearsed))
    else:
        _tell_end(rehearsed)
    return exits.OK if rehearsed.as_expected else exits.FAILED


def _list(as_json: bool) -> int:
    if as_json:
        out_json([{"drill": each.name, "about": each.about} for each in DRILLS.values()])
        return exits.OK
    wide = max(map(len, DRILLS))
    for each in DRILLS.values():
        out(f"{each.name:<{wide}}  {each.about}")
    return exits.OK


def _find(name: str) -> Drill:
    try:
        return DRILLS[name]
    except KeyError:
        near = difflib.get_close_matches(name, DRILLS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise RunnerError(
            f"no drill is called {name!r}; {hint}`lanewatch drill` lists them"
        ) from None


class _Teller:
    """Tells the lines that matter: each save and what follows it is one only with --json."""

    def __init__(self) -> None:
        self._told: tuple[str, tuple[str, ...]] | None = None

    def __call__(self, line: Shown) -> None:
        look = line.look
        if look is not None:
            dull = look.verdict is Liveness.SAVING or look.key == self._told
            if dull and not line.expected:
                return
            self._told = look.key
        out(text_of(line))


def _silent(line: Shown) -> None:
    """With --json all is told at the end."""


def text_of(line: Shown) -> str:
    """One line of the timeline: "0:19  stalled: no progress for 61 s … (expected)"."""
    minutes, seconds = divmod(int(line.real_s), 60)
    look = line.look
    if look is None:
        return f"{minutes}:{seconds:02d}  - {line.text}"
    flags = "".join(f" +{flag}" for flag in look.key[1])
    seen = " (expected)" if line.expected else ""
    return f"{minutes}:{seconds:02d}  {look.verdict}{flags}: {line.text}{seen}"


def _tell_end(rehearsed: Rehearsed) -> None:
    if rehearsed.as_expected:
        out("as expected")
    else:
        out("NOT as expected: " + "; ".join(rehearsed.problems))
    if rehearsed.folder is not None:
        out(f"look at it: lanewatch {rehearsed.run}")


def _json_of(rehearsed: Rehearsed) -> dict[str, Any]:
    return {
        "drill": rehearsed.drill.name,
        "rate": rehearsed.rate,
        "replayed": rehearsed.replayed,
        "run": rehearsed.run if rehearsed.folder else None,
        "as_expected": rehearsed.as_expected,
        "problems": list(rehearsed.problems),
        "diagnoses": [dataclasses.asdict(each) for each in rehearsed.diagnoses],
        "timeline": [_line_json(line, rehearsed.rate) for line in rehearsed.lines],
    }


def _line_json(line: Shown, rate: float) -> dict[str, Any]:
    look = line.look
    at = {"real_s": round(line.real_s, 3), "judged_s": round(line.real_s * rate, 1)}
    if look is None:
        return at | {"kind": "happens", "text": line.text}
    return at | {
        "kind": "verdict",
        "text": line.text,
        "verdict": str(look.verdict),
        "flags": list(look.flags),
        "signature": look.signature,
        "iteration": look.iteration,
        "limit_s": look.limit_s,
        "silent_s": look.silent_s,
        "expected": line.expected,
    }


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A hang-up or a SIGTERM clears away as ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
