"""Which probes' answers each check stands on: it is told once they are there. Pure.

The rule: a check that is not in the table waits for everything; one that is told early never
changes afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from runners.doctor.values import Check

NEEDS: Mapping[str, frozenset[str]] = {
    name: frozenset(probes)
    for name, probes in {
        "base": ("base",),
        "docker": ("docker",),
        "docker restarts": ("docker",),
        "docker users": ("docker",),
        "docker gpu": ("docker", "driver"),
        "docker disk": ("docker", "image"),
        "disk for the pull": ("docker", "image"),
        "image": ("docker", "image"),
        "runs folder": ("runs folder",),
        "cache folder": ("cache folder",),
        "disk": ("base", "runs folder", "cache folder"),
        "memory": ("memory", "base", "driver", "holders"),
        "gpu memory": ("memory", "base", "driver", "holders"),
        "gpu": ("driver",),
        "holders": ("holders", "docker"),
        "swap": ("memory",),
        "driver": ("driver",),
        "gpu processes": ("driver", "holders", "live"),
        "leftover containers": ("docker", "live"),
        "ulimits": ("limits",),
        "inotify": ("limits",),
        "shared memory": ("limits",),
        "logout": ("session",),
    }.items()
}
"""By a check's name; a probe that was not asked keeps nobody waiting."""


def settled(checks: Iterable[Check], waiting: Collection[str]) -> tuple[Check, ...]:
    """Those of *checks* that no answer of the probes *waiting* will change."""
    left = frozenset(waiting)
    return tuple(each for each in checks if not left & NEEDS.get(each.name, left))
