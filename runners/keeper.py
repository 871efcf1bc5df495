"""The process that owns a run: runs its stages in order, waits for each, tells how it ended.

`python -m runners.keeper RUN_FOLDER [--resume | --export N]`. It may die at any instant: the stage
goes on, and the next keeper finds it by what the stage itself carries. Every step that matters is
written to state.json *before* it is taken, so a keeper can always tell "about to" from "done".
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from monitor.events import append_event
from monitor.flight_log import last_words
from monitor.model import Status
from monitor.probes.clock import read_now
from monitor.probes.process import identify
from monitor.rundir import RunDir
from monitor.target import read_target
from runners.box import on_the_box
from runners.engine_address import KEY, settle, settled
from runners.engines import get_engine
from runners.engines.docker import DockerEngine
from runners.errors import RunnerError, RunStateError
from runners.exits import Outcome
from runners.keeper_alerts import KeeperAlerts
from runners.keeper_kernel import (
    detach,
    someone_else_lives,
    take_alone,
    take_shared,
    tell_starter,
)
from runners.keeper_state import KeeperState
from runners.orders import Orders
from runners.recovery import Recovery
from runners.runs import read_run
from runners.stage_runner import StageRunner
from runners.stages import Plan
from runners.summary import write_summary
from runners.turn import await_turn, awaited
from runners.watcher_process import WatcherProcess

logger = logging.getLogger(__name__)

LOOK_S = 0.5
"""For how long a lock that is held may just be held by someone who looks whether it is."""

SAVE_RETRY_S = 3600.0
"""How long an ended keeper tries to write its last word to a full disk."""


class Keeper:
    """Carries one run from its present state to its end."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._info = read_run(run)
        self._plan = Plan(run, self._info)
        engine = self._engine = get_engine(self._info["engine"])
        self._keeper_lock = take_alone(run.keeper_lock)
        self._run_lock = take_shared(run.run_lock)
        stages = [plan.stage.value for plan in self._plan.stages]
        state = self._state = KeeperState(run, stages, read_now().boot_id)
        self._watcher = WatcherProcess(run)
        self._alerts = KeeperAlerts(run)
        self._recovery = Recovery(run, self._info, self._event)
        self._orders = Orders(run, engine, state, self._watcher, self._event)
        self._runner = StageRunner(
            run,
            self._plan,
            engine,
            lock=self._run_lock,
            state=state,
            watcher=self._watcher,
            alerts=self._alerts,
            recovery=self._recovery,
            orders=self._orders,
            say=self._event,
        )

    def claim(self, *, resume: bool, anyway: bool = False, export: int | None = None) -> bool:
        """Become the run's keeper; False when there is nothing left to keep.

        *export* is a checkpoint to merge, and nothing else. Raises RunStateError where a resume or
        an export is not possible, and EngineError where its engine could start nothing: no attempt
        is begun for that.
        """
        state = self._state
        self._runner.anyway = anyway or self._info.get("anyway") is True
        if state.repaired:
            self._event("note", f"state.json was begun again: {state.repaired}")
        anew = resume or export is not None
        if anew:
            self._require_ended(also_finished=export is not None)
            self._engine.check(self._plan.need)
            self._engine.check_requests(self._plan.requests(state.attempt + 1))
            if resume and (said := self._plan.begins_where()):
                self._event("note", said)
            state.begin_attempt() if export is None else state.begin_export(export)
            self._run.request.unlink(missing_ok=True)
        elif state.status.final:
            return False
        if state.boot_changed and not anew:
            words = last_words(read_target(self._run.root), read_now().boot_id)
            self._runner.machine_restarted(words)
        self._orders.take_over(state.asked_before)
        self._own()
        after = awaited(self._info)
        if after is not None and not state.had_its_turn:
            state.queue(after)
        if not state.save() and anew:
            raise RunStateError(f"cannot write {self._run.state}: is the disk full?")
        return True

    def _own(self) -> None:
        me = identify(os.getpid())
        assert me is not None
        self._state.own(me)
        if self._info["engine"] == DockerEngine.name:
            self._state.content[KEY] = settled()

    def _require_ended(self, *, also_finished: bool) -> None:
        if self._state.status is Status.FINISHED and not also_finished:
            raise RunStateError(f"run {self._run.root.name} is already finished")
        deadline = time.monotonic() + LOOK_S
        while someone_else_lives(self._run_lock) and time.monotonic() < deadline:
            time.sleep(0.02)  # a reader that tests the lock holds it for an instant
        if someone_else_lives(self._run_lock):
            raise RunStateError(
                f"run {self._run.root.name} still runs; stop it first, or `lanewatch watch` it"
            )

    def keep(self) -> Status:
        """Run what is left of the run and return how it ended."""
        if not self._state.status.final:
            self._await_turn()
            self._watcher.adopt_or_start(self._state)
            self._state.save()
            outcome = self._run_stages()
            while self._resume_by_itself(outcome):
                outcome = self._run_stages()
            self._close(outcome)
        self._watcher.farewell()
        self._alerts.close(self._state.status, self._state.content["cause"], self._state.attempt)
        return self._state.status

    def _await_turn(self) -> None:
        """Wait for the run before, if there is one; nothing of this one runs meanwhile."""
        after = awaited(self._info)
        if after is None or self._state.had_its_turn:
            return
        await_turn(self._run, after, self._event, self._interrupted, self._moved_up, self._beside)
        if self._orders.action is not None:
            return  # it leaves the queue, and whoever waits for it waits for the run ahead instead
        self._state.begin_turn()
        self._state.save()
        self._runner.await_memory_first = True

    def _beside(self, known: set[str]) -> str | None:
        """A run that was begun beside the one before; None where this one may begin beside it."""
        if self._runner.anyway:
            return None
        try:
            return on_the_box(self._run.root.parent, known)
        except RunnerError as error:
            logger.warning("who else is on the box cannot be seen: %s", error)
            return None

    def _moved_up(self, after: str) -> None:
        """The run ahead left the queue: say whom this one waits for now."""
        self._state.queue(after)
        self._state.save()

    def _interrupted(self) -> bool:
        self._orders.take(None)
        self._alerts.tend(watcher_lost=False)
        return self._orders.action is not None

    def _resume_by_itself(self, outcome: Outcome) -> bool:
        """Begin the next attempt unasked, where the recipe allows it and it may help."""
        state = self._state
        if state.exported is not None:
            return False
        iteration = self._recovery.may_resume(outcome, state, self._plan.resume_from)
        if iteration is None:
            return False
        self._recovery.prepare()
        self._runner.anyway = False  # wait for memory now: nobody is there to say so again
        state.resume_by_itself(outcome.cause or "it failed", iteration)
        self._own()
        self._watcher.adopt_or_start(state)
        state.save()
        text = f"resumed by itself from checkpoint {iteration}, once: {outcome.cause}"
        self._event("action", text)
        self._alerts.tell("resumed", "resumed by itself", text)
        return True

    def _run_stages(self) -> Outcome:
        for plan in self._plan.stages:
            if (ended := self._state.outcome) is not None:
                return Outcome(*ended)
            outcome = self._runner.carry(plan)
            if outcome.status is not None:
                return outcome
        return Outcome(Status.FINISHED)

    def _close(self, outcome: Outcome) -> None:
        status, cause = outcome.status or Status.FINISHED, outcome.cause
        if self._state.exported is None:
            write_summary(self._run, self._state.content | {"status": status, "cause": cause})
        elif status is Status.FINISHED:
            self._event("action", f"checkpoint {self._state.exported} was exported")
            status, cause = self._state.before_export
        self._state.end(status, cause)
        deadline = time.monotonic() + SAVE_RETRY_S
        while not self._state.save() and time.monotonic() < deadline and self._run.root.exists():
            time.sleep(1.0)
        self._event("action", f"the run {status}" + (f": {cause}" if cause else ""))

    def _event(self, kind: str, text: str) -> None:
        problem = append_event(
            self._run.events, kind=kind, text=text, source="keeper", now=read_now()
        )
        if problem:
            logger.warning("%s", problem)


def main(arguments: list[str] | None = None) -> int:
    """Keep the run named on the command line until it ends."""
    parser = argparse.ArgumentParser(prog="lanewatch-keeper")
    parser.add_argument("run", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--anyway", action="store_true")
    parser.add_argument("--export", type=int, metavar="ITERATION")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s keeper %(levelname)s %(message)s", level="INFO")
    detach()
    run = RunDir(options.run)
    settle(run, anew=options.resume or options.export is not None)
    try:
        keeper = Keeper(run)
        kept = keeper.claim(resume=options.resume, anyway=options.anyway, export=options.export)
    except (RunnerError, OSError) as error:
        tell_starter(f"error {error}")
        logger.error("%s", error)
        return 2
    tell_starter("ok")
    if not kept:
        return 0
    try:
        keeper.keep()
    except RunnerError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
