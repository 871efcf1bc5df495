"""`lanewatch attach` on real processes of this machine that lanewatch did not start."""

from __future__ import annotations

import json
import os
import shlex
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attaching import PYTHON, Start, attach, attached, megatron, start, status, trainer_of
from channels import Receiver, configure
from conftest import Lanewatch, end, read, until

from monitor.rundir import RunDir

PLAIN = """
import os, sys, time
for done in range(1, 100000):
    time.sleep(0.05)
    print(done, flush=True)
    if done % int(sys.argv[2]) == 0:
        os.makedirs(os.path.join(sys.argv[1], f"checkpoint-{done}"))
"""

__all__ = ["attached", "start"]  # fixtures: they are used by their names


def test_the_list_names_a_trainer_behind_a_tee_with_all_its_files(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    shell = start(f"{megatron(tmp_path)} 2>&1 | tee -a train.log")
    pid = trainer_of(shell)
    until((tmp_path / "runs-full" / "iter_0000010").exists, "the first checkpoint")
    listed = {each["pid"]: each for each in attached.json("attach")}
    found = listed[pid]
    assert found["container"] is None
    assert found["checkpoints"] == str(tmp_path / "runs-full")
    assert found["checkpoints_from"] == "argument --save"
    assert found["log"] == str(tmp_path / "train.log")
    assert "stdout > tee" in found["log_from"]
    assert (found["total"], found["save_interval"], found["lane"]) == (1000, 10, "nemo")
    assert any("this tee can block the run after 64 KiB" in each for each in found["warnings"])
    assert shell.pid not in listed
    assert not list(attached.root.glob("foreign-*"))


def test_it_is_watched_to_its_end(attached: Lanewatch, start: Start, tmp_path: Path) -> None:
    shell = start(f"{megatron(tmp_path, 300)} 2>&1 | tee -a train.log")
    pid = trainer_of(shell)
    run, said = attach(attached, "--pid", str(shell.pid))
    assert said["pid"] == pid
    assert said["new"] is True
    until(lambda: (status(attached, run)["iteration"]["value"] or 0) >= 20, "iterations are proven")
    now = status(attached, run)
    assert now["verdict"] in ("training", "saving", "slow", "log-stuck")
    assert now["iteration"]["total"] == 300
    assert now["watcher"]["alive"]
    assert now["keeper"] == {"pid": None, "alive": False}
    assert now["foreign"]["pid"] == pid
    assert "iteration" in attached("logs", run.root.name, "-n", "3")
    assert "finished: reached 300 of 300" in attached("wait", run.root.name)
    assert status(attached, run)["verdict"] == "finished"
    until(lambda: read(run.watch).get("recorded") == "finished", "the end is recorded")
    assert "there is nothing to watch" in attached.call("watch", run.root.name).stderr
    attached("rm", run.root.name, "--yes")
    assert not run.root.exists()


def test_one_that_ends_early_makes_wait_fail(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    shell = start(f"{megatron(tmp_path, 60, hold_at=25)} > train.log 2>&1")
    pid = trainer_of(shell)
    run, said = attach(attached, "--pid", str(pid))
    assert (said["log"], said["log_from"], said["warnings"]) == (
        str(tmp_path / "train.log"),
        "stdout",
        [],
    )
    until(lambda: (tmp_path / "runs-full" / "truth").read_text() == "25", "it is held")
    os.kill(pid, signal.SIGKILL)
    done = attached.call("wait", run.root.name)
    assert done.returncode == 1
    assert "of 60, exit status not observable" in done.stdout


def test_the_layout_of_hugging_face_and_a_total_that_only_the_checkpoint_tells(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    shell = start(
        f"{PYTHON} -u train_hf.py --output_dir out --steps 1000 --every 10 --seconds 0.05 "
        "> train.log 2> train.err"
    )
    pid = trainer_of(shell, "train_hf.py")
    until((tmp_path / "out" / "checkpoint-10" / "trainer_state.json").exists, "a checkpoint")
    run, said = attach(attached, "--pid", str(pid))
    assert said["checkpoints"] == str(tmp_path / "out")
    assert (said["total"], said["total_from"]) == (1000, "trainer_state.json")
    assert said["save_interval"] == 10
    until(lambda: (status(attached, run)["iteration"]["value"] or 0) >= 20, "it is followed")


def test_a_total_from_the_bar_of_a_log_without_any_other_word(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    shell = start(
        f"{PYTHON} -u train_hf.py --output_dir out --steps 777 --every 700 --seconds 0.05 "
        "> train.log 2>&1"
    )
    pid = trainer_of(shell, "train_hf.py")
    until(lambda: b"| 3/777 [" in (tmp_path / "train.log").read_bytes(), "its bar")
    _, said = attach(attached, "--pid", str(pid))
    assert (said["total"], said["total_from"]) == (777, "what its log says")


def test_a_log_that_script_writes_of_its_terminal(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    shell = start(f"script -qc {shlex.quote(megatron(tmp_path))} train.log")
    recorder = trainer_of(shell)
    until((tmp_path / "runs-full" / "truth").exists, "it trains")
    _, said = attach(attached, "--pid", str(recorder))
    assert said["pid"] != recorder
    assert said["log"] == str(tmp_path / "train.log")
    assert said["log_from"] == f"stdout > script ({recorder})"
    assert any("Ctrl-S there" in each for each in said["warnings"])
    assert any("script holds back lines" in each for each in said["warnings"]), "without its -f"


def test_a_total_that_only_a_later_checkpoint_tells(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    old = tmp_path / "out" / "checkpoint-999"
    old.mkdir(parents=True)
    (old / "trainer_state.json").write_text('{"global_step": 999, "max_steps": 999}')
    for each in (old / "trainer_state.json", old):
        os.utime(each, (1.0, 1.0))
    line = f"{PYTHON} -u train_hf.py --output_dir out --steps 5000 --every 100 --seconds 0.05"
    pid = trainer_of(start(f"{line} > /dev/null 2>&1"), "train_hf.py")
    run, _ = attach(attached, "--pid", str(pid), "--checkpoints", str(tmp_path / "out"))
    until(lambda: read(run.run_json)["iterations"] == 5000, "its first checkpoint says it")
    assert status(attached, run)["iteration"]["total"] == 5000
    assert "it is to do 5000 iterations" in attached("events", run.root.name)


def test_a_folder_that_nobody_told_is_found_below_its_working_folder(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    old = tmp_path / "yesterday" / "iter_0000999"
    old.mkdir(parents=True)
    os.utime(old, (1.0, 1.0))
    shell = start(
        f"WHERE=deep/er {PYTHON} -u train_megatron.py --train-iters 1000 --save-interval 5 "
        "--seconds 0.02"
    )
    pid = trainer_of(shell)
    until((tmp_path / "deep" / "er" / "iter_0000005").exists, "a checkpoint")
    _, said = attach(attached, "--pid", str(pid))
    assert said["checkpoints"] == str(tmp_path / "deep" / "er")
    assert "working folder" in said["checkpoints_from"]
    assert said["log"] is None
    assert any("it goes to /dev/null" in each for each in said["warnings"])


def test_a_process_is_watched_once(attached: Lanewatch, start: Start, tmp_path: Path) -> None:
    pid = str(trainer_of(start(f"{megatron(tmp_path)} > train.log")))
    run, _ = attach(attached, "--pid", pid)
    again, said = attach(attached, "--pid", pid)
    assert (again.root, said["new"]) == (run.root, False)
    complaint = attached("attach", "--pid", pid, "--total", "5", code=2)
    assert f"is watched already as {run.root.name}" in complaint
    assert complaint.count("\n") == 1
    listed = {each["pid"]: each["run"] for each in attached.json("attach")}
    assert listed[int(pid)] == run.root.name
    assert len(list(attached.root.glob("foreign-*"))) == 1


def test_a_process_is_watched_once_however_soon_it_is_attached_again(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    pid = str(trainer_of(start(f"{megatron(tmp_path)} > train.log")))
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: attached.call("attach", "--pid", pid), range(2)))
    assert [each.returncode for each in both] == [0, 0], [each.stderr for each in both]
    assert len(list(attached.root.glob("foreign-*"))) == 1


def test_the_watcher_comes_back_and_rm_ends_only_the_watch(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    pid = trainer_of(start(f"{megatron(tmp_path)} > train.log"))
    run, _ = attach(attached, "--pid", str(pid))
    until(lambda: read(run.watch).get("pid"), "the watcher writes")
    first = read(run.watch)["pid"]
    assert os.getsid(first) == first
    end(read(run.watch))
    until(lambda: read(run.watch).get("pid") not in (None, first), "its guard starts another")
    guard = read(run.state)["guard"]
    assert os.getsid(guard["pid"]) == guard["pid"]
    assert "has its watcher" in attached.call("watch", run.root.name).stderr
    end(guard)
    end(read(run.watch))
    until(lambda: not status(attached, run)["watcher"]["alive"], "nobody watches")
    assert "a new watcher and a new guard" in attached.call("watch", run.root.name).stderr
    until(lambda: status(attached, run)["watcher"]["alive"], "it is watched again")
    end(read(run.state)["guard"])
    attached.call("watch", run.root.name)  # unless the watcher is quicker
    until(lambda: _command(read(run.state)["guard"]["pid"]), "its guard is back")
    guard = read(run.state)["guard"]
    second = read(run.watch)["pid"]
    attached("rm", run.root.name, "--yes")
    until(lambda: not Path(f"/proc/{second}/cmdline").exists() or not _command(second), "it leaves")
    until(lambda: not _command(guard["pid"]), "so does its guard")
    assert b"train_megatron" in _command(pid)


def test_a_folder_that_is_made_after_the_attach_is_found(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    shell = start(
        f"WHERE=deep/er {PYTHON} -u train_megatron.py --train-iters 3000 --save-interval 60 "
        "--seconds 0.15 > train.log"
    )
    run, said = attach(attached, "--pid", str(trainer_of(shell)))
    assert said["checkpoints"] is None
    assert any("searched for" in each and "--checkpoints" in each for each in said["warnings"])

    until(lambda: status(attached, run)["checkpoints"], "status shows a checkpoint")
    info = read(run.run_json)
    assert info["paths"]["checkpoints"] == str(tmp_path / "deep" / "er")
    assert (info["save_interval"], info["warnings"]) == (60, [])
    events = [each["text"] for each in attached.json("events", run.root.name)]
    assert len([each for each in events if each.startswith("checkpoints found: ")]) == 1
    until(lambda: _cadence(run), "a cadence is known")


def test_the_folder_of_a_trainer_beside_it_is_not_taken(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "train_plain.py").write_text(PLAIN)
    first = trainer_of(start(f"{PYTHON} -u train_plain.py ck1 600 > 1.log"), "train_plain.py")
    second = trainer_of(start(f"{PYTHON} -u train_plain.py ck2 10 > 2.log"), "train_plain.py")
    until((tmp_path / "ck2" / "checkpoint-10").exists, "the other one saves")
    listed = {each["pid"]: each for each in attached.json("attach")}
    assert listed[first]["checkpoints"] is None
    assert listed[second]["checkpoints"] == str(tmp_path / "ck2")


def test_a_watcher_that_dies_again_and_again_wakes_somebody(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    server = Receiver()
    configure(desk=server.url)
    try:
        pid = trainer_of(start(f"{megatron(tmp_path, 100_000)} > train.log"))
        run, _ = attach(attached, "--pid", str(pid))

        def given_up() -> bool:
            watcher = read(run.state).get("watcher") or {}
            if not watcher.get("lost"):
                end(watcher)
            return bool(watcher.get("lost"))

        until(given_up, "the guard gives up on the watcher")
        until(lambda: server.titles, "somebody is told")
        assert server.titles[0] == f"watcher lost: {run.root.name}"
        assert status(attached, run)["alerts"]["pending"] == ["watcher-lost"]
        assert "a new watcher" in attached.call("watch", run.root.name).stderr
        until(lambda: not read(run.state)["watcher"]["lost"], "the guard takes to it")
    finally:
        server.close()


def _cadence(run: RunDir) -> bool:
    return "a checkpoint comes every" in json.dumps(read(run.watch).get("verdict"))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("verb", "advice"),
    [
        pytest.param("stop", "kill -TERM {pid}", id="stop"),
        pytest.param("kill", "kill -KILL {pid}", id="kill"),
        pytest.param("resume", "start its trainer again", id="resume"),
    ],
)
def test_what_lanewatch_did_not_start_it_does_not_end(
    attached: Lanewatch, start: Start, tmp_path: Path, verb: str, advice: str
) -> None:
    pid = trainer_of(start(f"{megatron(tmp_path)} > train.log"))
    run, _ = attach(attached, "--pid", str(pid))
    complaint = attached(verb, run.root.name, code=2)
    assert "lanewatch did not start it" in complaint
    assert advice.format(pid=pid) in complaint
    assert complaint.count("\n") == 1
    assert not run.request.exists()
    assert b"train_megatron" in _command(pid)


def _signature(run: RunDir) -> str | None:
    return (read(run.watch).get("verdict") or {}).get("signature")


def test_a_stopped_tee_is_a_stall_that_names_it_and_a_recovery_when_it_goes_on(
    attached: Lanewatch, start: Start, tmp_path: Path
) -> None:
    shell = start(f"{megatron(tmp_path, 100_000, 0.002, text=4000)} 2>&1 | tee -a train.log")
    pid = trainer_of(shell)
    limits = ("--set=liveness.iteration_default_s=3", "--set=liveness.iteration_floor_s=3")
    run, said = attach(attached, "--pid", str(pid), *limits)
    until(lambda: (status(attached, run)["iteration"]["value"] or 0) > 0, "it is followed")
    tee = int(said["log_from"].rpartition("(")[2].rstrip(")"))
    os.kill(tee, signal.SIGSTOP)
    until(lambda: status(attached, run)["verdict"] == "stalled", "the stall")
    # Not at once: `status` looks for itself while its watcher is held up, and may be ahead of it.
    until(lambda: _signature(run) == "blocked-pipe", "the watcher names it")
    # Who holds it is looked at every 5 s: before a limit of 3 s the tee may have been seen at work.
    until(
        lambda: f"kill -CONT {tee}" in status(attached, run)["reason"], "it is seen to be stopped"
    )
    os.kill(tee, signal.SIGCONT)
    until(lambda: status(attached, run)["verdict"] in ("training", "saving"), "it goes on")
