"""Remember how much CPU a run uses, and at which clock its GPU works, while it trains. Pure.

The rule: as with power, only what was used while iterations advanced counts as work. One value is
kept of a stretch between two iterations, so a hang teaches nothing until it is over.
"""

from __future__ import annotations

from monitor.frozen import replace
from monitor.learnt import Use

EVERY_S = 6.0
"""Iterations that end sooner are measured together."""


def learn_use(
    use: Use,
    cpu_s: float | None,
    clock_mhz: float | None,
    *,
    at: float,
    broken: bool,
    advanced: bool,
) -> Use:
    """Return *use* after one more look at *at* (observed seconds), *cpu_s* used in all until then.

    *broken*: nobody looked for a while, or something else than iterations is done.
    """
    since = use.since
    if cpu_s is None or broken:
        return use if since is None else replace(use, since=None)
    if not advanced:
        return use
    if since is None or cpu_s < since[1]:
        return replace(use, since=(at, cpu_s))
    lasted = at - since[0]
    if lasted < EVERY_S:
        return use
    cores = use.cores.add(round((cpu_s - since[1]) / lasted, 3))
    clock = use.clock if clock_mhz is None else use.clock.add(clock_mhz)
    return replace(use, cores=cores, clock=clock, since=(at, cpu_s))
