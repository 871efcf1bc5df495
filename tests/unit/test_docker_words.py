"""What the engine's and a registry's words mean to a person, and how far a pull is."""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import Status
from monitor.requests import Action, Request
from runners.engines import docker_socket
from runners.engines.base import Exit
from runners.engines.docker_client import (
    DockerConnection,
    elsewhere,
    gpu_request,
    has_gpu,
    live_restore,
)
from runners.engines.docker_errors import (
    EngineSilentError,
    image_missing,
    in_words,
    pull_in_words,
    registry_of,
)
from runners.engines.docker_socket import knock, remedy_for_groups, socket_path
from runners.engines.pull_progress import PullProgress, heard, with_sizes
from runners.engines.pull_progress import in_words as progress_in_words
from runners.engines.registry import split_name
from runners.errors import EngineError
from runners.exits import StageEnd, judge_end

MIB = 1 << 20


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            'could not select device driver "" with capabilities: [[gpu]]',
            "nvidia-ctk runtime configure",
        ),
        ("Unknown runtime specified nvidia", "has no GPU runtime"),
        ("write /var/lib/docker/x: no space left on device", "`docker image prune`"),
        (
            'OCI runtime create failed: exec: "sh": executable file not found in $PATH: unknown',
            "its image has no sh",
        ),
        (
            'Conflict. The container name "/x" is already in use by container "1". You have to',
            "`docker rm x`",
        ),
        (
            'invalid mount config for type "bind": bind source path does not exist: /base',
            "/base is not there",
        ),
        (
            'invalid mount config for type "bind": bind source path does not exist: /my base,1',
            "/my base,1 is not there",
        ),
        (
            'exec: "docker-init": executable file not found in $PATH',
            "the Docker engine lacks docker-init",
        ),
        (
            'OCI runtime create failed: runc create failed: error mounting "/usr/bin/docker-init" '
            'to rootfs at "/sbin/docker-init": stat /usr/bin/docker-init: no such file: unknown',
            "the Docker engine lacks docker-init",
        ),
        ("No such image: nosuch/img:1", "image nosuch/img:1 is not on this machine"),
        ("invalid reference format: repository name must be lowercase", "is no name of an image"),
        ("something\nnew \x1b[31m", "the Docker engine says: something new"),
    ],
)
def test_a_refusal_is_one_sentence_with_a_remedy(said: str, sentence: str) -> None:
    told = in_words(said, "nosuch/img:1")
    assert sentence in told
    assert "\n" not in told
    assert "\x1b" not in told


def test_an_image_that_was_removed_after_its_pull_is_not_to_be_pulled_by_its_id() -> None:
    told = image_missing(f"sha256:{'a' * 64}")
    assert "was removed from this machine since the run began" in told
    assert "docker pull" not in told


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("unauthorized: authentication required", "`docker login nvcr.io` as the user"),
        ("denied: requested access to the resource is denied", "$oauthtoken"),
        ("unexpected status code 402 Payment Required", "$oauthtoken"),
        ("manifest for nvcr.io/x:1 not found: manifest unknown", "is name and tag right?"),
        ("no matching manifest for linux/arm64/v8 in the manifest list", "architecture"),
        ("no such image: A:b:c: invalid reference format", "is no name of an image (docker.image)"),
        ("failed to register layer: write /x: no space left on device", "is full"),
    ],
)
def test_a_pull_that_can_never_succeed_says_why(said: str, sentence: str) -> None:
    assert sentence in (pull_in_words(said, "nvcr.io/nvidia/pytorch:25.11-py3") or "")


@pytest.mark.parametrize(
    "said",
    [
        'Get "https://nvcr.io/v2/": dial tcp: lookup nvcr.io: no such host',
        "unexpected EOF",
        'Get "https://nvcr.io/v2/": net/http: TLS handshake timeout',
        "received unexpected HTTP status: 503 Service Unavailable",
    ],
)
def test_a_pull_that_may_yet_succeed_is_tried_again(said: str) -> None:
    assert pull_in_words(said, "nvcr.io/nvidia/pytorch:25.11-py3") is None


@pytest.mark.parametrize(
    ("image", "registry", "parts"),
    [
        ("python", "docker.io", ("python", "latest")),
        ("owner/name:1", "docker.io", ("owner/name", "1")),
        ("nvcr.io/nvidia/nemo:26.04.00", "nvcr.io", ("nvcr.io/nvidia/nemo", "26.04.00")),
        ("localhost:5000/x", "localhost:5000", ("localhost:5000/x", "latest")),
        ("h.io/x@sha256:ab", "h.io", ("h.io/x", "sha256:ab")),
        ("h.io:1/x:2@sha256:ab", "h.io:1", ("h.io:1/x", "sha256:ab")),
    ],
)
def test_an_images_name_in_its_parts(image: str, registry: str, parts: tuple[str, str]) -> None:
    assert registry_of(image) == registry
    assert split_name(image) == parts


