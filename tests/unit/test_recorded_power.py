"""What a real GPU drew, judged by the usual limits: power against the run's own.

The recordings (tests/traces/recorded) hold a minute each; rule 6 wants three minutes of a low, even
power, so their seconds go round until a training of ten minutes and a hang of eight are there.
"""

from __future__ import annotations

import re

import changes
import pytest

from monitor.model import Liveness, Verdict
from monitor.replay import replay

TRAINED_S, AFTER_S = 600.0, 480.0


def verdicts(name: str) -> list[Verdict]:
    seen = changes.stretched(name, trained_s=TRAINED_S, after_s=AFTER_S)
    return [look.verdict for look in replay(seen)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "spin",
            r"shows 100 %, yet draws an even 1\d\d W; at work it drew 6\d\d W at least",
        ),
        ("deadlock", r"no CPU time for .*GPU at 0 %: it waits \(a deadlock\?\)"),
        ("dead-loader", r"no CPU time for .*GPU at 0 %: it waits"),
        ("sigstop", r"its process is stopped \(state T\)"),
    ],
)
def test_a_hang_of_a_real_gpu_is_stalled_and_told_by_what_it_draws(name: str, words: str) -> None:
    told = verdicts(name)
    last = told[-1]
    assert last.liveness is Liveness.STALLED
    assert re.search(words, last.reason), last.reason
    began = len(told) - int(AFTER_S)
    assert all(each.liveness is not Liveness.STALLED for each in told[:began])


@pytest.mark.parametrize("name", ["healthy", "slow-phase"])
def test_a_training_that_is_well_on_a_real_gpu_is_never_called_hung(name: str) -> None:
    words = {each.liveness for each in verdicts(name)}
    assert not words & {Liveness.SUSPECT, Liveness.STALLED, Liveness.LOST}, words
