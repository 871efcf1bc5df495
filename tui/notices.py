"""What a person must not miss beside the verdict: memory, alerts, a silent watcher. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.words import duration
from tui.presentation import memory_tone, used_of
from tui.state import is_over, silence

if TYPE_CHECKING:
    from monitor.status_model import MemoryView, RunStatus
    from tui.glyphs import Glyphs

BAD = frozenset({"nan-loss", "disk-low"})
TROUBLE = BAD | {"log-stuck", "slow", "exploding-loss"}
"""Flags that are news beside the verdict; `saving` is none."""


def notices(status: RunStatus, glyphs: Glyphs) -> list[tuple[str, str]]:
    """Sentences with their tone, the most urgent first; none while all is well."""
    found: list[tuple[str, str]] = []
    memory = status.memory
    if memory is not None and memory.level != "ok" and not is_over(status):
        level = f"{glyphs.level(memory.level)} memory {memory.level}"
        sentence = f"{level}: {memory_sentence(memory)}"
        found.append((sentence, memory_tone(memory.level)))
    alone = silence(status)
    if alone:
        found.append((alone, "warn"))
    found += [(each, "warn") for each in alert_lines(status)]
    also = [each for each in status.flags if each in TROUBLE and each != status.verdict]
    if also and not is_over(status):
        bad = bool(BAD & set(also))
        found.insert(
            0 if bad else len(found), (f"also {', '.join(also)}", "bad" if bad else "warn")
        )
    return found


def memory_sentence(memory: MemoryView) -> str:
    """`74.2 of 110 GiB, rising: limit in 23 min`, or why the level is more than ok."""
    if memory.level != "ok" and memory.reason:
        return memory.reason
    used = used_of(memory.used_bytes, memory.limit_bytes).replace("/", " of ")
    if at_limit(memory):
        return f"{used}, at its limit"
    if memory.minutes_to_limit is None:
        return used
    return f"{used}, rising: limit in {duration(60 * memory.minutes_to_limit)}"


def at_limit(memory: MemoryView) -> bool:
    """The limit is reached: nothing is left to forecast."""
    return memory.level == "limit" or memory.used_bytes >= memory.limit_bytes


def alert_lines(status: RunStatus) -> list[str]:
    """What nobody has acknowledged, and which channel fails."""
    alerts = status.alerts
    lines = []
    if alerts.pending:
        lines.append(f"alert {', '.join(alerts.pending)}: lanewatch ack {status.run}")
    failing = [f"{name} ({why})" for name, why in alerts.channels_failing.items()]
    if failing:
        lines.append(f"alerts do not reach {', '.join(failing)}")
    return lines
