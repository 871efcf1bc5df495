"""How long a save may take once it was asked for: learnt, and never too short."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from monitor.model import History
from monitor.requests import Request, ask
from monitor.rundir import RunDir
from runners import orders, save_grace
from runners.engines.base import Handle
from runners.keeper_state import KeeperState
from runners.orders import Orders
from runners.requests import Action
from runners.save_grace import LEAST_S, save_grace_s


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "reference-20260101-000000-abcd")
    made.root.mkdir()
    return made


def test_until_something_is_learnt_it_is_the_least(run: RunDir) -> None:
    assert save_grace_s(run) == LEAST_S == 900


@pytest.mark.parametrize(
    ("history", "grace_s"),
    [
        pytest.param(History(step_max_s=9.0, first_save_s=50.0, save_max_s=1.0), 900, id="fast"),
        pytest.param(
            History(step_max_s=300.0, first_save_s=700.0, save_max_s=100.0), 2000, id="first save"
        ),
        pytest.param(
            History(step_max_s=100.0, save_max_s=900.0), 2000, id="a later save is longer"
        ),
    ],
)
def test_it_is_twice_a_step_and_the_longest_save(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, history: History, grace_s: int
) -> None:
    monkeypatch.setattr(save_grace, "last_history", lambda target: history)
    assert save_grace_s(run) == grace_s


class StubEngine:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def ask_to_stop(self, handle: Handle, *, save: bool) -> None:
        self.done.append("save" if save else "stop")

    def kill(self, handle: Handle) -> None:
        self.done.append("kill")


@pytest.mark.parametrize(
    ("action", "waits_s", "done", "told"),
    [
        pytest.param(Action.STOP, 59.0, ["stop"], 0, id="a stop may take a minute"),
        pytest.param(Action.STOP, 61.0, ["stop", "kill"], 0, id="and is then a kill"),
        pytest.param(Action.STOP_AND_SAVE, 899.0, ["save"], 0, id="a save may take its time"),
        pytest.param(Action.STOP_AND_SAVE, 9000.0, ["save"], 1, id="and never is a kill"),
    ],
)
def test_what_follows_when_a_trainer_does_not_answer(
    run: RunDir,
    monkeypatch: pytest.MonkeyPatch,
    action: Action,
    waits_s: float,
    done: list[str],
    told: int,
) -> None:
    from monitor.probes.process import identify

    me = identify(os.getpid())
    assert me is not None
    engine, said = StubEngine(), []
    given = Orders(
        run,
        engine,
        KeeperState(run, ["train"], me.boot_id),
        None,
        lambda kind, text: said.append(text) if kind == "note" else None,
    )
    ask(run, Request(action))
    handle = Handle(process=me)
    given.take(handle)
    later = time.monotonic() + waits_s
    monkeypatch.setattr(orders.time, "monotonic", lambda: later)
    given.insist(handle)
    if told:
        given.insist(handle)
    assert engine.done == done
    assert len(said) == told
