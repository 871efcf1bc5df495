"""Shared by all tests: a run root and a cache of their own; nothing of the user is touched."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shared machine may take any time for one example: a law is about what is true, not how soon.
settings.register_profile("any pace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any pace")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts a suite in the background with ctrl-C ignored, and so would all it starts be.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("LANEWATCH_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LANEWATCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