def event(name: str, status: str, current: int | None = None, total: int | None = None) -> Any:
    detail = {} if current is None else {"current": current, "total": total}
    return {"id": name, "status": status, "progressDetail": detail}


A, B = "0123456789ab", "ba9876543210"


def follow(*events: Any, sizes: dict[str, int] | None = None) -> PullProgress:
    progress = with_sizes(PullProgress(), sizes or {})
    for second, each in enumerate(events):
        progress = heard(progress, each, float(second))
    return progress


def test_a_total_is_known_once_every_layer_is() -> None:
    waiting = follow(event(A, "Pulling fs layer"), event(B, "Waiting"))
    assert (waiting.done, waiting.total, waiting.left_s) == (0, None, None)
    one = heard(waiting, event(A, "Downloading", 2 * MIB, 4 * MIB), 2.0)
    assert (one.done, one.total) == (2 * MIB, None)
    both = heard(one, event(B, "Downloading", 0, 4 * MIB), 3.0)
    assert (both.done, both.total) == (2 * MIB, 8 * MIB)
    assert progress_in_words(both).startswith("0/2 layers, 2.0 MiB of 8.0 MiB, ")


def test_what_the_registry_said_beforehand_gives_a_total_and_a_time_left_at_once() -> None:
    sizes = {A: 10 * MIB, B: 10 * MIB}
    progress = follow(
        event(A, "Downloading", 0, 10 * MIB),
        event(A, "Downloading", MIB, 10 * MIB),
        event(A, "Downloading", 2 * MIB, 10 * MIB),
        sizes=sizes,
    )
    assert (progress.total, progress.rate, progress.left_s) == (20 * MIB, MIB, 18.0)
    assert (
        progress_in_words(progress) == "0/2 layers, 2.0 MiB of 20.0 MiB, 1.0 MiB/s, about 18 s left"
    )


def test_layers_that_are_here_count_as_loaded_and_the_tag_is_no_layer() -> None:
    progress = follow(
        {"id": "25.11-py3", "status": "Pulling from nvidia/pytorch"},
        event(A, "Already exists"),
        event(B, "Downloading", 4 * MIB, 4 * MIB),
        event(B, "Download complete"),
        event(B, "Extracting", MIB, 4 * MIB),
        sizes={A: 6 * MIB, B: 4 * MIB},
    )
    assert (progress.done, progress.total) == (10 * MIB, 10 * MIB)
    assert (
        progress_in_words(progress) == "1/2 layers, 10.0 MiB of 10.0 MiB, loaded; 7.0 MiB unpacked"
    )


