"""What can go wrong in watching; each message says what failed, where, and what to do."""

from __future__ import annotations


class MonitorError(Exception):
    """Base of every error of this package."""


class BadConfigError(MonitorError):
    """A file of the user's configuration says what nobody understands: exit 78."""
