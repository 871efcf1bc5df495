"""The desk behind the launch form, on this machine, with the demo's recipe: nothing is launched."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from monitor.rundir import runs_root
from runners import config
from runners.choices import remember_launch
from runners.config import config_path
from runners.doctor import examine
from runners.errors import EngineError
from runners.precedent import Precedent
from runners.projection import SmokeResult, project
from runners.recipe.demo import demo_corpus_path, demo_recipe_path
from tui.cli.launching import _to_repeat
from tui.cli.parser import build_parser
from tui.launching import desk as desk_module
from tui.launching.desk import LaunchDesk
from tui.launching.form import AFTER, Field, Form
from tui.launching.values import Looked

FORM = Form(recipe=str(demo_recipe_path()))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchDesk:
    """A desk on a machine whose Python has the lane."""
    monkeypatch.setattr("runners.launch.check_lane", lambda order: None)
    monkeypatch.setattr(examine, "LAUNCH_S", 60.0)
    return LaunchDesk(runs_root(), tmp_path)


def _last(desk: LaunchDesk, form: Form) -> Looked:
    *_, last = desk.look(form)
    return last


def _told(looked: Looked, field: Field | None) -> str:
    return " ".join(sentence for place, sentence in looked.problems if place is field)


def test_a_launch_is_looked_at_step_by_step(desk: LaunchDesk) -> None:
    steps = list(desk.look(FORM))
    looking = [each.looking for each in steps]
    assert looking[:2] == ["recipe", "machine"]
    assert looking[-3:] == ["earlier runs", "rows", ""]
    lines = [len(each.checks) for each in steps]
    assert lines == sorted(lines)
    assert len({*lines}) > 3  # they come as they are known, not all at once
    last = steps[-1]
    assert last.problems == ()
    assert last.says[Field.DATA] == str(demo_corpus_path())
    assert last.memory.startswith(("safe", "tight", "refuse"))
    named = {each.name for each in last.checks}
    assert {"memory", "base", "data", "tokenizer", "disk"} <= named
    for before, after in itertools.pairwise(steps):
        assert {*before.checks} <= {*after.checks}
    assert not runs_root().exists()


@pytest.mark.parametrize(
    ("changed", "field", "told"),
    [
        pytest.param({"iterations": "0"}, Field.ITERATIONS, "is 0", id="no iterations"),
        pytest.param({"iterations": "many"}, Field.ITERATIONS, "many", id="no number"),
        pytest.param(
            {"iterations": "10", "save": "50"}, Field.SAVE, "nothing would be saved", id="no save"
        ),
        pytest.param({"data": "/no/rows.jsonl"}, Field.DATA, "no such data file", id="no rows"),
        pytest.param({"model": "/no/model"}, Field.MODEL, "there is no folder", id="no model"),
        pytest.param({"recipe": "/no/r.toml"}, Field.RECIPE, "no such file", id="no recipe"),
        pytest.param({"recipe": None}, Field.DATA, "must be named", id="nothing to train"),
        pytest.param({"lane": "lora"}, Field.LANE, "unknown lane", id="no such lane"),
        pytest.param({"device": "1,2"}, Field.DEVICE, "the number of one GPU", id="two GPUs"),
        pytest.param({"device": "41"}, Field.DEVICE, "GPU 41", id="a GPU that is not here"),
        pytest.param({"name": "a b"}, Field.NAME, "not usable", id="a bad name"),
        pytest.param({"start": "after x"}, Field.START, "no run matches", id="after no run"),
    ],
)
def test_what_would_refuse_a_launch_stands_beside_its_field(
    desk: LaunchDesk, changed: dict[str, str | None], field: Field | None, told: str
) -> None:
    last = _last(desk, replace(FORM, **changed))  # type: ignore[arg-type]
    assert told in _told(last, field)


def test_all_that_is_wrong_is_told_at_once_and_without_the_rows_folder(
    desk: LaunchDesk, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a"}\nno\n')
    last = _last(desk, replace(FORM, data=str(rows), name="a b", start="after x"))
    assert "rows.jsonl, line 2" in _told(last, Field.DATA)
    assert str(tmp_path) not in _told(last, Field.DATA)
    assert "not usable" in _told(last, Field.NAME)
    last = _last(desk, replace(FORM, iterations="0", name="a b", start="after x"))
    assert "is 0" in _told(last, Field.ITERATIONS)
    assert "not usable" in _told(last, Field.NAME)
    assert "no run matches" in _told(last, Field.START)


def test_the_rows_that_stand_in_the_form_are_described_too(
    desk: LaunchDesk, tmp_path: Path
) -> None:
    far = tmp_path / ".hidden" / "rows.jsonl"
    far.parent.mkdir()
    far.write_text('{"text": "a first row"}\n{"text": "b"}\n')
    assert list(desk.choices(Field.DATA)) == []
    (now,) = desk.choices(Field.DATA, str(far))
    assert (now.value, now.note, now.detail) == (str(far), "2 rows, text", "a first row")


def test_a_lane_that_cannot_run_here_says_so(
    desk: LaunchDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(order: object) -> None:
        raise EngineError("python has no torch: install it")

    monkeypatch.setattr("runners.launch.check_lane", refuse)
    assert "has no torch" in _told(_last(desk, FORM), Field.LANE)
    told = _told(_last(desk, replace(FORM, engine="docker")), Field.ENGINE)
    assert "has no torch" in told


def test_the_form_begins_with_the_last_launch(desk: LaunchDesk) -> None:
    assert desk.first_form() == FORM
    root = runs_root()
    root.mkdir()
    remember_launch(root, ["launch", "/a.toml", "--lane=nemo", "--set=train.iterations=9"])
    assert desk.first_form() == Form(recipe="/a.toml", lane="nemo", iterations="9")
    remember_launch(root, ["launch", "--no-such-flag"])
    assert desk.first_form() == FORM
    desk.remember_at_limit("stop-now")
    assert desk.at_limit() == "stop-now"
    assert desk.first_form().at_limit == "stop-now"


def test_the_first_form_takes_lane_and_engine_of_the_configuration(desk: LaunchDesk) -> None:
    config.put("launch.lane", "unsloth")
    config.put("launch.engine", "docker")
    assert desk.first_form() == replace(FORM, lane="unsloth", engine="docker")


def test_a_setting_that_names_a_file_is_repeated_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = build_parser().parse_args(
        ["launch", "/r.toml", "--set", "data.eval_path=e.jsonl", "--set", "train.lr=0.1"]
    )
    order = SimpleNamespace(lane="reference", engine="local")
    said = _to_repeat(order, options)  # type: ignore[arg-type]
    assert f"--set=data.eval_path={tmp_path}/e.jsonl" in said
    assert "--set=train.lr=0.1" in said


def test_a_configuration_that_breaks_under_the_screen_is_told_in_the_form(
    desk: LaunchDesk,
) -> None:
    desk.remember_at_limit("notify")
    config_path().write_text("[ui\n")
    assert desk.first_form() == FORM
    told = " ".join(sentence for _, sentence in _last(desk, FORM).problems)
    assert "is not TOML" in told


def test_what_can_be_picked(
    desk: LaunchDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "bad.jsonl").write_text("no\n")
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    assert [each.note for each in desk.choices(Field.RECIPE)] == ["shipped"]
    assert [(each.title, each.note) for each in desk.choices(Field.DATA)] == [
        ("rows.jsonl", "1 row, text"),
        ("bad.jsonl", "not usable"),
    ]
    assert [each.note for each in desk.choices(Field.MODEL)] == ["made on the spot"]
    assert list(desk.choices(Field.LANE)) == []


def test_a_later_look_ends_an_earlier_one(
    desk: LaunchDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    seen: list[str] = []

    def look(self: LaunchDesk, form: Form) -> Iterator[Looked]:
        yield Looked(looking=f"{form.name} begins")
        if form.name == "first":
            begun.set()
            go_on.wait(60)
        yield Looked(looking=f"{form.name} ends")
        if form.name == "third":
            done.set()

    monkeypatch.setattr(LaunchDesk, "look", look)
    desk.look_at(Form(name="first"), lambda looked: seen.append(looked.looking))
    assert begun.wait(60)
    for name in ("second", "third"):
        desk.look_at(Form(name=name), lambda looked: seen.append(looked.looking))
    go_on.set()
    assert done.wait(60)
    # Before each stands that it is looked at: what the one before would meet is gone at once.
    assert seen == ["recipe", "first begins", "recipe", "recipe", "third begins", "third ends"]


def test_a_look_that_fails_is_told(desk: LaunchDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is on fire")

    monkeypatch.setattr(desk_module.LaunchDesk, "_examined", fail)
    assert "the disk is on fire" in _told(_last(desk, FORM), None)


def _train_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a training is known to have run."""
    smoke = SmokeResult(step_s=2.0, first_save_s=10.0, later_save_s=1.0)
    projection = project(smoke, iterations=100, save_interval=50)
    found = Precedent(run="reference-1", step_s=2.0, projection=projection)
    monkeypatch.setattr("runners.precedent.find_precedent", lambda *_: found)


def test_the_last_run_of_the_same_training_projects_the_end(
    desk: LaunchDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _train_before(monkeypatch)
    said = _last(desk, FORM).projected
    assert said.startswith("training takes 3m 31s, to about ")
    assert said.endswith(", as reference-1 went")


def test_a_launch_that_waits_is_told_no_time_of_its_end(
    desk: LaunchDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock would begin now, and nobody knows yet when the run ahead lets it begin."""
    _train_before(monkeypatch)
    waiting = replace(FORM, start=f"{AFTER}reference-2")
    said = _last(desk, waiting).projected
    assert said == "training takes 3m 31s, once it begins, as reference-1 went"
