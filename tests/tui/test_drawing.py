"""Lines, glyphs, graphs and the share-out of rows: all pure."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from monitor.memory_model import MemoryLevel
from monitor.model import FINAL, Liveness
from tui import graphs
from tui.glyphs import ASCII, TONES, UNICODE, bar, choose_glyphs, spelt
from tui.lines import clean, cut, cut_middle, cut_words, fit, heading, joined, pad, spread, wrap
from tui.screens.run_layout import LEAST_GRAPH_ROWS, plan_charts, plan_head, plan_overview
from tui.state import OVER
from tui.widgets.launch_checks import BANDS


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
    assert wrap("one two three four", 9, 2) == ["one two", "three…"]
    assert wrap("one two", 9, 2) == ["one two"]


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        pytest.param("nothing since iteration 116", 20, "nothing since…", id="between words"),
        pytest.param("nothing since, then", 15, "nothing since…", id="without the comma"),
        pytest.param("nothing since it", 14, "nothing since…", id="where a word ends anyway"),
        pytest.param("a-word-that-never-ends at all", 12, "a-word-that…", id="no word fits"),
        pytest.param("as it is", 8, "as it is", id="it fits"),
        pytest.param("日本 語日本語日本語", 12, "日本 語日本…", id="little would be left"),
        pytest.param("x y", 1, "…", id="one column"),
        pytest.param("x y", 0, "", id="none"),
    ],
)
def test_prose_is_cut_between_words(text: str, width: int, shown: str) -> None:
    assert cut_words(text, width) == shown
    assert cell_len(shown) <= width


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
    others = (*glyphs.stages.values(), *glyphs.levels.values(), *glyphs.checkpoints.values())
    assert all(cell_len(each) == 1 for each in (*shown, *others))


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_every_stage_and_every_level_of_memory_has_a_glyph_of_its_own(glyphs: object) -> None:
    assert isinstance(glyphs, type(UNICODE))
    assert len(set(glyphs.stages.values())) == len(glyphs.stages)
    levels = [glyphs.level(each.value) for each in MemoryLevel]
    assert len(set(levels)) == len(levels)
    assert "?" not in levels
    assert len({glyphs.level(each) for each in BANDS}) == len(BANDS)


def test_ascii_is_ascii() -> None:
    drawn = [*ASCII.verdicts.values(), *ASCII.stages.values(), *ASCII.levels.values()]
    drawn += [*ASCII.checkpoints.values(), bar(0.4, 10, ASCII)]
    rows = graphs.curve([1.0, 2.0, None, 3.0], 3, 0.0, 3.0, braille=False)
    assert all(each.isascii() for each in (*drawn, *rows))


@pytest.mark.parametrize("name", ["夜間学習", "naïve", "ne\u0301e", "a \u2013 b · c…", "plain"])
def test_what_is_spelt_in_ascii_takes_the_columns_that_it_took(name: str) -> None:
    """It is cut and filled before it is spelt: a name in full-width characters moved its row."""
    shown = spelt(name, ASCII)
    assert shown.isascii()
    assert len(shown) == cell_len(name)
    assert spelt(name, UNICODE) == name


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


def test_what_stands_still_is_drawn_on_a_scale_of_its_own_size() -> None:
    assert graphs.nice_range([1e-4, 1e-4]) == (pytest.approx(5e-5), pytest.approx(1.5e-4))
    assert graphs.nice_range([3.0]) == (2.5, 3.5)
    assert graphs.nice_range([0.0, None]) == (-0.5, 0.5)
    assert graphs.nice_range([0.0, 5e-324]) == (-0.5, 0.5)


def test_a_gap_in_the_readings_is_a_gap_and_not_a_zero() -> None:
    points = [(100.0, 5.0), (130.0, 7.0)]
    assert graphs.sampled(points, 4, 95.0, 135.0, gap=20.0) == [5.0, None, None, 7.0]
    assert graphs.sampled(points, 4, 95.0, 135.0, gap=30.0) == [
        5.0,
        pytest.approx(5.667, abs=0.01),
        pytest.approx(6.333, abs=0.01),
        7.0,
    ]


def test_only_the_newest_column_moves_while_the_axis_stands() -> None:
    points = [(float(at), float(at)) for at in range(95)]
    before = graphs.sampled(points, 20, 0.0, 200.0)
    after = graphs.sampled([*points, (95.0, 500.0)], 20, 0.0, 200.0)
    assert before[:9] == after[:9]
    assert before[9] != after[9]
    assert before[10:] == after[10:] == [None] * 10


def test_a_value_at_the_right_edge_is_drawn_and_one_beyond_is_not() -> None:
    assert graphs.sampled([(10.0, 3.0)], 2, 0.0, 10.0) == [None, 3.0]
    assert graphs.sampled([(11.0, 3.0), (-1.0, 3.0)], 2, 0.0, 10.0) == [None, None]
    assert graphs.sampled([(1.0, 3.0)], 3, 5.0, 5.0) == [None] * 3


@given(st.floats(0, 1e7), st.floats(1, 1e6))
def test_a_time_axis_holds_what_is_known_and_moves_seldom(span: float, more: float) -> None:
    edge = graphs.time_axis(1000.0, 1000.0 + span)
    assert edge >= 1000.0 + span
    assert span < 900 or edge - 1000.0 <= 2 * span + 86400 * (span > 64800)
    later = 1000.0 + span + more
    assert later > edge or graphs.time_axis(1000.0, later) == edge


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


@given(
    st.integers(20, 200),
    st.integers(3, 60),
    st.integers(1, 9),
    st.integers(2, 14),
    st.integers(0, 4),
    st.booleans(),
)
def test_no_layout_needs_more_rows_than_there_are(
    width: int, height: int, verdict: int, evidence: int, remedy: int, overview: bool
) -> None:
    head = plan_head(height, verdict_rows=verdict, remedy_rows=remedy, overview=overview)
    body = plan_overview(width, head.body, evidence_rows=evidence, series=4)
    above = (head.verdict, head.remedy, head.progress, head.tabs)
    parts = (body.evidence, body.graphs, body.log)
    assert all(part >= 0 for part in (*above, *parts))
    assert head.verdict >= 1
    assert sum(parts) == head.body
    assert sum(above) + head.body + 2 <= max(height, 4)


@given(st.integers(20, 200), st.integers(0, 60), st.integers(1, 6), st.integers(0, 8))
def test_graphs_share_what_there_is(width: int, rows: int, series: int, head: int) -> None:
    charts = plan_charts(width, rows, series=series, head_rows=head)
    lines = -(-charts.shown // charts.columns)
    assert 0 <= charts.shown <= series
    assert charts.head + lines * LEAST_GRAPH_ROWS <= rows


def test_a_phone_keeps_verdict_remedy_progress_and_evidence() -> None:
    phone = plan_head(18, verdict_rows=4, remedy_rows=2)
    assert (phone.verdict, phone.remedy, phone.progress, phone.tabs) == (3, 2, 2, 1)
    assert plan_overview(48, phone.body, evidence_rows=7, series=4).evidence >= 5


def test_graphs_are_dropped_before_the_log_and_the_log_before_the_evidence() -> None:
    counts = []
    for rows in range(2, 40):
        plan = plan_overview(118, rows, evidence_rows=7, series=4)
        counts.append((plan.evidence > 0, plan.log > 0, plan.graph_count > 0))
    assert counts == sorted(counts)
    assert counts[0] == (True, False, False)
    assert counts[-1] == (True, True, True)


def test_wide_screens_have_checkpoints_beside_the_evidence() -> None:
    assert plan_overview(118, 29, evidence_rows=7, series=4).wide
    assert not plan_overview(78, 29, evidence_rows=7, series=4).wide


def test_the_words_of_an_ending_are_those_of_the_model() -> None:
    assert {liveness.value for liveness in FINAL} == OVER
    assert set(TONES) == set(UNICODE.verdicts) == set(ASCII.verdicts) == set(Liveness)


@pytest.mark.parametrize("width", [8, 12, 20])
def test_control_characters_take_the_column_of_the_dot_that_stands_for_them(width: int) -> None:
    """Measured as nothing they made a row wider than its room, which cut the end of a word."""
    name = "\x1b[31mred\x1b]0;evil\x07 and more\x1b\x1b\x1b of it"
    rows = [
        *wrap(name, width, 9),
        cut(name, width),
        cut_middle(name, width),
        cut_words(name, width),
    ]
    for row in rows:
        assert row.isprintable()
        assert cell_len(row) <= width
    if width == 20:
        assert " ".join(wrap(name, width, 9)) == clean(name)
