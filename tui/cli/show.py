"""A run's status in words, for the command line. Pure: values in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monitor.model import Status
from monitor.status_model import MemoryView, RunStatus
from tui.notices import memory_sentence
from tui.presentation import UNKNOWN as MISSING
from tui.presentation import age, duration, size
from tui.projections import projection_lines
from tui.state import expected_end, is_being_launched, silence


def status_lines(status: RunStatus) -> Iterator[str]:
    """The whole status of one run."""
    title = status.run + (f" ({status.name})" if status.name else "")
    yield f"{title}  lane {status.lane or MISSING}, engine {status.engine or MISSING}"
    yield f"{status.verdict}: {status.reason}"
    if status.signature:
        yield f"  signature   {status.signature}"
    if status.flags:
        yield f"  flags       {', '.join(status.flags)}"
    yield f"  stage       {stage_text(status)}"
    yield f"  iteration   {iteration_text(status)}"
    yield from _numbers(status)
    yield from _foreign(status)
    yield from _keepers(status)
    yield from _alerts(status)
    for problem in status.problems:
        yield f"  unreadable  {problem}"
    if status.evidence:
        yield "  evidence"
    for each in status.evidence:
        supports = f" -> {each.supports}" if each.supports else ""
        yield f"    {each.signal:<12} {age(each.age_s):>8}  {each.detail}{supports}"


def _numbers(status: RunStatus) -> Iterator[str]:
    if status.step_s is not None:
        yield f"  s/iteration {status.step_s:.3g}"
    if status.loss is not None:
        yield f"  loss        {status.loss:.4f}"
    if (eta := expected_end(status)) is not None:
        low, high = duration(eta.low_s), duration(eta.high_s)
        missing = f"; {' and '.join(eta.unknown)} unknown" if eta.unknown else ""
        yield f"  ends in     {duration(eta.seconds)} ({low} to {high}){missing}"
    if status.checkpoints:
        last = status.checkpoints[-1]
        whole = "" if last.complete else ", not whole"
        yield (
            f"  checkpoint  {last.iteration}, {age(last.age_s)} old, "
            f"{size(last.size_bytes)}{whole} ({len(status.checkpoints)} kept)"
        )
    if status.memory is not None:
        yield from _memory(status.memory)
    if status.peaks is not None:
        yield from _peak(status.peaks.run_bytes, status.peaks.gpu_bytes)


def _memory(memory: MemoryView) -> Iterator[str]:
    word = "" if memory.level == "ok" else f"{memory.level}: "
    yield f"  memory      {word}{memory_sentence(memory)}"
    yield from _peak(memory.run_peak_bytes, memory.gpu_peak_bytes)
    if memory.guard:
        yield f"  guard       {memory.guard}"


def _peak(run_bytes: int | None, gpu_bytes: int | None) -> Iterator[str]:
    if run_bytes is not None:
        on_gpu = "" if gpu_bytes is None else f", {size(gpu_bytes)} on GPUs"
        yield f"  peak        {size(run_bytes)} by this run{on_gpu}"


def _keepers(status: RunStatus) -> Iterator[str]:
    if status.final:
        return
    if is_being_launched(status):
        yield "  keeper      is starting"
        return
    watcher, queued = status.watcher, status.status is Status.QUEUED
    words = "alive" if watcher.alive else f"lost: lanewatch watch {status.run}"
    if queued:
        yield "  watcher     begins with the first stage"
    else:
        last = "no word yet" if watcher.age_s is None else f"last word {age(watcher.age_s)} ago"
        yield f"  watcher     {words}, {last}"
    words = "alive" if status.keeper.alive else f"lost: lanewatch watch {status.run}"
    if status.foreign is not None:
        words = "none: lanewatch did not start this run"
    yield f"  keeper      {words}"


def _foreign(status: RunStatus) -> Iterator[str]:
    """Where a foreign run lives."""
    there = status.foreign
    if there is None:
        return
    inside = f" in container {there.container}" if there.container else ""
    yield f"  process     {there.pid if there.pid is not None else MISSING}{inside}"
    yield f"  log         {there.log or MISSING}"
    yield f"  checkpoints {there.checkpoints or MISSING}"
    for text in there.warnings:
        yield f"  warning     {text}"


def projection_text(summary: Mapping[str, Any]) -> Iterator[str]:
    """What a smoke run projects for the whole recipe, or how right an earlier one was."""
    for number, line in enumerate(projection_lines(summary)):
        yield f"  {'projected' if number == 0 else '':<11} {line}"


def _alerts(status: RunStatus) -> Iterator[str]:
    alerts = status.alerts
    if alerts.pending:
        yield f"  alert       {', '.join(alerts.pending)} (lanewatch ack {status.run})"
    if alerts.acked:
        yield f"  alert       {', '.join(alerts.acked)}, acknowledged"
    for name, problem in alerts.channels_failing.items():
        yield f"  alerts to   {name} fail: {problem}"


def stage_text(status: RunStatus) -> str:
    """`train 3/4, iteration`."""
    if status.status is Status.QUEUED:
        return "queued"
    if status.stage is None:
        return MISSING
    place = f" {status.stage_index}/{status.stage_count}" if status.stage_index else ""
    return f"{status.stage}{place}" + (f", {status.phase}" if status.phase else "")


def iteration_text(status: RunStatus) -> str:
    """`116/625`, with the error where it is not exact."""
    view = status.iteration
    if view.value is None:
        return MISSING if view.total is None else f"{MISSING}/{view.total}"
    error = f" (up to {view.error} more)" if view.error else ""
    return f"{view.value}/{view.total if view.total is not None else MISSING}{error}"


def runs_table(runs: Sequence[RunStatus]) -> Iterator[str]:
    """One line a run, columns aligned."""
    head = ("RUN", "NAME", "LANE", "VERDICT", "STAGE", "ITERATION")
    rows = [
        (
            each.run,
            each.name or MISSING,
            each.lane or MISSING,
            f"{each.verdict}{' (unwatched)' if silence(each) else ''}",
            stage_text(each).partition(",")[0],
            iteration_text(each),
        )
        for each in runs
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
