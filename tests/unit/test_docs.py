"""What the documents name is there: files and folders of the project, links, drills."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.drills.table import DRILLS
from tui.cli.names import COMMANDS

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = ("tui", "runners", "monitor")
PLACES = (*PACKAGES, "tests", "bench", "scripts", "recipes", "docs")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def named_paths() -> Iterator[str]:
    """Of docs/architecture.md: what begins with a folder of ours, and bare names of modules."""
    text = re.sub(r"^```.*?^```", "", ARCHITECTURE.read_text(), flags=re.M | re.S)
    for word in CODE.findall(text):
        if word.endswith(".py") or word.startswith(tuple(f"{each}/" for each in PLACES)):
            yield word


def is_there(word: str) -> bool:
    """`a/b.py`, `a/b/`, `a/b_*.py`, `a/b.Name`, or `b.py` wherever in the packages or tests."""
    if "/" not in word:
        return any(any((ROOT / each).rglob(word)) for each in (*PACKAGES, "tests"))
    if any(ROOT.glob(word.rstrip("/"))):
        return True
    module, _, name = word.rpartition(".")
    file = ROOT / f"{module}.py"
    return (
        file.is_file() and re.search(rf"^(class|def) {name}\b", file.read_text(), re.M) is not None
    )


def test_what_is_no_path_is_told_from_one() -> None:
    assert is_there("runners/engines/base.Engine")
    assert not is_there("runners/engines/base.NoSuch")
    assert not is_there("no_such_module.py")
    assert not is_there("monitor/no_such/")
    assert len(set(named_paths())) > 80


def test_every_path_that_the_architecture_names_exists() -> None:
    assert [word for word in named_paths() if not is_there(word)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = LINK.findall(document.read_text())
    assert [each for each in targets if not (document.parent / each).exists()] == []


def test_the_drills_that_are_listed_are_those_that_there_are() -> None:
    text = (ROOT / "docs" / "drills.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text, re.M)) == set(DRILLS)
    assert f"lists {len(DRILLS)} rehearsals" in (ROOT / "README.md").read_text()


def test_every_command_is_in_the_readme() -> None:
    table = (ROOT / "README.md").read_text().split("| command | does |")[1].split("\n\n")[0]
    assert [each for each in COMMANDS if not re.search(rf"[`, ]{each}\b", table)] == []
