"""docs/diagnose.md has a worked example of every cause and signature, as the program says it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from exampled import examples, recorded, rendered

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.values import Cause, Confidence
from monitor.signatures import Signature

DOCUMENT = Path(__file__).parents[2] / "docs" / "diagnose.md"
_EXAMPLE = re.compile(r"^### ([^\n]+)\n\n```\n(.*?)```", re.MULTILINE | re.DOTALL)
_CAUSE = re.compile(r"^  cause +([a-z-]+), (sure|likely|unsure)$", re.MULTILINE)


def shown() -> dict[str, str]:
    """What stands below each heading of the worked examples."""
    text = DOCUMENT.read_text().partition("\n## Worked examples\n")[2]
    return dict(_EXAMPLE.findall(text))


def test_every_cause_and_every_signature_has_one() -> None:
    named = {word for heading in shown() for word in re.findall(r"[a-z]+(?:-[a-z]+)*", heading)}
    assert {str(each) for each in (*Cause, *Signature)} <= named


def test_the_example_of_a_cause_concludes_it() -> None:
    for heading, text in shown().items():
        (found,) = _CAUSE.findall(text)
        name = re.split("[ ,]", heading)[0]
        if name in set(Cause):
            assert found[0] == name, heading
        assert "  would tell" in text or found[1] != "unsure", heading


@pytest.mark.parametrize("name", examples())
def test_an_example_is_what_the_command_prints(name: str) -> None:
    assert shown()[name] == f"{rendered(examples()[name])}\n"


@pytest.mark.parametrize("name", recorded())
def test_what_was_recorded_of_real_processes_is_concluded_as_it_was(name: str) -> None:
    found = conclude(recorded()[name])
    assert found.cause == name
    assert found.decides or found.confidence is not Confidence.UNSURE
