"""A runs folder in which everything is odd: names, files that hold anything, logs of every kind."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

from compared import make_run

NAMES = (
    "🚀🔥 p65",
    "مرحبا-ليلة",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "[bold]p[/bold] [/x] [link=",
    "n" * 200,
    "日本語の実行",
    "e\u0301a\u200b\u202eb",
    "",
    " ",
    "a\nb\tc\r",
)
CORRUPT = (b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"run": 3, "recipe": []}', b"[" * 5000)
LOGS: tuple[bytes, ...] = (
    b"",
    bytes(range(256)) * 40,
    "日本語 loss=1.5 漢字 e\u0301 🚀\n".encode() * 200,
    b"x" * 3_000_000,
    b"a\rb\r\x1b[2J[bold]c[/bold]\x1b]52;c;aGk=\x07\r" * 500,
    b"step=1 " + b"a" * 4000 + b"!\n",
)


def nasty_root(root: Path, count: int = 40) -> list[str]:
    """Make *count* runs below *root*; returns their ids."""
    pattern = make_run(root, "pattern").root
    made = [pattern.name]
    for at in range(count):
        run = root / f"nemo-20260519-{at:06d}-{at:04x}"
        shutil.copytree(pattern, run)
        about: dict[str, Any] = json.loads((run / "run.json").read_text())
        about |= {"run": run.name, "name": NAMES[at % len(NAMES)]}
        (run / "run.json").write_text(json.dumps(about, ensure_ascii=at % 2 == 0))
        (run / "logs").mkdir(exist_ok=True)
        (run / "logs" / "train.log").write_bytes(LOGS[at % len(LOGS)])
        if at % 5 == 4:
            files = [each for each in sorted(run.iterdir()) if each.is_file()]
            files[at % len(files)].write_bytes(CORRUPT[at % len(CORRUPT)])
        if at % 5 == 3:
            (run / "run.json").write_bytes(CORRUPT[at % len(CORRUPT)])
        made.append(run.name)
    (root / "nemo-20260519-990000-aaaa").mkdir()
    (root / "nemo-20260519-990001-aaaa").write_text("a file")
    (root / "nemo-20260519-990002-aaaa").symlink_to("/nowhere")
    return made


def meddle(root: Path, rng: random.Random) -> None:
    """Delete, cut short, replace or grow something of a run, as others may at any time."""
    runs = [each for each in sorted(root.iterdir()) if (each / "logs").is_dir()]
    if not runs:
        return
    run = rng.choice(runs)
    log = run / "logs" / "train.log"
    kind = rng.randrange(6)
    if kind == 0:
        shutil.rmtree(run)
    elif kind == 1:
        log.unlink(missing_ok=True)
    elif kind == 2:
        log.write_bytes(b"")
    elif kind == 3:
        fresh = run / "logs" / "new"
        fresh.write_bytes(rng.choice(LOGS))
        fresh.replace(log)
    elif kind == 4:
        with log.open("ab") as file:
            file.write(b"more\n" * rng.randrange(1, 500))
    else:
        (run / "run.json").write_bytes(rng.choice(CORRUPT))
