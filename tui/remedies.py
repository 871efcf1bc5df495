"""The first thing to do about a run, in one sentence. Pure; docs/verdicts.md has the whole table.

What a diagnosis of this very hang advises comes before what its verdict advises in general.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tui.state import is_over

if TYPE_CHECKING:
    from monitor.status_model import RunStatus

HUNG = frozenset({"stalled", "suspect"})

_BY_SIGNATURE = {
    "stopped": "let it go on with a SIGCONT: something stopped its process",
    "blocked-pipe": "let the reader of its output go on",
    "blocked-terminal": "press Ctrl-Q in the terminal that shows its output",
    "blocked-io": "look at dmesg and the mount: a disk or a file server does not answer",
    "spinning": "diagnose (d) says where it spins; then kill (K) and resume (R)",
    "idle-deadlock": "diagnose (d) says who waits for whom; then kill (K) and resume (R)",
    "swap-thrash": "free memory: stop other programs, or take a smaller batch",
    "gpu-lost": "reboot the machine, then resume; nothing in the run helps",
    "driver-stuck": "start nothing on the GPU; reboot if it lasts",
    "save-worker-dead": "kill (K) and resume (R); turn asynchronous saving off",
    "thermal": "see to its cooling: the GPU is throttled by heat",
    "power-state": "take the power supply off for a minute once the run is over",
    "contention": "stop the neighbours, or wait: others use its GPU or cores",
    "stopped-reader": "let whoever reads its log go on",
    "held-by-filter": "nothing is lost; next time grep --line-buffered, or no pipe",
    "stalled-client": "nothing is lost; next time let the container write its log file",
}

_LET_GO_ON = {
    "stopped": "it",
    "blocked-pipe": "the reader of its output",
    "blocked-terminal": "the program of its terminal",
    "stopped-reader": "the reader of its log",
    "stalled-client": "the client that reads its log",
}
"""Where the reason may name a process, and what that is to the run."""

_BY_VERDICT = {
    "log-stuck": "leave the run alone: training goes on, only its log does not",
    "suspect": "look again in some minutes; it is not sure yet",
    "stalled": "diagnose (d) says why it hangs; then kill (K) and resume (R)",
    "slow": "look at the neighbours, the temperature and the clock (tab 3)",
    "lost": "lanewatch watch {run} brings its keeper and watcher back",
    "ended": "read its log (tab 5): nobody saw its exit status",
}


def first_remedy(status: RunStatus, advice: str | None = None) -> str | None:
    """What to do first; None while there is nothing to do. *advice* is of a diagnosis."""
    if is_over(status):
        return _after_the_end(status)
    memory = status.memory
    if memory is not None and memory.level in ("high", "limit"):
        ours = status.foreign is None
        saved = "save and stop it now (s)" if ours else "end it where it was started"
        return f"{saved}, or free memory: beyond the limit the machine may hang"
    if "disk-low" in status.flags:
        return "free disk space before the next save: lanewatch prune, lanewatch du"
    if "nan-loss" in status.flags:
        return "stop it: the loss is no number; begin again with a lower learning rate"
    said = _foreign(status) if status.foreign is not None else None
    if status.verdict in HUNG and (advice or said):
        return advice or said
    if status.verdict == "lost" and _is_looked_after(status):
        return None
    return _let_go_on(status) or _in_general(status)


def _in_general(status: RunStatus) -> str | None:
    text = _BY_SIGNATURE.get(status.signature or "") or _BY_VERDICT.get(status.verdict)
    return None if text is None else text.format(run=status.run)


def _let_go_on(status: RunStatus) -> str | None:
    """Who is to go on, named here: of a long reason a small screen shows the beginning only."""
    who = _LET_GO_ON.get(status.signature or "")
    if who is None:
        return None
    commands = re.findall(r"`(kill -CONT [0-9]+)`", status.reason)
    if commands:
        return f"{commands[-1]} lets {who} go on"
    reader = re.search(r"its reader is (.+ \(pid [0-9]+)", status.reason)
    return None if reader is None else f"let {who} go on: {reader[1]})"


def without_keys(remedy: str) -> str:
    """*remedy* for a view in which nothing can be changed by a key."""
    return re.sub(r" \([nsKRw]\)", "", remedy)


def _is_looked_after(status: RunStatus) -> bool:
    """Nobody is to be brought back: between two stages it is lost until its keeper has acted."""
    return status.watcher.alive and (status.keeper.alive or status.foreign is not None)


def _foreign(status: RunStatus) -> str | None:
    """lanewatch cannot kill or resume what it did not start."""
    if status.verdict != "stalled" or (status.signature or "") not in (
        "",
        "spinning",
        "idle-deadlock",
        "save-worker-dead",
    ):
        return None
    return "diagnose (d) says why it hangs; end it where it was started"


def _after_the_end(status: RunStatus) -> str | None:
    if status.foreign is not None:
        return _BY_VERDICT["ended"] if status.verdict == "ended" else None
    if status.verdict not in ("failed", "stopped"):
        return None
    if status.kind == "smoke":
        again = "launch another (n): a smoke run is not resumed"
    else:
        again = f"resume (R): it goes on from {_start(status)}"
    return f"mend the cause, then {again}" if status.verdict == "failed" else again


def _start(status: RunStatus) -> str:
    """Where a resume begins: what was trained beyond a stop without a save is trained again."""
    whole = [each.iteration for each in status.checkpoints if each.complete]
    return f"checkpoint {whole[-1]}" if whole else "the beginning: no checkpoint is whole"
