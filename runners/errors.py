"""What can go wrong in launching; each message says what failed, where, and what to do."""

from __future__ import annotations


class RunnerError(Exception):
    """Base of every error of this package; its text is shown to the user as it is."""


class RunNotFoundError(RunnerError):
    """No run, or more than one, fits what the user named."""


class RunStateError(RunnerError):
    """The run is not in a state that allows what was asked."""


class EngineError(RunnerError):
    """An engine could not start, find or stop a stage."""
