"""What a run waits for, in words, and what follows from it. Pure.

The rule: the thing that is waited for is named wherever it was seen; it is called the cause only
where it cannot come, or did not answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.diagnosis.ends import Found
from monitor.diagnosis.places import End, FileSystem, Wait, WaitKind
from monitor.diagnosis.values import Cause, Confidence, DiagnosisFacts, ThreadView

_LOADS = re.compile(r"/multiprocessing/|/torch/utils/data/|/concurrent/futures/process\.py")
"""Who reads pipes that only its own children write into."""
_SHOWN = 8
_STOPPED = ("T", "t")
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*$")


def paused(facts: DiagnosisFacts) -> Found | None:
    """Its control group is frozen: nothing of it can advance."""
    group, container = facts.around.frozen, facts.around.container
    if group is None:
        return None
    who = f"container {container} is paused" if container else f"control group {group} is frozen"
    return Found(Cause.PAUSED, Confidence.SURE, f"its {who}: nothing of it can advance")


def held_up(facts: DiagnosisFacts) -> Found | None:
    """The thing that its main thread waits for cannot come."""
    waits = [each for each in facts.around.waits if each.tid == facts.pid]
    for each in waits:
        found = (
            _dead_file_system(facts, each)
            or _stopped_end(facts, each, only=len(waits) == 1)
            or _other_waits(facts, each)
        )
        if found is not None:
            return found
    return _no_checkpoints(facts) or _nobody_writes(facts, waits) or _lock_held(facts)


def wait_words(facts: DiagnosisFacts) -> str | None:
    """What its main thread waits for, by name; None where that was not seen, or is a lock."""
    waits = [each for each in facts.around.waits if each.tid == facts.pid]
    named = [each for each in waits if each.kind is not WaitKind.LOCK]
    if not named:
        return None
    more = f" and {len(named) - 1} more" if len(named) > 1 else ""
    return f"{_words(named[0])}{_end_place(facts, named[0])}{more}"


def _end_place(facts: DiagnosisFacts, wait: Wait) -> str:
    """Where the process at the other end stands itself, if it is one of the run's."""
    for end in wait.ends or ():
        view = next((each for each in facts.threads if each.tid == end.pid != facts.pid), None)
        if view is not None and view.stays_in:
            return f" and stands in {view.stays_in[0]}"
    return ""


def around_lines(facts: DiagnosisFacts) -> Iterator[str]:
    """Evidence: every wait that has a name, rates, and what the box says."""
    python = {(each.pid, each.tid) for each in facts.threads}  # not the helpers of libraries
    named = [
        each
        for each in facts.around.waits
        if each.kind is not WaitKind.LOCK
        and (each.tid == each.pid or (each.pid, each.tid) in python)
    ]
    for each in named[:_SHOWN]:
        yield f"thread {each.tid} of pid {each.pid} waits in {each.call} for {_words(each)}"
    if (place := facts.around.checkpoints_silent) is not None:
        yield f"its checkpoints lie on {_mount_words(place)}"
    if (rate := facts.around.major_faults_s) is not None and rate >= 1:
        yield f"it reads {rate:.0f} pages a second back from a disk (major page faults)"
    yield from facts.around.box


def _words(wait: Wait) -> str:
    if wait.kind is WaitKind.PIPE:
        return f"the pipe {wait.what}{_end_words(wait)}"
    if wait.kind is WaitKind.SOCKET:
        peer = f", whose other end {_named(wait.ends[0])} holds" if wait.ends else ""
        return f"the connection {wait.what}{peer}"
    if wait.kind is WaitKind.CHILD:
        return f"the end of {wait.what}"
    if wait.file_system is not None:
        return f"{wait.what} on {_mount_words(wait.file_system)}"
    return wait.what


def _end_words(wait: Wait) -> str:
    if wait.ends is None:
        return ""
    if not wait.ends:
        return ", whose other end nobody else has open"
    more = f" and {len(wait.ends) - 1} more" if len(wait.ends) > 1 else ""
    return f", whose other end {_named(wait.ends[0])}{more} holds"


def _named(end: End) -> str:
    return f"{end.name} (pid {end.pid}, state {end.state})"


def _mount_words(place: FileSystem) -> str:
    name = f"{place.point} ({place.kind} of {place.source})"
    if place.silent_s is not None:
        return f"{name}, which has not answered for {place.silent_s:.0f} s"
    if place.answer_s is not None:
        return f"{name}, which answers in {place.answer_s * 1000:.1f} ms"
    return name


def _dead_file_system(facts: DiagnosisFacts, wait: Wait) -> Found | None:
    place = wait.file_system
    if place is None or place.silent_s is None:
        return None
    words = f"its main thread waits in {wait.call} for {_words(wait)}{_place(facts)}"
    return Found(Cause.FILE_SYSTEM, Confidence.LIKELY, words)


