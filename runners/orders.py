"""What people, the memory guard and a reviving watcher ask of a run, as its keeper carries it out.

The rule: request.json goes away last, so that a keeper that dies meanwhile loses none.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from monitor.model import Status
from monitor.rundir import RunDir
from runners.engines.base import Engine, Handle
from runners.exits import asker
from runners.keeper_state import KeeperState
from runners.requests import Action, Request, clear_request, read_asked
from runners.save_grace import LEAST_S, save_grace_s
from runners.watcher_process import WatcherProcess

STOP_GRACE_S = 60.0
"""A stop without saving has nothing to lose: a trainer that does not answer it is then killed."""


class Orders:
    """The request that stands, and the stage it was carried out on."""

    def __init__(
        self,
        run: RunDir,
        engine: Engine,
        state: KeeperState,
        watcher: WatcherProcess,
        say: Callable[[str, str], None],
    ) -> None:
        self._run, self._engine, self._state, self._watcher = run, engine, state, watcher
        self._say = say
        self.request: Request | None = None
        """The last that asked for an end."""
        self._asked_at = time.monotonic()
        self._overdue = False
        """It was told that a save takes too long."""

    def take_over(self, request: Request | None) -> None:
        """Go on with what an earlier keeper was asked."""
        self.request = request

    @property
    def action(self) -> Action | None:
        """What end is asked for, if any."""
        return self.request.action if self.request else None

    def take(self, handle: Handle | None) -> None:
        """Read request.json and carry it out on the stage of *handle*; None while none runs."""
        request = read_asked(self._run)
        if request is None:
            return
        if request.action is Action.WATCH:
            if self._state.status is not Status.QUEUED:  # there is nothing to watch yet
                self._watcher.start_again(self._state)
        else:
            self.request, self._asked_at, self._overdue = request, time.monotonic(), False
            self._state.asked(request)
            self._state.save()
            if handle is not None:
                self.act(handle)
            why = f" ({request.why})" if request.why else ""
            self._say("action", f"{asker(request)} asked: {request.action}{why}")
        clear_request(self._run)

    def act(self, handle: Handle) -> None:
        """End the stage of *handle* in the way that is asked for; nothing where none is."""
        if self.action is Action.KILL:
            self._engine.kill(handle)
        elif self.action is not None:
            self._engine.ask_to_stop(handle, save=self.action is Action.STOP_AND_SAVE)

    def insist(self, handle: Handle) -> None:
        """Kill a stage that was asked to stop without saving and does not answer.

        One that was asked to save is never killed for it: it may hold the only copy of a night's
        work. It is told once that a save takes longer than it may.
        """
        waited_s = time.monotonic() - self._asked_at
        if self.action is Action.STOP and waited_s > STOP_GRACE_S:
            self._engine.kill(handle)
        elif self.action is Action.STOP_AND_SAVE and not self._overdue:
            self._tell_if_overdue(waited_s)

    def _tell_if_overdue(self, waited_s: float) -> None:
        if waited_s <= LEAST_S or waited_s <= (grace_s := save_grace_s(self._run)):
            return
        self._overdue = True
        self._say(
            "note",
            f"asked to save and stop {waited_s / 60:.0f} min ago, and a step and a save take "
            f"{grace_s / 60:.0f} min at most; it goes on, `lanewatch kill` ends it without a save",
        )
