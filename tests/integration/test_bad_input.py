"""Bad input on the command line: one clear sentence, the right exit code, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import CLI, RECIPE, Lanewatch, read, state, trained, until

from monitor.metrics import read_metrics
from monitor.rundir import RunDir

ROW = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


def recipe(folder: Path, data: str = "rows.jsonl", extra: str = "") -> Path:
    """A small recipe in *folder*."""
    path = folder / "recipe.toml"
    path.write_text(
        f'[model]\npath = "tiny-random-qwen3"\nsequence_length = 64\n[data]\npath = "{data}"\n'
        f'[train]\niterations = 4\nsave_interval = 2\nprecision = "fp32"\n{extra}'
    )
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "recipe.toml", id="missing"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\x00\x01\xff\xfe", "recipe.toml", id="binary"),
        pytest.param(b"# " + b"x" * (50 << 20), "recipe.toml", id="50 MB"),
        pytest.param(b"[train\n", "line 1", id="no TOML"),
        pytest.param(b'[trian]\nlr = 1\n[data]\npath = "x"\n', "train", id="unknown table"),
        pytest.param(b'[train]\nlr = "fast"\n[data]\npath = "x"\n', "train.lr", id="wrong type"),
    ],
)
@pytest.mark.parametrize("command", ["launch", "check"])
def test_a_wrong_recipe(
    lanewatch: Lanewatch, tmp_path: Path, content: bytes | None, says: str, command: str
) -> None:
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    words = ("launch", str(path)) if command == "launch" else ("recipe", "check", str(path))
    done = lanewatch.call(*words)
    assert done.returncode == (2 if command == "launch" else 1)
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert not lanewatch.root.exists()


def test_a_recipe_that_is_a_folder(lanewatch: Lanewatch, tmp_path: Path) -> None:
    assert "is a folder" in lanewatch("launch", str(tmp_path), code=2)


def test_every_problem_is_told_at_once(lanewatch: Lanewatch, tmp_path: Path) -> None:
    path = recipe(tmp_path, extra="wamrup = 0.1\nlr = -1\n[lora]\nrank = 0\n")
    said = lanewatch("launch", str(path), code=2)
    for words in ("train.wamrup", "train.warmup", "train.lr", "lora.rank"):
        assert words in said


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda path: None, "no such data file", id="missing"),
        pytest.param(lambda path: path.mkdir(), "folder", id="a directory"),
    ],
)
def test_a_dataset_that_is_not_there_is_refused_at_launch(
    lanewatch: Lanewatch, tmp_path: Path, make, says: str
) -> None:
    make(tmp_path / "rows.jsonl")
    assert says in lanewatch("launch", str(recipe(tmp_path)), code=2)
    assert not lanewatch.root.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "rows.jsonl", id="empty"),
        pytest.param(b"\x00\xff" * 100, "binary file", id="binary"),
        pytest.param(json.dumps(ROW).encode() + b"\n{broken\n", "line 2", id="a bad row"),
        pytest.param(b'{"foo": 1}\n', "line 1", id="no known shape"),
    ],
)
def test_bad_rows_are_named_by_line_before_a_run_is_made(
    lanewatch: Lanewatch, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    path = recipe(tmp_path)
    assert says in lanewatch("launch", str(path), code=2)
    assert not lanewatch.root.exists()
    checked = lanewatch.call("recipe", "check", str(path))
    assert checked.returncode == 1
    assert says in checked.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("status", "nothing"),
        ("logs", "nothing"),
        ("events", "nothing"),
        ("wait", "nothing"),
        ("stop", "nothing"),
        ("kill", "nothing"),
        ("resume", "nothing"),
        ("watch", "nothing"),
        ("rm", "nothing", "--yes"),
        ("nothing",),
    ],
    ids=lambda words: words[0],
)
def test_a_run_that_is_not_there(lanewatch: Lanewatch, words: tuple[str, ...]) -> None:
    assert "no run matches 'nothing'" in lanewatch(*words, code=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(("launch", str(RECIPE), "--lane=nope"), "unknown lane 'nope'", id="lane"),
        pytest.param(("launch", str(RECIPE), "--engine=x"), "unknown engine 'x'", id="engine"),
        pytest.param(("launch",), "what to train?", id="nothing to train"),
        pytest.param(("launch", str(RECIPE), "--smoke=1"), "--smoke 1", id="smoke of one step"),
        pytest.param(("launch", str(RECIPE), "--name=a b"), "not usable", id="name"),
        pytest.param(("launch", str(RECIPE), "--set=x"), "--set", id="set without a value"),
        pytest.param(("lauch",), "did you mean `lanewatch launch`", id="typing error"),
        pytest.param(("launch", "--data", "x"), "--model", id="data without model"),
        pytest.param(("frobnicate", "--json"), "lanewatch", id="unknown command with a flag"),
        pytest.param(("status",), "usage", id="no run named"),
        pytest.param(("wait", "x", "--timeout=nan"), "--timeout", id="a timeout that is no time"),
        pytest.param(("wait", "x", "--timeout=-5"), "--timeout", id="a negative timeout"),
        pytest.param(("logs", "x", "--lines=0"), "--lines", id="no lines"),
        pytest.param(("recipe", "init", ""), "name a file", id="a file without a name"),
        pytest.param(
            ("launch", str(RECIPE), "--dry-run", "--name=../x"), "not usable", id="dry-run name"
        ),
        pytest.param(
            ("launch", str(RECIPE), "--set=memory.limit_gib=1e308"), "limit_gib", id="a huge limit"
        ),
        pytest.param(
            ("launch", str(RECIPE), "--set=train.iterations=" + "9" * 30), "iterations", id="typo"
        ),
    ],
)
def test_wrong_usage(lanewatch: Lanewatch, words: tuple[str, ...], says: str) -> None:
    assert says in lanewatch(*words, code=2)


def test_a_wrong_configuration_is_78(lanewatch: Lanewatch) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "lanewatch" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[launch]\nlan = 'x'\n")
    assert "did you mean launch.lane" in lanewatch("runs", code=78)
    assert lanewatch("config", "path").strip() == str(config)


def test_a_configuration_that_is_a_pipe_holds_up_nobody(lanewatch: Lanewatch) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "lanewatch" / "config.toml"
    config.parent.mkdir(parents=True)
    os.mkfifo(config)
    assert "not a regular file" in lanewatch("runs", code=78)


def test_a_root_that_is_a_file_is_an_error_and_not_an_empty_list(lanewatch: Lanewatch) -> None:
    lanewatch.root.write_text("not a folder")
    for words in (("runs",), ("runs", "--json"), ("status", "x")):
        assert "cannot list runs" in lanewatch(*words, code=2)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_closed_standard_streams_change_no_exit_code(lanewatch: Lanewatch, closed: str) -> None:
    for words, code in (("runs", 0), ("status nothing", 2)):
        command = f"{' '.join(CLI)} {words} {closed}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_a_damaged_checkpoint_is_passed_over_by_resume(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=12, save_interval=4)
    until(lambda: trained(run) >= 9, "two checkpoints")
    lanewatch("kill", run.root.name)
    lanewatch("wait", run.root.name, code=1)
    saved = [each["iteration"] for each in lanewatch.json("status", run.root.name)["checkpoints"]]
    newest = run.checkpoint(saved[-1]) / "adapter_model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-10])
    lanewatch("resume", run.root.name)
    lanewatch("wait", run.root.name)
    first = next(each for each in read_metrics(run.metrics).iterations if each.attempt == 2)
    assert first.iteration == saved[-2] + 1


def test_a_root_of_garbage_is_listed_and_explained(lanewatch: Lanewatch) -> None:
    garbage = lanewatch.root / "reference-20260101-000000-dead"
    garbage.mkdir(parents=True)
    for name in ("run.json", "state.json", "heartbeat.json", "watch.json", "events.jsonl"):
        (garbage / name).write_bytes(b"\x00\xff{{{" * 1000)
    (garbage / "telemetry.sqlite3").write_bytes(b"not a database" * 100)
    assert [each["verdict"] for each in lanewatch.json("runs")] == ["lost"]
    status = lanewatch.json("status", "dead")
    assert {"run.json", "state.json"} <= {problem.split()[0] for problem in status["problems"]}
    lanewatch("events", "dead")
    for command in ("resume", "watch", "stop", "kill"):
        assert "run.json" in lanewatch(command, "dead", code=2)
    assert lanewatch("rm", "dead", "--yes").strip() == garbage.name


def test_files_that_are_pipes_or_folders_hold_up_nobody(lanewatch: Lanewatch) -> None:
    run = lanewatch.root / "reference-20260101-000000-f1f0"
    run.mkdir(parents=True)
    for name in ("run.json", "state.json", "heartbeat.json", "events.jsonl"):
        os.mkfifo(run / name)
    (run / "watch.json").mkdir()
    assert lanewatch.json("status", "f1f0")["verdict"] == "lost"
    assert "is not a regular file" in lanewatch("events", "f1f0", code=2)


def test_corrupt_files_of_a_living_run_cost_only_their_own_signal(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=400, save_interval=100)
    until(lambda: trained(run) >= 2, "two iterations")
    until(run.telemetry.exists, "telemetry")
    trainer = state(run)["process"]["pid"]
    for path in (run.heartbeat, run.watch, run.state):
        path.write_bytes(b"\x00garbage\xff")
    run.telemetry.write_bytes(b"garbage" * 1000)
    assert lanewatch.json("status", run.root.name)["verdict"] not in ("failed", "stalled")
    until(lambda: read(run.heartbeat).get("seq"), "the trainer writes its heartbeat again")
    until(lambda: read(run.watch).get("verdict"), "the watcher writes its word again")
    os.kill(trainer, 0)
    # the keeper knows the run by heart: its next write makes state.json whole
    lanewatch("stop", run.root.name, "--save")
    lanewatch("wait", run.root.name, code=1)
    status = lanewatch.json("status", run.root.name)
    assert status["verdict"] == "stopped"
    assert status["checkpoints"][-1]["complete"]


def test_a_corrupt_run_json_stops_nothing_that_runs(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=12, save_interval=6)
    until(lambda: trained(run) >= 1, "an iteration")
    run.run_json.write_bytes(b"{half")
    lanewatch("wait", run.root.name)
    status = lanewatch.json("status", run.root.name)
    assert status["verdict"] == "finished"


def test_a_run_folder_deleted_while_it_runs_is_one_sentence(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=400, save_interval=5)
    until(lambda: trained(run) >= 1, "an iteration")
    pids = {role: state(run)[role]["pid"] for role in ("keeper", "watcher", "process")}
    waiting = subprocess.Popen(
        [*CLI, "wait", run.root.name], stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
    )
    moved = run.root.with_name("moved-away")
    until(lambda: waiting.poll() is None, "the waiting one")
    run.root.rename(moved)
    shutil.rmtree(moved)
    said = waiting.communicate(timeout=60)[1]
    assert waiting.returncode in (1, 2)
    assert "Traceback" not in said
    until(lambda: not any(lives(pid) for pid in pids.values()), f"all of {pids} ended")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_pid_that_belongs_to_another_process_is_not_taken_for_ours(
    lanewatch: Lanewatch,
) -> None:
    """state.json of a dead run names a pid that a stranger has now: the stranger is left alone."""
    run = lanewatch.launch(iterations=400, save_interval=400)
    until(lambda: trained(run) >= 1, "an iteration")
    keeper, watcher = state(run)["keeper"]["pid"], state(run)["watcher"]["pid"]
    trainer = state(run)["process"]["pid"]
    for pid in (watcher, keeper, watcher, trainer):
        if lives(pid):
            os.kill(pid, signal.SIGKILL)
    stranger = subprocess.Popen(["sleep", "300"])
    try:
        until(lambda: not lives(trainer), "the trainer's end")
        settle(lanewatch, run)
        content = state(run)
        content |= {"status": "running", "cause": None}
        content["process"] = {
            "pid": stranger.pid,
            "start_ticks": 1,
            "boot_id": content["boot_id"],
            "container_id": None,
        }
        content["stages"][2]["status"] = "running"
        run.state.write_text(json.dumps(content))
        assert lanewatch.json("status", run.root.name)["verdict"] not in ("training", "starting")
        lanewatch("kill", run.root.name)
        settle(lanewatch, run)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def settle(lanewatch: Lanewatch, run: RunDir) -> None:
    lanewatch.call("watch", run.root.name)
    until(lambda: state(run).get("status") in ("failed", "stopped"), "an end")
    until(lambda: not any(lives(state(run)[who]["pid"]) for who in ("keeper", "watcher")), "quiet")


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 24 MiB of its own."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk; CI is root")
def test_a_disk_that_fills_up_is_named_as_the_cause_and_what_was_saved_is_kept(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANEWATCH_RUNS", str(small_disk / "runs"))
    lanewatch = Lanewatch(small_disk / "runs")
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (8 << 20))
    run = lanewatch.launch("--anyway", iterations=4000, save_interval=4)
    until(lambda: trained(run) >= 1, "an iteration")
    trainer = state(run)["process"]["pid"]
    until(lambda: not lives(trainer), "the trainer gave up: its checkpoints had filled the disk")
    filler.unlink()  # space is back: the keeper can write its last word
    lanewatch("wait", run.root.name, code=1)
    status = lanewatch.json("status", run.root.name)
    assert status["verdict"] == "failed"
    assert "disk full" in status["cause"]
    assert status["checkpoints"][0]["complete"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount; CI is root")
def test_a_run_folder_that_becomes_read_only_is_still_read(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANEWATCH_RUNS", str(small_disk / "runs"))
    lanewatch = Lanewatch(small_disk / "runs")
    run = lanewatch.launch(iterations=8, save_interval=4)
    lanewatch("wait", run.root.name)
    ours = [state(run)[who]["pid"] for who in ("keeper", "watcher")]
    until(lambda: not any(map(lives, ours)), "the end of keeper and watcher")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert lanewatch.json("status", run.root.name)["verdict"] == "finished"
    assert lanewatch.json("runs")[0]["iteration"] == 8
    lanewatch("events", run.root.name)
    lanewatch("logs", run.root.name)
    for words in (("resume",), ("rm", "--yes")):
        said = lanewatch(words[0], run.root.name, *words[1:], code=2)
        assert said.count("\n") == 1


def test_a_hostile_log_is_shown_without_its_control_sequences(lanewatch: Lanewatch) -> None:
    run = lanewatch.launch(iterations=3, save_interval=3)
    lanewatch("wait", run.root.name)
    log = run.log("train")
    bar = b"\r".join(b"%d%%|" % percent for percent in range(100))
    with log.open("ab") as stream:
        stream.write(b"\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\x00nul\n" + bar + b"\n")
        stream.write(b"y" * (1 << 20) + b"\nlast line\n")
    shown = lanewatch.call("logs", run.root.name, "--stage=train").stdout
    assert not set(shown) & {"\x1b", "\x00", "\r", "\x07"}
    assert "rednul" in shown
    assert "99%|" in shown
    assert shown.rstrip().endswith("last line")
    assert max(map(len, shown.splitlines())) < 200_000
