"""What the trainer of a drill is told to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Times are seconds of the judged clock."""

    iterations: int = 40
    save_interval: int = 4
    load_s: float = 8.0
    first_step_s: float = 8.0
    step_s: float = 4.0
    first_save_s: float = 8.0
    save_s: float = 3.0
    eval_interval: int = 0
    eval_s: float = 0.0
    log_interval: int = 1
    line_bytes: int = 0
    """Least length of a log line, from iteration `line_bytes_from` on."""
    line_bytes_from: int = 0
    pipe: bool = False
    """stdout goes through a filter, as in `python train.py | tee`."""
    silent: bool = False
    """It keeps no contract: no heartbeat, no metrics, lines as Megatron prints them."""
    wrapped: bool = False
    """A script starts the process that trains and waits for it."""
    slower: tuple[tuple[int, float], ...] = ()
    """(iteration, seconds): from then on an iteration takes so long."""
    data_wait_s: float = 0.0
    """Every fifth iteration waits so long for its data."""
    burst_bytes: int = 0
    """Memory that loading takes and gives back in bursts."""
    most_bytes: int = 0
    """Memory that a fault takes at most."""
    faults: tuple[tuple[int, str], ...] = ()
    """(iteration, name in `runners.drills.faults.FAULTS`), in the first attempt only."""

    def seconds_of(self, iteration: int) -> float:
        """How long *iteration* takes."""
        slow = [seconds for begin, seconds in self.slower if iteration >= begin]
        wait = self.data_wait_s if iteration % 5 == 0 else 0.0
        return (slow[-1] if slow else self.step_s) + wait

    def fault_of(self, iteration: int) -> str | None:
        """What goes wrong at the end of *iteration*."""
        return next((name for at, name in self.faults if at == iteration), None)


def script_from(values: Mapping[str, Any]) -> Script:
    """Read a script back from JSON."""
    known = {each.name for each in fields(Script)}
    given = {key: value for key, value in values.items() if key in known}
    given["slower"] = tuple((int(at), float(s)) for at, s in given.get("slower", ()))
    given["faults"] = tuple((int(at), str(name)) for at, name in given.get("faults", ()))
    return Script(**given)
