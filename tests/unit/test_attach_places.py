"""Where a container's paths lie on this machine, and which folder a trainer saves into."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runners.attach import search
from runners.attach.docker_engine import DockerEngine, container_from
from runners.attach.expected import from_checkpoints, from_log
from runners.attach.folders import open_folder, saved_below
from runners.attach.mounts import by_pairs, parse_mountinfo, to_host
from runners.attach.process_table import ProcessTable
from runners.attach.saving import Claim, choose_folder, shared_with
from runners.attach.search import Search
from runners.attach.values import Descriptor, Found, Process
from runners.engines.docker_socket import engine_url
from runners.errors import EngineError

OURS = parse_mountinfo(
    """\
25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 25 0:22 / /proc rw - proc proc rw
40 25 259:1 / /data rw shared:3 - xfs /dev/nvme1n1 rw
41 25 0:60 /exports/home /home rw - nfs4 nas:/exports rw
"""
)
THEIRS = parse_mountinfo(
    """\
109 61 0:50 / / rw master:3 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/docker/7/diff,workdir=/w
110 109 0:53 / /proc rw - proc proc rw
126 109 254:0 /home/nvidia/p65 /workspace rw - ext4 /dev/vda rw
127 126 259:1 /runs\\040full /workspace/runs rw - xfs /dev/nvme1n1 rw
128 109 0:60 /exports/home/me /me rw - nfs4 nas:/exports rw
129 109 0:70 / /dev/shm rw - tmpfs shm rw
"""  # noqa: E501 - as the kernel writes it
)


@pytest.mark.parametrize(
    ("path", "here"),
    [
        pytest.param("/workspace/train.log", "/home/nvidia/p65/train.log", id="a bind mount"),
        pytest.param("/workspace", "/home/nvidia/p65", id="the mount point itself"),
        pytest.param("/workspace/runs/x", "/data/runs full/x", id="a mount within a mount"),
        pytest.param("/workspaces/x", "/docker/7/diff/workspaces/x", id="no prefix of a word"),
        pytest.param("/root/out", "/docker/7/diff/root/out", id="the container's own layer"),
        pytest.param("/me/a", "/home/me/a", id="a part of what is mounted here"),
        pytest.param("/dev/shm/x", None, id="a file system that is not here"),
        pytest.param("relative", None, id="a path that is none"),
    ],
)
def test_a_path_of_a_container_on_this_machine(path: str, here: str | None) -> None:
    assert to_host(path, THEIRS, OURS) == here


def test_a_later_mount_covers_an_earlier_one() -> None:
    covered = (*THEIRS, *parse_mountinfo("130 109 259:1 /new /workspace rw - xfs x rw"))
    assert to_host("/workspace/a", covered, OURS) == "/data/new/a"


@pytest.mark.parametrize("text", ["", "garbage\n\n - - -", "1 2 3 - x"])
def test_a_strange_table_holds_no_mounts(text: str) -> None:
    assert to_host("/x", parse_mountinfo(text), OURS) is None


def test_the_longest_of_an_engines_pairs_counts() -> None:
    pairs = [("/w", "/a"), ("/w/deep", "/b"), ("/", "/layer")]
    assert by_pairs("/w/deep/x", pairs) == "/b/x"
    assert by_pairs("/w/x", pairs) == "/a/x"
    assert by_pairs("/x", pairs) == "/layer/x"
    assert by_pairs("/x", pairs[:1]) is None


def test_what_docker_leaves_out_is_not_known() -> None:
    bare = container_from({"Id": "abc", "GraphDriver": {"Data": None}, "Mounts": None})
    assert (bare.id, bare.name, bare.layer, bare.mounts) == ("abc", "", None, ())
    assert container_from({"State": {"Pid": 0}}).main_pid is None


def test_the_engine_is_the_one_that_the_client_would_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    assert engine_url() == "unix:///var/run/docker.sock"
    (tmp_path / "config.json").write_text('{"currentContext": "rootless"}')
    with pytest.raises(EngineError, match=r"context rootless that .*config\.json names is not"):
        engine_url()
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"rootless").hexdigest()
    folder.mkdir(parents=True)
    meta = {"Endpoints": {"docker": {"Host": "unix:///run/user/7/docker.sock"}}}
    (folder / "meta.json").write_text(json.dumps(meta))
    assert engine_url() == "unix:///run/user/7/docker.sock"
    (tmp_path / "config.json").unlink()
    monkeypatch.setenv("DOCKER_CONTEXT", "rootless")
    assert engine_url() == "unix:///run/user/7/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://there")
    assert engine_url() == "tcp://there", "the real client, asked with both, goes there"


def test_another_machines_container_is_no_process_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its engine answers at a socket here, by `ssh -L`; a pid that it tells is somebody else's."""
    monkeypatch.setattr(
        "runners.attach.docker_engine.DockerConnection.about", lambda self: {"Name": "spark-2"}
    )
    engine = DockerEngine()
    assert engine.find("trainer") is None
    assert "run lanewatch on that host" in (engine.problem or "")


