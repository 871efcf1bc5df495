"""The commands by name. To show a screen no parser is needed, only what a run's name cannot be."""

from __future__ import annotations

_READING = "tui.cli.reading"
_ACTING = "tui.cli.acting"

COMMANDS = {
    "launch": ("start a fine-tune; prints its run id at once", "tui.cli.launching:launch_command"),
    "demo": ("a real small fine-tune on this machine's CPU, watched", "tui.cli.demo:demo_command"),
    "attach": (
        "watch a training that lanewatch did not start; without a name, list what runs here",
        "tui.cli.attaching:attach_command",
    ),
    "runs": ("list the runs", f"{_READING}:runs_command"),
    "status": ("one run: verdict, evidence, progress", f"{_READING}:status_command"),
    "events": ("what happened to a run", f"{_READING}:events_command"),
    "logs": ("the log of a run", f"{_READING}:logs_command"),
    "compare": (
        "two or more runs beside each other: is that fair, and what came of each",
        "tui.cli.comparing:compare_command",
    ),
    "wait": ("wait until a run has ended; 0 only if it finished", f"{_READING}:wait_command"),
    "stop": (
        "end a run at its next step, with --save after a checkpoint",
        f"{_ACTING}:stop_command",
    ),
    "kill": ("end a run now", f"{_ACTING}:kill_command"),
    "resume": ("go on from the last whole checkpoint", f"{_ACTING}:resume_command"),
    "export": (
        "merge any checkpoint of a run that has ended into its export folder",
        f"{_ACTING}:export_command",
    ),
    "watch": ("bring back a run's keeper and watcher", f"{_ACTING}:watch_command"),
    "rm": ("delete a run's folder", f"{_ACTING}:rm_command"),
    "ack": ("acknowledge a run's alerts: no more reminders", "tui.cli.alerting:ack_command"),
    "alerts": ("where alerts are sent", "tui.cli.alerting:alerts_command"),
    "service": (
        "bring keepers and watchers of live runs back, at boot too",
        "tui.cli.servicing:service_command",
    ),
    "replay": ("judge a recorded run again: its verdicts", "tui.cli.replaying:replay_command"),
    "drill": ("rehearse a fault: a real trainer misbehaves", "tui.cli.drill:drill_command"),
    "diagnose": (
        "where a run hangs and why, how sure that is, what to do; harms nothing",
        "tui.cli.diagnosing:diagnose_command",
    ),
    "doctor": (
        "what would go wrong with a launch, before it does; --prove: a real tiny run",
        "tui.cli.doctoring:doctor_command",
    ),
    "du": ("what runs and caches hold of the disk", "tui.cli.pruning:du_command"),
    "prune": ("free what is no longer needed of it; asks first", "tui.cli.pruning:prune_command"),
    "recipe": ("write or check a recipe", "tui.cli.recipes:recipe_command"),
    "config": ("the user's configuration", "tui.cli.configuring:config_command"),
}
