"""The recorded verdict says what judging says, or nothing: it is shown before all judging."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fabricated import FabricatedRun, wait_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.early_word import FRESH_S, read_early_word
from monitor.probes.clock import read_now
from monitor.status import read_status

HEAVY = {"monitor.model", "monitor.status", "monitor.watch_state", "monitor.codec", "textual"}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[FabricatedRun]:
    fabricated = FabricatedRun(tmp_path / "runs" / "reference-1")
    yield fabricated
    fabricated.close()


def put(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(value))


def watched_once(run: FabricatedRun) -> None:
    run.train(step=0.05, save=5)
    watcher = run.watch()
    wait_for(lambda: run.watched("verdict", "liveness") == "training")
    watcher.kill()
    watcher.wait()


def test_of_a_live_run_it_is_the_word_of_its_watcher(run: FabricatedRun) -> None:
    run.train(step=0.05, save=5)
    run.watch()
    wait_for(lambda: run.watched("verdict", "liveness") == "training")

    def same() -> bool:
        """The watcher may have spoken between the two looks."""
        now = read_now()
        word, status = read_early_word(run.root, now), read_status(run.root, now=now)
        assert word is not None
        assert word.read_wall == now.wall_s
        said = (word.verdict, word.reason, word.since_wall, word.over)
        return said == (status.verdict.value, status.reason, status.since_wall, False)

    wait_for(same)


@pytest.mark.parametrize("end", ["finished", "failed", "stopped"])
def test_of_an_ended_run_it_is_what_was_recorded(run: FabricatedRun, end: str) -> None:
    watched_once(run)
    verdict = run.watched("verdict") | {"liveness": end, "reason": f"{end} as it may be"}
    put(run.root, "watch.json", verdict=verdict)
    put(run.root, "state.json", status=end, updated_wall=1000.0)
    word, status = read_early_word(run.root, read_now()), read_status(run.root)
    assert word is not None
    said = (word.verdict, word.reason, word.since_wall, word.over)
    assert said == (status.verdict.value, status.reason, status.since_wall, True)
    assert said == (end, f"{end} as it may be", 1000.0, True)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("state.json", {"status": "queued"}, id="it waits for another run"),
        pytest.param("state.json", {"attempt": 2}, id="a later attempt"),
        pytest.param("state.json", {"status": "failed"}, id="it ended after the last word"),
        pytest.param("state.json", {"status": "resting"}, id="a status that nobody knows"),
        pytest.param("watch.json", {"boot_id": "another"}, id="another boot"),
        pytest.param("watch.json", {"monotonic_s": 0.0}, id="long ago"),
        pytest.param("watch.json", {"verdict": {"liveness": "ended", "reason": "."}}, id="over"),
        pytest.param("watch.json", {"verdict": None}, id="no verdict"),
    ],
)
def test_what_must_be_judged_first_is_not_said(
    run: FabricatedRun, name: str, changes: dict[str, Any]
) -> None:
    watched_once(run)
    now = read_now()
    assert read_early_word(run.root, now) is not None
    put(run.root, name, **changes)
    assert read_early_word(run.root, now) is None


def test_a_word_grows_old(run: FabricatedRun) -> None:
    watched_once(run)
    said_s, now = run.watched("monotonic_s"), read_now()
    young = replace(now, monotonic_s=said_s + FRESH_S - 0.1)
    assert read_early_word(run.root, young) is not None
    assert read_early_word(run.root, replace(now, monotonic_s=said_s + FRESH_S)) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
keys = st.sampled_from(["verdict", "attempt", "status", "boot_id", "monotonic_s", "tick_s"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(keys, json_values), st.dictionaries(keys, json_values))
def test_whatever_the_files_hold_nothing_is_raised(
    tmp_path: Path, state: dict[str, Any], watch: dict[str, Any]
) -> None:
    (tmp_path / "state.json").write_text(json.dumps(state))
    (tmp_path / "watch.json").write_text(json.dumps(watch))
    word = read_early_word(tmp_path, read_now())
    assert word is None or isinstance(word.reason, str)


def test_it_loads_no_judge() -> None:
    code = "import sys, monitor.early_word; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    assert HEAVY.isdisjoint(done.stdout.split())