def test_dockers_library_is_not_loaded_where_no_container_is_involved() -> None:
    code = (
        "import os, sys; import tui.cli.attaching; from runners.attach.search import Search; "
        "s = Search(); s.candidate(s.by_pid(os.getpid())); "
        "print(*({'docker', 'pydantic', 'textual'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("target", "folder"),
    [
        pytest.param("/w/runs/iter_0000070/__0_0.distcp", "/w/runs", id="Megatron"),
        pytest.param("/w/out/checkpoint-500/optimizer.pt", "/w/out", id="Hugging Face"),
        pytest.param("/w/latest_checkpointed_iteration.txt", "/w", id="the tracker"),
        pytest.param("/w/my_iter_0000070/x", None, id="a name that only looks alike"),
        pytest.param("pipe:[7]", None, id="a pipe"),
    ],
)
def test_a_checkpoint_that_is_open(target: str, folder: str | None) -> None:
    assert open_folder((Descriptor(3, "/dev/null"), Descriptor(4, target))) == folder


def checkpoint(folder: Path, wall: float) -> None:
    folder.mkdir(parents=True)
    os.utime(folder, (wall, wall))


def test_the_folder_that_changed_last_since_it_began(tmp_path: Path) -> None:
    checkpoint(tmp_path / "old" / "iter_0000999", 50.0)
    checkpoint(tmp_path / "nemo_experiments" / "default" / "checkpoints" / "iter_0000010", 200.0)
    checkpoint(tmp_path / "other" / "checkpoint-10", 150.0)
    found = saved_below(tmp_path, 100.0)
    assert found == [
        tmp_path / "nemo_experiments" / "default" / "checkpoints",
        tmp_path / "other",
    ]
    assert saved_below(tmp_path, 300.0) == []


def test_below_the_root_and_a_home_nothing_is_guessed(tmp_path: Path) -> None:
    checkpoint(tmp_path / "iter_0000999", 50.0)
    wide = Claim(pid=1, roots=(("/", "its working folder"), (str(Path.home()), "its home")))
    assert choose_folder(wide, (), 0.0).folder is None
    own = Claim(pid=1, roots=(("/", "no"), (str(tmp_path), "its working folder")))
    found = choose_folder(own, (), 0.0).folder
    assert found is not None
    assert (found.path, found.why) == (str(tmp_path), "checkpoints below its working folder")


