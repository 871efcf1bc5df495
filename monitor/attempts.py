"""Run the parts of a watch so that each may fail alone: counted, logged, tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable

LOG_EVERY = 600

_log = logging.getLogger("lanewatch.watcher")


class Attempts:
    """Counts by part what failed."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}

    def __call__(self, part: str, action: Callable[[], object]) -> None:
        """Run one part; whatever it does, the other parts go on."""
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the loop's rim: the watch must go on
            count = self.failures[part] = self.failures.get(part, 0) + 1
            if count == 1 or count % LOG_EVERY == 0:
                expected = isinstance(error, OSError)
                _log.warning("%s failed (%d): %s", part, count, error, exc_info=not expected)
