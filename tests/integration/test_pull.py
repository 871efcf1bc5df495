"""The stage `pull`: a real engine gets an image from a registry on loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Lanewatch, read, state, until
from engine import IMAGE, Engine, running_engine, why_not_here
from servers import CHUNK, Registry, serving

from monitor.rundir import RunDir
from runners.engines.registry import image_size
from runners.errors import EngineError

MIB = 1 << 20
ROWS = Path(__file__).parents[2] / "runners" / "recipe" / "demo" / "corpus.jsonl"


@pytest.fixture(scope="module")
def own_engine() -> Iterator[Engine]:
    """An engine that these tests may kill."""
    reason = why_not_here()
    if reason is not None:
        pytest.skip(reason)
    with running_engine() as running:
        yield running


@pytest.fixture
def registry() -> Iterator[Registry]:
    noise = random.Random()  # other layers for each test: what an engine has it does not ask for
    server = Registry([noise.randbytes(3 * MIB), noise.randbytes(2 * MIB), b"small"])
    with serving(server):
        yield server


TUNED, RUN = "import sys, runners.pull as stage\n", "sys.exit(stage.main())"


class Pulling:
    """A run of which only the stage `pull` is run, as its keeper would."""

    def __init__(self, folder: Path, engine: Engine, image: str) -> None:
        self.run, self.engine, self.image = RunDir(folder / "run"), engine, image
        self.folder = folder
        self.tuned = ""
        """What changes the stage's patience."""
        for each in (self.run.root, self.run.work):
            each.mkdir()
        self.describe({"name": image})

    def describe(self, image: dict[str, Any], **docker: str) -> None:
        info = {"recipe": {"docker": docker}, "lane": "reference", "engine": "docker"}
        info |= {"recipe_hash": "h", "image": image}
        self.run.run_json.write_text(json.dumps(info))

    def start(self) -> subprocess.Popen[str]:
        own = {
            "DOCKER_CONFIG": str(self.folder),
            "LANEWATCH_RUN_DIR": str(self.run.root),
            "LANEWATCH_STAGE": "pull",
            "LANEWATCH_ATTEMPT": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-P", "-c", f"{TUNED}{self.tuned}\n{RUN}", str(self.run.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | self.engine.env | own,
        )

    def ends(self) -> dict[str, Any]:
        """Run it to its end and return result.json with what it said."""
        with self.start() as child:
            return self.ended(child)

    def ended(self, child: subprocess.Popen[str]) -> dict[str, Any]:
        said = child.communicate(timeout=120)[0]
        result = read(self.run.result)
        assert result, said
        return result | {"said": said}

    def beat(self) -> dict[str, Any] | None:
        """The heartbeat, while a part of the bytes is here."""
        beat = read(self.run.heartbeat)
        return beat if 0 < (beat.get("done") or 0) < (beat.get("total") or 0) else None


@pytest.fixture
def pulling(tmp_path: Path, own_engine: Engine, registry: Registry) -> Iterator[Pulling]:
    yield Pulling(tmp_path, own_engine, registry.image)
    own_engine.call("rmi", "--force", registry.image)


def test_an_image_is_pulled_with_its_bytes_counted_and_named_by_its_digest(
    pulling: Pulling, registry: Registry
) -> None:
    registry.trouble.pace = 2 * MIB
    with pulling.start() as child:
        beat = until(pulling.beat, "a part of it")
        result = pulling.ended(child)
    assert (beat["unit"], beat["stage"], beat["total"]) == ("bytes", "pull", registry.bytes)
    assert result["outcome"] == "finished", result["cause"]
    image = result["image"]
    inspected = json.loads(pulling.engine.docker("image", "inspect", registry.image))[0]
    assert (image["name"], image["id"]) == (registry.image, inspected["Id"])
    assert image["digest"] == inspected["RepoDigests"][0]
    assert f"3/3 layers, {registry.bytes / MIB:.1f} MiB of" in result["said"]


def test_the_registry_says_beforehand_what_there_is_to_load(registry: Registry) -> None:
    assert image_size(registry.image).bytes == registry.bytes
    with pytest.raises(EngineError, match="does not say what"):
        image_size(registry.image.replace(":1", ":2"))


def test_what_is_here_is_not_asked_for_and_the_image_of_an_earlier_attempt_is_kept(
    pulling: Pulling, registry: Registry
) -> None:
    first = pulling.ends()["image"]
    # By tag and digest, as a careful recipe names it.
    pulling.describe({"name": f"{registry.image}@{first['digest'].partition('@')[2]}"})
    assert pulling.ends()["image"]["digest"] == first["digest"]
    assert image_size(f"{registry.image}@{first['digest'].partition('@')[2]}").bytes
    registry.trouble.asked.clear()
    pulling.describe(first)
    assert pulling.ends()["image"] == first
    assert registry.trouble.asked == []
    pulling.engine.docker("rmi", registry.image)
    assert pulling.ends()["image"] == first, "by its digest, whatever the tag means by now"
    assert any(first["digest"].partition("@")[2] in each for each in registry.trouble.asked)


def test_another_image_by_the_same_name_is_not_taken_for_the_one_before_without_a_word(
    pulling: Pulling,
) -> None:
    """One that no registry has, and that was made anew between two attempts."""
    pulling.describe({"name": IMAGE, "id": f"sha256:{'0' * 64}", "digest": None})
    result = pulling.ends()
    assert result["outcome"] == "finished"
    assert f"warning: the image of the attempt before is gone; {IMAGE}" in result["said"]


