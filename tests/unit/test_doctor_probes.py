"""What the doctor reads, and that nothing it asks can hold it up."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.readings import GpuReading
from runners.doctor import machine_probes
from runners.doctor.asking import ask_all
from runners.doctor.docker_probes import docker_facts
from runners.doctor.image_trial import MARK, Trial, read_trial, trial_checks
from runners.doctor.launch_probes import PACKAGES, read_base, read_packages
from runners.doctor.machine_probes import large_blocks, logind_settings, read_disk, read_session
from runners.doctor.proof_gpus import shape_of
from runners.doctor.proof_report import Names, redacted, redacted_text
from runners.doctor.values import Level
from runners.engines.base import Exit
from runners.recipe.model import Recipe


def test_who_answers_who_fails_and_who_hangs() -> None:
    forever = threading.Event()

    def fails() -> None:
        raise PermissionError("not for you")

    began = time.monotonic()
    answers = ask_all({"good": lambda: 7, "bad": fails, "hangs": forever.wait}, 0.3)
    assert time.monotonic() - began < 5
    forever.set()
    assert (answers.get("good"), answers.get("hangs", "none")) == (7, "none")
    assert answers.failed == {"bad": "PermissionError: not for you"}
    assert answers.unanswered == ("hangs",)


@pytest.mark.parametrize(
    ("texts", "settings"),
    [
        pytest.param([], {}, id="no file"),
        pytest.param(
            ["[Login]\n#KillUserProcesses=no\nRemoveIPC=yes\n"], {"removeipc": True}, id="comments"
        ),
        pytest.param(
            ["[Login]\nKillUserProcesses=no\n", "[Login]\nKillUserProcesses=yes\n"],
            {"killuserprocesses": True},
            id="a later file wins",
        ),
        pytest.param(["KillUserProcesses=yes\n"], {}, id="outside any section"),
        pytest.param(["\0\0[Login\n"], {}, id="no configuration at all"),
        pytest.param(
            ["[Login]\nInhibitDelayMaxSec=5\nHandleLidSwitch=ignore\n"], {}, id="other settings"
        ),
    ],
)
def test_what_logind_is_told(texts: list[str], settings: dict[str, bool]) -> None:
    assert logind_settings(texts) == settings


def test_a_session_is_read_from_another_root(tmp_path: Path) -> None:
    assert not read_session(tmp_path).logind
    (tmp_path / "run/systemd/users").mkdir(parents=True)
    folder = tmp_path / "etc/systemd/logind.conf.d"
    folder.mkdir(parents=True)
    (folder / "10-kill.conf").write_text("[Login]\nKillUserProcesses=yes\nRemoveIPC=no\n")
    seen = read_session(tmp_path)
    assert (seen.logind, seen.kill_user_processes, seen.remove_ipc) == (True, True, False)
    assert seen.linger is False


@pytest.mark.parametrize(
    ("lines", "blocks"),
    [
        pytest.param(
            ["Node 0, zone   Normal   9 9 9 9 9 9 9 9 9 3 2"], 3 + 2 * 2, id="orders 9 and 10"
        ),
        pytest.param(["Node 0, zone DMA 1 2 3"], None, id="a kernel with fewer orders"),
        pytest.param(["nonsense"], None, id="nonsense"),
    ],
)
def test_free_blocks(lines: list[str], blocks: int | None) -> None:
    assert large_blocks(lines) == blocks


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    seen = read_disk(tmp_path / "a" / "b")
    assert (seen.problem, seen.free_bytes is not None) == (None, True)
    (tmp_path / "file").write_text("")
    assert "is no folder" in (read_disk(tmp_path / "file" / "runs").problem or "")


def test_a_driver_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        running, problem = True, None

        def start(self) -> None: ...
        def stop(self, timeout_s: float) -> None: ...
        def latest(self) -> tuple[GpuReading, ...]:
            return ()

    monkeypatch.setattr(machine_probes, "GpuSampler", Hanging)
    monkeypatch.setattr(machine_probes, "_driver_version", lambda: "580.95.05")
    short = machine_probes.read_driver(0.05)
    assert (short.version, short.problem) == ("580.95.05", None), "it may only be slow to come up"
    monkeypatch.setattr(machine_probes, "BLOCKED_S", 0.1)
    assert "has not answered" in (machine_probes.read_driver(0.1).problem or "")


def test_docker_info_is_read_and_what_it_lacks_is_not_known() -> None:
    about = {
        "ServerVersion": "28.3.3",
        "Runtimes": {"runc": {}, "nvidia": {}},
        "LiveRestoreEnabled": True,
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "DockerRootDir": "/",
    }
    seen = docker_facts(about, ())
    assert (seen.version, seen.gives_gpus, seen.live_restore, seen.rootless, seen.userns) == (
        "28.3.3", True, True, True, False,
    )  # fmt: skip
    assert seen.data_free_bytes
    bare = docker_facts({}, ())
    assert (bare.version, bare.gives_gpus, bare.data_root) == (None, False, None)


def recipe(**model: Any) -> Recipe:
    return Recipe.model_validate({"data": {"path": "/rows.jsonl"}, "model": model})


def test_a_base_is_read_with_its_sizes_and_template(tmp_path: Path) -> None:
    sizes = {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 128, "vocab_size": 640,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(sizes))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ old }}"}))
    for number, size in enumerate((100, 300)):
        whole = (2).to_bytes(8, "little") + b"{}"
        (tmp_path / f"model-{number}.safetensors").write_bytes(whole.ljust(size, b"w"))
    seen = read_base(recipe(path=str(tmp_path)))
    assert (seen.bytes, seen.largest_file_bytes, seen.template) == (400, 300, "{{ old }}")
    assert seen.shape is not None
    assert seen.shape.head_size == 16
    (tmp_path / "chat_template.jinja").write_text("{{ new }}")
    assert read_base(recipe(path=str(tmp_path))).template == "{{ new }}"


@pytest.mark.parametrize(
    ("more", "counted"),
    [({}, 231), ({"tie_word_embeddings": True}, 201)],
    ids=["plain", "tied, and there twice"],
)
def test_weights_are_counted_where_the_files_are(
    tmp_path: Path, more: dict[str, Any], counted: int
) -> None:
    """Of a base of many experts config.json tells a tenth."""
    sizes = {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 128, "vocab_size": 640,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(sizes | more))
    (tmp_path / "tokenizer.json").write_text("{}")
    shapes = {"experts.weight": [10, 4, 5], "lm_head.weight": [3, 10]}
    shapes["model.layers.0.self_attn.q_proj.weight"] = [1, 1]
    held, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * math.prod(shape)
        held[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    header = json.dumps(held).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(at)
    (tmp_path / "model.safetensors").write_bytes(whole)
    asked = {"data": {"path": "/rows"}, "model": {"path": str(tmp_path)}}
    asked["lora"] = {"targets": ["q_proj"]}
    found = read_base(Recipe.model_validate(asked)).shape
    assert found is not None
    assert found.counted == counted
    assert found.parameters == counted
    del asked["lora"]
    other = read_base(Recipe.model_validate(asked))
    assert (other.problem or "").startswith("lora.targets: 'k_proj' is no linear layer")
    assert other.shape == found, "a word that is wrong hides no size"


def test_a_base_that_is_not_there_is_a_problem_and_no_error(tmp_path: Path) -> None:
    assert "no folder" in (read_base(recipe(path=str(tmp_path / "none"))).problem or "")
    assert read_base(recipe(path="tiny-random-qwen3")).made_here


def test_a_base_of_the_hub_is_for_a_stage_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    seen = read_base(recipe(path="someone/some-model"))
    assert (seen.hub, seen.problem) == ("someone/some-model", None)


def test_the_packages_of_this_python_and_of_another() -> None:
    assert "nvidia-ml-py" in read_packages(None)
    other = read_packages(sys._base_executable)
    assert set(other) <= set(PACKAGES)
    with pytest.raises(OSError, match="nowhere"):
        read_packages("/nowhere/python")


@pytest.mark.parametrize(
    ("trial", "levels"),
    [
        pytest.param(
            Trial(
                uid=1000, python="3.12", mounts={"/run": None}, imports={"torch": None}, gpu="GB10"
            ),
            ["ok", "ok", "ok"],
            id="all is well",
        ),
        pytest.param(
            Trial(
                uid=1000, mounts={"/run": "Permission denied"}, imports={"torch": None}, gpu="GB10"
            ),
            ["fail", "ok", "ok"],
            id="a mount that it may not write",
        ),
        pytest.param(
            Trial(uid=1000, imports={"unsloth": "ImportError: torchao"}, gpu="GB10"),
            ["ok", "fail", "ok"],
            id="a trainer that cannot be imported",
        ),
        pytest.param(Trial(uid=0, gpu=""), ["ok", "ok", "fail"], id="no GPU inside"),
        pytest.param(Trial(problem="exit code 127"), ["fail"], id="it did not start"),
    ],
)
def test_what_the_image_told(trial: Trial, levels: list[str]) -> None:
    assert [each.level.value for each in trial_checks(trial, needs_gpu=True)] == levels


def test_a_run_on_the_cpu_needs_no_gpu_in_its_image() -> None:
    checks = list(trial_checks(Trial(uid=0, gpu=""), needs_gpu=False))
    assert all(each.level is Level.OK for each in checks)


def test_the_answer_is_found_in_a_log_among_other_lines(tmp_path: Path) -> None:
    told = {"uid": 7, "python": "3.12", "mounts": {}, "imports": {}, "gpu": ""}
    log = tmp_path / "train.log"
    log.write_text(f"== PyTorch ==\n{MARK}{json.dumps(told)}\nbye\n")
    assert read_trial(log, Exit(code=0)).uid == 7
    log.write_text("Traceback (most recent call last):\nOSError: libcuda.so.1: not found\n")
    assert "libcuda" in (read_trial(log, Exit(code=1)).problem or "")
    assert "exit code 127" in (read_trial(tmp_path / "none", Exit(code=127)).problem or "")


NAMES = Names(
    replaced=(
        ("/home/ada/runs", "<runs>"),
        ("/home/ada", "~"),
        ("spark-7f", "<host>"),
        ("ada", "<user>"),
    )
)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        pytest.param("/home/ada/runs/x/log", "<runs>/x/log", id="a run folder"),
        pytest.param("/home/ada/.cache", "~/.cache", id="a home"),
        pytest.param("user ada on spark-7f", "user <user> on <host>", id="names as words"),
        pytest.param("adapter of canada", "adapter of canada", id="names inside other words"),
        pytest.param("use hf_abcdefgh12345678 now", "use <secret> now", id="a Hub token"),
        pytest.param("API_KEY=abc123 x", "<secret> x", id="an assignment"),
        pytest.param("https://a:b@host.org/p", "<secret>", id="an address with a password"),
        pytest.param("cannot reach nvcr.io", "cannot reach nvcr.io", id="nothing to hide"),
    ],
)
def test_a_report_shows_no_names_and_no_secrets(text: str, clean: str) -> None:
    assert redacted_text(text, NAMES) == clean


def test_all_of_a_report_is_redacted_keys_and_lists_too() -> None:
    found = redacted({"/home/ada": ["ada", 7, None, {"x": "spark-7f"}]}, NAMES)
    assert found == {"~": ["<user>", 7, None, {"x": "<host>"}]}


def test_the_shape_of_a_gpu_is_what_it_ever_gave() -> None:
    first = shape_of(GpuReading(index=0, name="GB10", power_w=11.0, process_bytes=((7, 9),)))
    later = shape_of(GpuReading(index=0, name="GB10", utilisation_percent=3), first)
    assert later["given"]["power_w"]
    assert later["given"]["utilisation_percent"]
    assert not later["given"]["memory_total_bytes"]
    assert later["processes"] == "processes with their bytes"
