"""What is typed wrongly, or of files that are not what they should be: one sentence, exit 2."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.model import Liveness
from monitor.status_model import RunStatus, WatcherView
from runners.attach.values import Candidate, Found
from tui.cli.attaching import candidate_lines
from tui.cli.main import run
from tui.cli.show import runs_table
from tui.launching.desk import LaunchDesk

RUN = "reference-20261124-031500-abcd"
HEADER = '{"trace": 1, "run": "r", "tick_s": 1.0, "boot_id": "b", "monotonic_s": 5.0}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run of which nothing else is known."""
    made = tmp_path / "runs" / RUN
    made.mkdir(parents=True)
    (made / "run.json").write_text("{}")
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param("attach --pid abc", "--pid: 'abc' is no process id", id="a word"),
        pytest.param("attach --pid 0", "--pid: '0' is no process id", id="pid 0"),
        pytest.param(f"attach --pid {'9' * 30}", "is no process id", id="a huge pid"),
        pytest.param("attach --total 0", "--total: '0' is no whole number", id="no total"),
        pytest.param(f"attach --total {'9' * 22}", "of 1 to 1 000 000 000", id="22 digits"),
        pytest.param("launch x --smoke abc", "--smoke: 'abc' is no whole number", id="smoke"),
        pytest.param("logs x -n -3", "--lines/-n: '-3' is no whole number", id="lines"),
        pytest.param("wait x --timeout soon", "--timeout: 'soon' is no number", id="a timeout"),
        pytest.param("wait x --timeout inf", "--timeout: 'inf' is no number", id="for ever"),
        pytest.param("drill x --speed 99", "--speed: '99' is no number of 0.05 to 3", id="speed"),
        pytest.param("service run --every 0", "--every: '0' is no pause of 0.1", id="no pause"),
    ],
)
def test_a_value_that_is_refused_says_what_is_wanted(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words.split())
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in told
    assert "_" not in told.splitlines()[-1], "the name of no function is shown"


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("launch ~nobody-here/my.toml", id="a recipe"),
        pytest.param("recipe check ~nobody-here/my.toml", id="a recipe to check"),
        pytest.param("attach --pid 1 --checkpoints ~nobody-here/out", id="a folder"),
        pytest.param("attach --pid 1 --log ~nobody-here/log", id="a log"),
        pytest.param(f"diagnose {RUN} --bundle ~nobody-here/b.tar.gz", id="a bundle"),
    ],
)
def test_the_home_of_nobody_is_said_in_a_sentence(
    folder: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) in (1, 2)
    told = capsys.readouterr()
    assert "there is no home folder ~nobody-here here; name the folder" in told.err + told.out


@pytest.mark.parametrize("words", ["doctor --engine podman", "doctor --lane tensorflow"])
def test_the_doctor_knows_no_other_lanes_and_engines_than_a_launch(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) == 2
    assert (
        f"unknown {words.split()[1][2:]} '{words.split()[2]}'; known: " in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["LANEWATCH_RUNS", "LANEWATCH_CACHE", "XDG_CONFIG_HOME"])
def test_the_same_of_a_variable(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "~nobody-here/x")
    assert run(["du"]) == 2
    assert "~nobody-here/x: there is no home folder" in capsys.readouterr().err


def test_a_current_folder_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(["launch", "--data=x.jsonl", "--model=tiny-random-qwen3"]) == 2
    assert "the current folder is gone: cd to one that is there" in capsys.readouterr().err
    assert LaunchDesk(tmp_path).first_form().recipe, "the form opens all the same"


def test_the_help_tells_how_a_run_is_opened(capsys: pytest.CaptureFixture[str]) -> None:
    for words, usage in (
        (["--help"], "usage: lanewatch [-h] [--version] [--readonly] [RUN | COMMAND ...]"),
        (["ack", "--help"], "usage: lanewatch ack [-h]"),
    ):
        with pytest.raises(SystemExit) as ended:
            run(words)
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(usage)


def test_the_drills_stand_in_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len({len(row) - len(row.partition("  ")[2].lstrip()) for row in listed}) == 1


