"""A lane of two stages that take moments, for tests of the keeper alone.

Run as `python stub_lane.py RUN [N]` it is a keeper that knows this lane and, given N, dies by
SIGKILL at its N-th step. The stages themselves are real processes that keep the contract.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from monitor.files import write_json
from monitor.model import Stage
from monitor.rundir import RunDir
from runners import keeper, keeper_state, lanes, orders, stage_runner, stages
from runners.engines.docker_client import DockerConnection
from runners.engines.docker_errors import EngineSilentError
from runners.engines.local import LocalEngine
from runners.lanes.base import StagePlan

STAGE = """
import fcntl, os, subprocess, sys, time
from lanewatch_payload.contract import run_stage

OUTPUTS = {"fetch": "work/base", "train": "checkpoints/iter_0000003"}

def main(contract):
    run, stage = contract.run_dir, contract.stage
    alone = open(run / "work" / f"{stage}.alone", "w")
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (run / "work" / "TWICE-AT-ONCE").touch()
        raise
    with open(run / "work" / "starts", "a") as starts:
        starts.write(f"{stage}\\n")
    if os.environ.get("STUB_HELPER"):
        helper = subprocess.Popen(["sh", "-c", "sleep 300 & sleep 300"])
        (run / "work" / "helper").write_text(str(helper.pid))
    contract.heartbeat(phase="loading", done=0, total=3, unit="rows")
    for done in range(1, 4):
        time.sleep(float(os.environ.get("STUB_PAUSE", "0.05")))
        contract.heartbeat(done=done)
        contract.raise_if_stopped()
    if os.environ.get("STUB_FAILS") == stage:
        raise ValueError("told to fail")
    output = run / OUTPUTS[stage]
    output.mkdir(exist_ok=True)
    (output / "trainer_state.json").write_text('{"global_step": 3}')
    if stage == "train":
        (run / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("3")
    return {"iteration": 3}

sys.exit(run_stage(main))
"""


class StubLane:
    name = "stub"
    modules = ()
    extra = "none"
    image = None

    def stages(self, recipe: Mapping[str, Any], *, smoke: bool) -> tuple[StagePlan, ...]:
        # A container inherits nothing of the keeper's environment.
        env = {name: value for name, value in os.environ.items() if name.startswith("STUB_")}
        return tuple(
            StagePlan(stage=stage, module="stub_stage", env=env)
            for stage in (Stage.FETCH, Stage.TRAIN)
        )


def make(root: Path, **changes: Any) -> None:
    """Make a run of the stub lane in *root*; *changes* are of its run.json."""
    run = RunDir(root)
    for folder in (run.root, run.logs, run.data, run.work, run.checkpoints):
        folder.mkdir(parents=True, mode=0o700)
    payload_hash = stages.copy_payload(run)
    (run.payload / "stub_stage.py").write_text(STAGE)
    train = {"iterations": 3, "save_interval": 1}
    write_json(
        run.run_json,
        {
            "schema": 1,
            "run": root.name,
            "name": None,
            "lane": "stub",
            "engine": "local",
            "kind": "full",
            "recipe": {"train": train, "model": {"path": "x"}},
            "recipe_hash": "0",
            "payload_hash": payload_hash,
            "paths": {"base": str(run.work / "base"), "checkpoints": str(run.checkpoints)},
        }
        | changes,
        durable=False,
    )


class Doom:
    """Counts steps and kills this process at the chosen one."""

    def __init__(self, at: int | None) -> None:
        self._left = at

    def step(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make the moments before and after *function* steps of their own."""

        def stepped(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = function(*arguments, **named)
            self.step()
            return result

        return stepped


def die_after_asking(times: int) -> None:
    """Let this process die as soon as it has asked the Docker engine so often."""
    ask, left = DockerConnection.ask, [times]

    def asked(*arguments: Any, **named: Any) -> Any:
        try:
            return ask(*arguments, **named)
        finally:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    DockerConnection.ask = asked


def lose_answer(number: int) -> None:
    """Let the answer of the Docker engine to this question be lost: it went away just then."""
    ask, left = DockerConnection.ask, [number]

    def asked(*arguments: Any, **named: Any) -> Any:
        answer = ask(*arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            raise EngineSilentError("the Docker engine does not answer: it was restarted")
        return answer

    DockerConnection.ask = asked


def wait_for_memory(
    stage: str, run: RunDir, say: Callable[[str, str], None], interrupted: Callable[[], bool]
) -> None:
    """As where the run before gives none of its memory back."""
    say("note", f"stage {stage} waits for memory")
    while not interrupted():
        time.sleep(0.05)


def keep(root: Path, doomed_at: int | None, flags: list[str]) -> int:
    """Be the keeper of *root*."""
    doom = Doom(doomed_at)
    keeper_state.write_json = doom.around(keeper_state.write_json)
    stages.write_json = doom.around(stages.write_json)
    LocalEngine.start = doom.around(LocalEngine.start)
    LocalEngine.bury = doom.around(LocalEngine.bury)
    keeper.write_summary = doom.around(keeper.write_summary)
    orders.clear_request = doom.around(orders.clear_request)
    if os.environ.get("STUB_SHORT"):
        stage_runner.await_memory = wait_for_memory
    if times := os.environ.get("STUB_ASKS"):
        die_after_asking(int(times))
    if number := os.environ.get("STUB_LOST"):
        lose_answer(int(number))
    return keeper.main([str(root), *flags])


if __name__ == "__main__":
    lanes.LANES["stub"] = StubLane()
    folder, *rest = sys.argv[1:]
    at = int(rest[0]) if rest and rest[0].isdigit() else None
    sys.exit(keep(Path(folder), at, [word for word in rest if word.startswith("--")]))
