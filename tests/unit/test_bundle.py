"""The bundle of a diagnosis: what helps is in it, what was planted is not, no file is replaced."""

from __future__ import annotations

import json
import os
import pwd
import tarfile
from pathlib import Path
from typing import Any

import pytest

from monitor.diagnosis import bundle
from monitor.diagnosis.bundle import BundleError, write_bundle
from monitor.diagnosis.record import Diagnosis, diagnose
from monitor.events import append_event
from monitor.probes.clock import read_now
from monitor.rundir import RunDir
from tui.cli.main import run as lanewatch

SECRETS = (
    "hf_QwErTyUiOpAsDfGhJkLz",
    "sk-abcdef1234567890",
    "plainword",
    "tgram://1/2",
    "swordfish9",
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run that has failed, with a secret in whatever a bundle reads."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LANEWATCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("OUR_SECRET", "swordfish9")
    folder = RunDir(tmp_path / "runs" / "reference-20261128-170538-26cf")
    folder.logs.mkdir(parents=True)
    info: dict[str, Any] = {
        "schema": 1,
        "lane": "reference",
        "engine": "local",
        "kind": "train",
        "keeper_command": ["python", "--hub-token", "plainword", f"{tmp_path}/home/x"],
        "recipe": {"model": {"path": f"{tmp_path}/home/base"}, "env": {"A": "plainword"}},
        "versions": {"lanewatch": "0", "machine": "x86_64"},
        "stages": ["train"],
        "alerts": {"urls": ["tgram://1/2"]},
    }
    folder.run_json.write_text(json.dumps(info))
    cause = "stage train: ImportError: Found an incompatible version of torchao"
    state = {"status": "failed", "cause": cause, "stage": "train", "attempt": 1}
    folder.state.write_text(json.dumps(state))
    folder.log("train").write_text(
        "iteration 3/40 | loss 0.1\nHF_TOKEN=hf_QwErTyUiOpAsDfGhJkLz swordfish9\n"
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n"
        f"reads {tmp_path}/home/x from https://hub.example/a?b=c\n"
        f"{cause.removeprefix('stage train: ')}\n"
    )
    append_event(folder.events, "note", "sk-abcdef1234567890 was used", "keeper", read_now())
    folder.metrics.write_text('{"iteration": 1, "loss": 0.5, "api_key": "plainword"}\n')
    return folder


def contents(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        entries = archive.getmembers()
        assert all((each.uid, each.uname) == (0, "") for each in entries), "no user's name"
        return {
            each.name: (archive.extractfile(each) or pytest.fail(each.name)).read().decode()
            for each in entries
        }


def test_nothing_that_was_planted_is_in_it_and_all_that_helps_is(
    run: RunDir, tmp_path: Path
) -> None:
    path = tmp_path / "b.tar.gz"
    size = write_bundle(run, diagnose(run), path)
    assert size == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600
    found = contents(path)
    whole = "\n".join(found.values())
    for secret in (*SECRETS, str(tmp_path), "MIIEow", "hub.example"):
        assert secret not in whole, secret
    names = {each.split("/", 1)[1] for each in found}
    assert names >= {
        "README.txt",
        "diagnosis.json",
        "versions.json",
        "run.json",
        "state.json",
        "events.jsonl",
        "metrics.jsonl",
        "samples.jsonl",
        "logs/train.log",
    }
    said = json.loads(found["lanewatch-reference-20261128-170538-26cf/diagnosis.json"])
    assert said["conclusion"]["cause"] == "crashed"
    assert said["conclusion"]["known"][0]["name"] == "torchao-old"
    assert (
        "iteration 3/40 | loss 0.1"
        in found["lanewatch-reference-20261128-170538-26cf/logs/train.log"]
    )
    assert "torchao" in found["lanewatch-reference-20261128-170538-26cf/README.txt"]


def test_a_user_without_a_home_gets_one_too(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    found = diagnose(run)
    write_bundle(run, found, tmp_path / "b.tar.gz")
    assert SECRETS[0] not in "\n".join(contents(tmp_path / "b.tar.gz").values())


def test_no_file_is_replaced(run: RunDir, tmp_path: Path) -> None:
    path = tmp_path / "mine.tar.gz"
    path.write_text("mine")
    with pytest.raises(BundleError, match="is there already"):
        write_bundle(run, diagnose(run), path)
    assert path.read_text() == "mine"
    with pytest.raises(BundleError, match="cannot be written"):
        write_bundle(run, diagnose(run), tmp_path / "no" / "folder.tar.gz")


def test_a_place_that_takes_no_file_is_refused_before_anybody_looks(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked(*_: object, **__: object) -> Any:
        raise AssertionError("nobody waits for a look that is thrown away")

    monkeypatch.setattr("tui.cli.diagnosing.diagnose", looked)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != closed)
    for word, why in {
        str(tmp_path / "file"): "is there already",
        str(tmp_path / "link"): "is there already",
        str(tmp_path / "no" / "b.tar.gz"): "there is no folder",
        str(tmp_path / "file" / "b.tar.gz"): "there is no folder",
        str(closed / "b.tar.gz"): "this user may not write into",
        "": "--bundle wants the name of a file",
    }.items():
        assert lanewatch(["diagnose", run.root.name, "--bundle", word]) == 2
        assert why in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_half_a_bundle_is_not_left(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        yield "README.txt", b"x"
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(bundle, "_members", fail)
    found: Diagnosis = diagnose(run)
    with pytest.raises(BundleError, match="No space left"):
        write_bundle(run, found, tmp_path / "b.tar.gz")
    assert not (tmp_path / "b.tar.gz").exists()


def test_the_command_writes_it_and_refuses_before_it_looks(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "b.tar.gz"
    assert lanewatch(["diagnose", run.root.name, "--bundle", str(path)]) == 0
    told = capsys.readouterr()
    assert "known       torchao-old" in told.out
    assert "before you give it away" in told.err
    assert len(contents(path)) >= 9
    assert lanewatch(["diagnose", run.root.name, "--bundle", str(path)]) == 2
    assert "name another file" in capsys.readouterr().err