@pytest.mark.parametrize(
    ("own", "other", "saved", "found", "doubt"),
    [
        pytest.param(["ck1"], ["ck2"], ["ck2"], None, "nothing is saved yet", id="another's"),
        pytest.param(["ck1"], ["ck2"], ["ck1", "ck2"], "ck1", None, id="both have saved"),
        pytest.param(["a"], ["b"], ["a/x", "b/x"], "a/x", None, id="below what each names"),
        pytest.param([], None, ["ck"], "ck", None, id="alone, and nothing is named"),
        pytest.param([], [], ["ck"], None, "also be that of pid 2", id="two that name nothing"),
        pytest.param([], ["b"], ["b", "ck"], "ck", None, id="the other one has its own"),
        pytest.param([], None, ["a", "b"], None, "both be its own", id="two folders"),
        pytest.param(["ck1"], None, ["ck3"], None, "name", id="what it names is not made yet"),
        pytest.param(["ck1"], None, ["ck1", "ck3"], "ck1", None, id="named, beside one left over"),
    ],
)
def test_the_folder_of_another_trainer_is_never_taken(
    tmp_path: Path,
    own: list[str],
    other: list[str] | None,
    saved: list[str],
    found: str | None,
    doubt: str | None,
) -> None:
    def claim(pid: int, names: list[str]) -> Claim:
        words = tuple(str(tmp_path / each) for each in names)
        return Claim(pid=pid, words=words, bare=words, roots=((str(tmp_path), "its folder"),))

    for number, each in enumerate(saved):
        checkpoint(tmp_path / each / "iter_0000010", 200.0 + number)
    others = [] if other is None else [claim(2, other)]
    chosen = choose_folder(claim(1, own), others, 100.0)
    assert (chosen.folder.path if chosen.folder else None) == (found and str(tmp_path / found))
    assert (doubt or "") in (chosen.doubt or "")
    assert (chosen.doubt is None) == (found is not None)


def test_two_that_save_into_one_folder_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "ck")
    told = Found(str(tmp_path / "ck"), "argument --save")
    others = [Claim(pid=2, told=Found(str(tmp_path / "link"), "")), Claim(pid=3)]
    (warning,) = shared_with(told, others)
    assert warning.startswith(f"pid 2 saves into {tmp_path / 'ck'} as well")
    assert not list(shared_with(Found(str(tmp_path / "own"), ""), others))
    assert not list(shared_with(None, others))


def test_what_changes_while_it_is_watched_is_no_earlier_run_s(tmp_path: Path) -> None:
    words = (str(tmp_path / "tiny"),)
    own = Claim(pid=1, words=words, bare=words, roots=((str(tmp_path), "its folder"),))
    checkpoint(tmp_path / "out" / "iter_0000010", 200.0)
    assert choose_folder(own, (), 100.0).folder is None
    found = choose_folder(own, (), 100.0, watched=True).folder
    assert found is not None
    assert found.path == str(tmp_path / "out")


def test_what_a_checkpoint_says_of_the_end(tmp_path: Path) -> None:
    for step in (70, 140, 150):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        state = {"global_step": step, "max_steps": 150, "save_steps": 0.5}
        (folder / "trainer_state.json").write_text(json.dumps(state))
    told = from_checkpoints(tmp_path)
    assert (told.total, told.total_why, told.save_interval) == (150, "trainer_state.json", 70)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"max_steps": "x"}', '{"max_steps": -1}'])
def test_a_broken_checkpoint_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "checkpoint-7").mkdir()
    (tmp_path / "checkpoint-7" / "trainer_state.json").write_text(content)
    assert from_checkpoints(tmp_path).total is None


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.log")
    assert from_log(tmp_path / "train.log").total is None


def test_of_a_shell_that_asks_its_own_command_is_not_the_trainer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = os.getpid()
    shell = Process(pid=3, parent=1, argv=("bash",))
    asking = Process(pid=own, parent=3, argv=("python", "-m", "tui", "attach"), cpu_s=9.0)
    loop = Process(pid=4, parent=3, argv=("python", "loop.py"))
    monkeypatch.setattr(Search, "gpu_pids", frozenset())
    assert Search(ProcessTable({3: shell, own: asking})).by_pid(3) is shell
    assert Search(ProcessTable({3: shell, own: asking, 4: loop})).by_pid(3) is loop


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        pytest.param({"RANK": "1"}, True, id="torchrun"),
        pytest.param({"PATH": "/bin"}, False, id="a command that was given twice"),
        pytest.param({}, True, id="of another user: its environment cannot be read"),
    ],
)
def test_ranks_of_one_launch_are_told_from_a_command_that_was_given_twice(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], ranks: bool
) -> None:
    monkeypatch.setattr(search, "read_environment", lambda _: environment)
    one, other = (Process(pid=pid, parent=2, argv=("python", "t.py")) for pid in (3, 4))
    assert search._are_ranks(one, other) is ranks
    assert not search._are_ranks(one, Process(pid=5, parent=2, argv=("python", "other.py")))
