"""Does the run fit: safe, tight or refuse; and who holds the memory now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from monitor.budget import GPU_SHARE, memory_limit
from monitor.memory_return import Holder
from monitor.words import gibibytes
from runners.chosen_gpu import named_gpu
from runners.doctor.facts import ContainerFacts, Facts, LaunchFacts, MachineFacts
from runners.doctor.memory_estimate import MemoryEstimate
from runners.doctor.values import Check, fail, ok, warn

WARN_SHARE = 0.17
"""Of MemTotal: the memory judge warns below it (docs/memory.md); a fit that ends there is tight."""
HELD_BYTES = 1 << 30
"""Who holds less is not worth a name."""
NAMED = 4
DROP_CACHES = "`sync; echo 3 | sudo tee /proc/sys/vm/drop_caches`"


def memory_checks(facts: Facts) -> Iterator[Check]:
    """All that concerns memory."""
    if facts.launch is not None:
        yield memory_check(facts.machine, facts.launch)
        if (gpu := _gpu_check(facts.machine, facts.launch)) is not None:
            yield gpu
    yield holders_check(facts)
    yield swap_check(facts.machine)


def memory_check(machine: MachineFacts, launch: LaunchFacts) -> Check:
    """Hold the estimate against what is there."""
    name, memory, estimate = "memory", machine.memory, launch.estimate
    if memory is None:
        return warn(name, "/proc/meminfo cannot be read", "is /proc mounted?")
    if estimate is None:
        why = launch.base.problem or "its config.json does not give its sizes"
        if launch.base.hub is not None:
            why = "the base is not here yet"
        return warn(
            name,
            f"what the run will take is not known: {why}",
            "`launch --smoke 10` measures it before the whole run",
        )
    one_pool = machine.unified is True or not launch.on_gpu
    need = estimate.of_machine(unified=one_pool)
    limit = memory_limit(memory.total_bytes, machine.limit_bytes)
    takes = f"the run takes {gibibytes(need)} at most ({_parts(estimate, one_pool)})"
    if need > limit:
        seen = f"refuse: {takes}, more than the limit of {gibibytes(limit)}"
        return fail(name, seen, SMALLER)
    if launch.waits:
        return ok(name, f"safe by itself: {takes}; what others hold then is not known yet")
    there = f"{gibibytes(memory.available_bytes)} of {gibibytes(memory.total_bytes)} are available"
    if memory.used_bytes + need > limit:
        seen = f"refuse: {takes}; {there}, and the limit is {gibibytes(limit)} in use"
        held = ", ".join(f"{who}: {gibibytes(count)}" for who, count in held_by(machine.holders))
        return fail(name, seen, f"end what holds it ({held}), or {SMALLER}" if held else SMALLER)
    cache = f"page cache could give back {gibibytes(memory.cached_bytes)} of that"
    left = memory.available_bytes - need
    if left < WARN_SHARE * memory.total_bytes:
        seen = f"tight: {takes}; {there}, {cache}; {gibibytes(left)} would be left"
        return warn(name, seen, f"{SMALLER}, or end other programs first")
    if machine.unified and memory.free_bytes < estimate.device_bytes:
        seen = f"tight: {takes}; {there}, but only {gibibytes(memory.free_bytes)} are free: {cache}"
        remedy = f"CUDA counts free memory alone here; if loading is refused, {DROP_CACHES}"
        return warn(name, seen, remedy)
    return ok(name, f"safe: {takes}; {there}, {cache}")


SMALLER = "make train.micro_batch or model.sequence_length smaller"


def _parts(estimate: MemoryEstimate, one_pool: bool) -> str:
    parts = estimate.machine_parts(unified=one_pool)
    largest = sorted(parts.items(), key=lambda part: part[1], reverse=True)
    return ", ".join(f"{name} {gibibytes(count)}" for name, count in largest[:3] if count)


def _gpu_check(machine: MachineFacts, launch: LaunchFacts) -> Check | None:
    """A discrete GPU's own memory; None where there is none to look at."""
    if machine.unified is not False or launch.estimate is None or not launch.on_gpu:
        return None
    named = named_gpu(launch.recipe)
    known = [
        (gpu.memory_total_bytes, gpu.memory_used_bytes or 0)
        for gpu in machine.driver.gpus
        if gpu.memory_total_bytes and named in (None, str(gpu.index))
    ]
    if not known:
        return None
    total, used = max(known, key=lambda each: each[0] - each[1])
    need, name = launch.estimate.device_bytes, "gpu memory"
    seen = f"the run takes {gibibytes(need)} at most; {gibibytes(total - used)} of "
    seen += f"{gibibytes(total)} are free"
    if need > GPU_SHARE * total:
        return fail(name, f"refuse: {seen}", SMALLER)
    if launch.waits or used + need <= GPU_SHARE * total:
        return ok(name, f"safe: {seen}")
    held = ", ".join(f"{who}: {gibibytes(count)}" for who, count in held_by(machine.holders))
    return fail(name, f"refuse: {seen}", f"end what holds it ({held or 'not known'})")


def holders_check(facts: Facts) -> Check:
    """Who holds memory now; by container where it is one."""
    held = held_by(facts.machine.holders, facts.docker.containers)
    if not held:
        return ok("holders", f"nobody holds over {gibibytes(HELD_BYTES)}")
    named = ", ".join(f"{who}: {gibibytes(count)}" for who, count in held[:NAMED])
    return ok("holders", named)


def held_by(
    holders: Iterable[Holder], containers: Iterable[ContainerFacts] = ()
) -> list[tuple[str, int]]:
    """("container vllm", bytes) of those that hold much, most first; processes of one together."""
    names: Mapping[str, str] = {each.id[:12]: each.name for each in containers}
    sums: dict[str, int] = {}
    for each in holders:
        if each.container is not None:
            who = f"container {names.get(each.container, each.container)}"
        else:
            who = f"process {each.name} ({each.pid})"
        sums[who] = sums.get(who, 0) + each.held_bytes
    much = [(who, count) for who, count in sums.items() if count >= HELD_BYTES]
    return sorted(much, key=lambda each: each[1], reverse=True)


def swap_check(machine: MachineFacts) -> Check:
    """Swap on a unified machine turns the wall into hours of thrashing."""
    name, memory = "swap", machine.memory
    if memory is None or not memory.swap_total_bytes:
        return ok(name, "there is none")
    used = memory.swap_total_bytes - memory.swap_free_bytes
    seen = f"{gibibytes(used)} of {gibibytes(memory.swap_total_bytes)} are in use"
    if used > memory.swap_total_bytes // 2:
        return warn(name, seen, "end what was swapped out, or the run will be slowed by it")
    return ok(name, seen)
