"""watch.json is written at once where somebody may act on it, else at every second look."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.last_word import Done, LastWord
from monitor.model import Liveness, Verdict
from monitor.watch_state import WatchState

DONE = Done(recorded=None, recorded_wall=None, keeper_starts=(), failures={}, parts={})


@pytest.fixture
def word(tmp_path: Path) -> LastWord:
    made = LastWord(tmp_path / "watch.json", 1.0)
    made.value = WatchState(
        pid=1,
        start_ticks=1,
        boot_id="b",
        monotonic_s=0.0,
        wall_s=0.0,
        verdict=Verdict(liveness=Liveness.TRAINING, reason="iteration 0"),
        since_wall=0.0,
    )
    return made


def look(word: LastWord, second: float, done: Done = DONE, **changes: Any) -> None:
    assert word.value is not None
    verdict = replace(word.value.verdict, reason=f"iteration {second}")
    said = {"verdict": verdict} | changes
    word.value = replace(word.value, monotonic_s=second, **said)
    word.write(done)


def written(tmp_path: Path) -> float:
    value: float = json.loads((tmp_path / "watch.json").read_text())["monotonic_s"]
    return value


def test_figures_alone_are_written_at_every_second_look(word: LastWord, tmp_path: Path) -> None:
    seen = []
    for second in range(6):
        look(word, float(second))
        seen.append(written(tmp_path))
    assert seen == [0.0, 0.0, 2.0, 2.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("done", "changes"),
    [
        pytest.param(
            DONE, {"verdict": Verdict(liveness=Liveness.STALLED, reason="")}, id="a verdict"
        ),
        pytest.param(
            DONE,
            {"verdict": Verdict(liveness=Liveness.TRAINING, reason="", flags=("nan-loss",))},
            id="a flag",
        ),
        pytest.param(DONE, {"phase": "saving"}, id="a phase"),
        pytest.param(DONE, {"attempt": 2}, id="an attempt"),
        pytest.param(DONE, {"unreadable": ("state.json",)}, id="a source that cannot be read"),
        pytest.param(replace(DONE, failures={"events": 1}), {}, id="a failure of its own"),
        pytest.param(replace(DONE, parts={"alerts": {"number": 1}}), {}, id="an alert"),
    ],
)
def test_what_somebody_may_act_on_is_written_at_once(
    word: LastWord, tmp_path: Path, done: Done, changes: dict[str, Any]
) -> None:
    look(word, 0.0)
    look(word, 1.0, done, **changes)
    assert written(tmp_path) == 1.0


def test_what_could_not_be_written_is_tried_at_the_next_look(
    word: LastWord, tmp_path: Path
) -> None:
    look(word, 0.0)
    (tmp_path / "watch.json").unlink()
    (tmp_path / "watch.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        look(word, 1.0, phase="saving")
    (tmp_path / "watch.json").rmdir()
    look(word, 2.0, phase="saving")
    assert written(tmp_path) == 2.0


def test_the_next_watcher_is_left_the_newest(word: LastWord, tmp_path: Path) -> None:
    look(word, 0.0)
    look(word, 1.0)
    word.flush()
    assert written(tmp_path) == 1.0
