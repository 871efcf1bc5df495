"""A proof says how long it took, and plainly where that was longer than it should be."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from monitor.rundir import RunDir
from runners.doctor import prove
from runners.doctor.proof_report import Names, report
from runners.doctor.prove import Proof, Step, _Proving
from runners.launch import LaunchOrder
from tui.cli import proving
from tui.cli.main import run as lanewatch

STEPS = (
    Step(name="launch", ok=True, seen="it trains", seconds=130.0),
    Step(name="resume", ok=True, seen="to the end", seconds=95.0),
)


def proof(seconds: float, pull_s: float = 0.0) -> Proof:
    return Proof(
        lane="nemo",
        engine="docker",
        image={"name": "img"},
        steps=STEPS,
        seconds=seconds,
        pull_s=pull_s,
    )


@pytest.mark.parametrize(
    ("seconds", "pull_s", "said"),
    [
        pytest.param(53.0, 0.0, None, id="under a minute"),
        pytest.param(300.0, 0.0, None, id="just in time"),
        pytest.param(4000.0, 3750.0, None, id="the pull is not counted"),
        pytest.param(
            321.0,
            0.0,
            "it took 5 min 21 s, longer than the 5 min that a proof should; "
            "the longest step was launch (2 min 10 s)",
            id="too long",
        ),
        pytest.param(
            4000.0,
            3600.0,
            "it took 6 min 40 s after the pull, longer than the 5 min that a proof should; "
            "the longest step was launch (2 min 10 s)",
            id="too long without the pull",
        ),
    ],
)
def test_a_proof_that_took_longer_than_five_minutes_after_the_pull_says_so(
    seconds: float, pull_s: float, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    made = proof(seconds, pull_s)
    content = report(made, Names(replaced=()), [])
    assert content["overlong"] == said
    assert (content["seconds"], content["pull_seconds"]) == (seconds, pull_s)
    assert made.ok, "slow is not wrong"
    proving._tell_end(made, Path("report.json"))
    told = capsys.readouterr().out.splitlines()
    notes = [each.removeprefix("note: ") for each in told[:-1]]
    assert notes == ([said] if said else [])
    assert told[-1].startswith("proven: nemo on docker")


def test_the_time_of_the_pull_is_counted_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def wait(_: float) -> None:
        now[0] += 100.0

    monkeypatch.setattr(prove, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=wait))
    under_way = _Proving(SimpleNamespace(), lambda _: None)  # type: ignore[arg-type]
    run = under_way._run = RunDir(tmp_path)

    def begun() -> bool:
        run.state.write_text(json.dumps({"stage": "pull" if now[0] < 2000 else "import"}))
        return now[0] >= 2300

    under_way._until(begun, "the beginning", patience_s=600.0)
    assert under_way.pull_s == 1900.0


def test_a_proof_installs_from_the_folder_of_wheels_as_a_launch_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a box without a network could launch the lane and never prove it."""
    orders: list[LaunchOrder] = []

    def take(order: LaunchOrder, _: object) -> Proof:
        orders.append(order)
        return proof(53.0)

    monkeypatch.setattr(proving, "prove", take)
    monkeypatch.setenv("LANEWATCH_WHEELHOUSE", str(tmp_path))
    words = ["doctor", "--prove", "--lane=unsloth", "--engine=local"]
    assert lanewatch([*words, f"--report={tmp_path}/report.json"]) == 0
    assert [each.wheelhouse for each in orders] == [tmp_path]
