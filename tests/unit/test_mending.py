"""Which failures a keeper may try to mend by itself, and which never."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.model import Status
from runners.engines.base import Exit
from runners.exits import StageEnd, judge_end
from runners.mending import mendable
from runners.requests import Action, Request


def end(**changes: Any) -> StageEnd:
    values: dict[str, Any] = {"stage": "train", "exit": Exit(code=1), "result": None}
    return StageEnd(**values | changes)


def failed(cause: str, **changes: Any) -> StageEnd:
    return end(result={"outcome": "failed", "cause": cause}, **changes)


def said(line: str) -> StageEnd:
    return end(last_error=line)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        pytest.param(end(exit=Exit(signal=9)), "killed from outside", id="SIGKILL"),
        pytest.param(end(exit=Exit(signal=7)), "a bus error", id="SIGBUS"),
        pytest.param(end(exit=Exit(signal=11)), "a crash in native code", id="SIGSEGV"),
        pytest.param(end(exit=Exit(signal=6)), "native code aborted it", id="SIGABRT"),
        pytest.param(
            failed("AcceleratorError: CUDA error: unspecified launch failure"),
            "unspecified launch failure",
            id="a launch failure",
        ),
        pytest.param(
            said("RuntimeError: CUDA error: uncorrectable ECC error encountered"),
            "uncorrectable ECC",
            id="ECC, from the log",
        ),
        pytest.param(
            said("NVRM: Xid (PCI:000f:01:00): 79, GPU has fallen off the bus."), "Xid", id="Xid"
        ),
        pytest.param(
            said("[rank0]: Watchdog caught collective operation timeout: WorkNCCL"),
            "Watchdog caught collective operation timeout",
            id="NCCL",
        ),
        pytest.param(
            failed("input/output error: Stale file handle: /mnt/x"), "input/output error", id="NFS"
        ),
    ],
)
def test_what_machine_or_driver_did(end: StageEnd, why: str) -> None:
    assert mendable(end, judge_end(end)) == why


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(end(exit=Exit(signal=9), oom_kills=1), id="the kernel was out of memory"),
        pytest.param(failed("out of memory: CUDA out of memory. Tried to allocate"), id="CUDA OOM"),
        pytest.param(
            end(exit=Exit(signal=6), last_error="terminate called: c10::OutOfMemoryError"),
            id="an abort for want of memory",
        ),
        pytest.param(failed("disk full: No space left on device while writing x"), id="disk full"),
        pytest.param(failed("not a number: the loss is nan"), id="NaN"),
        pytest.param(said("FloatingPointError: loss is NaN"), id="NaN, from the log"),
        pytest.param(failed("bad value: row 7 holds no messages"), id="bad data"),
        pytest.param(failed("KeyError: 'messages'"), id="a Python error"),
        pytest.param(failed("the module peft is missing: pip install"), id="a module is missing"),
        pytest.param(
            said("RuntimeError: CUDA error: device-side assert triggered"), id="a device assert"
        ),
        pytest.param(end(), id="a code that says nothing"),
        pytest.param(end(exit=Exit(code=0)), id="code 0"),
        pytest.param(end(exit=Exit()), id="nobody saw how"),
        pytest.param(end(exit=Exit(signal=15)), id="a signal from outside that asks"),
        pytest.param(end(exit=Exit(signal=9), asked=Request(Action.KILL)), id="asked to kill"),
        pytest.param(end(exit=Exit(signal=9), asked=Request(Action.STOP)), id="asked to stop"),
        pytest.param(end(exit=Exit(signal=9), stage="import"), id="another stage"),
        pytest.param(end(result={"outcome": "finished"}), id="it finished"),
    ],
)
def test_what_would_only_happen_again(end: StageEnd) -> None:
    assert mendable(end, judge_end(end)) is None


@pytest.mark.parametrize("known", ["memory_short", "diverged"])
def test_a_kill_is_not_mended_where_the_watcher_saw_the_reason(known: str) -> None:
    killed = end(exit=Exit(signal=9))
    assert judge_end(killed).status is Status.FAILED
    assert mendable(killed, judge_end(killed), **{known: True}) is None