def test_a_registry_that_breaks_off_and_a_killed_stage_only_cost_time(
    pulling: Pulling, registry: Registry
) -> None:
    registry.trouble.break_off = 3
    registry.trouble.pace = MIB
    with pulling.start() as child:
        until(pulling.beat, "a part of it")
        child.kill()
    registry.trouble.pace = None
    result = pulling.ends()
    assert result["outcome"] == "finished", result["cause"]
    assert pulling.engine.call("image", "inspect", registry.image).returncode == 0


def test_an_engine_that_is_restarted_in_the_middle_is_waited_for(
    pulling: Pulling, registry: Registry
) -> None:
    registry.trouble.pace = MIB
    with pulling.start() as child:
        until(pulling.beat, "a part of it")
        pulling.engine.restart()
        registry.trouble.pace = None
        result = pulling.ended(child)
    assert result["outcome"] == "finished", result["cause"]
    assert "the pull was interrupted" in result["said"]


def test_an_engine_that_is_away_when_the_stage_begins_is_waited_for_too(
    pulling: Pulling, tmp_path: Path
) -> None:
    """It is upgraded at that very moment, say; the socket is there again a little later."""
    socket, own = pulling.engine.socket, dict(pulling.engine.env)
    pulling.engine.env = own | {"DOCKER_HOST": f"unix://{tmp_path}/late.sock"}
    try:
        child = pulling.start()
    finally:
        pulling.engine.env = own
    with child:
        assert child.stdout is not None
        first = child.stdout.readline()
        (tmp_path / "late.sock").symlink_to(socket)
        result = pulling.ended(child)
    assert "waiting for the engine: no Docker engine answers" in first
    assert result["outcome"] == "finished", result["cause"]


def test_a_registry_that_cannot_be_reached_for_a_while_is_waited_for(
    pulling: Pulling, registry: Registry
) -> None:
    """At night a network goes away for a minute, too, and a queued run begins just then."""
    registry.trouble.answer = 503
    pulling.tuned = "stage.PAUSES_S = (0.01,)"
    with pulling.start() as child:
        until(lambda: len(registry.trouble.asked) > 8, "more tries than a few")
        registry.trouble.answer = None
        result = pulling.ended(child)
    assert result["outcome"] == "finished", result["cause"]


def test_it_ends_when_it_is_asked_to(pulling: Pulling, registry: Registry) -> None:
    registry.trouble.pace = CHUNK
    with pulling.start() as child:
        until(pulling.beat, "a part of it")
        child.send_signal(signal.SIGTERM)
        assert pulling.ended(child)["outcome"] == "stopped"


@pytest.mark.parametrize(
    ("answer", "image", "sentence"),
    [
        pytest.param(401, None, "`docker login 127.0.0.1:", id="no login"),
        pytest.param(None, "lw/other:1", "has no image 127.0.0.1:", id="no such image"),
        pytest.param(None, "NOWHERE", "cannot be reached", id="no registry"),
    ],
)
def test_what_can_never_succeed_says_so(
    pulling: Pulling, registry: Registry, answer: int | None, image: str | None, sentence: str
) -> None:
    registry.trouble.answer = answer
    pulling.tuned = "stage.REACH_S = 0.0"
    if image == "NOWHERE":
        pulling.describe({"name": "127.0.0.1:1/lw/noise:1"})
    elif image is not None:
        pulling.describe({"name": registry.image.replace("lw/noise:1", image)})
    result = pulling.ends()
    assert result["outcome"] == "failed"
    assert sentence in result["cause"]


def test_nobody_pulls_where_that_is_forbidden(pulling: Pulling, registry: Registry) -> None:
    pulling.describe({"name": registry.image}, pull="never")
    result = pulling.ends()
    assert f"`docker pull {registry.image}`" in result["cause"]
    assert registry.trouble.asked == []


def test_a_launch_pulls_first_survives_its_keeper_and_records_the_digest(
    lanewatch: Lanewatch, pulling: Pulling, registry: Registry
) -> None:
    registry.trouble.pace = MIB / 4
    run_id = lanewatch(
        "launch",
        f"--data={ROWS}",
        "--model=tiny-random-qwen3",
        "--lane=reference",
        "--engine=docker",
        f"--set=docker.image={registry.image}",
        "--set=train.save_interval=9",
        **pulling.engine.env,
    ).strip()
    run = RunDir(lanewatch.root / run_id)
    until(lambda: (read(run.heartbeat).get("done") or 0) > 0, "bytes")
    keeper = state(run)["keeper"]["pid"]
    os.kill(keeper, signal.SIGKILL)
    until(lambda: state(run)["keeper"]["pid"] != keeper, "a new keeper")
    told = lanewatch.json("status", run_id)
    assert (told["stage"], told["verdict"]) == ("pull", "working")
    registry.trouble.pace = None
    lanewatch("wait", run_id, code=1)
    stages = {each["name"]: each["status"] for each in state(run)["stages"]}
    assert (stages["pull"], stages["fetch"]) == ("done", "failed")
    assert "sh" in state(run)["cause"], "an image of noise has no shell"
    assert read(run.run_json)["image"]["digest"].startswith("127.0.0.1:")
    left = pulling.engine.docker("ps", "-aq", f"--filter=label=lanewatch.folder={run.root}")
    assert left == ""
