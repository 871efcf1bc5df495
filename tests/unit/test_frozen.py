"""`replace` does what `dataclasses.replace` does."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ages import AgeState
from monitor.frozen import replace
from monitor.marks import Mark


@given(st.text(), st.none() | st.floats(allow_nan=False), st.text())
def test_it_changes_what_is_named_and_keeps_the_rest(key: str, at: float | None, new: str) -> None:
    mark = Mark(key, at)
    assert replace(mark, key=new) == dataclasses.replace(mark, key=new)
    assert mark == Mark(key, at)
    state = AgeState(boot_id=key, marks={key: mark}, gaps=3)
    assert replace(state, gap_s=1.0) == dataclasses.replace(state, gap_s=1.0)


@dataclasses.dataclass(frozen=True, slots=True)
class One:
    field: int


def test_a_single_field_and_one_that_is_not_there() -> None:
    assert replace(One(1), field=2) == One(2)
    with pytest.raises(TypeError):
        replace(One(1), other=2)
