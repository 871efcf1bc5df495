"""Say why a run hangs, how sure that is, and what to do. Pure.

The rule: no confident wrong cause. Progress that was seen makes it healthy; a state that the kernel
names is sure; what stacks and CPU time suggest is likely; all else names what would decide it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.activity import STOPPED
from monitor.diagnosis.ends import Found, ended, troubled
from monitor.diagnosis.ranks import compare_ranks, rank_lines
from monitor.diagnosis.remedies import SLOWED, remedies
from monitor.diagnosis.values import (
    Cause,
    Conclusion,
    Confidence,
    DiagnosisFacts,
    Frame,
    KernelThread,
    ThreadView,
)
from monitor.diagnosis.where import (
    around_lines,
    held_up,
    paused,
    wait_words,
    waits_for_children,
)
from monitor.model import FINAL, Liveness
from monitor.signatures import BY_GPU, Signature

BUSY_SHARE = 0.2
"""Of a core: more than housekeeping threads use; a spinning thread may have to share its core."""
STARVED_SHARE = 0.05
"""The same of a thread that waits for a core in this very moment, or did for most of the time."""
WANTED_SHARE = 0.5
NATIVE = "native calls would tell: lanewatch diagnose {run} --native, as root"
_LEFT_ALONE = "time on a machine that leaves it a core: so far it may only be slow"
_SLOW_DISK = "time: it went on in between, and a slow disk or file server lets it"
_AGAIN = "time: look again once it has been silent for longer than its limit"
_TAKES_LOCK = re.compile(r"^\s*(async )?with |acquire\(|lock", re.IGNORECASE)
"""A line that takes a lock; what else waits in a futex may wait in native code (a GPU, a pool)."""
_SURE = frozenset({Signature.STOPPED, Signature.BLOCKED_PIPE, Signature.BLOCKED_TERMINAL})
"""The kernel names the state, and nothing can advance in it."""
_BY_CPU = frozenset({None, Signature.SPINNING, Signature.IDLE_DEADLOCK})
"""Signatures that stacks and the CPU time of now tell better."""
_HUNG = frozenset({Liveness.SUSPECT, Liveness.STALLED})
CALLERS = 2
"""That are named: few samples of a step may all fall into one function that it calls."""
FEW = 3
"""Fewer samples may show a moment: more callers are named, for the loop may lie further out."""
STARVED_OF = 0.2
"""Who gets less than this part of the time that it wants a core may only be slow."""
_LIBRARY = re.compile(
    r"/(threading|queue|selectors|socket|ssl|subprocess|connection|popen_fork|_monitor|thread)\.py$"
)
"""Frames of the standard library in which helpers wait for work."""
_KINDS = (
    (re.compile(r"futex"), Cause.WAITS_FOR_LOCK, "a lock, or a native call that waits for one"),
    (re.compile(r"pipe_read"), Cause.WAITS_FOR_PIPE, "data from a pipe"),
    (
        re.compile(r"sk_wait|inet_csk|tcp_|unix_stream|recv|accept|connect"),
        Cause.WAITS_FOR_SOCKET,
        "an answer from a socket",
    ),
    (re.compile(r"do_wait|wait4|waitid"), Cause.WAITS_FOR_CHILD, "the end of a child process"),
    (re.compile(r"nanosleep"), Cause.SLEEPS, "nothing but time: it sleeps"),
    (re.compile(r"poll|select|ep_|epoll"), Cause.WAITS_FOR_EVENT, "an event on a descriptor"),
)


_DECIDES = {
    Cause.WAITS_FOR_PIPE: "what the process at the other end of the pipe does",
    Cause.WAITS_FOR_SOCKET: "what its peer does, and whether packets still come",
    Cause.WAITS_FOR_CHILD: "what that child does",
    Cause.WAITS_FOR_EVENT: "what whoever ought to send does",
    Cause.SLEEPS: "what it sleeps for: the lines around that place",
}
"""What would tell more than native calls."""


def conclude(facts: DiagnosisFacts) -> Conclusion:
    """Return what *facts* support."""
    found = (
        _over(facts)
        or troubled(facts)
        or _slowed(facts)
        or _advances(facts)
        or _excluded(facts)
        or paused(facts)
        or _calm(facts)
        or compare_ranks(facts)
        or held_up(facts)
        or _signed(facts)
        or _spins(facts)
        or _waits(facts)
    )
    return Conclusion(
        cause=found.cause,
        confidence=found.confidence,
        sentence=found.sentence,
        supports=tuple(_supports(facts)),
        against=tuple(_against(facts, found)),
        decides=found.decides,
        remedies=tuple(remedies(facts, found)),
        known=facts.told.known,
    )


def _over(facts: DiagnosisFacts) -> Found | None:
    if facts.liveness in FINAL:
        return ended(facts)
    if facts.alive is False:
        words = f"there is nothing to diagnose, its process has ended: {facts.reason}"
        return Found(Cause.ENDED, Confidence.SURE, words)
    if facts.alive is None:
        words = f"no process of it is known: {facts.reason}"
        return Found(Cause.UNKNOWN, Confidence.UNSURE, words, "the pid of its trainer")
    return None


def _slowed(facts: DiagnosisFacts) -> Found | None:
    """It gets on, and what holds it back is the machine's: no stack would show it."""
    if facts.liveness != Liveness.SLOW or facts.signature not in SLOWED:
        return None
    words = f"it gets on, slowly: {facts.reason}"
    return Found(str(facts.signature), Confidence.LIKELY, words)


