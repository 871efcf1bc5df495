"""Hangs of recorded and simulated nights, which no drill can make: GPUs, disks, swap, terminals."""

from __future__ import annotations

from pathlib import Path

import pytest
from traced import facts_of

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.values import Cause, Confidence
from monitor.model import Liveness
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
