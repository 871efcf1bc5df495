"""The systemd unit: its text, and what install, remove and status do and say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runners.service import unit_path, unit_text
from tui.cli.main import run

GOLDEN = """\
[Unit]
Description=lanewatch: bring keepers and watchers of live runs back

[Service]
ExecStart=/opt/lanewatch/bin/python -P -m tui service run
Environment=LANEWATCH_RUNS=/data/runs
Restart=always
RestartSec=10
# Keepers and watchers outlive this process: stopping the unit must not end a run.
KillMode=process
Nice=5

[Install]
WantedBy=default.target
"""

SYSTEMCTL = """#!/bin/sh
echo "$*" >> {calls}
case "$*" in
*is-system-running*) echo {state} ;;
*is-active*) echo active ;;
*is-enabled*) echo enabled ;;
*restart*) test -z "{broken}" || {{ echo "{broken}" >&2; exit 1; }} ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemd that cannot exist here: it notes what it is asked."""
    return fake(tmp_path, monkeypatch)


def fake(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str = "running",
    linger: str = "yes",
    broken: str = "",
) -> Path:
    tools, noted = folder / "tools", folder / "calls"
    tools.mkdir()
    noted.touch()
    script = SYSTEMCTL.format(calls=noted, state=state, broken=broken)
    for name, text in (("systemctl", script), ("loginctl", f"#!/bin/sh\necho {linger}\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return noted


def test_the_unit() -> None:
    text = unit_text("/opt/lanewatch/bin/python", {"LANEWATCH_RUNS": "/data/runs", "HOME": "/x"})
    assert text == GOLDEN


def test_paths_with_odd_characters_are_quoted() -> None:
    text = unit_text('/a b/"p"%$', {"LANEWATCH_RUNS": "/r s%"})
    assert 'ExecStart="/a b/\\"p\\"%%$$" -P -m tui service run' in text
    assert 'Environment="LANEWATCH_RUNS=/r s%%"' in text


def test_install_writes_starts_and_enables(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["service", "install"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(unit_path())
    assert said.err == "", "lingering is on: nothing to add"
    assert "ExecStart=" in unit_path().read_text()
    assert calls.read_text().splitlines()[1:] == [
        "--user daemon-reload",
        "--user enable lanewatch-keepers.service",
        "--user restart lanewatch-keepers.service",
    ]
    assert run(["service", "status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status == dict.fromkeys(status, True) | {"path": str(unit_path())}
    assert run(["service", "remove"]) == 0
    assert not unit_path().exists()
    assert "--user disable --now lanewatch-keepers.service" in calls.read_text()
    assert run(["service", "remove"]) == 0
    assert "no service to remove" in capsys.readouterr().err


def test_install_says_how_to_turn_lingering_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, monkeypatch, linger="no")
    assert run(["service", "install"]) == 0
    assert "sudo loginctl enable-linger" in capsys.readouterr().err
    assert run(["service", "status"]) == 0
    assert "linger    no" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "broken", "said"),
    [
        pytest.param("offline", "", "no systemd user manager answers", id="no user manager"),
        pytest.param("running", "Unit is masked.", "Unit is masked.", id="it refuses"),
    ],
)
def test_install_that_cannot_is_one_sentence(
    state: str,
    broken: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake(tmp_path, monkeypatch, state=state, broken=broken)
    assert run(["service", "install"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_without_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["service", "install"]) == 2
    assert "there is no systemd here" in capsys.readouterr().err
    assert not unit_path().exists()
    assert run(["service", "status"]) == 0
    assert "no systemd user manager answers here" in capsys.readouterr().out
    assert run(["service", "install", "--dry-run"]) == 0
    assert "WantedBy=default.target" in capsys.readouterr().out