def _advances(facts: DiagnosisFacts) -> Found | None:
    if not facts.advanced:
        return None
    words = f"it is healthy: it advanced while it was looked at; {facts.reason}"
    return Found(Cause.HEALTHY, Confidence.SURE, words)


def _excluded(facts: DiagnosisFacts) -> Found | None:
    if facts.signature not in _SURE:
        return None
    if facts.signature == Signature.STOPPED:
        main = _main_thread(facts)
        if main is not None and main.state not in STOPPED:
            return None  # it was continued meanwhile
        return Found(facts.signature, Confidence.SURE, facts.words)
    words = f"{facts.words}{_place_words(facts)}"
    if facts.liveness in _HUNG:
        return Found(str(facts.signature), Confidence.SURE, words)
    return Found(str(facts.signature), Confidence.LIKELY, words, _AGAIN)  # or it is merely slow


def _calm(facts: DiagnosisFacts) -> Found | None:
    """Inside its limits; a hang that is younger than they are cannot be told from patience."""
    if facts.liveness in _HUNG or facts.liveness == Liveness.LOST:
        return None
    words = f"nothing says that it hangs ({facts.liveness}): {facts.reason}"
    return Found(Cause.HEALTHY, Confidence.LIKELY, words, _AGAIN)


def _signed(facts: DiagnosisFacts) -> Found | None:
    if facts.signature in _BY_CPU:
        return None
    words = f"{facts.words}{_place_words(facts)}"
    if facts.signature == Signature.BLOCKED_IO and (main := _main_thread(facts)) is not None:
        if main.state != "D":
            return None  # it was held for a moment only, as whoever reads a disk is
        if main.ran:
            return Found(str(facts.signature), Confidence.UNSURE, words, _SLOW_DISK)
    return Found(str(facts.signature), Confidence.LIKELY, words)


def _spins(facts: DiagnosisFacts) -> Found | None:
    busy = [each for each in facts.kernel if _is_busy(each)]
    if not busy:
        return _gpu_spins(facts)
    most = max(busy, key=lambda each: each.cpu_share)
    view = next((each for each in facts.threads if each.tid == most.tid), None)
    used = f"it uses {most.cpu_share:.0%} of a core and gets nowhere"
    starved = _starved_words(most)
    if view is not None and (place := _own_frame(view.stays_in)) is not None:
        few = facts.samples < FEW
        turns = "was seen in" if few else "turns in"
        callers = _callers(view, place, 2 * CALLERS if few else CALLERS)
        words = f"{used}: {_called(view)} {turns} {place}{callers}{starved}"
        decides = None
    else:
        where = _place_words(facts) or ": it spins, where cannot be seen"
        words, decides = f"{used}{where}{starved}", _more(facts)
    if starved:
        return Found(Cause.SPINNING, Confidence.UNSURE, words, _LEFT_ALONE)
    if facts.liveness != Liveness.STALLED:  # a long step or a compilation looks like that
        return Found(Cause.SPINNING, Confidence.UNSURE, words, decides or _AGAIN)
    return Found(Cause.SPINNING, Confidence.LIKELY, words, decides)


