"""Is the terminal still there? Whoever has its connection cut is told by a signal, if anything."""

from __future__ import annotations

import select


def is_hung_up(descriptor: int) -> bool:
    """True when nobody is at the other end of *descriptor* any more.

    A program that no SIGHUP reaches (nohup, a terminal that is not its controlling one) would
    otherwise read "end of file" from it for ever, at the cost of a whole core.
    """
    poll = select.poll()
    poll.register(descriptor, 0)
    try:
        return any(events & (select.POLLHUP | select.POLLNVAL) for _, events in poll.poll(0))
    except OSError:
        return False
