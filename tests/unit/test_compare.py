"""Runs beside each other: what makes a comparison unfair, what came of each, and in which words."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from compared import make_run

from runners.compare.facts import Curves, RunFacts
from runners.compare.judge import Comparable, comparable, differences
from runners.compare.read import read_facts
from runners.compare.table import Row, compare
from tui.cli.main import run as command
from tui.compare_text import delta_text, markdown_lines, text_lines
from tui.presentation import UNKNOWN


@pytest.mark.parametrize(
    ("change", "verdict", "named"),
    [
        pytest.param({}, "yes", [], id="the-same"),
        pytest.param({"train__lr": 2e-4}, "no", ["train.lr"], id="learning-rate"),
        pytest.param({"lora__targets": ["q_proj"]}, "no", ["lora.targets"], id="targets"),
        pytest.param({"ids": "b" * 64}, "no", ["token ids"], id="other-rows"),
        pytest.param({"ids": None}, "unknown", ["token ids"], id="rows-not-recorded"),
        pytest.param({"data__path": "/other.jsonl"}, "yes", [], id="same-rows-elsewhere"),
        pytest.param(
            {"data__path": "/o.jsonl", "ids": None},
            "no",
            ["data.path", "token ids"],
            id="rows-from-elsewhere-not-known-to-be-the-same",
        ),
        pytest.param({"parameters": 4_194_304}, "no", ["adapter parameters"], id="smaller-adapter"),
        pytest.param({"lane": "unsloth"}, "yes", ["image"], id="the-other-lane"),
        pytest.param({"train__save_interval": 20}, "yes", ["train.save_interval"], id="saves"),
        pytest.param({"train__keep_last": 2}, "yes", [], id="of-no-consequence"),
        pytest.param({"attempt": 2}, "yes", ["resumed (attempts)"], id="resumed"),
        pytest.param({"status": "failed"}, "yes", ["how it ended"], id="failed"),
        pytest.param({"temperature_c": 84.0}, "yes", ["GPU temperature (median)"], id="warmer"),
        pytest.param({"temperature_c": 72.0}, "yes", [], id="hardly-warmer"),
    ],
)
def test_what_makes_a_comparison_unfair(
    tmp_path: Path, change: dict[str, Any], verdict: str, named: list[str]
) -> None:
    runs = [read_facts(make_run(tmp_path, "a")), read_facts(make_run(tmp_path, "b", **change))]
    found = differences(runs)
    assert [each.what for each in found] == named
    assert comparable(found) is Comparable(verdict)
    assert compare(runs).sentence.startswith({"unknown": "not known"}.get(verdict, verdict))


def test_a_lanes_own_table_counts_only_within_that_lane(tmp_path: Path) -> None:
    fused = {"lanes__nemo": {"lora": "fused"}}
    one, two = make_run(tmp_path, "a"), make_run(tmp_path, "b", **fused)
    other = make_run(tmp_path, "c", lane="unsloth", **fused)
    first = read_facts(one)
    assert [x.what for x in differences([first, read_facts(two)])] == ["lanes.nemo.lora"]
    assert [x.what for x in differences([first, read_facts(other)])] == ["image"]


def test_figures_and_how_far_they_are_from_the_first_runs(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "a", step_s=30.0), make_run(tmp_path, "b", step_s=24.0)]
    rows = {row.key: row for row in compare([read_facts(run) for run in runs]).rows}
    assert rows["step_median_s"].values == (31.0, 25.0)
    assert rows["step_median_s"].deltas == (-6.0,)
    assert rows["step_median_s"].percents[0] == pytest.approx(-19.35, abs=0.01)
    assert rows["energy_wh"].values[0] == pytest.approx(50 * 2970 / 3600)
    assert rows["loss_common"].label == "loss at iteration 100"
    assert rows["loss_common"].deltas == (0.0,)
    assert "first_save_s" not in rows


def test_what_is_not_known_is_an_en_dash_and_never_0() -> None:
    known = RunFacts(run="a", figures={"final_loss": 1.5, "saves": 0.0})
    unknown = RunFacts(run="b", curves=Curves(loss=((1.0, math.nan),)))
    comparison = compare([known, unknown])
    lines = [line for line in text_lines(comparison) if line.startswith("final loss")]
    assert lines[0].split() == ["final", "loss", "1.5", "–", "–"]  # noqa: RUF001
    value = comparison.to_json()
    assert value["comparable"] == "unknown"
    assert next(row for row in value["rows"] if row["key"] == "saves")["percents"] == [None]


def test_a_folder_of_rubbish_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    for path in (run.run_json, run.state, run.metrics, run.telemetry):
        path.write_bytes(b"\x00{[")
    (run.checkpoint(100) / "adapter_model.safetensors").write_bytes(b"\xff" * 40)
    facts = read_facts(run)
    assert facts.adapter_parameters is None
    assert any("run.json" in each for each in facts.problems)
    assert list(text_lines(compare([facts, facts])))


def test_the_command_in_its_three_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    make_run(tmp_path, "first")
    make_run(tmp_path, "second", lane="unsloth", train__lr=2e-4)
    assert command(["compare", "first", "second"]) == 0
    text = capsys.readouterr().out
    assert "comparable? no: train.lr differs; mind image" in text
    assert "differs  train.lr: 0.0001 | 0.0002" in text
    assert command(["compare", "first", "second", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["sentence"] in text
    assert [each["name"] for each in value["runs"]] == ["first", "second"]
    assert command(["compare", "first", "second", "--md"]) == 0
    table = capsys.readouterr().out
    assert "| s/iteration, median | 31.0 | 31.0 | same |" in table
    assert len({line.count("|") for line in table.splitlines() if line.startswith("| train")}) == 1


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        pytest.param(0.062, 0.054, "-12.9 %", id="too-little-to-be-written"),
        pytest.param(0.06200, 0.06201, "same", id="less-than-its-percentage-shows"),
        pytest.param(0.062, 0.162, "+0.1s (+161.3 %)", id="enough"),
        pytest.param(2.0, 2.0, "same", id="none"),
        pytest.param(None, 2.0, UNKNOWN, id="not-known"),
    ],
)
def test_a_delta_is_never_a_signed_nothing(first: float | None, second: float, said: str) -> None:
    row = Row(key="save_s", label="save", unit="seconds", values=(first, second))
    assert delta_text(row, 1) == said


def test_losses_that_read_alike_are_the_same_and_others_are_not() -> None:
    losses = (0.911004, 0.911001, 0.9123, 0.9110041)
    row = Row(key="loss", label="loss", unit="loss", values=losses)
    assert [delta_text(row, at) for at in (1, 2, 3)] == ["same", "+0.001296 (+0.1 %)", "same"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["first"], "two or more runs", id="one"),
        pytest.param(["first", "first"], "named twice", id="twice"),
        pytest.param(["first", "nobody"], "no run matches 'nobody'", id="none"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    make_run(tmp_path, "first")
    assert command(["compare", *words]) == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("unit", "values", "said"),
    [
        ("seconds", (4.44, 4.40), "-0.9 %"),
        ("seconds", (0.0, 0.01), "same"),
        ("pace", (0.5, 0.4999), "same"),
        ("minutes", (60.0, 59.7), "-0.5 %"),
        ("seconds", (12.0, 15.0), "+3.0s (+25.0 %)"),
        ("loss", (1.0, 1.00001), "same"),
        ("loss", (1.0, math.nan), "–"),  # noqa: RUF001 - the en dash is what we mean
        ("loss", (math.inf, 1.0), "–"),  # noqa: RUF001
    ],
)
def test_a_difference_finer_than_its_unit_is_no_nought_with_a_sign(
    unit: str, values: tuple[float, float], said: str
) -> None:
    assert delta_text(Row(key="x", label="x", unit=unit, values=values), 1) == said


def test_saves_that_nobody_counted_are_not_none(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    assert read_facts(run).figure("saves") == 0
    run.metrics.unlink()
    assert read_facts(run).figure("saves") is None


def test_foreign_text_in_markdown_stays_text(tmp_path: Path) -> None:
    runs = [read_facts(make_run(tmp_path, name)) for name in ("a|b", "<x>[y](z)\x1b[2J")]
    shown = "\n".join(markdown_lines(compare(runs)))
    assert "\\<x\\>\\[y\\](z)" in shown
    assert "a\\|b" in shown
    assert "\x1b" not in shown


def test_a_resumed_run_is_not_told_by_the_summary_of_its_attempt_before(tmp_path: Path) -> None:
    run = make_run(tmp_path, "again", attempt=2, status="running")
    run.summary.write_text(json.dumps({"attempts": 1, "iterations": 7, "saves": 3}))
    assert read_facts(run).figure("iterations") == 100
    run.summary.write_text(json.dumps({"attempts": 2, "iterations": 7, "saves": 3}))
    assert read_facts(run).figure("iterations") == 7
