"""The `import` stage of a lane with packages of its own: real pip, real wheels, made here.

The stage runs as in production: a process of its own, from a copied payload.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import read, until

SOURCE = Path(__file__).parents[2] / "runners" / "payload"


def wheel(folder: Path, name: str, code: str) -> None:
    """Write the wheel of a package with one module into *folder*."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [_record(path, content) for path, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


def _record(path: str, content: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=")
    return f"{path},sha256={digest.decode()},{len(content)}"


class Run:
    """A run folder whose lane brings the packages `lane_a` and `lane_b` along."""

    def __init__(self, root: Path, *, lock: str = "lane-a==1.0\nlane-b==1.0\n") -> None:
        self.root = root
        self.cache, self.wheels = root.parent / "cache", root.parent / "wheels"
        package = root / "payload" / "lanewatch_payload"
        for folder in (package, root / "work", root / "logs", self.wheels):
            folder.mkdir(parents=True, exist_ok=True)
        for path in SOURCE.glob("*.py"):
            shutil.copyfile(path, package / path.name)
        (package / "test.lock.txt").write_text(lock)

    def start(self, **packages: Any) -> subprocess.Popen[bytes]:
        given = {"lane": "test", "lock": "test.lock.txt", "imports": ["lane_a", "lane_b"]}
        given |= {"hidden": ["jinja2"], "source": "lane", "wheelhouse": str(self.wheels)}
        paths = {"base": "/nowhere", "cache": str(self.cache)}
        job = {"schema": 1, "stage": "import", "attempt": 1, "recipe": {}, "paths": paths}
        content = json.dumps(job | {"packages": given | packages})
        (self.root / "work" / "job.json").write_text(content)
        environment = os.environ | {
            "LANEWATCH_RUN_DIR": str(self.root),
            "LANEWATCH_RUN": self.root.name,
            "LANEWATCH_STAGE": "import",
            "LANEWATCH_ATTEMPT": "1",
            "PYTHONPATH": str(self.root / "payload"),
            "PIP_CONSTRAINT": "/nowhere/constraint.txt",  # as NVIDIA's images set it
        }
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "lanewatch_payload.import_packages"],
                cwd=self.root / "work",
                env=environment,
                stdout=log,
                stderr=log,
            )

    def result(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        process.wait()
        return read(self.root / "result.json")

    @property
    def log(self) -> Path:
        return self.root / "logs" / "import.log"

    def environments(self) -> list[Path]:
        """What is in the cache besides locks."""
        folder = self.cache / "environments"
        found = sorted(folder.iterdir()) if folder.exists() else []
        return [path for path in found if not path.name.endswith(".lock")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    wheel(made.wheels, "lane_a", "WHERE = __file__")
    wheel(
        made.wheels,
        "lane_b",
        "import importlib.util\nassert not importlib.util.find_spec('jinja2')",
    )
    return made


def test_it_is_made_once_and_then_found(run: Run) -> None:
    first = run.result(run.start())
    assert (first["outcome"], first["made"]) == ("finished", True), run.log.read_text()
    (made,) = run.environments()
    assert str(made) == first["folder"]
    assert made.stat().st_mode & 0o077 == 0
    beat = read(run.root / "heartbeat.json")
    assert (beat["unit"], beat["done"], beat["total"]) == ("packages", 2, 2)
    site = Path(read(run.root / "work" / "environment.json")["site"])
    assert (site / "lane_a.py").is_file()
    again = run.result(run.start())
    assert (again["made"], again["folder"]) == (False, first["folder"])
    (site / "lane_a.py").unlink()
    shutil.rmtree(next(site.glob("lane_a-*.dist-info")))
    assert run.result(run.start())["made"] is True, "half an environment is made again"
    assert (site / "lane_a.py").is_file()


def test_of_two_at_once_one_makes_it_and_the_other_waits(run: Run) -> None:
    other = Run(run.root.with_name("other"))
    wheel(run.wheels, "lane_b", "import time; time.sleep(2)")
    starts = [run.start(), other.start()]
    results = [run.result(starts[0]), other.result(starts[1])]
    assert sorted(each["made"] for each in results) == [False, True]
    assert results[0]["folder"] == results[1]["folder"]
    second = run if results[1]["made"] else other
    assert "another run makes the same one; waiting" in second.log.read_text()
    assert len(run.environments()) == 1


def test_what_does_not_import_is_not_kept(run: Run) -> None:
    wheel(run.wheels, "lane_b", "raise RuntimeError('no accelerator here')")
    result = run.result(run.start())
    assert result["outcome"] == "failed"
    assert "do not import here: RuntimeError: no accelerator here" in result["cause"]
    assert run.environments() == []
    assert not (run.root / "work" / "environment.json").exists()


@pytest.mark.parametrize(
    ("packages", "lock", "says"),
    [
        pytest.param({}, "lane-c==1.0\n", "could not be installed", id="not in the wheelhouse"),
        pytest.param({"wheelhouse": "/nowhere"}, None, "is no folder here", id="no wheelhouse"),
        pytest.param({}, "lane-a>1\n", "no exact pin: lane-a>1", id="a lock that is none"),
        pytest.param(
            {"source": "interpreter"},
            None,
            "lacks lane_a, lane_b: `pip install '.[test]'` there",
            id="no own ones",
        ),
    ],
)
def test_what_cannot_be_installed_is_one_sentence(
    run: Run, packages: dict[str, Any], lock: str | None, says: str
) -> None:
    if lock:
        package = run.root / "payload" / "lanewatch_payload"
        (package / "test.lock.txt").write_text(lock)
    result = run.result(run.start(**packages))
    assert result["outcome"] == "failed"
    assert says in result["cause"], result["cause"]
    assert run.environments() == []


def test_the_interpreters_own_packages_are_taken_as_they_are(run: Run) -> None:
    package = run.root / "payload" / "lanewatch_payload"
    (package / "test.lock.txt").write_text("pytest==0.1\n")
    result = run.result(run.start(source="interpreter", imports=["pytest"]))
    assert (result["made"], result["folder"]) == (False, None), run.log.read_text()
    assert result["differs"] == {"pytest": pytest.__version__}
    assert "the lane was tested with 0.1" in run.log.read_text()
    assert read(run.root / "work" / "environment.json")["site"] is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_halfway_it_leaves_nothing_that_is_believed(run: Run, number: signal.Signals) -> None:
    wheel(run.wheels, "lane_b", "import time; time.sleep(15)")
    process = run.start()
    until(lambda: "importing lane_a" in run.log.read_text(), "the import that takes long")
    process.send_signal(number)
    process.wait()
    assert [each for each in run.environments() if not each.name.startswith(".")] == []
    if number == signal.SIGTERM:
        assert run.result(process)["outcome"] == "stopped"
        assert run.environments() == []
    wheel(run.wheels, "lane_b", "")
    assert run.result(run.start())["made"] is True, run.log.read_text()
    assert len(run.environments()) == 1
