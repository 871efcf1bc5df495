"""Where a run hangs, and why, before it is ended. Not known yet: `diagnose` says nothing."""

from __future__ import annotations

from monitor.rundir import RunDir


def diagnose(run: RunDir) -> str | None:  # noqa: ARG001 - the place for it is fixed, the deed is not
    """What the stuck processes of *run* show, in a sentence; None where nothing is known."""
    return None
