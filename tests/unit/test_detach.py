"""A keeper goes under the user's systemd only where that outlives a logout."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.detach import detached_argv


def install(folder: Path, state: str, linger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = {
        "systemd-run": "exit 0",
        "systemctl": f"echo {state}",
        "loginctl": f"echo {linger}",
    }
    folder.mkdir()
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("state", "linger", "scoped"),
    [
        pytest.param("running", "yes", True, id="user manager that stays"),
        pytest.param("degraded", "yes", True, id="a failed unit of someone else"),
        pytest.param("running", "no", False, id="ends at logout"),
        pytest.param("offline", "yes", False, id="no user manager"),
    ],
)
def test_scope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, linger: str, scoped: bool
) -> None:
    install(tmp_path / "bin", state, linger, monkeypatch)
    argv = detached_argv(["python", "-m", "x"], "nemo-1")
    assert argv[-3:] == ["python", "-m", "x"]
    assert (argv[0] == "systemd-run") is scoped
    if scoped:
        assert "--scope" in argv


def test_without_systemd_a_session_of_its_own_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert detached_argv(["python"], "nemo-1") == ["python"]
