"""The format of a trace: what is read, what is refused, what a writer leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from watching import Watch, beat, whole

from monitor.facts import Facts
from monitor.limits import STANDARD, limits_from
from monitor.model import GpuReading, MachineReading, ProcessReading, Status
from monitor.replay import replay
from monitor.subject import Subject
from monitor.timeline import Timeline, timeline_of
from monitor.trace import VERSION, Frame, TraceError, TraceHeader, merged, read_trace
from monitor.trace_lines import TraceLines, dump, header_line, known_of, overrides_of
from tui.cli import main

HEADER = '{"trace": 1, "run": "night", "subject": {"stage": "train", "total": 625}}'
BEAT = {
    "attempt": 1, "seq": 1, "pid": 7, "boot_id": "boot", "monotonic_s": 1.0, "stage": "train",
    "phase": "iteration", "done": 1,
}  # fmt: skip


def line(at: float, **sources: Any) -> str:
    return json.dumps({"at": at} | sources)


def timeline(*lines: str) -> Timeline:
    trace = read_trace([HEADER, *lines])
    return timeline_of(replay(trace.frames, trace.header.tick_s))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param([], "line 1: the trace is empty", id="empty"),
        pytest.param(["\n", "  "], "empty", id="blank"),
        pytest.param(["hello"], "line 1: no JSON", id="text"),
        pytest.param(["[1]"], "line 1: no JSON object", id="a list"),
        pytest.param(['{"at": 1}'], "line 1: no header", id="no header"),
        pytest.param(['{"trace": 2, "run": "r"}'], "version 2", id="another version"),
        pytest.param(['{"trace": 1}'], "line 1: TraceHeader lacks", id="no run"),
        pytest.param(['{"trace": 1, "run": "r", "tick_s": 0}'], "tick_s", id="no tick"),
        pytest.param([HEADER, line(1), '{"at": 2, "log'], "line 3: no JSON, or cut", id="torn"),
        pytest.param([HEADER, "", line(1), "{}"], 'line 4: "at" is no number', id="no time"),
        pytest.param([HEADER, line(5), line(4)], 'line 3: "at" is 4, before', id="back in time"),
        pytest.param([HEADER, line(1e999)], "line 2", id="infinity"),
        pytest.param([HEADER, line(9, last_look=-1)], "last_look", id="a gap before the trace"),
        pytest.param([HEADER, line(1, heartbeet={})], "'heartbeet' is no source", id="a typo"),
        pytest.param([HEADER, line(1, heartbeat={"seq": 1})], "lacks a field", id="half a beat"),
        pytest.param(
            [HEADER, line(1, heartbeat=BEAT), line(2, heartbeat={"done": "3"})],
            "line 3: Heartbeat.done is str, not int",
            id="a word for a number",
        ),
        pytest.param([HEADER, line(1, held=3)], "held", id="held by three"),
        pytest.param([HEADER, line(1, unreadable="all")], "unreadable", id="a text for a list"),
        pytest.param([HEADER, line(1, machine={"gpus": []})], '"gpus" names', id="a list of GPUs"),
        pytest.param([HEADER, line(1, machine={"gpus": {"0": 1}})], "GPU is no", id="no GPU"),
        pytest.param([HEADER, line(1, boot="b")], "boot", id="half a boot"),
        pytest.param([HEADER, line(1, subject={"status": "odd"})], "line 2: 'odd'", id="a status"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], words: str
) -> None:
    with pytest.raises(TraceError, match=r"^line \d+: ") as caught:
        list(read_trace(lines).frames)
    assert words in str(caught.value)
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines))
    assert main.run(["replay", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert words in said.err


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="missing"), pytest.param(b"\xff\xfe\0", id="binary")]
)
def test_what_is_no_text_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "bad.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert main.run(["replay", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_patch_changes_what_it_names_and_null_forgets() -> None:
    known = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert merged(known, {"a": {"b": None, "c": [3]}, "e": {"f": None}}) == {
        "a": {"c": [3]}, "d": 4, "e": {},
    }  # fmt: skip
    assert known["a"] == {"b": 1, "c": [1, 2]}


def test_between_two_lines_the_verdict_changes_at_its_own_second() -> None:
    beats = [line(at, heartbeat=BEAT | {"seq": at, "done": at // 10, "monotonic_s": float(at)})
             for at in range(10, 110, 10)]  # fmt: skip
    alive = {"alive": True, "state": "S"}
    seen = timeline(line(0, process=alive), *beats, line(1000, process=alive))
    words = [(entry.verdict, entry.at_s) for entry in seen.entries]
    # Learnt: 5 x 10 s, but the floor is 60 s; half of it is suspect.
    assert words[-2:] == [("suspect", 131.0), ("stalled", 161.0)]
    assert [entry.recorded_s for entry in seen.entries][-2:] == [132.0, 162.0]


def test_a_gap_is_no_silence() -> None:
    beats = [line(at, heartbeat=BEAT | {"seq": at, "done": at // 10, "monotonic_s": float(at)},
                  process={"alive": True}) for at in range(10, 110, 10)]  # fmt: skip
    seen = timeline(*beats, line(1000, last_look=101), line(1020))
    assert {entry.verdict for entry in seen.entries} == {"training"}


def test_another_boot_has_failed() -> None:
    beats = [line(10, heartbeat=BEAT, subject={"boot_id": "boot", "status": "running"})]
    seen = timeline(*beats, line(900, boot={"boot_id": "other", "monotonic_s": 20}, process=None))
    assert [entry.verdict for entry in seen.entries][-1] == "failed"
    assert seen.entries[-1].at_s == 900
    assert "machine was restarted" in seen.entries[-1].reason


def frame(watch: Watch, **facts: Any) -> Frame:
    seen = Facts(boot_id="boot-1", monotonic_s=watch.now, stage="train", **facts)
    return Frame(
        at_s=watch.now,
        facts=seen,
        subject=Subject(run="r", stage="train", status=Status.RUNNING),
        limits=STANDARD,
    )


def test_figures_that_move_all_the_time_are_no_lines_of_their_own() -> None:
    header = TraceHeader(trace=VERSION, run="r", boot_id="boot-1")
    lines, watch, written = TraceLines(header), Watch(0.0), [dump(header_line(header))]
    for second in range(3600):
        watch.now = float(second)
        done = second // 30
        facts: dict[str, Any] = {
            "heartbeat": beat(30.0 * done, done, seq=done),
            "checkpoints": whole(*range(0, done, 70)),
            "process": ProcessReading(alive=True, state="RS"[second % 2], cpu_s=float(second)),
            "machine": MachineReading(
                gpus=(GpuReading(index=0, name="GB10", power_w=45.0 + second % 7),)
            ),
        }
        watch.look(**facts)
        written += map(dump, lines.note(frame(watch, **facts), watch.state))
    assert len(written) < 250
    trace = read_trace(written)
    last = list(trace.frames)[-1]
    assert known_of(last)["heartbeat"]["done"] == 119
    looks = list(replay(read_trace(written).frames))
    learnt = looks[-1].judged.state.learnt
    assert (learnt.step_count, learnt.step_max_s) == (
        watch.state.learnt.step_count,
        watch.state.learnt.step_max_s,
    )
    assert looks[-1].judged.state.progress_at == watch.state.progress_at


def test_a_writer_says_all_that_a_reader_then_knows() -> None:
    header = TraceHeader(trace=VERSION, run="r", boot_id="boot-1")
    watch = Watch(5.0)
    facts: dict[str, Any] = {
        "heartbeat": beat(4.0, 3, loss=0.8731),
        "checkpoints": whole(1, 2, 3),
        "process": ProcessReading(alive=True, state="S", pids=(7, 8), hidden=("io",)),
        "machine": MachineReading(cpu_percent=12.5),
    }
    watch.look(**facts)
    seen = frame(watch, **facts)
    seen = replace(
        seen, unreadable=("run.json is empty",), limits=replace(STANDARD, seeds={"save": 4.0})
    )
    text = [dump(header_line(header)), *map(dump, TraceLines(header).note(seen, watch.state))]
    (read,) = read_trace(text).frames
    assert read.facts == seen.facts
    assert (read.subject, read.unreadable, read.limits) == (
        seen.subject,
        seen.unreadable,
        seen.limits,
    )


def test_the_limits_of_a_recipe_are_in_the_header() -> None:
    own = {"save_default_s": 30.0, "iteration_floor_s": 2.0}
    assert overrides_of(limits_from(own)) == own
    assert overrides_of(STANDARD) == {}
