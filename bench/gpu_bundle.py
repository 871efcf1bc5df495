"""Pack what a lane needs besides torch and transformers, for a GPU machine without network.

`python bench/gpu_bundle.py --lane unsloth` writes dist/gpu-unsloth.tar.xz (about 46 MB): wheels for
Python 3.12 on x86_64, unpacked and trimmed of what training does not load. The nemo lane's are
those of its tests, the reference lane's are peft and accelerate.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from measure import REPOSITORY
from nemo_site import PINS

LOCK = REPOSITORY / "runners" / "payload" / "unsloth.lock.txt"
REFERENCE = ("peft", "accelerate")
"""Of the lock: the reference lane's."""
SOURCES = ("antlr4-python3-runtime",)
"""No index has a wheel of it; it is pure Python."""
THERE = frozenset((
    "accelerate", "certifi", "charset-normalizer", "filelock", "fsspec", "hf-xet",
    "huggingface-hub", "idna", "packaging", "pillow", "psutil", "pyyaml", "regex", "requests",
    "safetensors", "tokenizers", "tqdm", "transformers", "typing-extensions", "urllib3", "anyio",
    "click", "h11", "httpcore", "httpx", "rich", "shellingham", "typer", "markdown-it-py", "mdurl",
    "pygments",
))  # fmt: skip
"""On a machine that can run transformers these are installed."""

UNUSED = (
    "studio", "unsloth_cli", "test", "pyarrow/tests", "pyarrow/include", "pyarrow/src",
    "pandas/tests",
)  # fmt: skip
UNUSED_FILES = (
    "bitsandbytes/libbitsandbytes_cuda1[12]*", "bitsandbytes/libbitsandbytes_cuda132*",
    "bitsandbytes/libbitsandbytes_rocm*", "bitsandbytes/libbitsandbytes_xpu*",
    "pyarrow/libarrow_flight*", "pyarrow/_flight*", "pyarrow/libarrow_python_flight*",
    "pyarrow/_s3fs*", "pyarrow/*.pyx", "pyarrow/*.pxi", "pyarrow/*.pxd",
)  # fmt: skip


def main() -> None:
    """Download, unpack, trim, pack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lane", choices=("reference", "unsloth", "nemo"), default="unsloth")
    parser.add_argument("--python", default="312")
    parser.add_argument("--to", type=Path)
    options = parser.parse_args()
    options.to = options.to or REPOSITORY / "dist" / f"gpu-{options.lane}.tar.xz"
    with tempfile.TemporaryDirectory(prefix="lanewatch-bundle-") as scratch:
        wheels, site = Path(scratch, "wheels"), Path(scratch, "site")
        _download(wheels, options.python, wanted(options.lane))
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
        _trim(site)
        options.to.parent.mkdir(exist_ok=True)
        with tarfile.open(options.to, "w:xz", preset=4) as archive:
            archive.add(site, arcname=".")
    print(f"{options.to}: {options.to.stat().st_size / 1e6:.1f} MB")


def wanted(lane: str) -> list[str]:
    """The exact pins that are to be packed."""
    watcher = [f"watchdog=={importlib.metadata.version('watchdog')}"]  # all that ours needs there
    if lane == "nemo":
        return [*PINS, *watcher]
    lines = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    if lane == "reference":
        return [line for line in lines if line.partition("==")[0] in REFERENCE] + watcher
    return [line for line in lines if line.partition("==")[0] not in THERE] + watcher


def _download(wheels: Path, python: str, pins: list[str]) -> None:
    if sources := [pin for pin in pins if pin.partition("==")[0] in SOURCES]:
        argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*argv, f"--wheel-dir={wheels}", *sources], check=True)
    pins = [pin for pin in pins if pin not in sources]
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={wheels}"]
    argv += ["--only-binary=:all:", f"--python-version={python}"]
    argv += [f"--platform=manylinux{each}_x86_64" for each in ("2014", "_2_24", "_2_28", "_2_17")]
    subprocess.run([*argv, *pins], check=True)


def _trim(site: Path) -> None:
    for name in UNUSED:
        shutil.rmtree(site / name, ignore_errors=True)
    for pattern in UNUSED_FILES:
        for path in site.glob(pattern):
            path.unlink()
    if shutil.which("strip"):
        objects = [str(path) for path in site.glob("pyarrow/*.so*")]
        subprocess.run(["strip", "--strip-unneeded", *objects], check=False, capture_output=True)


if __name__ == "__main__":
    main()
