"""What this user may not read is said, and costs nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.supervisor import Supervisor
from tui.cli.main import run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody; CI is root")
RUN = "reference-20261124-031500-abcd"
NOBODY = 65534


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a run of root's, whose files are closed to us; the root of runs is open."""
    root = Path(tempfile.mkdtemp(prefix="closed-"))
    root.chmod(0o755)
    folder = root / RUN
    folder.mkdir()
    for name in ("run.json", "state.json", "events.jsonl", "trace.jsonl"):
        (folder / name).write_text("{}\n")
        (folder / name).chmod(0o600)
    monkeypatch.setenv("LANEWATCH_RUNS", str(root))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(root / "config"))
    os.seteuid(NOBODY)
    yield folder
    os.seteuid(0)
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        pytest.param(["wait", RUN, "--timeout", "0"], "run.json", id="wait"),
        pytest.param(["events", RUN, "--follow"], "run.json", id="events that are followed"),
        pytest.param(["events", RUN, "--trace", "-"], "trace.jsonl", id="a trace"),
        pytest.param(["ack", RUN], "ack.json", id="ack"),
    ],
)
def test_a_closed_file_is_named_and_the_run_not_said_to_go_on(
    closed: Path, words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert f"{named}: Permission denied" in said.err
    assert "goes on" not in said.err


def test_events_that_may_not_be_read_are_not_none(
    closed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.seteuid(0)
    for name in ("run.json", "state.json"):
        (closed / name).chmod(0o644)
    os.seteuid(NOBODY)
    assert run(["events", RUN]) == 2
    assert "events.jsonl: Permission denied" in capsys.readouterr().err


def test_the_service_passes_over_a_closed_run_and_says_so_once(closed: Path) -> None:
    os.seteuid(0)
    closed.chmod(0o700)
    os.seteuid(NOBODY)
    service = Supervisor(closed.parent)
    (deed,) = service.look()
    assert RUN in deed
    assert "Permission denied" in deed
    assert service.look() == []


def test_a_root_that_cannot_be_listed_fails_one_look_and_hides_no_channel(
    closed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.seteuid(0)
    closed.parent.chmod(0o711)
    os.seteuid(NOBODY)
    assert run(["service", "run", "--once"]) == 2
    assert run(["alerts", "list"]) == 0
    assert "whether a channel fails is not known" in capsys.readouterr().err