def _no_checkpoints(facts: DiagnosisFacts) -> Found | None:
    """What it waits for was not seen, and where it saves does not answer."""
    place = facts.around.checkpoints_silent
    if place is None or facts.around.waits:
        return None
    words = f"its checkpoints lie on {_mount_words(place)}, and it waits{_place(facts)}"
    held = any(each.tid == facts.pid and each.state == "D" for each in facts.kernel)
    if held:
        return Found(Cause.FILE_SYSTEM, Confidence.LIKELY, words)
    return Found(Cause.FILE_SYSTEM, Confidence.UNSURE, words, "what it waits for, as root")


def _stopped_end(facts: DiagnosisFacts, wait: Wait, *, only: bool) -> Found | None:
    """Everyone who could answer is stopped."""
    ends = wait.ends or ()
    if not ends or any(each.state not in _STOPPED for each in ends):
        return None
    if wait.call in ("write", "writev"):
        return None  # the signature of a blocked pipe says more
    first = ends[0]
    words = f"its main thread waits for {_words(wait)}; it is stopped: `kill -CONT {first.pid}`"
    words = f"{words} lets it go on{_place(facts)}"
    if only:
        return Found(Cause.PEER_STOPPED, Confidence.LIKELY, words)
    decides = "whether it goes on then: it waits for others beside it"
    return Found(Cause.PEER_STOPPED, Confidence.UNSURE, words, decides)


def _other_waits(facts: DiagnosisFacts, wait: Wait) -> Found | None:
    """Whoever ought to write is held up itself, by a file system that does not answer."""
    for end in wait.ends or ():
        for theirs in facts.around.waits:
            place = theirs.file_system
            if theirs.tid == end.pid and place is not None and place.silent_s is not None:
                words = f"its main thread waits for {_named(end)}, which waits in {theirs.call} for"
                return Found(
                    Cause.FILE_SYSTEM, Confidence.LIKELY, f"{words} {_words(theirs)}{_place(facts)}"
                )
    return None


def _nobody_writes(facts: DiagnosisFacts, waits: list[Wait]) -> Found | None:
    """It reads what its children ought to write, and none of them lives."""
    main = _main(facts)
    pipes = [each for each in waits if each.kind is WaitKind.PIPE and each.call != "write"]
    if main is None or not pipes or any(each.ends is None or each.ends for each in pipes):
        return None
    if not waits_for_children(main):
        return None
    if facts.zombies:
        return None  # told with its name
    words = f"the worker that it waits for is gone: it waits for {_words(pipes[0])}{_place(facts)}"
    return Found(Cause.WORKER_DEAD, Confidence.LIKELY, words)


def waits_for_children(view: ThreadView) -> bool:
    """It stands in a library that waits for processes that it has started itself."""
    return any(_LOADS.search(each.file) for each in view.stays_in)


def _lock_held(facts: DiagnosisFacts) -> Found | None:
    """It waits at `with X`, and one thread stands inside a block of the same words."""
    main = _main(facts)
    wanted = _wanted(main.line) if main is not None and main.still and main.line else None
    if main is None or wanted is None or not _in_futex(main):
        return None
    others = [each for each in facts.threads if each is not main and each.pid == main.pid]
    holders = [each for each in others if wanted in each.holds]
    if len(holders) != 1 or any(_wanted(each.line or "") in main.holds for each in holders):
        return None  # nobody, or a cycle, which is a deadlock
    (holder,) = holders
    at = holder.stays_in[0] if holder.stays_in else "a place that cannot be seen"
    name = f"thread {holder.name or holder.tid}"
    words = (
        f"its main thread waits for the lock `{wanted}` at {main.stays_in[0]}; {name} holds it and "
        f"{'stands' if holder.still else 'is'} in {at}"
    )
    if _PLAIN_NAME.match(wanted):
        return Found(Cause.LOCK_HELD, Confidence.LIKELY, words)
    decides = f"whether `{wanted}` is the same lock in both threads"
    return Found(Cause.LOCK_HELD, Confidence.UNSURE, words, decides)


def _in_futex(view: ThreadView) -> bool:
    kernel = view.kernel
    return kernel is not None and "futex" in f"{kernel.syscall} {kernel.wchan}"


def _wanted(line: str) -> str | None:
    """What `with X:` or `X.acquire()` takes."""
    match = re.match(r"with (.+?)(?: as \w+)?:", line) or re.match(r"([\w.]+)\.acquire\(", line)
    return match[1] if match else None


def _main(facts: DiagnosisFacts) -> ThreadView | None:
    return next((each for each in facts.threads if each.tid == facts.pid), None)


def _place(facts: DiagnosisFacts) -> str:
    main = _main(facts)
    frames = main.stays_in if main else ()
    own = next((each for each in frames if "/lib/python3" not in each.file), None)
    return f"; it is in {own}" if own else ""