def _starved_words(thread: KernelThread) -> str:
    """Others have the cores that it wants: that alone may be why it does not get on."""
    waited = thread.waited_share or 0.0
    if thread.cpu_share >= STARVED_OF * (thread.cpu_share + waited):
        return ""
    return f"; others have the cores, for one of which it waited {min(1.0, waited):.0%} of the time"


def _gpu_spins(facts: DiagnosisFacts) -> Found | None:
    """Its GPU is busy and draws too little for that; the CPU need not know of it."""
    if facts.signature != Signature.SPINNING or not facts.words.startswith(BY_GPU):
        return None
    words = f"{facts.words}{_place_words(facts)}"
    if facts.liveness == Liveness.STALLED:
        return Found(Cause.SPINNING, Confidence.LIKELY, words)
    return Found(Cause.SPINNING, Confidence.UNSURE, words, _AGAIN)


def _is_busy(thread: KernelThread) -> bool:
    """It computes, or would if others left it a core."""
    if thread.cpu_share >= BUSY_SHARE:
        return True
    wants = thread.state == "R" or (thread.waited_share or 0.0) >= WANTED_SHARE
    return wants and thread.cpu_share >= STARVED_SHARE


def _waits(facts: DiagnosisFacts) -> Found:
    idle = f"it used no CPU time in {facts.seconds:.0f} s"
    locked = _deadlock(facts)
    if locked is not None and (locked.confidence is Confidence.LIKELY or not facts.zombies):
        return locked
    if facts.zombies:
        words = (
            f"its child {facts.zombies[0]} has died (a zombie) and it waits{_place_words(facts)}"
        )
        if any(_is_main(each) and waits_for_children(each) for each in facts.threads):
            return Found(Cause.WORKER_DEAD, Confidence.LIKELY, words)
        return Found(Cause.WORKER_DEAD, Confidence.UNSURE, words, _more(facts))
    main = _main_thread(facts)
    kind = _kind(main) if main else None
    if kind is None:
        words = f"{idle}: it waits{_place_words(facts) or ', for what cannot be seen'}"
        return Found(Cause.WAITS, Confidence.UNSURE, words, _more(facts))
    what = wait_words(facts) or kind[1]
    words = f"{idle}: its main thread waits for {what}{_place_words(facts)}"
    decides = _DECIDES.get(kind[0], NATIVE.format(run=facts.run))
    return Found(kind[0], Confidence.UNSURE, words, decides)


def _deadlock(facts: DiagnosisFacts) -> Found | None:
    """Two threads stand still where locks are taken; likely where the kernel says so of both."""
    locked = [each for each in facts.threads if _at_lock(each, facts)]
    if len(locked) < 2 or not any(each.tid == each.pid or _is_main(each) for each in locked):
        return None
    places = " and ".join(f"{_called(each)} at {_own_frame(each.stays_in)}" for each in locked[:2])
    words = f"a deadlock: {places} wait for locks and no thread runs"
    if all(_is_held(each) and _takes_lock(each) for each in locked):
        return Found(Cause.DEADLOCK, Confidence.LIKELY, words)
    return Found(Cause.DEADLOCK, Confidence.UNSURE, words, _more(facts))


def _is_held(view: ThreadView) -> bool:
    """The kernel holds it, and did all the while: who was let go in between got a lock."""
    kernel = view.kernel
    return kernel is not None and _kind(kernel) is not None and not kernel.ran


def _at_lock(view: ThreadView, facts: DiagnosisFacts) -> bool:
    """It stands still in its own code; a helper that waits for work stands in the library's."""
    if not view.still or not view.stays_in or _in_library(view):
        return False
    if view.kernel is None:
        return facts.source == "faulthandler"
    kind = _kind(view.kernel)
    return kind is None or kind[0] == Cause.WAITS_FOR_LOCK


def _in_library(view: ThreadView) -> bool:
    return bool(view.stays_in) and _LIBRARY.search(view.stays_in[0].file) is not None


def _takes_lock(view: ThreadView) -> bool:
    return view.line is not None and _TAKES_LOCK.search(view.line) is not None


