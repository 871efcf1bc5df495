"""Exit codes: part of the interface, documented in `lanewatch --help` and the README."""

from __future__ import annotations

OK = 0
FAILED = 1
"""What was asked about failed."""
USAGE = 2
"""Wrong usage, or something in the environment is missing."""
TIMED_OUT = 75
"""EX_TEMPFAIL of sysexits.h: the wait ran out, the run goes on."""
BAD_CONFIG = 78
"""EX_CONFIG of sysexits.h."""
INTERRUPTED = 130
"""128 + SIGINT; the run is left alone."""
