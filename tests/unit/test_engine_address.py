"""Which Docker engine a keeper asks: its run's own, whoever brings it back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from monitor.rundir import RunDir
from runners.engine_address import settle, settled

OWN, OTHER, USUAL = "unix:///run/user/7/docker.sock", "unix:///other", "unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    ("kept", "named", "anew", "expected"),
    [
        pytest.param(None, OWN, False, OWN, id="a launch: what the shell names"),
        pytest.param(None, None, False, USUAL, id="a launch: the usual one, by its name"),
        pytest.param(OWN, None, False, OWN, id="the service, in whose unit none is named"),
        pytest.param(OWN, OTHER, False, OWN, id="`watch` in a shell where another one is"),
        pytest.param(OWN, None, True, OWN, id="a resume where none is named"),
        pytest.param(OWN, OTHER, True, OTHER, id="a resume where another one is named"),
        pytest.param(OWN, USUAL, True, USUAL, id="a resume where the usual one is named"),
    ],
)
def test_the_engine_of_a_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: str | None,
    named: str | None,
    anew: bool,
    expected: str,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_HOST", named or "")
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    run.run_json.write_text('{"engine": "docker"}')
    run.state.write_text(json.dumps({"docker_host": kept}))
    settle(run, anew=anew)
    assert os.environ["DOCKER_HOST"] == settled() == expected


def test_a_context_that_is_not_there_is_left_to_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "nosuch")
    monkeypatch.setenv("DOCKER_HOST", "")
    run = RunDir(tmp_path)
    run.run_json.write_text('{"engine": "docker"}')
    settle(run, anew=False)
    assert not settled()
    monkeypatch.delenv("DOCKER_CONTEXT")
    run.run_json.write_text('{"engine": "local"}')
    settle(run, anew=False)
    assert not settled(), "a run without containers has none"