def _kind(thread: KernelThread) -> tuple[Cause, str] | None:
    for seen in (thread.syscall, thread.wchan):
        for pattern, cause, words in _KINDS:
            if seen and pattern.search(seen):
                return cause, words
    return None


def _main_thread(facts: DiagnosisFacts) -> KernelThread | None:
    return next((each for each in facts.kernel if each.tid == facts.pid), None)


def _is_main(view: ThreadView) -> bool:
    return view.name == "MainThread"


def _own_frame(frames: tuple[Frame, ...]) -> Frame | None:
    """The innermost call outside of the library's waiting; else the innermost of all."""
    own = (each for each in frames if not _LIBRARY.search(each.file))
    return next(own, frames[0] if frames else None)


def _callers(view: ThreadView, place: Frame, many: int) -> str:
    """Who called it: a step that is called again and again is innocent of the loop around it."""
    outer = view.stays_in[view.stays_in.index(place) + 1 :]
    own = [each for each in outer if not _LIBRARY.search(each.file)]
    return "".join(f", called from {each}" for each in own[:many])


def _place_words(facts: DiagnosisFacts) -> str:
    """Where its main thread stands, or nothing."""
    mains = [each for each in facts.threads if each.tid == facts.pid or _is_main(each)]
    place = _own_frame(mains[0].stays_in) if mains else None
    return f"; its main thread is in {place}" if place else ""


def _called(view: ThreadView) -> str:
    return f"thread {view.name}" if view.name else f"thread {view.tid}"


def _more(facts: DiagnosisFacts) -> str:
    return facts.missing[0] if facts.missing else NATIVE.format(run=facts.run)


def _supports(facts: DiagnosisFacts) -> Iterator[str]:
    yield f"verdict {facts.liveness}: {facts.reason}"
    if facts.liveness in FINAL:
        yield from _recorded(facts)
        return
    by_cpu = facts.signature in _BY_CPU and not facts.words.startswith(BY_GPU)
    hung = facts.liveness in _HUNG or facts.signature in _SURE
    if hung and not by_cpu and facts.words not in facts.reason:
        yield f"signature {facts.signature}: {facts.words}"
    used = sum(each.cpu_share for each in facts.kernel)
    if facts.kernel:
        many = "one thread" if len(facts.kernel) == 1 else f"{len(facts.kernel)} threads"
        yield f"CPU: {used:.2f} cores over {facts.seconds:.1f} s, {many}"
    main = _main_thread(facts)
    if main is not None:
        seen = ", ".join(filter(None, (main.wchan, main.syscall)))
        held = f"held in {seen}" if seen else "in what it is held cannot be seen"
        yield f"main thread: state {main.state}, {held}"
    if facts.samples:
        still = sum(each.still for each in facts.threads)
        yield (
            f"stacks by {facts.source}: {facts.samples}, "
            f"{still} of {len(facts.threads)} threads never moved"
        )
    yield from rank_lines(facts)
    yield from around_lines(facts)


def _recorded(facts: DiagnosisFacts) -> Iterator[str]:
    """What is left of a run that is over."""
    if facts.told.raised is not None:
        yield f"the last traceback in its log: {facts.told.raised}"
    yield from (f"called from {each}" for each in facts.told.frames[1:4])
    if facts.told.pruned is not None:
        yield f"its tracker names checkpoint {facts.told.pruned}, and no such folder is there"


def _against(facts: DiagnosisFacts, found: Found) -> Iterator[str]:
    """What would have to be otherwise, were it so without doubt."""
    if found.cause in (Cause.HEALTHY, Cause.ENDED, *SLOWED) or facts.liveness in FINAL:
        return
    if facts.advanced:
        yield "it advanced while it was looked at: whatever is wrong, it does not hang"
    elif facts.liveness not in _HUNG:
        yield f"its verdict is {facts.liveness}, not stalled"
    elif facts.liveness == Liveness.SUSPECT:
        yield "it is not past its limit yet: it may go on by itself"
    moving = [each for each in facts.threads if not each.still]
    if moving and not facts.advanced and found.cause != Cause.SPINNING:
        many = "a thread" if len(moving) == 1 else f"{len(moving)} threads"
        yield f"{many} moved while it was looked at"
