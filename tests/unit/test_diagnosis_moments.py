"""What one moment, one sample or a starved machine shows is called no more than that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stalled_facts import OTHER, STALLED, STEP, WAIT, kernel, view

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.values import Cause, Confidence, ThreadView


def ran(seen: ThreadView) -> ThreadView:
    assert seen.kernel is not None
    return replace(seen, kernel=replace(seen.kernel, ran=True))


@pytest.mark.parametrize(
    ("changes", "cause", "confidence", "says"),
    [
        pytest.param(
            {"threads": (view(WAIT, STEP),), "zombies": ("git",)},
            Cause.WORKER_DEAD,
            Confidence.UNSURE,
            "git has died",
            id="a dead child, and it waits for a thread of its own",
        ),
        pytest.param(
            {
                "threads": (view(STEP), view(OTHER, tid=8)),
                "kernel": (kernel(), kernel(8)),
                "zombies": ("git",),
            },
            Cause.DEADLOCK,
            Confidence.LIKELY,
            "step (a/train.py:10)",
            id="a deadlock beside a dead child",
        ),
        pytest.param(
            {
                "threads": (view(STEP), ran(view(OTHER, tid=8))),
                "kernel": (kernel(), kernel(8)),
            },
            Cause.DEADLOCK,
            Confidence.UNSURE,
            "step (a/train.py:10)",
            id="one of them got its lock now and then",
        ),
        pytest.param(
            {
                "threads": (view(STEP, still=False),),
                "kernel": (replace(kernel(wait=None, share=0.1), state="R", waited_share=0.9),),
            },
            Cause.SPINNING,
            Confidence.UNSURE,
            "others have the cores, for one of which it waited 90% of the time",
            id="it may only be slow: others have the cores",
        ),
        pytest.param(
            {
                "threads": (view(STEP, still=False),),
                "kernel": (replace(kernel("futex", share=0.06), waited_share=0.8),),
            },
            Cause.SPINNING,
            Confidence.UNSURE,
            "for one of which it waited 80% of the time",
            id="the same, seen in a moment in which it did not want one",
        ),
        pytest.param(
            {
                "samples": 1,
                "threads": (view(STEP, OTHER, still=False),),
                "kernel": (kernel(wait=None, share=0.9),),
            },
            Cause.SPINNING,
            Confidence.LIKELY,
            "was seen in step (a/train.py:10), called from other",
            id="one sample shows a moment",
        ),
        pytest.param(
            {
                "signature": "blocked-io",
                "words": "it waits for a disk",
                "kernel": (replace(kernel(wait="read"), state="D", ran=False),),
            },
            "blocked-io",
            Confidence.LIKELY,
            "it waits for a disk",
            id="in state D all the while",
        ),
        pytest.param(
            {
                "signature": "blocked-io",
                "words": "it waits for a disk",
                "kernel": (replace(kernel(wait="read"), state="D", ran=True),),
            },
            "blocked-io",
            Confidence.UNSURE,
            "it waits for a disk",
            id="in state D again and again",
        ),
        pytest.param(
            {
                "signature": "blocked-io",
                "words": "it waits for a disk",
                "threads": (view(STEP),),
            },
            Cause.WAITS_FOR_LOCK,
            Confidence.UNSURE,
            "step (a/train.py:10)",
            id="in state D for a moment",
        ),
    ],
)
def test_a_moment(
    changes: dict[str, object], cause: str, confidence: Confidence, says: str
) -> None:
    found = conclude(replace(STALLED, **changes))
    assert (found.cause, found.confidence) == (cause, confidence)
    assert says in found.sentence
    assert found.decides or found.confidence is not Confidence.UNSURE
