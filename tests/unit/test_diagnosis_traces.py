"""Hangs of recorded and simulated nights, which no drill can make: GPUs, disks, swap, terminals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from traced import Change, facts_of

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.values import Cause, Confidence
from monitor.model import Liveness, MachineReading
from monitor.signatures import Signature

DOCUMENT = Path(__file__).parents[2] / "docs" / "diagnose.md"
NIGHTS = {
    "blocked-io-heartbeat": ("blocked-io", "nfs_wait_bit_killable"),
    "blocked-pipe-heartbeat": ("blocked-pipe", "into a pipe that nobody reads"),
    "dead-save-worker": ("save-worker-dead", "pt_save_worker has died"),
    "gpu-lost": ("gpu-lost", "Xid 79"),
    "hang-in-an-evaluation": ("spinning", "draws an even 20 W"),
    "h200-sigstop": ("stopped", "state T"),
    "swap-thrash": ("swap-thrash", "swaps"),
    "terminal-held": ("blocked-terminal", "/dev/pts/3"),
    "cpu-spin": ("spinning", "it spins, where cannot be seen"),
    "thermal-slowness": ("thermal", "GPU 0 is throttled (sw-thermal)"),
    "power-state": ("power-state", "runs at only 799 MHz, a stuck power state"),
}
SLOW = dict.fromkeys(("thermal-slowness", "power-state"), Liveness.SLOW)
"""Of these nothing hangs: nobody is advised to kill them."""


@pytest.mark.parametrize("night", NIGHTS)
def test_the_cause_is_named_and_the_document_shows_it(night: str) -> None:
    cause, words = NIGHTS[night]
    found = conclude(facts_of(night, SLOW.get(night, Liveness.STALLED)))
    assert found.cause == cause
    assert found.confidence is not Confidence.UNSURE
    assert words in found.sentence
    shown = " ".join(DOCUMENT.read_text().split())
    assert found.sentence in shown, "docs/diagnose.md has its worked example, as it is said"


def silent(machine: MachineReading) -> MachineReading:
    """Its driver no longer answers."""
    return replace(machine, gpus=(), gpu_problem="the GPU driver has not answered for over 30 s")


def latched(machine: MachineReading) -> MachineReading:
    """It says that it works, and that nobody is on it."""
    gpus = tuple(replace(each, process_bytes=(), utilisation_percent=96) for each in machine.gpus)
    return replace(machine, gpus=gpus)


@pytest.mark.parametrize(
    ("change", "liveness", "cause"),
    [
        pytest.param(silent, Liveness.SUSPECT, "driver-stuck", id="the driver is silent"),
        pytest.param(latched, Liveness.STALLED, "busy-without-process", id="busy with nobody"),
    ],
)
def test_what_the_driver_says_of_a_hang_is_its_cause_and_in_the_document(
    change: Change, liveness: Liveness, cause: str
) -> None:
    found = conclude(facts_of("deadlock-heartbeat", liveness, change))
    assert (found.cause, found.confidence) == (cause, Confidence.LIKELY)
    assert found.sentence in " ".join(DOCUMENT.read_text().split())


@pytest.mark.parametrize("night", SLOW)
def test_what_the_machine_slows_is_not_ended(night: str) -> None:
    found = conclude(facts_of(night, Liveness.SLOW))
    assert [each.loses for each in found.remedies] == ["nothing", "time only: it gets on"]
    assert not any(each.commands for each in found.remedies)


@pytest.mark.parametrize("night", ["deadlock-heartbeat", "hang-while-loading"])
def test_what_waits_without_a_stack_is_not_given_a_cause(night: str) -> None:
    found = conclude(facts_of(night))
    assert (found.cause, found.confidence) == (Cause.WAITS, Confidence.UNSURE)
    assert found.decides


def test_every_cause_and_signature_of_a_hang_has_its_row() -> None:
    text = DOCUMENT.read_text()
    of_logs = {"contention", "stopped-reader", "stalled-client", "held-by-filter"}
    for each in (*Cause, *(sign for sign in Signature if sign not in of_logs)):
        word = f"-{each.split('-')[-1]}" if each.startswith("waits-for-") else each
        assert f"`{each}`" in text or f"`{word}`" in text, each
