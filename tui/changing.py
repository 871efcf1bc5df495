"""What may be done to a run from the screens: a mixin of the app.

The rule: what changes a run is a callable that the command line hands in, it runs on a thread of
its own, and a view that is read-only has none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import work

from tui.messages import ActionDone
from tui.state import is_over
from tui.toasts import Toasts

if TYPE_CHECKING:
    from textual.app import App

    from monitor.status_model import RunStatus
    from tui.actions import Action

    Base = App[None]
else:
    Base = object

StopRun = Callable[[str, bool], None]
"""(run id, save a checkpoint first). Raises with a sentence for the person when it cannot."""

ActOn = Callable[[str, "Action"], str]
"""(run id, action) to the sentence that tells what was done; raises likewise."""


class Changing(Toasts, Base):
    """Stops, resumes, kills ... and says what came of it."""

    read_only: bool
    _stop: StopRun | None
    _act: ActOn | None

    def say(self, text: str) -> None:
        """Tell the person in front of the screen."""
        raise NotImplementedError

    @property
    def can_stop(self) -> bool:
        """True when a run may be stopped from here."""
        return self._stop is not None and not self.read_only

    @property
    def can_act(self) -> bool:
        """True when a run may be killed, resumed, exported … from here."""
        return self._act is not None and not self.read_only

    def act(self, run: str, action: Action) -> str:
        """Do *action* and return what to tell; blocks. Raises when it is refused."""
        if self._act is None or self.read_only:
            raise PermissionError("this view is read-only")
        return self._act(run, action)

    @work(thread=True, group="act", exit_on_error=False)
    def carry_out(self, run: str, action: Action) -> None:
        """Do *action* and tell what came of it: here, since the screen may be left meanwhile."""
        try:
            told = self.act(run, action)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told = f"{action} of {run} was refused: {error}"
        self.post_message(ActionDone(told))

    def may_stop(self, status: RunStatus | None) -> bool:
        """True when this run may be stopped from here; a foreign one is not ours to stop."""
        ours = status is not None and status.foreign is None
        return self.can_stop and ours and status is not None and not is_over(status)

    def may_resume(self, status: RunStatus | None) -> bool:
        """True when this run may be resumed from here: ours, over, and not at its end."""
        from tui.actions import Action, offered

        return self.can_act and Action.RESUME in [each for _, each in offered(status)]

    def ask_to_resume(self, status: RunStatus) -> None:
        """Say what a run would go on from, and have it done."""
        from tui.actions import Action, question, refusal
        from tui.screens.confirm_action import ConfirmActionScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self._resume_run(status.run)

        if self.may_resume(status):
            self.push_screen(ConfirmActionScreen(question(Action.RESUME, status)), answered)
        else:
            self.say(refusal(Action.RESUME, status, read_only=not self.can_act))

    def ask_to_stop(self, status: RunStatus) -> None:
        """Ask how to stop a run, and have it done."""
        from tui.actions import Action, refusal
        from tui.screens.confirm_stop import Choice, ConfirmStopScreen

        if not self.may_stop(status):
            self.say(refusal(Action.STOP, status, read_only=not self.can_stop))
            return

        def chosen(choice: Choice | None) -> None:
            if choice is not None and choice is not Choice.CANCEL:
                self._stop_run(status.run, save=choice is Choice.SAVE)

        self.push_screen(ConfirmStopScreen(status), chosen)

    @work(thread=True, exclusive=True, group="stop", exit_on_error=False)
    def _stop_run(self, run: str, *, save: bool) -> None:
        assert self._stop is not None
        try:
            self._stop(run, save)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            self.post_message(ActionDone(f"{run} was not stopped: {error}"))

    @work(thread=True, exclusive=True, group="resume", exit_on_error=False)
    def _resume_run(self, run: str) -> None:
        from tui.actions import Action

        try:
            told = self.act(run, Action.RESUME)
        except Exception as error:  # noqa: BLE001 - whatever it was, the person must read it
            told = f"{run} was not resumed: {error}"
        self.post_message(ActionDone(told))
