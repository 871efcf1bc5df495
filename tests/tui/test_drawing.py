"""Lines, glyphs, graphs and the share-out of rows: all pure."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from monitor.model import FINAL, Liveness
from tui import graphs
from tui.glyphs import ASCII, TONES, UNICODE, bar, choose_glyphs
from tui.lines import clean, cut, cut_middle, fit, heading, joined, pad, spread, wrap
from tui.screens.run_layout import plan
from tui.state import OVER


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("\x1b[31mred\x1b[0m", "·[31mred·[0m", id="colour escape"),
        pytest.param("a\tb", "a b", id="tab"),
        pytest.param("a\x00b\x07", "a·b·", id="NUL and bell"),
        pytest.param("\x9b2Jx", "·2Jx", id="eight-bit escape"),
        pytest.param("\u202eevil", "·evil", id="text direction override"),
        pytest.param("[bold]x[/]", "[bold]x[/]", id="markup is only text"),
    ],
)
def test_foreign_text_is_made_harmless(foreign: str, shown: str) -> None:
    assert clean(foreign) == shown


@given(st.text())
def test_clean_text_holds_no_control_character(text: str) -> None:
    assert not any(unicodedata.category(each) in ("Cc", "Cf", "Cs") for each in clean(text))


@given(st.text(max_size=60), st.integers(min_value=0, max_value=40))
def test_cut_text_fits(text: str, width: int) -> None:
    assert cell_len(cut(clean(text), width)) <= width
    assert cell_len(cut_middle(clean(text), width)) <= width


def test_the_middle_of_a_run_id_goes_first() -> None:
    assert cut_middle("unsloth-20260520-220000-9c01", 16) == "unsloth-20…-9c01"


@given(st.text(max_size=200), st.integers(1, 60), st.integers(1, 4))
def test_wrapped_text_keeps_to_its_box(text: str, width: int, rows: int) -> None:
    wrapped = wrap(clean(text), width, rows)
    assert len(wrapped) <= rows
    assert all(cell_len(each) <= width for each in wrapped)


def test_wrapping_breaks_between_words_and_says_when_more_was_there() -> None:
    assert wrap("one two three four", 9, 2) == ["one two", "three fo…"]
    assert wrap("one two", 9, 2) == ["one two"]


def test_facts_that_do_not_fit_are_left_out_whole() -> None:
    facts = [("checkpoint 210", ""), ("32.4 s/iteration", ""), ("loss 0.87", "")]
    assert joined(fit(facts, 30)) == "checkpoint 210   loss 0.87"
    assert fit(facts, 5) == ()


def test_lines_are_filled_to_their_width() -> None:
    assert pad("7", 3, right=True) == "  7"
    assert joined(spread((("a", ""),), (("b", ""),), 5)) == "a   b"
    assert joined(spread((("aaaa", ""),), (("b", ""),), 5)) == "aaaa"
    assert cell_len(joined(heading("log", 20, "─", "3 more"))) == 20


@pytest.mark.parametrize(
    ("environment", "glyphs"),
    [
        pytest.param({"LANG": "en_US.UTF-8", "TERM": "xterm"}, UNICODE, id="UTF-8"),
        pytest.param({"LANG": "de_DE.utf8"}, UNICODE, id="spelt otherwise"),
        pytest.param({"LANG": "en_US.UTF-8", "TERM": "linux"}, ASCII, id="Linux console"),
        pytest.param({"LANG": "C"}, ASCII, id="no UTF-8"),
        pytest.param({}, ASCII, id="nothing set"),
        pytest.param({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, ASCII, id="LC_ALL wins"),
    ],
)
def test_glyphs_follow_the_terminal(environment: dict[str, str], glyphs: object) -> None:
    assert choose_glyphs(environment) is glyphs


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_every_verdict_has_a_glyph_of_its_own_one_column_wide(glyphs: object) -> None:
    assert isinstance(glyphs, type(UNICODE))
    shown = list(glyphs.verdicts.values())
    assert len(set(shown)) == len(shown)
    assert all(cell_len(each) == 1 for each in (*shown, *glyphs.stages.values()))


def test_ascii_is_ascii() -> None:
    drawn = [*ASCII.verdicts.values(), *ASCII.stages.values(), bar(0.4, 10, ASCII)]
    rows = graphs.curve([1.0, 2.0, None, 3.0], 3, 0.0, 3.0, braille=False)
    assert all(each.isascii() for each in (*drawn, *rows))


def test_a_bar_of_what_is_not_known_is_empty() -> None:
    assert bar(None, 4, UNICODE) == "░░░░"
    assert bar(0.5, 4, UNICODE) == "██░░"
    assert bar(7.0, 4, UNICODE) == "████"


VALUES = st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), max_size=50)


@given(VALUES, st.integers(1, 8), st.booleans())
def test_a_graph_has_the_size_that_was_asked_for(
    values: list[float | None], rows: int, braille: bool
) -> None:
    drawn = graphs.curve(values, rows, 0.0, 10.0, braille=braille)
    columns = -(-len(values) // 2) if braille else len(values)
    assert [len(row) for row in drawn] == [columns] * rows


@given(VALUES)
def test_a_scale_spans_what_it_is_made_of(values: list[float | None]) -> None:
    sane = [value for value in values if value is not None and abs(value) < graphs.ABSURD]
    scale = graphs.nice_range(values)
    assert (scale is None) == (not sane)
    if scale is not None:
        assert scale[0] <= min(sane)
        assert scale[1] >= max(sane)
        assert scale[0] < scale[1]


def test_a_gap_in_the_readings_is_a_gap_and_not_a_zero() -> None:
    assert graphs.by_time([(100.0, 5.0), (130.0, 7.0)], 4, 40.0, 130.0) == [5.0, None, None, 7.0]


def test_between_two_edges_only_the_newest_column_moves() -> None:
    points = [(float(at), float(at)) for at in range(100)]
    before = graphs.by_time(points, 10, 100.0, 95.0)
    after = graphs.by_time([*points, (99.0, 500.0)], 10, 100.0, 99.0)
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]


@pytest.mark.parametrize(
    ("newest", "total", "axis"),
    [
        pytest.param(1, 625, 32, id="just begun"),
        pytest.param(33, 625, 64, id="doubles"),
        pytest.param(600, 625, 625, id="never past the total"),
        pytest.param(700, 625, 700, id="unless training is"),
        pytest.param(700, None, 1024, id="total not known"),
    ],
)
def test_the_iteration_axis_seldom_moves(newest: int, total: int | None, axis: int) -> None:
    assert graphs.iteration_axis(newest, total) == axis


@given(st.integers(20, 200), st.integers(3, 60), st.integers(1, 9), st.integers(2, 14))
def test_no_layout_needs_more_rows_than_there_are(
    width: int, height: int, verdict: int, evidence: int
) -> None:
    layout = plan(width, height, verdict_rows=verdict, evidence_rows=evidence, series=4)
    parts = (layout.verdict, layout.progress, layout.evidence, layout.graphs, layout.log)
    assert all(part >= 0 for part in parts)
    assert layout.verdict >= 1
    assert sum(parts) + 2 <= max(height, 4)


def test_small_screens_keep_verdict_progress_and_evidence() -> None:
    tiny = plan(38, 10, verdict_rows=3, evidence_rows=7, series=4)
    assert (tiny.verdict, tiny.progress, tiny.evidence, tiny.graphs) == (2, 2, 4, 0)
    common = plan(78, 24, verdict_rows=3, evidence_rows=7, series=4)
    assert common.log >= 4
    assert common.graph_count == 2
    assert plan(118, 40, verdict_rows=2, evidence_rows=7, series=4).wide


def test_the_words_of_an_ending_are_those_of_the_model() -> None:
    assert {liveness.value for liveness in FINAL} == OVER
    assert set(TONES) == set(UNICODE.verdicts) == set(ASCII.verdicts) == set(Liveness)
