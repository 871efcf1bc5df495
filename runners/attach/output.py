"""Where a trainer's output goes: through which pipes and programs, into which file.

The rule: follow what the kernel shows, hop by hop, from the trainer's descriptor to a file. Each
program on the way can hold lines back, and one that stops reading blocks the trainer in the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from monitor.probes.terminals import terminal_holders
from runners.attach.command_line import Role, read_command
from runners.attach.process_table import TICKS_PER_S, ProcessTable, is_written
from runners.attach.values import Container, Descriptor, Process

MOST_HOPS = 8
RUNTIMES = ("containerd-shim", "conmon", "dockerd", "shim")
RECORDER = "script"
"""Shows the trainer a terminal, and writes a file of it."""
SINKS = ("/dev/null", "/dev/zero", "/dev/full")
CLIENT_LEAD_S = 60.0
"""An engine starts what a client asks for within seconds, on a machine that thrashes later."""
PIPE_KIB = 64
"""What a pipe holds; a writer that finds it full waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where the output of a process goes."""

    owner: Process
    """The last process on the way: it has the file open, or is as far as could be seen."""
    file: str | None = None
    """As the owner sees it."""
    through: tuple[Process, ...] = ()
    """Programs that read it on the way."""
    end: str | None = None
    """Why there is no file, in words."""
    hidden: str | None = None

    def why(self, descriptor: int) -> str:
        """How the file was found."""
        way = "".join(f" > {each.program} ({each.pid})" for each in self.through)
        return f"{('stdout', 'stderr')[descriptor - 1]}{way}"


def find_output(
    table: ProcessTable, trainer: Process, container: Container | None
) -> tuple[Output, int]:
    """Follow stdout, and stderr where stdout ends in no file; return which of the two it was."""
    outputs = [follow(table, trainer, number, container) for number in (1, 2)]
    chosen = 1 if outputs[0].file or not outputs[1].file else 2
    return outputs[chosen - 1], chosen


def follow(
    table: ProcessTable, process: Process, number: int, container: Container | None
) -> Output:
    """Follow descriptor *number* of *process* to a file, or to where it gets lost."""
    output = Output(owner=process)
    for _ in range(MOST_HOPS):
        files = table.open_files(output.owner.pid)
        reader: Process | None
        if files is None:
            # A container's processes are often root's, its client is this user's own.
            reader = _client_of(table, output.owner, container)
            if reader is None:
                return replace(output, hidden=_may_not_read(output.owner))
        else:
            descriptor = next((each for each in files if each.number == number), None)
            if descriptor is None:
                return replace(output, end="it is closed")
            recorder = _recorder(table, output.owner, descriptor)
            if recorder is not None:
                through = (*output.through, recorder)
                return _recorded(table, replace(output, owner=recorder, through=through))
            if not _goes_on(descriptor, output.owner):
                return _ended(output, descriptor)
            reader = _reader(table, output.owner, descriptor, container)
            if reader is None:
                return replace(output, end=_unread(output.owner, container))
        output = replace(output, owner=reader, through=(*output.through, reader))
        number = 1
        if reader.program == "tee":
            return _tee(table, output)
    return replace(output, end="it goes through more programs than could be followed")


def warnings_of(output: Output) -> tuple[str, ...]:
    """What of the way can hold up the trainer."""
    clients = [each for each in output.through if read_command(each.argv).role is Role.CLIENT]
    recorders = [each for each in output.through if each.program == RECORDER]
    readers = [each for each in output.through if each not in (*clients, *recorders)]
    told: list[str] = []
    if readers:
        names = " and ".join(f"`{each.program}` (pid {each.pid})" for each in readers)
        told.append(
            f"its output goes through a pipe to {names}: this {readers[-1].program} can block the "
            f"run after {PIPE_KIB} KiB, should it stop reading"
        )
    told += [
        f"its output goes to a terminal of `{each.program}` (pid {each.pid}): Ctrl-S there, or a "
        f"{each.program} that is stopped, can block the run"
        for each in recorders
    ]
    held = [each.program for each in (*readers, *recorders) if _holds_lines(each)]
    if held:
        told.append(f"{', '.join(held)} holds back lines until 4 to 8 KiB are there")
    if clients:
        told.append(
            f"its output goes through a docker client (pid {clients[0].pid}): if that ends, the "
            "rest of the log is lost; if it stalls, the run blocks once Docker's own buffers "
            "(about 1 MiB) are full"
        )
    return tuple(told)


def find_client(table: ProcessTable, inside: Process, container: Container) -> Process | None:
    """The client on this machine that started *inside* in its container, and reads its output."""
    top = inside
    for above in table.ancestors(inside.pid):
        if above.container != inside.container:
            break
        top = above
    fitting = [
        each
        for each in table.processes.values()
        if each.container != inside.container and _may_have_started(each, top, container)
    ]
    if not fitting:
        return None
    return max(fitting, key=lambda each: (_same_command(each, top), each.start_ticks))


def trainer_behind(table: ProcessTable, client: Process, container: Container) -> list[Process]:
    """What a `docker exec` client started inside its container."""
    tops = [
        each
        for each in table.processes.values()
        if each.container == container.id
        and getattr(table.get(each.parent), "container", None) != container.id
        and _may_have_started(client, each, container)
    ]
    same = [each for each in tops if _same_command(client, each)]
    first = min(same or tops, key=lambda each: each.start_ticks, default=None)
    return table.family(first.pid) if first else []


def _ended(output: Output, descriptor: Descriptor) -> Output:
    target = descriptor.target
    if target.endswith(" (deleted)"):
        return replace(output, end=f"its file was deleted: {target.removesuffix(' (deleted)')}")
    if target.startswith(("/dev/pts/", "/dev/tty", "/dev/console")):
        return replace(output, end="it goes to a terminal (Ctrl-S there would stop the run)")
    if target in SINKS:
        return replace(output, end=f"it goes to {target}")
    if target.startswith("socket:"):
        return replace(output, end="it goes into a socket (the journal, or a service)")
    if not target.startswith("/"):
        return replace(output, end=f"it goes to {target}")
    return replace(output, file=target)


def _goes_on(descriptor: Descriptor, owner: Process) -> bool:
    """A pipe has a reader; a terminal that an engine made for a container has a client."""
    engines_own = owner.container is not None and descriptor.target.startswith("/dev/pts/")
    return descriptor.pipe is not None or engines_own


def _reader(
    table: ProcessTable, writer: Process, descriptor: Descriptor, container: Container | None
) -> Process | None:
    """Who reads it; for a container's runtime, the client it hands everything to."""
    inode = descriptor.pipe if descriptor.pipe is not None else -1
    readers = [each for each in table.readers(inode) if each.pid != writer.pid]
    real = [each for each in readers if not _is_runtime(each)]
    if real:
        # A shell may hold the reading end as well; who reads it as stdin is meant.
        return max(real, key=lambda each: _reads_as_stdin(table, each, inode))
    return _client_of(table, writer, container)


