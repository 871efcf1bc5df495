"""What a log's lines amount to, read from real logs and from lines meant to confuse."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.grammar import TOTALS, LogState, begin, fold, parse
from monitor.grammars.fact import Kind
from monitor.readings import LogProgress

LOGS = Path(__file__).parent.parent / "samples" / "logs"

STEP = (
    b" [2026-11-23 18:45:02] iteration       10/      30 | consumed samples:           80 |"
    b" elapsed time per iteration (ms): 189.6 | throughput per GPU (TFLOP/s/GPU): 0.0 |"
    b" learning rate: 8.117449E-04 | global batch size:     8 | lm loss: 5.517987E+00 |"
    b" loss scale: 1.0 | grad norm: 2.313 | number of skipped iterations:   0 |"
    b" number of nan iterations:   0 |"
)
WITHOUT_LOSS = STEP.replace(b" lm loss: 5.517987E+00 |", b"")


def lines_of(name: str) -> list[bytes]:
    return re.split(rb"[\r\n]", (LOGS / name).read_bytes())


def folded(lines: Iterable[bytes], state: LogState | None = None) -> LogState:
    state = state or begin()
    for line in lines:
        state = fold(state, line)
    return state


def said(*lines: bytes) -> LogProgress:
    return folded(lines).progress


def told(name: str) -> LogProgress:
    return folded(lines_of(name)).progress


def timeline(name: str) -> list[tuple[str | None, int | None]]:
    """Each (phase, iteration) in the order in which the log told them."""
    state, seen = begin(), []
    for line in lines_of(name):
        state = fold(state, line)
        now = (state.progress.phase, state.progress.iteration)
        if now != (seen[-1] if seen else (None, None)):
            seen.append(now)
    return seen


def test_a_training_of_megatron_bridge() -> None:
    progress = told("megatron-bridge-0.4.2-train.log")
    assert (progress.iteration, progress.total, progress.saved) == (30, 30, 30)
    assert progress.loss == pytest.approx(1.019954)
    assert (progress.lr, progress.grad_norm) == (0.0, pytest.approx(4.904))
    assert progress.step_s == pytest.approx(0.2577)
    assert progress.save_s == pytest.approx(0.1872)
    assert progress.memory_bytes == 434_110_000
    assert (progress.phase, progress.error, progress.nan) == ("stopping", None, False)


def test_the_phases_of_megatron_bridge() -> None:
    phases = timeline("megatron-bridge-0.4.2-train.log")
    assert phases[:4] == [
        ("loading", None),
        ("first_iteration", None),
        ("first_iteration", 0),
        ("iteration", 1),
    ]
    at = phases.index(("saving", 10))
    assert phases[at - 1 : at + 3] == [
        ("iteration", 10),
        ("saving", 10),
        ("iteration", 10),
        ("iteration", 11),
    ]
    assert phases[-1] == ("stopping", 30)


def test_a_training_that_was_told_to_stop() -> None:
    progress = told("megatron-bridge-0.4.2-sigterm.log")
    assert (progress.iteration, progress.saved, progress.phase) == (44, 44, "stopping")
    assert progress.save_s == pytest.approx(7.46705)
    assert ("stopping", 43) in timeline("megatron-bridge-0.4.2-sigterm.log")


def test_a_training_that_was_killed_while_it_saved() -> None:
    progress = told("megatron-bridge-0.4.2-killed.log")
    assert (progress.iteration, progress.saved, progress.phase) == (44, None, "saving")


@pytest.mark.parametrize(
    ("line", "loss", "nan"),
    [
        pytest.param(STEP, 5.517987, False, id="a loss"),
        pytest.param(WITHOUT_LOSS, None, True, id="left out: NaN"),
        pytest.param(STEP.replace(b"5.517987E+00", b"nan"), None, True, id="written out"),
        pytest.param(STEP.replace(b"5.517987E+00", b"1E+999"), None, True, id="beyond a float"),
        pytest.param(
            WITHOUT_LOSS.replace(b"skipped iterations:   0", b"skipped iterations:  10"),
            None,
            False,
            id="skipped: fp16 looks for its scale",
        ),
        pytest.param(
            STEP.replace(b"5.517987E+00", b"0.000000E+00").replace(
                b"skipped iterations:   0", b"skipped iterations:   1"
            ),
            None,
            False,
            id="averaged over no iteration",
        ),
        pytest.param(WITHOUT_LOSS[:200], None, False, id="cut short: nobody knows"),
        pytest.param(STEP.replace(b"lm loss", b"sft loss"), 5.517987, False, id="another name"),
        pytest.param(
            WITHOUT_LOSS.replace(b" loss scale", b" load_balancing_loss: 1.0E+00 | loss scale"),
            None,
            True,
            id="an auxiliary loss is not the loss",
        ),
    ],
)
def test_the_loss_of_a_step_line(line: bytes, loss: float | None, nan: bool) -> None:
    progress = said(line)
    assert (progress.loss, progress.nan) == (loss, nan)
    assert (progress.iteration, progress.total) == (10, 30)


def test_another_loss_does_not_hide_that_the_known_one_is_gone() -> None:
    other = WITHOUT_LOSS.replace(b" loss scale", b" sft loss: 1.0E+00 | loss scale")
    assert not said(other).nan
    assert said(STEP, other).nan


def test_a_skipped_iteration_with_nan_is_only_a_doubt() -> None:
    line = WITHOUT_LOSS.replace(b"skipped iterations:   0", b"skipped iterations:   1")
    progress = said(line.replace(b"nan iterations:   0", b"nan iterations:   1"))
    assert (progress.nan, progress.grad_nan) == (False, True)


def test_unsloth() -> None:
    progress = told("unsloth-2026.10.9.log")
    assert (progress.iteration, progress.total, progress.phase) == (30, 30, "stopping")
    assert (progress.loss, progress.lr) == (8.569, 3.144e-07)
    assert progress.step_s == pytest.approx(2.9, abs=0.1)
    phases = timeline("unsloth-2026.10.9.log")
    assert phases[:3] == [("loading", None), ("first_iteration", 0), ("iteration", 1)]
    assert [each for _, each in phases if each is not None] == [0, *range(1, 31), 30]


def test_an_evaluations_bar_is_not_the_trainings() -> None:
    phases = timeline("transformers-5.17-evaluation.log")
    iterations = [each for _, each in phases if each is not None]
    assert iterations == sorted(iterations)
    assert [each for phase, each in phases if phase == "evaluating"] == [5, 10, 15, 20]
    progress = told("transformers-5.17-evaluation.log")
    assert (progress.iteration, progress.total, progress.eval_loss) == (20, 20, 0.4832)


def test_without_cursor_movements_the_losses_tell_the_bars_apart() -> None:
    plain = [line.replace(b"\x1b[A", b"") for line in lines_of("transformers-5.17-evaluation.log")]
    for start in range(len(plain)):
        tail = folded(plain[start:])
        if tail.bars.seen and max(votes for _, votes in tail.bars.seen) > 0:
            assert (tail.progress.iteration, tail.progress.total) == (20, 20)


def test_a_known_total_tells_the_bars_apart_at_once() -> None:
    state = folded([b"  0%|          | 0/8 [00:00<?, ?it/s]"], begin(20))
    assert state.progress.iteration is None
    state = fold(state, b" 25%|##5       | 5/20 [00:30<01:30,  6.00s/it]")
    assert (state.progress.iteration, state.progress.step_s) == (5, None)


def test_a_total_that_was_told_wrong_gives_way_to_a_bar_that_follows_the_losses() -> None:
    loss = b"{'loss': '1.5', 'learning_rate': '1e-4', 'epoch': '0.1'}"
    state = begin(625)
    for done in (1, 2, 3):
        assert state.progress.total is None
        state = folded([loss, b"  1%%|    | %d/626 [00:10<01:30,  9.00s/it]" % done], state)
    assert (state.progress.iteration, state.progress.total) == (3, 626)


def test_an_evaluation_before_the_training_makes_way() -> None:
    progress = said(
        b"  0%|          | 0/63 [00:00<?, ?it/s]",
        b"100%|##########| 63/63 [00:09<00:00,  6.72it/s]",
        b"{'eval_loss': '1.898', 'eval_runtime': '9.3', 'epoch': '0'}",
        b"  0%|          | 0/625 [00:00<?, ?it/s]",
        b"  0%|          | 1/625 [00:43<7:33:12, 43.58s/it]",
    )
    assert (progress.iteration, progress.total) == (1, 625)
    assert progress.step_s == pytest.approx(43.6, abs=0.7)


def test_after_the_training_no_bar_counts() -> None:
    end = b"{'train_runtime': '95.4', 'train_loss': '9.757', 'epoch': '0.6'}"
    progress = said(
        b" 93%|#########3| 28/30 [01:29<00:05,  2.96s/it]",
        end,
        b"  0%|          | 0/63 [00:00<?, ?it/s]",
        b" 50%|#####     | 31/63 [00:05<00:05,  6.72it/s]",
    )
    assert (progress.iteration, progress.total) == (28, 30)


def test_an_evaluation_is_no_part_of_the_pace() -> None:
    bars = [b"  0%|          | 0/625 [00:00<?, ?it/s]"]
    bars += [b"  0%%|   | %d/625 [00:%d<9:99:99, 15.00s/it]" % (n, 15 * n) for n in (1, 2, 3)]
    bars.append(b"\x1b[A{'eval_loss': '0.4', 'eval_runtime': '600', 'epoch': '0.1'}")
    bars.append(b"  0%|          | 3/625 [10:45<9:99:99, 15.00s/it]")
    assert folded(bars).progress.step_s == pytest.approx(15)
    bars.append(b"  1%|          | 4/625 [10:54<9:99:99, 110.00s/it]")
    assert folded(bars).progress.step_s == pytest.approx(15)
    bars.append(b"  1%|          | 5/625 [11:05<9:99:99, 70.00s/it]")
    assert folded(bars).progress.step_s == pytest.approx(10)


@pytest.mark.parametrize("name", ["nan", "nan-filtered"])
def test_nan_by_transformers(name: str) -> None:
    progress = told(f"transformers-5.17-{name}.log")
    assert (progress.loss, progress.nan, progress.grad_nan) == (None, True, True)
    assert progress.iteration == 20


def test_dictionaries_alone_tell_no_iteration_but_an_epoch() -> None:
    progress = told("transformers-5.17-no-bar.log")
    assert (progress.iteration, progress.epoch, progress.loss) == (None, 0.4, 0.2141)


def test_a_bar_goes_on_between_two_losses() -> None:
    iterations = [each for _, each in timeline("transformers-5.17-every-fifth.log")]
    assert {each for each in iterations if each is not None and each % 5}


def test_the_pace_of_a_resumed_training_is_not_what_its_bar_says() -> None:
    """tqdm counts the 420 iterations that were skipped as done in the first 43 s."""
    bars = [b"  0%|          | 0/625 [00:00<?, ?it/s]"]
    for n in range(1, 30):
        elapsed = b"%02d:%02d" % divmod(n * 43, 60)
        bars.append(b" 67%%|####   | %d/625 [%s<00:21,  9.80it/s]" % (420 + n, elapsed))
    assert folded(bars[:2]).progress.step_s is None
    assert all(
        folded(bars[: 3 + n]).progress.step_s == pytest.approx(43, abs=0.1) for n in range(20)
    )


def test_a_new_process_in_the_same_log_begins_anew() -> None:
    progress = said(STEP, b"RuntimeError: x", b"> initializing torch distributed ...")
    assert progress == LogProgress(phase="loading")


LINES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([STEP, WITHOUT_LOSS, *lines_of("transformers-5.17-evaluation.log")[:60]]),
    st.from_regex(rb"\{'loss': '?[^}]{0,20}'?, 'epoch': '?\d+'?\}", fullmatch=True),
    st.from_regex(rb" *\d{1,3}%\|#*\| \d{1,20}/\d{1,20} \[\d\d:\d\d<\?, \?it/s\]", fullmatch=True),
    st.from_regex(
        rb"iteration +\d{1,20}/ *\d{1,20} \| elapsed time per iteration \(ms\): \S{1,9} \|"
        rb"( (lm loss|learning rate|number of skipped iterations): \S{1,9} \|)*",
        fullmatch=True,
    ),
)


@given(LINES)
def test_any_line_is_read_without_raising(line: bytes) -> None:
    fact = parse(line)
    assert fact is None or fact.kind in Kind


@given(st.lists(LINES, max_size=20))
def test_what_is_kept_is_bounded_and_within_its_bounds(lines: list[bytes]) -> None:
    state = folded(lines)
    progress = state.progress
    assert len(state.bars.seen) <= TOTALS
    assert len(state.bars.marks) <= 2
    assert not (progress.nan and progress.loss is not None)
    for value in (progress.iteration, progress.total, progress.memory_bytes):
        assert value is None or 0 <= value < 10**16


@given(st.lists(LINES, max_size=10), st.lists(LINES, max_size=10))
def test_to_fold_in_two_bites_is_to_fold_once(first: list[bytes], second: list[bytes]) -> None:
    assert folded(second, folded(first)) == folded([*first, *second])


@given(LINES)
def test_a_bar_that_is_drawn_twice_says_the_same(line: bytes) -> None:
    fact = parse(line)
    if fact is not None and fact.kind is Kind.BAR:
        once = fold(begin(), line)
        assert fold(once, line).progress.iteration == once.progress.iteration


def test_how_far_apart_the_lines_are_is_known_from_two_of_them() -> None:
    state, seen = begin(), []
    for done in (100, 200, 250, 250):
        state = fold(state, STEP.replace(b"iteration       10/", b"iteration %8d/" % done))
        seen.append((state.progress.iteration, state.progress.every))
    assert seen == [(100, None), (200, 100), (250, 50), (250, 50)]
