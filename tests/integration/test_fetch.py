"""The stage `fetch` with the real huggingface_hub, from a hub on loopback."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from conftest import Lanewatch, read, state, until
from servers import CHUNK, REVISION, Hub, serving
from strangers import as_stranger

from monitor.rundir import RunDir
from runners import fetch
from runners.payload.contract import StageError
from runners.recipe.base import missing

NAME = "owner/model"
MIB = 1 << 20
ROWS = Path(__file__).parents[2] / "runners" / "recipe" / "demo" / "corpus.jsonl"


@pytest.fixture
def hub() -> Iterator[Hub]:
    noise = random.Random(7)
    server = Hub()
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": {"a": shards[0], "b": shards[1]}}
    server.models[NAME] = {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "README.md": b"not wanted",
        "pytorch_model.bin": bytes(2 * CHUNK),
        "consolidated.safetensors": bytes(2 * CHUNK),
        "model.safetensors.index.json": json.dumps(index).encode(),
        shards[0]: noise.randbytes(2 * MIB),
        shards[1]: noise.randbytes(3 * MIB),
    }
    with serving(server):
        yield server


class Fetching:
    """A run of which only the stage `fetch` is run, as its keeper would."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.run, self.hub, self.cache = RunDir(folder / "run"), hub, folder / "hf" / "hub"
        for each in (self.run.root, self.run.work):
            each.mkdir()
        self.base = self.run.work / "base"
        info = {"recipe": {}, "lane": "reference", "engine": "local", "recipe_hash": "h"}
        info |= {"fetch": {"hub": NAME}, "paths": {"base": str(self.base)}}
        self.run.run_json.write_text(json.dumps(info))

    def start(self, **env: str) -> subprocess.Popen[str]:
        own = {
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.cache.parent),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "LANEWATCH_RUN_DIR": str(self.run.root),
            "LANEWATCH_STAGE": "fetch",
            "LANEWATCH_ATTEMPT": "1",
        }
        argv = [sys.executable, "-P", "-m", "runners.fetch", str(self.run.root)]
        return subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_plain() | own | env,
        )

    def ends(self, **env: str) -> dict[str, Any]:
        """Run it to its end and return result.json."""
        with self.start(**env) as child:
            said = child.communicate(timeout=120)[0]
        result = read(self.run.result)
        assert result, said
        return result | {"said": said}

    def loaded(self, name: str) -> list[str]:
        """The requests for the content of one file."""
        return [each for each in self.hub.trouble.asked if each.startswith("GET") and name in each]


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HF_")}


@pytest.fixture
def fetching(tmp_path: Path, hub: Hub) -> Fetching:
    return Fetching(tmp_path, hub)


def test_a_model_of_the_hub_comes_into_the_cache_and_the_run_leads_there(
    fetching: Fetching,
) -> None:
    result = fetching.ends()
    assert result["outcome"] == "finished", result["cause"]
    snapshot = fetching.cache / "models--owner--model" / "snapshots" / REVISION
    assert Path(os.path.realpath(fetching.base)) == snapshot
    assert result["fetch"] == {
        "hub": NAME,
        "revision": REVISION,
        "folder": str(snapshot),
        "bytes": sum(len(each) for each in _wanted(fetching.hub).values()),
    }
    assert {each.name: each.read_bytes() for each in snapshot.iterdir()} == _wanted(fetching.hub)
    beat = read(fetching.run.heartbeat)
    assert (beat["unit"], beat["done"]) == ("bytes", beat["total"])


def test_it_comes_into_the_cache_of_whoever_launched_though_the_keeper_knows_none(
    fetching: Fetching, tmp_path: Path
) -> None:
    info = read(fetching.run.run_json)
    info["fetch"]["cache"] = str(tmp_path / "large disk" / "hub")
    fetching.run.run_json.write_text(json.dumps(info))
    result = fetching.ends()
    assert result["outcome"] == "finished", result["cause"]
    assert Path(os.path.realpath(fetching.base)).is_relative_to(tmp_path / "large disk")
    assert result["fetch"]["cache"] == info["fetch"]["cache"], "for the next attempt, too"
    assert not fetching.cache.exists()


def _wanted(hub: Hub) -> dict[str, bytes]:
    files = hub.models[NAME]
    others = ("README.md", "pytorch_model.bin", "consolidated.safetensors")
    return {name: files[name] for name in files if name not in others}


def test_killed_in_the_middle_it_goes_on_and_loads_no_whole_file_again(fetching: Fetching) -> None:
    fetching.hub.trouble.pace = 2 * MIB
    with fetching.start() as child:
        until(lambda: len(fetching.loaded("00002-of")) > 0, "the second shard", 60)
        beat = until(lambda: _between(fetching.run), "bytes of the whole", 60)
        child.kill()
    assert 0 < beat["done"] < beat["total"]
    first = len(fetching.loaded("00001-of"))
    fetching.hub.trouble.pace = None
    assert missing(_snapshot(fetching)) == ["model-00002-of-00002.safetensors"]
    assert fetching.ends()["outcome"] == "finished"
    assert len(fetching.loaded("00001-of")) == first


