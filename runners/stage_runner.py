"""One stage of a run: begun, or found where an earlier keeper left it, waited for, and judged.

The rule: what is about to be done is in state.json before it is done, so that the next keeper can
tell "about to" from "done".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.files import read_json
from monitor.model import Stage, Status
from monitor.rundir import RunDir
from runners.engines.base import Engine, Exit, Handle, StageRequest
from runners.engines.docker_errors import EngineSilentError
from runners.errors import EngineError, RunnerError
from runners.exits import Outcome, StageEnd, asker, judge_end
from runners.keeper_alerts import KeeperAlerts
from runners.keeper_kernel import oom_kills, reap_strangers, someone_else_lives
from runners.keeper_state import KeeperState
from runners.lanes.base import StagePlan
from runners.log_error import last_error
from runners.memory_wait import HEAVY, await_memory
from runners.orders import Orders
from runners.recovery import Recovery
from runners.runs import note_outcome
from runners.stages import Plan
from runners.watcher_process import WatcherProcess

POLL_S = 0.2
"""A request is acted on within a second; five looks a second cost about 0.1 % of a core."""

FIND_S = 10.0
"""How long a stage that was just forked may take to carry its name."""

ENGINE_AWAY_S = 180.0
"""How long a stage that is to be started waits for an engine that does not answer."""

SILENT_PAUSE_S = 1.0
"""Between two questions to an engine that does not answer."""


class StageRunner:
    """Carries each stage of one run to its end, with the keeper's other duties meanwhile."""

    def __init__(
        self,
        run: RunDir,
        plan: Plan,
        engine: Engine,
        *,
        lock: int,
        state: KeeperState,
        watcher: WatcherProcess,
        alerts: KeeperAlerts,
        recovery: Recovery,
        orders: Orders,
        say: Callable[[str, str], None],
    ) -> None:
        self._run, self._plan, self._engine = run, plan, engine
        self._info = dict(plan.info)
        self._run_lock = lock
        self._state, self._watcher, self._alerts = state, watcher, alerts
        self._recovery, self._orders, self._event = recovery, orders, say
        self._noted: set[str] = set()
        self._rebooted = False
        self._last_words: str | None = None
        self.anyway = False
        """Begin a stage although the memory of the run before has not come back."""
        self.await_memory_first = False
        """Wait for that memory before the next stage, whatever it takes itself."""

    def machine_restarted(self, last_words: str | None) -> None:
        """The stage that state.json calls running ended with the machine; what it showed last."""
        self._rebooted, self._last_words = True, last_words

    def carry(self, plan: StagePlan) -> Outcome:
        """Do what is left of the stage, and return what its end means for the run."""
        word = self._state.entry(plan.stage)["status"]
        if word in ("done", "skipped"):
            return Outcome(None)
        if word == "running":
            return self._go_on(plan)
        self._orders.take(None)
        # Never while a stage runs: what was asked is for it to carry out.
        return self._stopped_before(plan) or self._begin(plan)

    def _interrupted(self) -> bool:
        """While something is waited for: do what cannot wait; True when an end was asked for."""
        self._orders.take(None)
        self._tend()
        return self._orders.action is not None

    def _go_on(self, plan: StagePlan) -> Outcome:
        """Carry on with a stage that an earlier keeper began, or was about to begin."""
        if self._rebooted:
            cause = "the machine was restarted while it ran"
            self._rebooted = False
            self._state.mendable = self._recovery.after_restart(plan.stage, cause)
            if self._last_words:
                cause += f"; {self._last_words}"
            self._engine.bury(self._plan.request(plan, self._state.attempt))
            self._state.left(plan.stage, "failed", Status.FAILED, cause)
            self._state.save()
            return Outcome(Status.FAILED, cause)
        handle, ended = self._recover(plan)
        if handle is not None:
            return self._see_to_its_end(plan, handle)
        if ended is not None:
            return self._end_stage(plan, ended, 0)
        self._orders.take(None)
        if (outcome := self._stopped_before(plan)) is not None:
            self._state.left_unbegun(plan.stage, outcome.status, outcome.cause)
            return outcome
        return self._begin(plan)

    def _stalled(self) -> bool:
        return self._recovery.stalled(self._state, self._plan.resume_from)

    def _tend(self) -> None:
        self._watcher.tend(self._state)
        self._alerts.tend(watcher_lost=self._watcher.lost)

    def _begin(self, plan: StagePlan) -> Outcome:
        if (note := self._passed_over(plan)) is not None:
            self._state.left(plan.stage, "skipped", None, note)
            self._state.save()
            return Outcome(None)
        if (outcome := self._await_memory(plan)) is not None:
            return outcome
        try:
            handle = self._start(plan)
        except (EngineError, OSError) as error:
            cause = f"stage {plan.stage} could not start: {error}"
            outcome = self._stopped_before(plan) or Outcome(Status.FAILED, cause)
            self._state.left_unbegun(plan.stage, outcome.status, outcome.cause)
            return outcome
        return self._see_to_its_end(plan, handle)

    def _passed_over(self, plan: StagePlan) -> str | None:
        """Why the stage need not run, or None."""
        exported = self._state.exported
        if exported is not None and plan.stage in (Stage.PREPARE, Stage.TRAIN):
            return f"only checkpoint {exported} is exported"
        if exported is not None and plan.stage is Stage.MERGE:
            return None
        return "its output is whole and of the same inputs" if self._plan.is_done(plan) else None

    def _await_memory(self, plan: StagePlan) -> Outcome | None:
        """Let the run before give its memory back; an outcome where that ends this one."""
        first, self.await_memory_first = self.await_memory_first, False
        if (plan.stage not in HEAVY and not first) or self.anyway:
            return None

        def say(kind: str, text: str) -> None:
            # The stage before is over, and nobody is to look for its process meanwhile.
            self._state.intend(plan.stage.value)
            self._state.save()
            self._event(kind, text)

        refusal = await_memory(plan.stage, self._run, say, self._interrupted)
        outcome = self._stopped_before(plan)
        if refusal is not None:
            outcome = Outcome(Status.FAILED, refusal)
        if outcome is not None:
            self._state.left_unbegun(plan.stage, outcome.status, outcome.cause)
        return outcome

    def _stopped_before(self, plan: StagePlan) -> Outcome | None:
        request = self._orders.request
        if request is None:
            return None
        by = f"stopped by {asker(request)} before stage {plan.stage}"
        return Outcome(Status.STOPPED, by)

    def _see_to_its_end(self, plan: StagePlan, handle: Handle) -> Outcome:
        before = oom_kills()
        exit_ = self._wait(handle)
        return self._end_stage(plan, exit_, oom_kills() - before)

    def _recover(self, plan: StagePlan) -> tuple[Handle | None, Exit | None]:
        """Find what an earlier keeper started: the living stage, or how it ended.

        Neither where it was never begun.
        """
        recorded = self._state.handle
        if recorded is not None and (ended := self._engine.poll(recorded)) is not None:
            return None, ended  # whatever else carries its name now is a leftover of it
        request = self._plan.request(plan, self._state.attempt)
        deadline = time.monotonic() + FIND_S
        while (handle := recorded or self._find(request)) is None:
            if not someone_else_lives(self._run_lock):
                told = (self._run.result, self._run.heartbeat)
                began = any(self._told(each, plan) for each in told)
                return None, Exit() if began else None
            if time.monotonic() > deadline:
                raise RunnerError(
                    f"a process holds {self._run.run_lock} but cannot be found; "
                    f"see `fuser {self._run.run_lock}`"
                )
            time.sleep(0.05)
        self._state.started(handle)
        self._state.save()
        self._event("action", f"a new keeper adopted stage {plan.stage}")
        return handle, None

    def _find(self, request: StageRequest) -> Handle | None:
        """Ask the engine until it answers: begun or not, that must be known before anything."""
        told = False
        while True:
            try:
                return self._engine.find(request)
            except EngineError as error:
                if not told:
                    self._event("note", f"stage {request.stage} is looked for: {error}")
                told = True
            self._interrupted()
            time.sleep(SILENT_PAUSE_S)

    def _start(self, plan: StagePlan) -> Handle:
        request = self._plan.request(plan, self._state.attempt)
        self._run.result.unlink(missing_ok=True)
        exported = self._state.exported
        if exported is not None and plan.stage is Stage.MERGE:
            self._plan.forget(plan)  # what lies in export/ is then no longer the run's last word
        self._plan.write_job(plan, self._state.attempt, iteration=exported)
        self._state.intend(plan.stage.value)
        if not self._state.save():
            raise EngineError(f"{self._run.state} cannot be written; is the disk full?")
        handle = self._insist(request)
        self._state.started(handle)
        self._state.save()
        for note in handle.notes:
            if note not in self._noted:
                self._event("note", note)
            self._noted.add(note)
        return handle

    def _insist(self, request: StageRequest) -> Handle:
        """Start it. An engine that is away for a moment, upgraded say, is waited for."""
        deadline, told = time.monotonic() + ENGINE_AWAY_S, False
        while True:
            try:
                return self._engine.start(request)
            except EngineSilentError as error:
                if time.monotonic() > deadline or self._interrupted():
                    self._engine.bury(request)  # it may have been made, and the answer lost
                    raise
                if not told:
                    self._event("note", f"stage {request.stage} waits for the engine: {error}")
                told = True
            time.sleep(SILENT_PAUSE_S)

    def _wait(self, handle: Handle) -> Exit:
        self._orders.act(handle)
        while True:
            if (exit_ := self._engine.poll(handle)) is not None:
                return exit_
            self._orders.take(handle)
            self._orders.insist(handle)
            if self._orders.action is None and self._stalled():
                self._engine.kill(handle)
            self._tend()
            if self._state.unsaved:
                self._state.save()
            reap_strangers(handle.process.pid, self._watcher.pid)
            time.sleep(POLL_S)

    def _end_stage(self, plan: StagePlan, exit_: Exit, oom_kills: int) -> Outcome:
        end = StageEnd(
            stage=plan.stage.value,
            exit=exit_,
            result=self._told(self._run.result, plan),
            asked=self._orders.request,
            oom_kills=max(oom_kills, int(exit_.oom_killed)),
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
            if self._state.exported is None:
                self._plan.mark_done(plan)
            self._info = note_outcome(
                self._run, self._info, plan.stage, self._told(self._run.result, plan)
            )
            self._plan = replace(self._plan, info=self._info)
        except OSError as error:
            where = error.filename or self._run.root
            return Outcome(Status.FAILED, f"stage {plan.stage}: {where}: {error.strerror or error}")
        return Outcome(None)

    def _told(self, path: Path, plan: StagePlan) -> dict[str, Any] | None:
        """What the trainer wrote there, if it was this attempt of this stage."""
        value = read_json(path).value or {}
        ours = (value.get("stage"), value.get("attempt")) == (plan.stage, self._state.attempt)
        return value if ours else None
