"""What the kernel's log says of GPUs and of memory: Xids, a lost GPU, who was killed for memory.

The rule: /dev/kmsg is read without waiting, each record once. Where this user may not read it there
is no reading at all, which is not the same as a kernel that has nothing to say.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass

from monitor.model import KernelReading

KMSG = "/dev/kmsg"
RECORDS_A_LOOK = 2000
"""The whole log of a boot is read over some looks, so that none takes long."""
KEPT = 256
"""Of each kind; a driver in trouble writes thousands."""
_RECORD_BYTES = 8192

_XID = re.compile(rb"NVRM: Xid \([^)]*\): (\d{1,4})\b")
_KILLED = re.compile(rb"(?:Killed process|oom-kill:.*\bpid=) ?(\d{1,8})\b")
_LOST = re.compile(
    rb"fallen off the bus|GPU is lost|GPU Reset Required|Node Reboot Required"
    rb"|GPU has been lost|reset is required",
    re.IGNORECASE,
)
_NO_MEMORY = re.compile(rb"NV_ERR_NO_MEMORY|\(0x0*51\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLine:
    """What one line of interest says, and when, in seconds since boot."""

    at: float
    xid: int | None = None
    lost: bool = False
    no_memory: bool = False
    killed: int | None = None


def parse_record(raw: bytes) -> KernelLine | None:
    """Parse one record of /dev/kmsg ("prefix;text"); None for a line of no interest."""
    prefix, semicolon, text = raw.partition(b";")
    if not semicolon or not (b"NVRM" in text or b"oom" in text or b"Killed process" in text):
        return None
    try:
        at = int(prefix.split(b",")[2]) / 1e6
    except (IndexError, ValueError):
        return None
    driver = b"NVRM" in text
    xid, killed = _XID.search(text), _KILLED.search(text)
    line = KernelLine(
        at=at,
        xid=int(xid[1]) if xid else None,
        lost=driver and _LOST.search(text) is not None,
        no_memory=driver and _NO_MEMORY.search(text) is not None,
        killed=int(killed[1]) if killed and not driver else None,
    )
    told = line.xid is not None or line.lost or line.no_memory or line.killed is not None
    return line if told else None


class KernelProbe:
    """Follows the kernel's log from the beginning of this boot."""

    def __init__(self, path: str = KMSG) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._refused = False
        self._lines: deque[KernelLine] = deque(maxlen=KEPT)
        self._no_memory: deque[float] = deque(maxlen=KEPT)

    @property
    def refused(self) -> bool:
        """This user may not read it."""
        return self._refused

    def read(self, since_s: float) -> KernelReading | None:
        """Return what was said since *since_s* (seconds since boot); None where it is not read."""
        if self._descriptor is None and not self._open():
            return None
        for _ in range(RECORDS_A_LOOK):
            raw = self._record()
            if raw is None:
                break
            line = parse_record(raw)
            if line is not None:
                self._keep(line)
        recent = [line for line in self._lines if line.at >= since_s]
        killed = dict.fromkeys(line.killed for line in recent if line.killed is not None)
        return KernelReading(
            xids=tuple(line.xid for line in recent if line.xid is not None),
            gpu_lost=any(line.lost for line in recent),
            no_memory_lines=sum(at >= since_s for at in self._no_memory),
            oom_kills=tuple(killed),
        )

    def close(self) -> None:
        """Let the log go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> bool:
        if self._refused:
            return False
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._refused = True
            return False
        return True

    def _record(self) -> bytes | None:
        """The next record; None when there is none now."""
        while self._descriptor is not None:
            try:
                return os.read(self._descriptor, _RECORD_BYTES) or None
            except BrokenPipeError:  # older records were overwritten: go on with what is left
                continue
            except BlockingIOError:
                return None
            except OSError:
                self.close()
                self._refused = True
        return None

    def _keep(self, line: KernelLine) -> None:
        if line.no_memory:
            self._no_memory.append(line.at)
        if line.xid is not None or line.lost or line.killed is not None:
            self._lines.append(line)
