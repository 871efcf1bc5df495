"""The process that owns a run: runs its stages in order, waits for each, tells how it ended.

`python -m runners.keeper RUN_FOLDER [--resume]`. It may die at any instant: the stage goes on, and
the next keeper finds it by what the stage itself carries. Every step that matters is written to
state.json *before* it is taken, so a keeper can always tell "about to" from "done".
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from monitor.events import append_event
from monitor.files import read_json
from monitor.flight_log import last_words
from monitor.model import Status
from monitor.probes.clock import read_now
from monitor.probes.process import identify
from monitor.rundir import RunDir
from monitor.target import read_target
from runners.engines import get_engine
from runners.engines.base import Exit, Handle
from runners.errors import EngineError, RunnerError, RunStateError
from runners.exits import Outcome, StageEnd, asker, judge_end
from runners.keeper_alerts import KeeperAlerts
from runners.keeper_kernel import (
    detach,
    oom_kills,
    reap_strangers,
    someone_else_lives,
    take_alone,
    take_shared,
    tell_starter,
)
from runners.keeper_state import KeeperState
from runners.lanes.base import StagePlan
from runners.log_error import last_error
from runners.memory_wait import HEAVY, await_memory
from runners.recovery import Recovery
from runners.requests import Action, Request, clear_request, read_asked
from runners.runs import note_outcome, read_run
from runners.stages import Plan
from runners.summary import write_summary
from runners.watcher_process import WatcherProcess

logger = logging.getLogger(__name__)

POLL_S = 0.2
"""A request is acted on within a second; five looks a second cost about 0.1 % of a core."""

STOP_GRACE_S = 60.0
"""A stop without saving has nothing to lose: a trainer that does not answer it is then killed."""

LOOK_S = 0.5
"""For how long a lock that is held may just be held by someone who looks whether it is."""

FIND_S = 10.0
"""How long a stage that was just forked may take to carry its name."""

SAVE_RETRY_S = 3600.0
"""How long an ended keeper tries to write its last word to a full disk."""


class Keeper:
    """Carries one run from its present state to its end."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._info = read_run(run)
        self._plan = Plan(run, self._info)
        self._engine = get_engine(self._info["engine"])
        self._keeper_lock = take_alone(run.keeper_lock)
        self._run_lock = take_shared(run.run_lock)
        stages = [plan.stage.value for plan in self._plan.stages]
        self._state = KeeperState(run, stages, read_now().boot_id)
        self._watcher = WatcherProcess(run)
        self._alerts = KeeperAlerts(run)
        self._recovery = Recovery(run, self._info, self._event)
        self._request: Request | None = None
        self._asked_at = time.monotonic()
        self._rebooted = False
        self._last_words: str | None = None
        self._anyway = False

    def claim(self, *, resume: bool, anyway: bool = False) -> bool:
        """Become the run's keeper; False when there is nothing left to keep.

        Raises RunStateError where a resume is not possible.
        """
        state = self._state
        self._anyway = anyway or self._info.get("anyway") is True
        if state.repaired:
            self._event("note", f"state.json was begun again: {state.repaired}")
        if resume:
            self._require_resumable()
            state.begin_attempt()
            self._run.request.unlink(missing_ok=True)
        elif state.status.final:
            return False
        self._rebooted = state.boot_changed and not resume
        if self._rebooted:
            self._last_words = last_words(read_target(self._run.root), read_now().boot_id)
        self._request = state.asked_before
        self._own()
        if not state.save() and resume:
            raise RunStateError(f"cannot write {self._run.state}: is the disk full?")
        return True

    def _own(self) -> None:
        me = identify(os.getpid())
        assert me is not None
        self._state.own(me)

    def _require_resumable(self) -> None:
        if self._state.status is Status.FINISHED:
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
            self._watcher.adopt_or_start(self._state)
            self._state.save()
            outcome = self._run_stages()
            while self._resume_by_itself(outcome):
                outcome = self._run_stages()
            self._close(outcome)
        self._watcher.farewell()
        self._alerts.close(self._state.status, self._state.content["cause"], self._state.attempt)
        return self._state.status

    def _resume_by_itself(self, outcome: Outcome) -> bool:
        """Begin the next attempt unasked, where the recipe allows it and it may help."""
        state = self._state
        iteration = self._recovery.may_resume(outcome, state, self._plan.resume_from)
        if iteration is None:
            return False
        self._recovery.prepare()
        self._anyway = False  # wait for memory now: nobody is there to say so again
        state.resume_by_itself(outcome.cause or "it failed", iteration)
        self._own()
        self._watcher.adopt_or_start(state)
        state.save()
        text = f"resumed by itself from checkpoint {iteration}, once: {outcome.cause}"
        self._event("action", text)
        self._alerts.tell("resumed", "resumed by itself", text)
        return True

    def _interrupted(self) -> bool:
        """While something is waited for: do what cannot wait; True when an end was asked for."""
        self._take_request(None)
        self._watcher.tend(self._state)
        self._alerts.tend(watcher_lost=self._watcher.lost)
        return self._asked is not None

    def _run_stages(self) -> Outcome:
        for plan in self._plan.stages:
            if (ended := self._state.outcome) is not None:
                return Outcome(*ended)
            word = self._state.entry(plan.stage)["status"]
            if word in ("done", "skipped"):
                continue
            if word == "running":
                outcome = self._go_on(plan)
            else:
                self._take_request(None)
                # Never while a stage runs: what was asked is for it to carry out.
                outcome = self._stopped_before(plan) or self._begin(plan)
            if outcome.status is not None:
                return outcome
        return Outcome(Status.FINISHED)

    def _go_on(self, plan: StagePlan) -> Outcome:
        """Carry on with a stage that an earlier keeper began, or was about to begin."""
        if self._rebooted:
            cause = "the machine was restarted while it ran"
            self._rebooted = False
            self._state.mendable = self._recovery.after_restart(plan.stage, cause)
            if self._last_words:
                cause += f"; {self._last_words}"
            self._state.left(plan.stage, "failed", Status.FAILED, cause)
            self._state.save()
            return Outcome(Status.FAILED, cause)
        handle, began = self._recover(plan)
        if handle is not None:
            return self._see_to_its_end(plan, handle)
        return self._end_stage(plan, Exit(), 0) if began else self._begin(plan)

    def _begin(self, plan: StagePlan) -> Outcome:
        if self._plan.is_done(plan):
            note = "its output is whole and of the same inputs"
            self._state.left(plan.stage, "skipped", None, note)
            self._state.save()
            return Outcome(None)
        if (outcome := self._await_memory(plan)) is not None:
            return outcome
        try:
            handle = self._start(plan)
        except (EngineError, OSError) as error:
            cause = f"stage {plan.stage} could not start: {error}"
            self._state.left(plan.stage, "failed", Status.FAILED, cause)
            return Outcome(Status.FAILED, cause)
        return self._see_to_its_end(plan, handle)

    def _await_memory(self, plan: StagePlan) -> Outcome | None:
        """Let the run before give its memory back; an outcome where that ends this one."""
        if plan.stage not in HEAVY or self._anyway:
            return None
        refusal = await_memory(plan.stage, self._run, self._event, self._interrupted)
        if refusal is not None:
            self._state.left(plan.stage, "failed", Status.FAILED, refusal)
            return Outcome(Status.FAILED, refusal)
        return self._stopped_before(plan)

    def _stopped_before(self, plan: StagePlan) -> Outcome | None:
        if self._request is None:
            return None
        by = f"stopped by {asker(self._request)} before stage {plan.stage}"
        return Outcome(Status.STOPPED, by)

    def _see_to_its_end(self, plan: StagePlan, handle: Handle) -> Outcome:
        before = oom_kills()
        exit_ = self._wait(handle)
        return self._end_stage(plan, exit_, oom_kills() - before)

    def _recover(self, plan: StagePlan) -> tuple[Handle | None, bool]:
        """Find what an earlier keeper started: the living stage, and whether it was ever begun."""
        recorded = self._state.handle
        if recorded is not None and self._engine.poll(recorded) is not None:
            return None, True  # whatever else carries its name now is a leftover of it
        request = self._plan.request(plan, self._state.attempt)
        deadline = time.monotonic() + FIND_S
        while (handle := recorded or self._engine.find(request)) is None:
            if not someone_else_lives(self._run_lock):
                return None, any(
                    self._told(each, plan) for each in (self._run.result, self._run.heartbeat)
                )
            if time.monotonic() > deadline:
                raise RunnerError(
                    f"a process holds {self._run.run_lock} but cannot be found; "
                    f"see `fuser {self._run.run_lock}`"
                )
            time.sleep(0.05)
        self._state.started(handle)
        self._state.save()
        self._event("action", f"a new keeper adopted stage {plan.stage}")
        return handle, True

    def _start(self, plan: StagePlan) -> Handle:
        request = self._plan.request(plan, self._state.attempt)
        self._run.result.unlink(missing_ok=True)
        self._plan.write_job(plan, self._state.attempt)
        self._state.intend(plan.stage.value)
        if not self._state.save():
            raise EngineError(f"{self._run.state} cannot be written; is the disk full?")
        handle = self._engine.start(request)
        self._state.started(handle)
        self._state.save()
        return handle

    def _wait(self, handle: Handle) -> Exit:
        if self._request is not None:
            self._act(handle, self._request.action)
        while True:
            if (exit_ := self._engine.poll(handle)) is not None:
                return exit_
            self._take_request(handle)
            if self._asked is Action.STOP and time.monotonic() > self._asked_at + STOP_GRACE_S:
                self._engine.kill(handle)
            if self._asked is None and self._recovery.stalled(self._state, self._plan.resume_from):
                self._engine.kill(handle)
            self._watcher.tend(self._state)
            self._alerts.tend(watcher_lost=self._watcher.lost)
            if self._state.unsaved:
                self._state.save()
            reap_strangers(handle.process.pid, self._watcher.pid)
            time.sleep(POLL_S)

    def _take_request(self, handle: Handle | None) -> None:
        """Carry out what is asked of the run. The request goes away last, so none is ever lost."""
        request = read_asked(self._run)
        if request is None:
            return
        if request.action is Action.WATCH:
            self._watcher.start_again(self._state)
        else:
            self._request, self._asked_at = request, time.monotonic()
            self._state.asked(request)
            self._state.save()
            if handle is not None:
                self._act(handle, request.action)
            why = f" ({request.why})" if request.why else ""
            self._event("action", f"{asker(request)} asked: {request.action}{why}")
        clear_request(self._run)

    @property
    def _asked(self) -> Action | None:
        return self._request.action if self._request else None

    def _act(self, handle: Handle, action: Action) -> None:
        if action is Action.KILL:
            self._engine.kill(handle)
        else:
            self._engine.ask_to_stop(handle, save=action is Action.STOP_AND_SAVE)

    def _end_stage(self, plan: StagePlan, exit_: Exit, oom_kills: int) -> Outcome:
        end = StageEnd(
            stage=plan.stage.value,
            exit=exit_,
            result=self._told(self._run.result, plan),
            asked=self._request,
            oom_kills=oom_kills,
            saved_iteration=self._plan.resume_from(),
            last_error=last_error(self._run.log(plan.stage)),
        )
        self._engine.bury(self._plan.request(plan, self._state.attempt))
        outcome, self._state.mendable = self._recovery.judge(end, judge_end(end))
        if outcome.status is None:
            outcome = self._complete(plan)
        word = "done" if outcome.status is None else outcome.status.value
        self._state.left(plan.stage, word, outcome.status, outcome.cause, exit_)
        self._state.save()
        return outcome

    def _complete(self, plan: StagePlan) -> Outcome:
        try:
            self._plan.mark_done(plan)
            self._info = note_outcome(
                self._run, self._info, plan.stage, self._told(self._run.result, plan)
            )
        except OSError as error:
            where = error.filename or self._run.root
            return Outcome(Status.FAILED, f"stage {plan.stage}: {where}: {error.strerror or error}")
        return Outcome(None)

    def _told(self, path: Path, plan: StagePlan) -> dict[str, Any] | None:
        """What the trainer wrote there, if it was this attempt of this stage."""
        value = read_json(path).value or {}
        ours = (value.get("stage"), value.get("attempt")) == (plan.stage, self._state.attempt)
        return value if ours else None

    def _close(self, outcome: Outcome) -> None:
        status = outcome.status or Status.FINISHED
        write_summary(self._run, self._state.content | {"status": status, "cause": outcome.cause})
        self._state.end(status, outcome.cause)
        deadline = time.monotonic() + SAVE_RETRY_S
        while not self._state.save() and time.monotonic() < deadline and self._run.root.exists():
            time.sleep(1.0)
        self._event("action", f"the run {status}" + (f": {outcome.cause}" if outcome.cause else ""))

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
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s keeper %(levelname)s %(message)s", level="INFO")
    detach()
    try:
        keeper = Keeper(RunDir(options.run))
        kept = keeper.claim(resume=options.resume, anyway=options.anyway)
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
