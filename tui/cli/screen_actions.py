"""What the screens may do to a run: the command line's own functions, told in a sentence."""

from __future__ import annotations

from monitor.rundir import RunDir
from tui.actions import Action
from tui.cli.acting import ask_to_kill, bring_back, export_run, resume_run
from tui.cli.alerting import acknowledge


def act_on(run: RunDir, action: Action) -> str:
    """Do *action* to *run* and return what to tell. Raises RunnerError with why it cannot be."""
    if action is Action.KILL:
        return ask_to_kill(run)
    if action is Action.RESUME:
        resume_run(run, anyway=False)
        return f"{run.root.name} is resumed"
    if action is Action.EXPORT:
        return export_run(run, None, anyway=False)
    if action is Action.WATCH:
        return bring_back(run)
    if action is Action.ACK:
        return acknowledge(run)
    raise ValueError(f"{action} is asked for in another way")
