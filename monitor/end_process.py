"""End a process that is surely the one that was meant: for a memory guard whose keeper is dead.

The rule: pid, boot and start ticks agree at the moment of the signal, or none is sent.
"""

from __future__ import annotations

import os
import signal

from monitor.model import ProcessId
from monitor.probes.process import is_alive


def send(process: ProcessId, number: signal.Signals, *, group: bool = False) -> str | None:
    """Signal *process*, or with *group* all of the group that it leads.

    Returns None, or why that was not possible.
    """
    try:
        # The descriptor stays with this process, whoever has the pid after it.
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return "it has ended"
    except OSError as error:
        return error.strerror or str(error)
    try:
        if not is_alive(process):
            return "it has ended"
        if group and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            signal.pidfd_send_signal(descriptor, number)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        os.close(descriptor)
    return None
