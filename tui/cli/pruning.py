"""`lanewatch du` and `lanewatch prune`: what is held of the disk, and freeing it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from monitor.rundir import SCHEMA, cache_root, runs_root
from runners.errors import RunnerError
from runners.holdings import (
    CacheUse,
    Item,
    Kind,
    RunUse,
    cache_use,
    check_runs,
    freeable,
    lives_on,
    runs_use,
)
from runners.pruning import prune
from runners.runs import find_run
from tui.cli import exits
from tui.cli.output import complain, out, out_json
from tui.presentation import UNKNOWN, size

MOST_UNREAD = 5
SHARED = {Kind.IMPORT, Kind.ENVIRONMENT}


def du_command(options: argparse.Namespace) -> int:
    """Show what each run and each shared thing holds."""
    root, cache = runs_root(), cache_root()
    unread: list[Path] = []
    runs, shared = runs_use(root, unread), cache_use(cache, unread)
    could_go = sum(each.bytes for each in freeable(root, cache))
    if options.json:
        told = _use_json(root, cache, runs, shared, could_go)
        out_json(told | {"unreadable": [str(each) for each in unread]})
        return exits.OK
    for each_unread in unread[:MOST_UNREAD]:
        complain(f"{each_unread} may not be read: what it holds is counted nowhere here")
    if len(unread) > MOST_UNREAD:
        complain(f"and {len(unread) - MOST_UNREAD} more folders")
    for line in _table(runs):
        out(line)
    for each in shared:
        out(f"{size(each.bytes):>10}  {each.kind}/{each.name}")
    held = sum(each.total for each in runs) + sum(each.bytes for each in shared)
    out(f"{size(held)} in all; `lanewatch prune` could free {size(could_go)}")
    return exits.OK


def _table(runs: list[RunUse]) -> list[str]:
    head = ("RUN", "STATUS", "CHECKPOINTS", "MERGED", "REST", "TOTAL")
    rows = [
        (
            each.run,
            each.status or UNKNOWN,
            size(each.checkpoints),
            size(each.merged),
            size(each.rest),
            size(each.total),
        )
        for each in runs
    ]
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]


def _use_json(
    root: Path, cache: Path, runs: list[RunUse], shared: list[CacheUse], could_go: int
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "root": str(root),
        "cache": str(cache),
        "runs": [
            {
                "run": each.run,
                "status": each.status,
                "live": each.live,
                "checkpoints_bytes": each.checkpoints,
                "merged_bytes": each.merged,
                "rest_bytes": each.rest,
                "total_bytes": each.total,
            }
            for each in runs
        ],
        "shared": [{"kind": each.kind, "name": each.name, "bytes": each.bytes} for each in shared],
        "freeable_bytes": could_go,
    }


def prune_command(options: argparse.Namespace) -> int:
    """Free what no run needs any more. Asks first, unless told not to."""
    root, cache = runs_root(), cache_root()
    runs = [find_run(root, each) for each in options.run] or None
    if runs is not None:
        check_runs(runs)
    kinds = {each for each in Kind if getattr(options, each.value)} or set(Kind)
    items = [each for each in freeable(root, cache, runs) if each.kind in kinds]
    if runs is None and kinds & SHARED and (keeps := lives_on(root, cache)) and cache_use(cache):
        complain(f"imports and environments stay: {keeps.root} lives or waits")
    if options.dry_run or not items:
        _tell(items, [None] * len(items), options, removed=False)
        return exits.OK
    if not options.yes and not _confirmed(items):
        complain("nothing was deleted")
        return exits.FAILED
    done = list(prune(root, cache, items))
    problems = [problem for _, problem in done]
    _tell([item for item, _ in done], problems, options, removed=True)
    return exits.FAILED if any(problems) else exits.OK


def _confirmed(items: list[Item]) -> bool:
    if not sys.stdin.isatty():
        raise RunnerError("prune: say --yes to delete without being asked, --dry-run to look")
    for each in items:
        complain(_line(each, None))
    total = size(sum(each.bytes for each in items))
    sys.stderr.write(f"delete these {len(items)} folders ({total})? Type yes: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == "yes"


def _tell(
    items: list[Item], problems: list[str | None], options: argparse.Namespace, *, removed: bool
) -> None:
    gone = [item for item, problem in zip(items, problems, strict=True) if problem is None]
    freed = sum(each.bytes for each in gone)
    if options.json:
        listed = [
            {
                "kind": item.kind.value,
                "path": str(item.path),
                "run": item.run,
                "bytes": item.bytes,
                "removed": removed and problem is None,
                "problem": problem,
            }
            for item, problem in zip(items, problems, strict=True)
        ]
        out_json({"schema": SCHEMA, "items": listed, "bytes": freed, "removed": removed})
        return
    for item, problem in zip(items, problems, strict=True):
        out(_line(item, problem))
    if not items:
        complain("there is nothing to free")
    else:
        out(f"{size(freed)} {'freed' if removed else 'could be freed'}")


def _line(item: Item, problem: str | None) -> str:
    left = f"  left: {problem}" if problem else ""
    return f"{size(item.bytes):>10}  {item.kind.value:<12}  {item.path}{left}"