def test_a_drill_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill", "quite-log"]) == 2
    said = capsys.readouterr().err
    assert "'quite-log'; did you mean quiet-log-by-design? `lanewatch drill` lists them" in said


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        pytest.param(b"", "holds no line", id="empty"),
        pytest.param(os.urandom(2000), "holds no line", id="garbage"),
        pytest.param(b'{"at": 1}\n', "no header", id="no header"),
        pytest.param(HEADER.encode(), "no look", id="only a header"),
    ],
)
def test_a_trace_that_replay_would_refuse_is_not_exported(
    folder: Path, tmp_path: Path, recorded: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "trace.jsonl").write_bytes(recorded)
    target = tmp_path / "night.jsonl"
    assert run(["events", RUN, "--trace", str(target)]) == 2
    told = capsys.readouterr().err
    assert "nothing to judge again was recorded" in told
    assert said in told
    assert not target.exists()


def test_a_trace_that_cannot_be_written_names_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "trace.jsonl").write_text(HEADER + '{"at": 1.0}\n')
    assert run(["events", RUN, "--trace", "/dev/full"]) == 2
    assert "cannot write /dev/full: No space left on device" in capsys.readouterr().err
    assert run(["events", RUN, "--trace", "-"]) == 0


@pytest.mark.parametrize("flag", ["--follow", "--json"])
def test_a_trace_is_neither_followed_nor_json(
    folder: Path, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["events", RUN, "--trace", "-", flag]) == 2
    assert "without --follow and --json" in capsys.readouterr().err


def test_lines_that_are_no_events_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = b'{"kind": "note", "text": "here"}\n'
    (folder / "events.jsonl").write_bytes(b"garbage\n\n[1]\n" + good + b"\xff\x00\n")
    for words in ([], ["--json"], ["--follow"]):
        assert run(["events", RUN, *words]) == 0
        said = capsys.readouterr()
        assert "here" in said.out
        assert f"3 lines are no events and left out: {folder}" in said.err


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_events_that_are_no_file_are_named(
    folder: Path, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    make(folder / "events.jsonl")
    assert run(["events", RUN]) == 2
    assert f"{folder}/events.jsonl: is not a regular file" in capsys.readouterr().err


def test_a_foreign_run_without_a_process_is_not_waited_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "run.json").write_text('{"kind": "foreign", "process": {"pid": "x"}}')
    assert run(["wait", RUN]) == 2
    assert "names no process" in capsys.readouterr().err
    assert run(["events", RUN, "--follow"]) == 0


def test_events_that_may_not_be_read_are_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "events.jsonl").symlink_to("events.jsonl")  # a loop: no one can open it
    assert run(["events", RUN]) == 2
    assert "events.jsonl" in capsys.readouterr().err


def test_a_path_of_a_candidate_stays_on_its_line() -> None:
    path = "/runs/a\nwarning: b\x1b[31m\r\u2028"
    candidate = Candidate(pid=1, start_ticks=2, command="x", checkpoints=Found(path, "told"))
    lines = list(candidate_lines(candidate))
    (shown,) = [line for line in lines if "/runs/a" in line]
    assert r"/runs/a\nwarning: b\x1b[31m\r\u2028  (told)" in shown
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("liveness", "watcher", "said"),
    [
        pytest.param(
            Liveness.TRAINING, WatcherView(pid=9, alive=True, age_s=1.0), "training", id="well"
        ),
        pytest.param(Liveness.TRAINING, WatcherView(pid=9), "training (unwatched)", id="dead"),
        pytest.param(
            Liveness.TRAINING,
            WatcherView(pid=9, alive=True, age_s=9.0),
            "training (unwatched)",
            id="mute",
        ),
        pytest.param(Liveness.FINISHED, WatcherView(pid=9), "finished", id="over"),
    ],
)
def test_the_list_of_runs_says_who_is_not_watched(
    liveness: Liveness, watcher: WatcherView, said: str
) -> None:
    status = RunStatus(run=RUN, verdict=liveness, reason="", watcher=watcher)
    _, row = runs_table([status])
    assert [each.strip() for each in row.split("  ") if each][3] == said
