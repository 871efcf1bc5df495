"""Whether a process is in a frozen control group (`docker pause`): else it looks merely asleep."""

from __future__ import annotations

from monitor.probes.raw import read_proc

ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


def read_frozen(pid: int) -> str | None:
    """The path of the frozen group that *pid* is in; None where there is none, or none is seen."""
    try:
        lines = read_proc(f"/proc/{pid}/cgroup").decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "" and _is_frozen(path, "cgroup.events", "frozen 1", ROOTS):
            return path
        folder = ("/sys/fs/cgroup/freezer",)
        if controllers == "freezer" and _is_frozen(path, "freezer.state", "FROZEN", folder):
            return path
    return None


def _is_frozen(path: str, name: str, word: str, roots: tuple[str, ...]) -> bool:
    for root in roots:
        try:
            text = read_proc(f"{root}{path}/{name}", 4096).decode("ascii", "replace")
        except OSError:
            continue
        if word in text.splitlines():
            return True
    return False
