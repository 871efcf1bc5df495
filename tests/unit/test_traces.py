"""Each labelled trace, judged: what must be said was said in time, and nothing that must not be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.replay import replay
from monitor.timeline import Entry, Timeline, timeline_of
from monitor.trace import read_trace

TRACES = Path(__file__).parents[1] / "traces"
NAMES = sorted(path.stem for path in TRACES.glob("*.jsonl"))


def judged(name: str) -> tuple[dict[str, Any], Timeline]:
    with (TRACES / f"{name}.jsonl").open(encoding="utf-8") as stream:
        trace = read_trace(stream)
        label: dict[str, Any] = trace.header.label
        return label, timeline_of(replay(trace.frames, trace.header.tick_s), trace.header.tick_s)


def spells(timeline: Timeline, word: str) -> Iterator[tuple[float, float, Entry]]:
    """From when until when *word* was the verdict, or one of its flags."""
    ends = [entry.at_s for entry in timeline.entries[1:]] + [timeline.end_s + 1.0]
    for entry, end_s in zip(timeline.entries, ends, strict=True):
        if word == entry.verdict or word in entry.flags:
            yield entry.at_s, end_s, entry


@pytest.mark.parametrize("name", NAMES)
def test_a_labelled_trace_is_judged_as_its_label_says(name: str) -> None:
    label, timeline = judged(name)
    told = "\n".join(
        f"{e.at_s:>8.0f} {e.verdict} {list(e.flags)} {e.reason}" for e in timeline.entries
    )
    for rule in label["forbid"]:
        for begin, end, entry in spells(timeline, rule["word"]):
            until = rule.get("until")
            wrong = end > rule["from"] and (until is None or begin < until)
            assert not wrong, f"{rule['word']} at {begin:.0f} s: {entry.reason}\n{told}"
    for rule in label["expect"]:
        found = any(
            begin <= rule["by"] and end > rule["from"]
            for begin, end, _ in spells(timeline, rule["word"])
        )
        assert found, f"no {rule['word']} from {rule['from']:.0f} to {rule['by']:.0f} s\n{told}"


def test_there_are_enough_of_them_and_they_are_small() -> None:
    sizes = {name: (TRACES / f"{name}.jsonl").stat().st_size for name in NAMES}
    assert len(NAMES) >= 60
    assert max(sizes.values()) < 130_000
    assert sum(sizes.values()) < 3_600_000
    for name in NAMES:
        header = json.loads((TRACES / f"{name}.jsonl").read_text().partition("\n")[0])
        assert header["label"]["expect"] or header["label"]["forbid"], name


@pytest.mark.parametrize("name", ["spin-22w-heartbeat", "recovered", "h200-spin"])
def test_the_script_makes_the_traces_that_are_kept(name: str) -> None:
    from make_traces import lines_of

    kept = (TRACES / f"{name}.jsonl").read_text().splitlines()
    assert list(lines_of(name)) == kept