statuses = st.sampled_from(
    ["Waiting", "Downloading", "Download complete", "Extracting", "Pull complete", "Already exists"]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B, "latest", ""]),
            statuses,
            st.integers(0, 1 << 40) | st.none(),
            st.integers(-1, 1 << 40) | st.none(),
        ),
        max_size=30,
    )
)
def test_whatever_the_engine_says_the_count_is_no_nonsense(events: list[Any]) -> None:
    progress = follow(*(event(*each) for each in events), {"status": 3, "id": None})
    assert progress.done >= 0
    assert progress.total is None or progress.total >= 0
    assert progress_in_words(progress)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A socket that this user may not connect to, whoever the tests run as."""

    class Refusing(socket.socket):
        def connect(self, address: Any) -> None:
            raise PermissionError(13, "Permission denied")

    path = tmp_path / "docker.sock"
    path.touch()
    path.chmod(0o660)
    monkeypatch.setattr(docker_socket.socket, "socket", Refusing)
    return path


def group(monkeypatch: pytest.MonkeyPatch, *, members: list[str], ours: list[int]) -> None:
    entry = grp.struct_group(("docker", "x", 999, members))
    monkeypatch.setattr(docker_socket.grp, "getgrgid", lambda number: entry)
    monkeypatch.setattr(docker_socket, "user_name", lambda: "ann")
    monkeypatch.setattr(docker_socket.os, "getgroups", lambda: ours)
    monkeypatch.setattr(docker_socket.os, "getegid", lambda: -1)


def test_a_user_outside_of_the_group_is_told_to_join_it(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(monkeypatch, members=[], ours=[])
    with pytest.raises(EngineError, match=r"may not ask Docker .*`sudo usermod -aG docker ann`"):
        knock(refused)


def test_a_user_who_joined_but_did_not_log_in_again_is_told_that(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(monkeypatch, members=["ann"], ours=[])
    with pytest.raises(EngineError, match=r"not yet in this session.*`newgrp docker`"):
        knock(refused)


def test_a_member_who_is_refused_all_the_same_is_sent_to_look(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(monkeypatch, members=["ann"], ours=[refused.stat().st_gid])
    assert "may not either" in remedy_for_groups(refused)


def test_nobody_is_sent_into_a_group_that_may_not(
    refused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(monkeypatch, members=[], ours=[])
    refused.chmod(0o600)
    assert "only its owner may: run with sudo" in remedy_for_groups(refused)


def test_what_an_engine_says_of_itself() -> None:
    assert has_gpu({"Runtimes": {"nvidia": {}}})
    assert has_gpu({"Runtimes": {}, "DiscoveredDevices": [{"ID": "nvidia.com/gpu=all"}]})
    assert not has_gpu({"Runtimes": {}, "DiscoveredDevices": [{"ID": "vendor.com/nic=0"}]})
    assert not has_gpu({"Runtimes": {"runc": {}}})
    assert live_restore({"LiveRestoreEnabled": True})
    assert not live_restore({})


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("/run/docker.sock", "is unix:///run/docker.sock meant?"),
        ("tcp://127.0.0.1:2375", "any machine may be"),
        ("tcp://localhost", "any machine may be"),
        ("tcp://localhost.of.others:1", "another machine's engine, here"),
        ("ssh://spark", "another machine's engine, here"),
    ],
)
def test_an_address_that_is_no_socket_of_this_machine(url: str, sentence: str) -> None:
    with pytest.raises(EngineError) as refused:
        socket_path(url, "here")
    assert sentence in str(refused.value)


def test_an_engine_that_hangs_while_it_is_greeted_is_told_as_one_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its SDK tells of that as of any failure to ask for the version."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    with listening, pytest.raises(EngineSilentError, match=r"did not answer in 1 s: does it hang"):
        DockerConnection(answer_s=1).about()


def test_an_engine_whose_containers_are_no_processes_of_this_machine() -> None:
    """`ssh -L` brings another machine's engine to a socket of this one; its pids are not ours."""
    here = os.uname()
    info = {"Name": here.nodename, "KernelVersion": here.release, "OperatingSystem": "Debian 12"}
    assert elsewhere(info) is None
    assert elsewhere({}) is None, "what is not said is no reason to refuse"
    assert "Docker's engine itself" in (elsewhere({"OperatingSystem": "Docker Desktop"}) or "")
    for changed in ({"Name": "spark-2"}, {"KernelVersion": "6.11.0-1014-nvidia"}):
        why = elsewhere(info | changed) or ""
        assert next(iter(changed.values())) in why
        assert "run lanewatch on that host" in why


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        pytest.param(
            Exit(code=0, oom_killed=True),
            "stage train: exited with code 0 but never said that it had finished; the kernel "
            "killed a process of its container for want of memory",
            id="exit 0 is no success",
        ),
        pytest.param(
            Exit(signal=9, note="the engine was started anew"),
            "stage train: killed by SIGKILL (the engine was started anew)",
            id="the engine's own word",
        ),
        pytest.param(
            Exit(note="no Docker engine answers"),
            "stage train: exit status unknown (no Docker engine answers)",
            id="nobody says how",
        ),
    ],
)
def test_how_a_container_ended_in_words(end: Exit, cause: str) -> None:
    outcome = judge_end(StageEnd(stage="train", exit=end, result=None))
    assert (outcome.status, outcome.cause) == (Status.FAILED, cause)


def test_a_stop_that_the_engine_brought_is_not_told_as_one_that_was_asked_for() -> None:
    result = {"outcome": "stopped", "iteration": 7}
    end = StageEnd(
        stage="train", exit=Exit(code=0, note="restarted"), result=result, saved_iteration=7
    )
    told = judge_end(end).cause
    assert (
        told == "stopped by a signal from outside in stage train, saved at iteration 7 (restarted)"
    )
    asked = StageEnd(
        stage="train",
        exit=Exit(code=0, note="restarted"),
        result=result,
        saved_iteration=7,
        asked=Request(Action.STOP_AND_SAVE),
    )
    assert judge_end(asked).cause == "stopped by the user in stage train, saved at iteration 7"


def test_how_an_engine_is_asked_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its toolkit where it has one, named or not; else through CDI, one device."""
    usual = {"Count": 1, "Capabilities": [["gpu"]]}
    cdi = {"DiscoveredDevices": [{"ID": f"nvidia.com/gpu={each}"} for each in ("all", "GPU-1")]}
    assert gpu_request({"Runtimes": {"nvidia": {}}} | cdi) == usual
    monkeypatch.setattr("runners.engines.docker_client.HOOK_PLACES", str(tmp_path))
    assert gpu_request({}) is None
    assert gpu_request(cdi) == {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-1"]}
    hook = tmp_path / "nvidia-container-runtime-hook"
    hook.touch(mode=0o755)
    assert gpu_request({"Runtimes": {"runc": {}}}) == usual, "as on a box that nobody configured"
