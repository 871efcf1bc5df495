"""The doctor's judgement: from what was seen to ok, warn or fail with a remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from examined import DOCKER, GIB, SPARK, check, examination, facts, launch, memory

from monitor.memory_return import Holder
from monitor.readings import GpuReading
from runners.doctor.examine import lane_check
from runners.doctor.facts import (
    BaseFacts,
    ContainerFacts,
    DiskFacts,
    DockerFacts,
    DriverFacts,
    ImageFacts,
    LimitFacts,
    SessionFacts,
)
from runners.doctor.values import Level, worst
from runners.recipe.model import Recipe

MIB = 1 << 20


def test_a_spark_on_which_all_is_well() -> None:
    found = examination(facts())
    assert [each for each in found.checks if each.level is not Level.OK] == []
    assert found.ok
    assert found.memory_estimate_bytes == facts().launch.estimate.total_bytes


def test_every_check_that_is_not_ok_has_a_remedy_in_one_line() -> None:
    bare = facts(
        machine=replace(SPARK, memory=None, driver=DriverFacts(), limits=LimitFacts(open_files=9)),
        docker=DockerFacts(problem="no Docker engine answers at /s: is it running?"),
        given=launch(base=BaseFacts(name="q", problem="it is not here; fetch it")),
    )
    troubled = [each for each in examination(bare).checks if each.level is not Level.OK]
    assert len(troubled) > 5
    assert [each.name for each in troubled if not each.remedy or "\n" in each.sentence] == []


@pytest.mark.parametrize(
    ("docker", "name", "level", "words"),
    [
        pytest.param(
            DockerFacts(problem="no Docker engine answers at /s: is it running?"),
            "docker",
            Level.FAIL,
            "no Docker engine answers",
            id="nobody answers",
        ),
        pytest.param(
            replace(DOCKER, version="19.03.1"), "docker", Level.WARN, "19.03.1", id="an old engine"
        ),
        pytest.param(
            replace(DOCKER, live_restore=False),
            "docker restarts",
            Level.WARN,
            "saves first and goes on after `lanewatch resume`",
            id="no live-restore",
        ),
        pytest.param(
            replace(DOCKER, runtimes=("runc",)),
            "docker gpu",
            Level.FAIL,
            "no NVIDIA runtime",
            id="no GPU runtime",
        ),
        pytest.param(
            replace(DOCKER, runtimes=("runc",), cdi_gpus=("nvidia.com/gpu",)),
            "docker gpu",
            Level.OK,
            "CDI",
            id="GPUs through CDI",
        ),
        pytest.param(
            replace(DOCKER, rootless=True), "docker users", Level.OK, "rootless", id="rootless"
        ),
        pytest.param(
            replace(DOCKER, userns=True), "docker users", Level.FAIL, "userns-remap", id="userns"
        ),
        pytest.param(
            replace(DOCKER, data_free_bytes=MIB),
            "docker disk",
            Level.FAIL,
            "1 MiB are free where Docker keeps its data (/var/lib/docker)",
            id="no room for a container",
        ),
        pytest.param(
            replace(
                DOCKER, containers=(ContainerFacts(id="1", name="old", run="u-1", root="/runs"),)
            ),
            "leftover containers",
            Level.WARN,
            "old",
            id="a container of a run that is over",
        ),
    ],
)
def test_docker(docker: DockerFacts, name: str, level: Level, words: str) -> None:
    found = check(facts(docker=docker), name)
    assert found.level is level
    assert words in found.seen


def test_the_local_engine_needs_no_docker() -> None:
    nobody = DockerFacts(problem="no Docker engine answers at /s: is it running?")
    found = check(facts(docker=nobody, given=launch(engine="local", image=None)), "docker")
    assert found.level is Level.OK
    assert not check(facts(docker=nobody), "docker").overridable


def test_a_container_of_a_living_run_is_no_leftover() -> None:
    ours = ContainerFacts(id="1", name="now", run="unsloth-1", root="/runs", running=True)
    machine = replace(SPARK, live_runs=frozenset({"unsloth-1"}))
    found = check(
        facts(machine=machine, docker=replace(DOCKER, containers=(ours,))), "leftover containers"
    )
    assert found.level is Level.OK


@pytest.mark.parametrize(
    ("image", "level", "words"),
    [
        pytest.param({"local": True}, Level.OK, "is on this machine", id="here"),
        pytest.param(
            {"local": False, "pull_bytes": 11 * GIB}, Level.WARN, "pull of 11.0 GiB", id="a pull"
        ),
        pytest.param(
            {"local": False, "problem": "the registry x cannot be reached"},
            Level.FAIL,
            "cannot be reached",
            id="no registry",
        ),
        pytest.param({"local": False}, Level.WARN, "not known", id="its size is not told"),
    ],
)
def test_the_image(image: dict[str, Any], level: Level, words: str) -> None:
    found = check(facts(given=launch(image=ImageFacts(name="r.io/i:1", **image))), "image")
    assert found.level is level
    assert words in found.seen


def test_a_pull_needs_room_for_its_layers_and_what_they_unpack_to() -> None:
    image = ImageFacts(name="r.io/i:1", local=False, pull_bytes=20 * GIB)
    docker = replace(DOCKER, data_free_bytes=59 * GIB)
    assert check(facts(docker=docker, given=launch(image=image)), "disk for the pull").level is (
        Level.FAIL
    )
    docker = replace(DOCKER, data_free_bytes=61 * GIB)
    assert check(facts(docker=docker, given=launch(image=image)), "disk for the pull").level is (
        Level.OK
    )


@pytest.mark.parametrize(
    ("lane", "runs", "cache", "level"),
    [
        pytest.param("unsloth", (500, 1), (500, 1), Level.OK, id="plenty"),
        pytest.param("unsloth", (10, 1), (500, 2), Level.FAIL, id="no room for the export"),
        pytest.param("unsloth", (18, 1), (500, 2), Level.WARN, id="hardly"),
        pytest.param("nemo", (25, 1), (500, 2), Level.OK, id="an import elsewhere"),
        pytest.param("nemo", (25, 1), (25, 1), Level.FAIL, id="an import on the same disk"),
        pytest.param("nemo", (500, 1), (9, 2), Level.FAIL, id="no room for the import"),
        pytest.param("unsloth", (None, 1), (500, 1), Level.WARN, id="not known"),
    ],
)
def test_disk(
    lane: str, runs: tuple[int | None, int], cache: tuple[int | None, int], level: Level
) -> None:
    def place(path: str, free: int | None, device: int) -> DiskFacts:
        return DiskFacts(path=path, device=device, free_bytes=None if free is None else free * GIB)

    given = launch(lane=lane, runs=place("/runs", *runs), cache=place("/cache", *cache))
    found = check(facts(given=given), "disk")
    assert found.level is level
    if level is not Level.OK and runs[0] is not None:
        assert "9 checkpoints" in found.seen


def test_keep_last_bounds_what_the_checkpoints_take() -> None:
    from examined import recipe

    given = launch(recipe=recipe(train={"keep_last": 2}))
    assert "3 checkpoints" in check(facts(given=given), "disk").seen


def test_a_run_folder_on_a_network_disk_fails() -> None:
    nfs = DiskFacts(path="/runs", free_bytes=500 * GIB, device=1, kind="nfs4", local=False)
    assert check(facts(given=launch(runs=nfs)), "runs folder").level is Level.FAIL


@pytest.mark.parametrize(
    ("changes", "name", "level"),
    [
        pytest.param({"driver": DriverFacts()}, "driver", Level.FAIL, id="no driver"),
        pytest.param(
            {"driver": DriverFacts(version="570.86")}, "driver", Level.WARN, id="an old driver"
        ),
        pytest.param(
            {"driver": DriverFacts(version="580.1", problem="it has not answered")},
            "driver",
            Level.FAIL,
            id="a driver that hangs",
        ),
        pytest.param(
            {"limits": LimitFacts(open_files=256, shm_bytes=1)}, "ulimits", Level.WARN, id="files"
        ),
        pytest.param(
            {"limits": LimitFacts(address_bytes=GIB)}, "ulimits", Level.WARN, id="address space"
        ),
        pytest.param(
            {"limits": LimitFacts(inotify_instances=2)}, "inotify", Level.WARN, id="inotify"
        ),
        pytest.param(
            {"memory": memory(swap_total_bytes=16, swap_free_bytes=2)},
            "swap",
            Level.WARN,
            id="swapped out",
        ),
        pytest.param(
            {"memory": memory(swap_total_bytes=16, swap_free_bytes=15)}, "swap", Level.OK, id="swap"
        ),
    ],
)
def test_the_machine(changes: dict[str, Any], name: str, level: Level) -> None:
    assert check(facts(machine=replace(SPARK, **changes)), name).level is level


def test_a_stranger_on_the_gpu_is_named_and_a_run_of_ours_is_not() -> None:
    gpu = GpuReading(index=0, name="GB10", process_bytes=((7, 61 * GIB), (8, GIB)))
    holders = (Holder(pid=7, name="vllm", gpu_bytes=61 * GIB),)
    driver = DriverFacts(version="580.1", gpus=(gpu,))
    machine = replace(SPARK, driver=driver, holders=holders, live_pids=frozenset({8}))
    found = check(facts(machine=machine), "gpu processes")
    assert (found.level, "vllm 7 (61.0 GiB)" in found.seen, " 8 " in found.seen) == (
        Level.WARN,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("session", "engine", "level", "words"),
    [
        pytest.param({}, "local", Level.OK, "linger", id="linger"),
        pytest.param(
            {"linger": False, "kill_user_processes": True}, "local", Level.WARN, "ends the run",
            id="killed at logout",
        ),
        pytest.param(
            {"linger": False, "kill_user_processes": True}, "docker", Level.WARN, "container goes",
            id="keeper killed at logout",
        ),
        pytest.param(
            {"linger": False, "remove_ipc": True}, "local", Level.WARN, "RemoveIPC",
            id="shared memory removed",
        ),
        pytest.param(
            {"linger": False, "remove_ipc": True, "uid": 0}, "local", Level.OK, "outlive",
            id="root is spared",
        ),
        pytest.param({"logind": False}, "local", Level.OK, "no logind", id="no logind"),
    ],
)  # fmt: skip
def test_what_a_logout_ends(session: dict[str, Any], engine: str, level: Level, words: str) -> None:
    given = {"logind": True, "linger": True, "uid": 1000} | session
    machine = replace(SPARK, session=SessionFacts(**given))
    found = check(facts(machine=machine, given=launch(engine=engine)), "logout")
    assert (found.level, words in found.seen) == (level, True), found


def test_what_did_not_answer_is_a_check_of_its_own() -> None:
    found = check(replace(facts(), unanswered=("holders of the GPU",)), "holders of the GPU")
    assert found.level is Level.WARN


def test_the_machine_alone_needs_no_recipe() -> None:
    alone = replace(facts(), launch=None)
    names = {each.name for each in examination(alone).checks}
    assert not names & {"base", "disk", "memory", "image"}
    assert examination(alone).ok
    no_docker = replace(alone, docker=DockerFacts(problem="no engine: start it"))
    assert check(no_docker, "docker").level is Level.WARN


def test_the_worst_of_nothing_is_ok() -> None:
    assert worst(()) is Level.OK
    assert worst(examination(facts(docker=DockerFacts(problem="x: y"))).checks) is Level.FAIL


def test_who_did_not_answer_in_time_is_neither_absent_nor_broken() -> None:
    nothing = replace(
        facts(docker=DockerFacts(problem="it was not asked"), given=launch(
            base=BaseFacts(name="q", problem="it could not be read in time")
        )),
        unanswered=("docker", "base", "driver"),
    )  # fmt: skip
    silent = replace(nothing, machine=replace(SPARK, driver=DriverFacts()))
    assert examination(silent).failed == ()
    names = [each.name for each in examination(silent).of(Level.WARN)]
    assert {"docker", "base", "driver"} <= set(names)


def test_a_base_that_will_be_fetched_is_doubtful_and_no_failure() -> None:
    found = facts(given=launch(base=BaseFacts(name="a/b", hub="a/b")))
    assert check(found, "base").level is Level.WARN
    assert "not here yet" in check(found, "memory").seen
    assert examination(found).ok


def test_what_a_launch_would_refuse_the_doctor_says_too() -> None:
    asked = {"data": {"path": "/rows"}, "lora": {"targets": ["q_proj"]}}
    alone = Recipe.model_validate(asked)
    found = lane_check(alone, "nemo", facts())
    assert (found.level, found.overridable) == (Level.FAIL, False)
    assert "together or not at all" in found.seen
    assert lane_check(alone, "unsloth", facts()).level is Level.OK
    whole = Recipe.model_validate({"data": {"path": "/rows"}})
    assert lane_check(whole, "nemo", facts()).level is Level.OK
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    bent = BaseFacts(name="q", config={"rope_scaling": rope | {"attention_factor": 2.0}})
    found = lane_check(whole, "nemo", facts(given=launch(base=bent)))
    assert "would train another model" in found.seen


@pytest.mark.parametrize(
    ("lane", "packages", "refused"),
    [("unsloth", "lane", True), ("unsloth", "interpreter", False), ("nemo", "lane", True),
     ("reference", "lane", False)],
)  # fmt: skip
def test_a_cache_that_cannot_be_written_refuses_the_lanes_that_need_it(
    lane: str, packages: str, refused: bool
) -> None:
    """The launch was accepted, and the stage that installs or imports failed, after the pull."""
    closed = DiskFacts(path="/cache", problem="this user may not write to /cache")
    given = launch(lane=lane, cache=closed)
    recipe = {**given.recipe, "lanes": {"unsloth": {"packages": packages}, "nemo": {}}}
    found = examination(facts(given=launch(lane=lane, cache=closed, recipe=recipe))).checks
    (told,) = [each for each in found if each.name == "cache folder"] or [None]
    assert (told is not None) is refused
    if told is not None:
        assert told.level is Level.FAIL
        assert "LANEWATCH_CACHE" in (told.remedy or "")
        assert not told.overridable