def _client_of(
    table: ProcessTable, process: Process, container: Container | None
) -> Process | None:
    if process.container is None or container is None:
        return None
    return find_client(table, process, container)


def _tee(table: ProcessTable, output: Output) -> Output:
    """The file that tee has open, beside its standard descriptors."""
    files = table.open_files(output.owner.pid)
    if files is None:
        return replace(output, hidden=_may_not_read(output.owner))
    owner = output.owner.pid
    written = [
        each.target
        for each in files
        if each.number > 2 and each.target.startswith("/") and is_written(owner, each)
    ]
    if written:
        return _ended(output, Descriptor(3, written[0]))
    return replace(output, end="its tee has no file open")


def _recorder(table: ProcessTable, writer: Process, descriptor: Descriptor) -> Process | None:
    """The `script` whose terminal it is, where it is one of this machine."""
    if writer.container is not None or not descriptor.target.startswith("/dev/pts/"):
        return None
    holders = (table.get(pid) for pid in terminal_holders(descriptor.target))
    return next((each for each in holders if each and each.program == RECORDER), None)


def _recorded(table: ProcessTable, output: Output) -> Output:
    """The file into which it copies what its terminal shows."""
    files = table.open_files(output.owner.pid)
    if files is None:
        return replace(output, hidden=_may_not_read(output.owner))
    for each in files:
        own = each.target.startswith("/") and not each.target.startswith("/dev/")
        if each.number > 2 and own and is_written(output.owner.pid, each):
            return _ended(output, each)
    return replace(output, end=f"its {RECORDER} has no file open")


def _reads_as_stdin(table: ProcessTable, process: Process, inode: int) -> bool:
    files = table.open_files(process.pid) or ()
    return any(each.number == 0 and each.pipe == inode for each in files)


def _is_runtime(process: Process) -> bool:
    return process.program.startswith(RUNTIMES)


def _unread(writer: Process, container: Container | None) -> str:
    if writer.container is None:
        return "it goes into a pipe whose reader is not to be seen"
    name = container.name if container else (writer.container or "")[:12]
    return f"it goes to the engine of container {name}: `docker logs` may have it"


def _holds_lines(process: Process) -> bool:
    """Programs that collect blocks when they do not write to a terminal, unless told not to."""
    if process.program == RECORDER:
        flags = [each for each in process.argv[1:] if each.startswith("-")]
        return not any(each == "--flush" or re.match(r"-\w*f", each) for each in flags)
    if process.program not in ("grep", "egrep", "sed", "awk", "gawk", "mawk", "tr", "cut"):
        return False
    live = {"--line-buffered", "-u", "--unbuffered", "-W"}
    return not live & set(process.argv)


def _may_have_started(client: Process, top: Process, container: Container) -> bool:
    """A client of this container that was there just before *top* began, or names its command."""
    if read_command(client.argv).role is not Role.CLIENT or client.start_ticks > top.start_ticks:
        return False
    verbs = {"run", "start", "attach", "up"} if top.pid == container.main_pid else {"exec"}
    if not verbs & set(client.argv):
        return False
    if _same_command(client, top):
        return True
    named = {container.name, container.id, container.id[:12]} & set(client.argv)
    return bool(named) and (top.start_ticks - client.start_ticks) / TICKS_PER_S < CLIENT_LEAD_S


def _same_command(client: Process, top: Process) -> bool:
    """A shell replaces itself by its last command, so the client may name it within a text."""
    if client.argv[-len(top.argv) :] == top.argv:
        return True
    return " ".join(top.argv) in client.argv[-1]


def _may_not_read(process: Process) -> str:
    return (
        f"this user may not read what {process.program} (pid {process.pid}) has open: "
        "run with sudo, or name --log"
    )
