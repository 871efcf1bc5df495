"""A folder with the real Megatron-Bridge, for a Python that has torch for the CPU.

Made once and kept in the user's cache: 13 MB of wheels, without what they depend on (the stand-ins
of nemo_shims take its place). Two suites that make it at once make it one after the other.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runners.lanes.nemo import PINS as PINS_OF_THE_LANE

PINS = (
    *(f"{name}=={PINS_OF_THE_LANE[name]}" for name in ("megatron-bridge", "megatron-core")),
    "omegaconf==2.3.1",
    "hydra-core==1.3.8",
    "antlr4-python3-runtime==4.9.3",  # as omegaconf wants it; a source archive, pure Python
    "einops==0.8.2",
    "six==1.17.0",
)
"""The wheels ask for Python 3.12 and run on 3.11 as well."""

GIVEN = "NEMO_SITE"
"""Names a folder with another release of Megatron-Bridge, to run the tests with it by hand."""

SHIMS = Path(__file__).parent / "nemo_shims"
WHOLE = "whole"


def environment(site: Path, shims: Path = SHIMS, *, compiles: bool = False) -> dict[str, str]:
    """What a stage of the nemo lane needs around it to run on a CPU."""
    around = {"PYTHONPATH": os.pathsep.join([str(shims), str(site)]), "PYTHONWARNINGS": "ignore"}
    # Its small compiled functions take minutes to compile and nothing here depends on them.
    return around if compiles else around | {"TORCHDYNAMO_DISABLE": "1"}


def python(folder: Path, site: Path, shims: Path = SHIMS, *, compiles: bool = False) -> Path:
    """Write a program into *folder* that is this Python with all of that around it."""
    around = environment(site, shims, compiles=compiles)
    places = around.pop("PYTHONPATH")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in around.items()]
    lines += [f'export PYTHONPATH="$PYTHONPATH:"{shlex.quote(places)}']
    lines += [f'exec {shlex.quote(sys.executable)} "$@"']
    program = folder / "python-of-the-nemo-lane"
    # Where an image of this machine's own programs has it, too.
    program.write_text("\n".join([f"#!{shutil.which('sh')}", *lines, ""]))
    program.chmod(0o755)
    return program


def version(site: Path) -> str:
    """Of the Megatron-Bridge in *site*."""
    found = importlib.metadata.distributions(name="megatron-bridge", path=[str(site)])
    return next(each.version for each in found)


def make_site(cache: Path) -> Path:
    """Return the folder, made first unless it is there. Raises RuntimeError with pip's words."""
    tag = f"{sys.implementation.cache_tag} {' '.join(PINS)}"
    site = cache / "lanewatch-tests" / f"nemo-{hashlib.sha256(tag.encode()).hexdigest()[:12]}"
    site.parent.mkdir(parents=True, exist_ok=True)
    with site.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (site / WHOLE).exists():
            _install(site)
    return site


def _install(site: Path) -> None:
    with tempfile.TemporaryDirectory(dir=site.parent) as made:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--ignore-requires-python", "--target", made, *PINS],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"Megatron-Bridge cannot be installed:\n{done.stderr[-2000:]}")
        (Path(made) / WHOLE).touch()
        Path(made).rename(site)
        Path(made).mkdir()  # what the context manager is going to remove


def site_or_skip() -> Path:
    """The folder; in CI a failure to make it fails the test, elsewhere it is left out."""
    pytest.importorskip("torch")
    if given := os.environ.get(GIVEN):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    try:
        return make_site(Path(home))
    except RuntimeError as error:
        if os.environ.get("LANEWATCH_CI"):
            raise
        pytest.skip(str(error))