def _between(run: RunDir) -> dict[str, Any] | None:
    beat = read(run.heartbeat)
    return beat if 2 * MIB < (beat.get("done") or 0) < (beat.get("total") or 0) else None


def _snapshot(fetching: Fetching) -> Path:
    return fetching.cache / "models--owner--model" / "snapshots" / REVISION


def test_a_hub_that_breaks_off_is_asked_again(fetching: Fetching) -> None:
    fetching.hub.trouble.break_off = 8
    result = fetching.ends()
    assert result["outcome"] == "finished", result["cause"]
    assert fetching.hub.trouble.break_off == 0
    assert (_snapshot(fetching) / "model-00002-of-00002.safetensors").stat().st_size == 3 * MIB


def test_it_ends_when_it_is_asked_to(fetching: Fetching) -> None:
    fetching.hub.trouble.pace = MIB / 4
    with fetching.start() as child:
        until(lambda: len(fetching.loaded("00001-of")) > 0, "the first shard", 60)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert read(fetching.run.result)["outcome"] == "stopped"
    assert not fetching.base.exists()


@pytest.mark.parametrize(
    ("answer", "env", "sentence"),
    [
        pytest.param(404, {}, "the hub has no model owner/model", id="no such model"),
        pytest.param(403, {}, "owner/model is gated: accept its terms", id="gated"),
        pytest.param(None, {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids", id="offline"),
    ],
)
def test_what_can_never_succeed_says_so_at_once(
    fetching: Fetching, answer: int | None, env: dict[str, str], sentence: str
) -> None:
    fetching.hub.trouble.answer = answer
    result = fetching.ends(**env)
    assert result["outcome"] == "failed"
    assert sentence in result["cause"]
    assert "Traceback" not in result["cause"]


def test_a_hub_that_cannot_be_reached_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PAUSES_S", (0.0,))
    tries: list[int] = []

    def ask() -> str:
        tries.append(len(tries))
        if len(tries) < 6:
            raise fetch.HubSilentError("no route to host")
        return "there"

    stage = fetch.Fetch(cast("Any", None), NAME, tmp_path)
    assert stage._insist(ask, first=True) == "there"
    monkeypatch.setattr(fetch, "REACH_S", 0.0)
    tries.clear()
    with pytest.raises(StageError, match="the hub cannot be reached: no route to host"):
        stage._insist(ask, first=True)


def test_a_cache_that_somebody_else_filled_is_named(tmp_path: Path, hub: Hub) -> None:
    """A container that ran as root leaves blobs that only root may touch."""
    from conftest import CLI

    if os.geteuid() != 0:
        pytest.skip("only root can make files of another user")
    cache, home = Path(f"/tmp/lw-cache-{os.getpid()}"), Path(f"/tmp/lw-home-{os.getpid()}")
    snapshot = cache / "models--owner--model" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        blob = cache / "models--owner--model" / f"blob-{name}"
        blob.write_text("{}")
        (snapshot / name).symlink_to(blob)
    (cache / "models--owner--model" / "blob-model.safetensors").chmod(0o600)
    argv = [*CLI, "launch", f"--data={ROWS}", f"--model={NAME}", "--dry-run"]
    env = os.environ | {"HF_HUB_CACHE": str(cache), "HOME": str(home)}
    env |= {"LANEWATCH_RUNS": str(home / "runs"), "XDG_CONFIG_HOME": str(home)}
    try:
        done = subprocess.run(
            as_stranger(argv, groups=[], scratch=home / "root"),
            env=env,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.returncode == 2
        assert "model.safetensors" in done.stderr
        assert "belongs to user 0 and may not be read: `sudo chown" in done.stderr
        (cache / "models--owner--model" / "blob-config.json").unlink()
        again = subprocess.run(
            [*CLI, "launch", f"--data={ROWS}", f"--model={snapshot}", "--dry-run"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert again.returncode == 2
        assert "lacks config.json" in again.stderr
    finally:
        shutil.rmtree(cache)
        shutil.rmtree(home)


def test_a_launch_with_a_name_of_the_hub_fetches_first_and_survives_its_keeper(
    lanewatch: Lanewatch, hub: Hub, tmp_path: Path
) -> None:
    hub.trouble.pace = MIB
    env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_" + "t" * 30}
    run_id = lanewatch(
        "launch", f"--data={ROWS}", f"--model={NAME}", "--set=train.save_interval=9", **env
    ).strip()
    run = RunDir(lanewatch.root / run_id)
    until(lambda: _between(run), "bytes")
    fetching = state(run)["process"]
    assert b"HF_TOKEN=hf_t" in Path(f"/proc/{fetching['pid']}/environ").read_bytes()
    keeper = state(run)["keeper"]["pid"]
    os.kill(keeper, signal.SIGKILL)
    until(lambda: state(run)["keeper"]["pid"] != keeper, "a new keeper")
    lanewatch("wait", run_id, code=1)
    stages = {each["name"]: each["status"] for each in state(run)["stages"]}
    # The hub's tokenizer is no tokenizer: `prepare` is where such a base is found out.
    assert (stages["fetch"], stages["prepare"]) == ("done", "failed")
    assert read(run.run_json)["fetch"]["revision"] == REVISION
