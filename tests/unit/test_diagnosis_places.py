"""Places in code are named alike by every Python, and with those that called them."""

from __future__ import annotations

import pytest
from stalled_facts import STALLED

from monitor.diagnosis.conclude import conclude
from monitor.diagnosis.stacks import compare
from monitor.diagnosis.values import Cause, Frame, KernelThread, Stack
from monitor.frozen import replace

TURN = Frame("spin.<locals>.turn", "/a/faults.py", 81)
BUSY = KernelThread(pid=7, tid=8, state="R", cpu_share=0.94)


def places(*frames: Frame) -> tuple[Frame, ...]:
    """Where a thread stays that was seen in *frames* twice."""
    stack = Stack(pid=7, tid=8, name="spins", frames=frames)
    (view,) = compare([[stack], [stack]], (BUSY,))
    return view.stays_in


def test_a_comprehension_is_a_line_of_its_function() -> None:
    step = Frame("Net.step", "/a/net.py", 60)
    rows = Frame("Net.step.<locals>.<listcomp>", "/a/net.py", 64)
    cells = Frame("Net.step.<locals>.<listcomp>.<locals>.<genexpr>", "/a/net.py", 65)
    assert places(rows, step, TURN) == (replace(step, line=64), TURN)
    assert places(cells, rows, step, TURN) == (replace(step, line=65), TURN)
    bare = Frame("<listcomp>", "/a/net.py", 64)
    assert places(bare, step) == (replace(step, line=64),), "Python 3.10 knows no more of it"


def test_a_generator_is_no_line_of_who_draws_from_it() -> None:
    rows = Frame("Net.rows.<locals>.<genexpr>", "/a/net.py", 64)
    near, far = Frame("draw", "/a/net.py", 80), Frame("draw", "/b/other.py", 80)
    assert places(rows, near, TURN) == (rows, near, TURN)
    assert places(rows, far, TURN) == (rows, far, TURN)
    bare = Frame("<genexpr>", "/a/net.py", 64)
    assert places(bare, near) == (bare, near)


@pytest.mark.parametrize("torn", [0, 1, 2])
def test_a_torn_stack_of_a_thread_that_runs_hides_no_place(torn: int) -> None:
    """Read while it ran: py-spy once gave the generator alone."""
    part = Stack(pid=7, tid=8, name="spins", frames=(Frame("<genexpr>", "/a/net.py", 64),))
    whole = replace(part, frames=(Frame("Net.step", "/a/net.py", 60), TURN))
    samples = [[whole], [whole], [whole]]
    samples[torn] = [part]
    (view,) = compare(samples, (BUSY,))
    assert view.stays_in == whole.frames
    assert not view.still
    (view,) = compare([[part], [whole]], (BUSY,))
    assert view.stays_in == whole.frames


def test_a_spin_whose_samples_all_fall_into_one_step_still_names_the_loop() -> None:
    """Seen on a starved machine: two samples, both in the step, and the loop was not named."""
    frames = (
        Frame("Random.gauss", "/usr/lib/python3.11/random.py", 600),
        Frame("Net.step.<locals>.<listcomp>", "/a/net.py", 64),
        Frame("Net.step", "/a/net.py", 60),
        TURN,
        Frame("Thread.run", "/usr/lib/python3.11/threading.py", 982),
    )
    stack = Stack(pid=7, tid=8, name="spins", frames=frames)
    facts = replace(
        STALLED,
        signature=None,
        words="",
        samples=2,
        kernel=(BUSY,),
        threads=compare([[stack], [stack]], (BUSY,)),
    )
    said = conclude(facts)
    assert said.cause == Cause.SPINNING
    assert "thread spins was seen in Random.gauss (python3.11/random.py:600)" in said.sentence
    assert "called from Net.step (a/net.py:64)" in said.sentence
    assert "called from spin.<locals>.turn (a/faults.py:81)" in said.sentence
    frames = frames[2:]
    stack = replace(stack, frames=frames)
    said = conclude(replace(facts, threads=compare([[stack], [stack]], (BUSY,))))
    assert said.sentence.endswith("called from spin.<locals>.turn (a/faults.py:81)"), "no more"
