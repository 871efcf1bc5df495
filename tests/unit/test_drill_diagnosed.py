"""How a diagnosis is held against the label of a drill."""

from __future__ import annotations

from typing import Any

import pytest

from runners.drills.diagnosed import Naming, compare
from runners.drills.table import DRILLS, Step

SPIN = Step(cause="spinning", blames="turn (faults.py:")
FINE = Step(cause="healthy")


def said(cause: str, confidence: str, sentence: str = "") -> dict[str, Any]:
    return {
        "conclusion": {"cause": cause, "confidence": confidence, "sentence": sentence},
        "facts": {"seconds": 3.0, "samples": 6, "source": "py-spy"},
    }


@pytest.mark.parametrize(
    ("step", "found", "naming"),
    [
        pytest.param(SPIN, said("spinning", "likely", "in turn (faults.py:8)"), "named", id="it"),
        pytest.param(SPIN, said("spinning", "likely", "somewhere"), "class", id="no place"),
        pytest.param(SPIN, said("waits", "unsure"), "unsure", id="another, and in doubt"),
        pytest.param(SPIN, said("deadlock", "likely"), "wrong", id="another, and certain"),
        pytest.param(SPIN, said("healthy", "likely"), "wrong", id="a fault called healthy"),
        pytest.param(FINE, said("healthy", "likely"), "named", id="healthy"),
        pytest.param(FINE, said("ended", "sure"), "named", id="it had finished by then"),
        pytest.param(FINE, said("spinning", "unsure"), "unsure", id="healthy, doubted"),
        pytest.param(FINE, said("crashed", "sure"), "wrong", id="healthy, accused"),
    ],
)
def test_a_diagnosis_beside_its_label(step: Step, found: dict[str, Any], naming: str) -> None:
    got = compare(step, found)
    assert got.naming == naming
    assert (got.problem is None) == (got.naming is Naming.NAMED)


def test_every_drill_is_diagnosed_once_and_healthy_ones_as_healthy() -> None:
    for drill in DRILLS.values():
        labels = [step.cause for step in drill.expect if step.cause is not None]
        assert len(labels) == 1, drill.name
        assert (labels == ["healthy"]) == drill.healthy, drill.name
