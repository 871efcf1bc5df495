"""What command lines give away, and which process of a family is the trainer."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from runners.attach.choose import choose_trainer, plausible
from runners.attach.command_line import Role, folder_changes, read_command
from runners.attach.expected import from_config
from runners.attach.values import Process


@pytest.mark.parametrize(
    ("line", "role"),
    [
        pytest.param("sleep infinity", Role.WRAPPER, id="PID 1 that sleeps"),
        pytest.param("/usr/bin/tini -- python train.py", Role.WRAPPER, id="tini"),
        pytest.param("/sbin/docker-init -- bash", Role.WRAPPER, id="docker's init"),
        pytest.param("bash -lc 'python train.py --save /x'", Role.WRAPPER, id="login shell"),
        pytest.param("-bash", Role.WRAPPER, id="shell of a login"),
        pytest.param("tee -a train.log", Role.FILTER, id="tee"),
        pytest.param("docker exec c python train.py", Role.CLIENT, id="docker client"),
        pytest.param("/usr/bin/python3.12 -u train.py", Role.TRAINER, id="python"),
        pytest.param("pt_main_thread", Role.TRAINER, id="renamed by torch"),
        pytest.param("torchrun --nproc-per-node 1 train.py", Role.LAUNCHER, id="torchrun"),
        pytest.param("python /usr/bin/accelerate launch t.py", Role.LAUNCHER, id="accelerate"),
        pytest.param("python -m torch.distributed.run t.py", Role.LAUNCHER, id="module launcher"),
        pytest.param("python -m vllm.entrypoints.api", Role.SERVER, id="an inference server"),
        pytest.param("python /opt/bin/jupyter-lab", Role.SERVER, id="the server of notebooks"),
        pytest.param("python -m ipykernel_launcher -f x", Role.TRAINER, id="a notebook's kernel"),
        pytest.param("postgres: writer", Role.OTHER, id="something else"),
    ],
)
def test_roles(line: str, role: Role) -> None:
    assert read_command(shlex.split(line)).role is role


@pytest.mark.parametrize("digits", [22, 5000])
def test_a_total_that_nothing_can_hold_is_not_known(digits: int) -> None:
    total = "9" * digits
    assert read_command(["python", "t.py", "--max_steps", total]).total is None
    assert from_config(f"max_steps: {total}\n")[0].total is None


@pytest.mark.parametrize(
    ("line", "trains"),
    [
        pytest.param("python t.py --output_dir out", True, id="a folder to save into"),
        pytest.param("python t.py --max_steps=30", True, id="a number of steps"),
        pytest.param("python t.py --max_steps -1", False, id="no number of steps"),
        pytest.param("python p65_nemo_train.py", True, id="a script's name"),
        pytest.param("python -m axolotl.cli.train c.yml", True, id="a module's name"),
        pytest.param("python retrained_viewer.py", False, id="a word within a word"),
        pytest.param("python server.py --data train.jsonl", False, id="only its argument"),
        pytest.param("python -c 'train()'", False, id="code"),
        pytest.param("bash -c 'python train.py'", False, id="a shell does not"),
        pytest.param("vim train.py", False, id="an editor does not"),
        pytest.param("python t.py --save true", False, id="a switch is no folder"),
    ],
)
def test_what_speaks_of_training(line: str, trains: bool) -> None:
    assert read_command(shlex.split(line)).trains is trains


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            "python pretrain_gpt.py --save /ckpt --train-iters 625 --save-interval 70",
            {"checkpoints": "/ckpt", "total": 625, "save_interval": 70},
            id="Megatron",
        ),
        pytest.param(
            "python finetune.py checkpoint.save=/runs-full train.train_iters=30 "
            "checkpoint.save_interval=10",
            {"checkpoints": "/runs-full", "total": 30, "save_interval": 10, "lane": None},
            id="Megatron-Bridge overrides",
        ),
        pytest.param(
            "python sft.py --output_dir=out --max_steps 500 --save_steps 50 --model unsloth/x",
            {"checkpoints": "out", "total": 500, "save_interval": 50, "lane": "unsloth"},
            id="transformers",
        ),
        pytest.param(
            "python t.py --max-steps 7 --output-dir a --output_dir b",
            {"checkpoints": "a", "total": 7},
            id="dashes, and the first of two",
        ),
        pytest.param("python t.py --save --total x", {"checkpoints": None}, id="no value"),
        pytest.param("python t.py --save_steps 0.1", {"save_interval": None}, id="a share"),
        pytest.param("python t.py save /x", {"checkpoints": None}, id="a bare word"),
        pytest.param("llamafactory-cli train a.yaml", {"config": "a.yaml"}, id="YAML"),
    ],
)
def test_what_flags_say(line: str, expected: dict[str, Any]) -> None:
    hints = read_command(shlex.split(line))
    assert {name: getattr(hints, name) for name in expected} == expected


@pytest.mark.parametrize("argv", [(), ("",), ("-",), ("--save",), ("\udcff",), ("python", "-m")])
def test_no_command_line_is_too_strange(argv: tuple[str, ...]) -> None:
    assert read_command(argv).checkpoints is None


def test_the_folders_that_a_shell_changes_to() -> None:
    argv = ("bash", "-lc", "cd /workspace/p65 && python train.py; echo cd /not")
    assert list(folder_changes(argv)) == ["/workspace/p65", "/not"]


def test_a_launchers_yaml() -> None:
    expected, folder = from_config("base_model: x\noutput_dir: './out'  # here\nmax_steps: 20\n")
    assert (expected.total, expected.save_interval, folder) == (20, None, "./out")


def process(pid: int, parent: int, line: str, **figures: Any) -> Process:
    return Process(pid=pid, parent=parent, argv=tuple(shlex.split(line)), **figures)


@pytest.mark.parametrize(
    ("family", "gpu", "chosen"),
    [
        pytest.param(
            [process(1, 0, "sleep infinity"), process(8, 0, "python t.py", cpu_s=1)],
            (),
            8,
            id="PID 1 sleeps",
        ),
        pytest.param(
            [
                process(1, 0, "tini -- bash run.sh"),
                process(7, 1, "bash run.sh"),
                process(8, 7, "python train.py", cpu_s=5),
                process(9, 7, "tee -a train.log", cpu_s=50),
            ],
            (),
            8,
            id="init, shell, tee",
        ),
        pytest.param(
            [
                process(1, 0, "python -m ipykernel_launcher", cpu_s=900),
                process(2, 0, "python tool.py", cpu_s=800),
                process(3, 0, "python train.py --save x", cpu_s=1),
            ],
            (),
            3,
            id="who says it trains, before who computes most",
        ),
        pytest.param(
            [
                process(2, 0, "python train.py", cpu_s=800),
                process(3, 0, "python what.py", cpu_s=1),
            ],
            (3,),
            3,
            id="who uses the GPU, before who says it trains",
        ),
        pytest.param(
            [
                process(2, 0, "python a.py", cpu_s=1, rss_bytes=9),
                process(3, 0, "python b.py", cpu_s=5, rss_bytes=1),
            ],
            (),
            3,
            id="else the one that computed most",
        ),
        pytest.param(
            [
                process(2, 0, "python train.py", cpu_s=3),
                process(3, 2, "python train.py", cpu_s=30),
                process(4, 2, "python train.py", cpu_s=30),
            ],
            (),
            2,
            id="not the forks that load its data",
        ),
        pytest.param(
            [
                process(2, 0, "python train.py", cpu_s=3),
                process(3, 2, "python -c 'from multiprocessing.spawn import x'", cpu_s=30),
            ],
            (),
            2,
            id="not the workers that it spawns",
        ),
        pytest.param(
            [
                process(2, 0, "torchrun train.py --output_dir x", cpu_s=9),
                process(3, 2, "python -u train.py --output_dir x --rank", cpu_s=5),
                process(4, 2, "python -u train.py --output_dir x --rank", cpu_s=7),
            ],
            (),
            3,
            id="the first rank, not the launcher",
        ),
        pytest.param(
            [
                process(2, 0, "deepspeed train.py --output_dir x", cpu_s=9),
                process(3, 2, "python -u train.py --local_rank=0 --output_dir x", cpu_s=5),
                process(4, 2, "python -u train.py --local_rank=1 --output_dir x", cpu_s=7),
            ],
            (),
            3,
            id="the first rank, also where each is told its number",
        ),
        pytest.param(
            [process(2, 0, "torchrun train.py --output_dir x")],
            (),
            2,
            id="the launcher while it has started nobody",
        ),
        pytest.param(
            [process(1, 0, "sleep infinity"), process(2, 1, "tee x")], (), None, id="nobody"
        ),
        pytest.param([process(2, 0, "./my_trainer_in_c")], (2,), 2, id="no Python, but a GPU"),
    ],
)
def test_the_trainer_of_a_family(
    family: list[Process], gpu: tuple[int, ...], chosen: int | None
) -> None:
    found = choose_trainer(family, gpu)
    assert (found.pid if found else None) == chosen


@pytest.mark.parametrize(
    ("line", "gpu", "expected"),
    [
        pytest.param("python train.py", False, True, id="it says it trains"),
        pytest.param("python what.py", True, True, id="it computes on a GPU"),
        pytest.param("python what.py", False, False, id="any Python"),
        pytest.param("python -m vllm.server", True, False, id="a server on a GPU"),
        pytest.param("python -m ipykernel_launcher", True, True, id="a notebook on a GPU"),
        pytest.param("python -m monitor.watcher /runs/train", False, False, id="our watcher"),
        pytest.param("python -m lanewatch_payload.train_reference", True, False, id="our trainer"),
    ],
)
def test_what_is_worth_a_look(line: str, gpu: bool, expected: bool) -> None:
    assert plausible(process(5, 1, line), (5,) if gpu else ()) is expected
