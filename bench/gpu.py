"""A lane on a real CUDA GPU, without network, containers or lanewatch's own dependencies.

Runs the product's own stage requests (`runners.stages`, the `local` engine, the copied payload) for
random Qwen3 models: a whole run of 0.75 B (stopped with a save, resumed, merged, loaded again) and
the training of the 8 B shape. Writes results/gpu-LANE.json.

    python bench/gpu.py --lane unsloth --site dist/gpu-unsloth.tar.xz --work /tmp/gpu

`--parts hand` trains the 8 B shape by turns with the lane and by hand (`by_hand.py`), on the same
rows: what lanewatch adds to an iteration, with its interval.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gpu_hand
from gpu_shapes import CORPUS, SHAPES, Shape, make_base, make_rows, recipe, rows
from measure import REPOSITORY, Result
from nemo_site import SHIMS, python

from monitor.files import write_json
from monitor.model import Stage
from monitor.rundir import RunDir
from runners.engines.base import Handle
from runners.engines.local import LocalEngine
from runners.stages import Plan, copy_payload

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12}
"""Dense bf16 operations a second, by what the GPU's name holds (the SXM cards)."""
COUNTED = (
    "rows are random ids, so the losses show that it runs, not that it learns; peak of GPU memory "
    "is what PyTorch allocated; model FLOP utilisation counts 4 operations a weight and token (no "
    "gradient of frozen weights, no recomputation) against 989 TFLOP/s dense bf16; accumulation 4 "
    "of micro-batches of 2"
)
REHEARSED = 256
"""Tokens of a row where the parts are only rehearsed."""
UNCOUNTED = 3
"""Iterations at the start that say nothing of the pace: compiling, and caches that are cold."""


class Bench:
    """One lane on this machine; every figure goes into one result."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work: Path = options.work
        self.site: Path | None = None
        self.python = sys.executable
        self.deadline_s = time.monotonic() + options.limit_s
        self.result = Result(options.name or f"gpu-{options.lane}")

    def unpack(self) -> None:
        """Make the site folder of the bundle; a folder is taken as it is."""
        if self.options.site is not None and self.options.site.is_dir():
            self.site = self.options.site
        elif self.options.site is not None:
            self.site = self.work / "site"
            with tarfile.open(self.options.site) as archive:
                archive.extractall(self.site, filter="data")
        if self.site is not None and self.options.lane != "unsloth":
            # These lanes bring no packages: the bundle stands for what their image holds.
            shims = SHIMS if self.options.lane == "nemo" else self.work
            made = python(self.work, self.site, shims, compiles=bool(gpu_name()))
            self.python = str(made)

    def base(self, size: str) -> Path:
        """A random model of *size*, made in a process of its own so that its memory is free."""
        size = self.options.shape or size
        folder = (self.options.bases or self.work) / f"base-{size}"
        if not folder.exists():
            began_s = time.monotonic()
            argv = [sys.executable, __file__, "--make-base", size, "--work", str(folder)]
            subprocess.run(argv, check=True)
            print(f"base {size}: {time.monotonic() - began_s:.1f} s", flush=True)
        return folder

    def run(self, name: str, size: str, **settings: Any) -> Run:
        """A run of the lane on a model of *size*."""
        shape = SHAPES[self.options.shape or size]
        if self.options.shape:  # a rehearsal
            settings["sequence"] = min(settings["sequence"], REHEARSED)
            settings["least"] = min(settings.get("least", REHEARSED), REHEARSED)
        return Run(self, name, self.base(size), settings | {"vocabulary": shape.vocabulary})

    @property
    def left_s(self) -> float:
        """Seconds until no further part is begun."""
        return self.deadline_s - time.monotonic()


class Run:
    """One run folder, its stages started as a keeper would."""

    def __init__(self, bench: Bench, name: str, base: Path, settings: dict[str, Any]) -> None:
        self.bench, self.name, self.base = bench, name, base
        self.dir = RunDir(bench.work / name)
        for folder in (self.dir.data, self.dir.logs, self.dir.checkpoints, self.dir.export):
            folder.mkdir(parents=True)
        self.dir.work.mkdir()
        self.settings = settings
        self.recipe = recipe(**settings)
        self.tokens = make_rows(self.dir.data, **rows(settings))
        info = {
            "lane": bench.options.lane,
            "engine": "local",
            "kind": "full",
            "recipe": self.recipe,
            "recipe_hash": name,
            "payload_hash": copy_payload(self.dir),
            "python": bench.python,
            "paths": {"base": str(base), "cache": str(bench.work / "cache")},
        }
        self.info = info
        self.looked = False
        """A watcher was beside the last stage that was to have one, until its end."""
        self.plan, self.engine = Plan(self.dir, info), LocalEngine()
        self._enter_site()

    def _enter_site(self) -> None:
        """Stand in for the unsloth lane's `import`: the bundle is its environment."""
        if self.bench.site is not None and self.bench.options.lane == "unsloth":
            content = {"schema": 1, "site": str(self.bench.site), "hidden": ["torchao"]}
            (self.dir.work / "environment.json").write_text(json.dumps(content))

    def stage(
        self, stage: Stage, attempt: int = 1, *, stop_after: int = 0, watched: bool = False
    ) -> dict[str, Any]:
        """Run one stage to its end, or ask it to save and stop after so many iterations.

        *watched*: with lanewatch's watcher beside it, as a keeper would start it.
        """
        plan = next(each for each in self.plan.stages if each.stage is stage)
        self.plan.write_job(plan, attempt)
        began_s = time.monotonic()
        handle = self.engine.start(self.plan.request(plan, attempt))
        asked = stop_after == 0
        watcher = self._watcher(stage, attempt, handle) if watched else None
        try:
            while (exit_ := self.engine.poll(handle)) is None:
                if not asked and len(self.lines("loss")) >= stop_after:
                    self.engine.ask_to_stop(handle, save=True)
                    asked = True
                time.sleep(0.05)
        finally:
            self.engine.kill(handle)
            if watcher is not None:
                self.looked = watcher.poll() is None and self.dir.watch.exists()
                watcher.kill()
                watcher.wait()
        result = json.loads(self.dir.result.read_text()) if self.dir.result.exists() else {}
        result["wall_s"] = time.monotonic() - began_s
        if exit_.code != 0:
            raise RuntimeError(f"{self.name}, {stage}: {result.get('cause')}\n{self.tail(stage)}")
        return dict(result)

    def train(self) -> dict[str, Any]:
        """Run the training to its end, the watcher beside it."""
        return self.stage(Stage.TRAIN, watched=True)

    def _watcher(self, stage: Stage, attempt: int, handle: Handle) -> subprocess.Popen[bytes]:
        """The real one, on what a keeper would have written."""
        told = {"run": self.dir.root.name, "schema": 1}
        write_json(self.dir.run_json, self.info | told, durable=False)
        state = told | {"status": "running", "stage": stage.value, "attempt": attempt}
        state |= {"boot_id": handle.process.boot_id, "process": handle.to_json()}
        write_json(self.dir.state, state, durable=False)
        places = [str(REPOSITORY), *([str(self.bench.site)] if self.bench.site else [])]
        with self.dir.log("train").with_name("watcher.out").open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "monitor.watcher", str(self.dir.root)],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def import_base(self) -> float | None:
        """Import the base where the lane does; the seconds that took, None where it does not."""
        if self.bench.options.lane != "nemo":
            return None
        return float(self.stage(Stage.IMPORT)["wall_s"])

    def tail(self, stage: Stage) -> str:
        """The end of a stage's log."""
        return self.dir.log(stage).read_text(errors="replace")[-4000:]

    def lines(self, key: str) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl that say *key*."""
        return metrics(self.dir, key)


def metrics(run: RunDir, key: str) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl that say *key*."""
    if not run.metrics.exists():
        return []
    whole = run.metrics.read_text().split("\n")[:-1]
    return [value for line in whole if key in (value := json.loads(line))]


def whole_run(bench: Bench) -> None:
    """0.75 B: train, stop with a save, resume, merge, load again."""
    run = bench.run(
        "whole", "0.75b", iterations=32, save_interval=8, accumulation=4, sequence=1024, least=200
    )
    if (import_s := run.import_base()) is not None:
        bench.result.add("0.75b: import, compared with the base", "s", [import_s])
    stopped = run.stage(Stage.TRAIN, stop_after=10)
    at = stopped["iteration"]
    assert stopped["outcome"] == "stopped", stopped
    assert 10 <= at < 32, stopped
    ended = run.stage(Stage.TRAIN, attempt=2)
    assert (ended["outcome"], ended["iteration"]) == ("finished", 32), ended
    merged = run.stage(Stage.MERGE, attempt=2)
    assert merged["reloaded"] is True, merged
    config = json.loads((run.dir.export / "merged-hf-bf16" / "config.json").read_text())
    assert config["rope_parameters"]["rope_type"] == "yarn", config
    _report(bench, "0.75b, sequence up to 1024", run.dir, ended, SHAPES["0.75b"], sequence=612)
    bench.result.add("0.75b: merge, loaded again and compared", "s", [merged["wall_s"]])
    bench.result.notes.append(
        f"0.75b: stopped with a save at iteration {at}, resumed to 32, merged, loaded again; YARN "
        f"kept; loss {run.lines('loss')[0]['loss']:.4f} to {ended['final_loss']:.4f}; "
        f"{_told(ended)}"
    )


def large(bench: Bench) -> None:
    """The 8 B shape at sequence 4096: what the training costs."""
    run = bench.run("large", "8b", iterations=10, save_interval=5, accumulation=4, sequence=4096)
    if (import_s := run.import_base()) is not None:
        bench.result.add("8b: import, compared with the base", "s", [import_s])
    ended = run.stage(Stage.TRAIN)
    _report(bench, "8b, sequence 4096", run.dir, ended, SHAPES["8b"], sequence=4096)
    bench.result.notes.append(f"8b: {_told(ended)}")


def hand(bench: Bench) -> None:
    """By turns with the lane and by hand, on the same rows of the 8 B shape."""

    gpu_hand.compare(bench, _Told(bench))


class _Told:
    """The figures of trainings of the 8 B shape, for `gpu_hand`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def lane(self, name: str, run: str, ended: dict[str, Any]) -> None:
        """Of one in the lane."""
        _report(
            self._bench, name, RunDir(self._bench.work / run), ended, SHAPES["8b"], sequence=4096
        )
        self._bench.result.notes.append(f"{name}: {_told(ended)}")

    def rates(self, name: str, per_second: Sequence[float]) -> None:
        """Of either."""
        _add_rates(self._bench, name, per_second, SHAPES["8b"], 4096)


def import_large(bench: Bench) -> None:
    """Make the 8 B base and import it, so that a later call has both."""
    bench.run("import", "8b", **gpu_hand.SETTINGS).import_base()


def variants(bench: Bench) -> None:
    """0.75 B in 4 bits, and without the fused kernels."""
    for name, changes in (("4 bits", {"four_bits": True}), ("not fused", {"fused": False})):
        settings = {"iterations": 8, "save_interval": 8, "accumulation": 4, "sequence": 1024}
        run = bench.run(name.replace(" ", "-"), "0.75b", **settings, least=200, **changes)
        ended = run.stage(Stage.TRAIN)
        _report(bench, f"0.75b, {name}", run.dir, ended, SHAPES["0.75b"], sequence=612)
        bench.result.notes.append(f"0.75b, {name}: {_told(ended)}")


def _report(
    bench: Bench, name: str, run: RunDir, ended: dict[str, Any], shape: Shape, *, sequence: int
) -> None:
    """Add the figures of one training; *sequence* is the rows' mean length."""
    add = bench.result.add
    lines = metrics(run, "loss")
    of_attempt = [line for line in lines if line["attempt"] == ended["attempt"]]
    steady = of_attempt[UNCOUNTED:] or of_attempt
    add(f"{name}: first iteration", "s", [of_attempt[0]["step_s"]])
    add(f"{name}: iteration", "s", [line["step_s"] for line in steady])
    rates = [line["tokens"] / line["step_s"] for line in steady]
    _add_rates(bench, name, rates, shape, sequence)
    saves = [
        line["save_s"] for line in metrics(run, "save_s") if line["attempt"] == ended["attempt"]
    ]
    if saves:
        add(f"{name}: first save", "s", saves[:1])
    if len(saves) > 1:
        add(f"{name}: later save", "s", saves[1:])
    if ended.get("peak_memory_bytes"):
        add(f"{name}: peak of GPU memory", "GiB", [ended["peak_memory_bytes"] / 2**30])
    add(f"{name}: train stage, start to end", "s", [ended["wall_s"]])


def _add_rates(
    bench: Bench, name: str, rates: Sequence[float], shape: Shape, sequence: int
) -> None:
    """Tokens a second, and the model FLOP utilisation that they are."""
    bench.result.add(f"{name}: tokens a second", "1/s", rates)
    peak = next((flops for card, flops in PEAK_FLOPS.items() if card in gpu_name()), None)
    if peak is not None:
        used = [100 * rate * shape.flops_per_token(sequence) / peak for rate in rates]
        bench.result.add(f"{name}: model FLOP utilisation", "%", used)


def _told(ended: dict[str, Any]) -> str:
    path = ended.get("fast_path") or {}
    words = f"{ended['trainable_parameters']:,} trainable parameters"
    if path:
        why = f" ({path['reason']})" if path["reason"] else ""
        words += f"; fused kernels: {', '.join(path['fused']) or 'none'}{why}"
    return words + f"; versions {json.dumps(ended['versions'])}"


def gpu_name() -> str:
    """The first GPU's name, as its driver gives it; empty without one."""
    if shutil.which("nvidia-smi") is None:
        return ""
    argv = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split("\n")[0]


PARTS = {
    "whole": whole_run,
    "large": large,
    "import": import_large,
    "hand": hand,
    "variants": variants,
}
NEEDS_S = {"whole": 0.0, "large": 150.0, "import": 60.0, "hand": 60.0, "variants": 90.0}
"""A part is begun only while so many seconds are left."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; what was measured is written even when a later part fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lane", default="unsloth")
    parser.add_argument("--site", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--bases", type=Path, help="where the models are kept; WORK by default")
    parser.add_argument("--parts", default="whole,large,variants")
    parser.add_argument(
        "--turns", type=int, default=gpu_hand.TURNS, help="of `hand`, with those that are kept"
    )
    parser.add_argument("--shape", choices=SHAPES, help="this one for all: tiny rehearses on a CPU")
    parser.add_argument("--limit-s", type=float, default=3600.0, help="then it ends, and writes")
    parser.add_argument("--name", help="of the result; gpu-LANE by default")
    parser.add_argument("--make-base", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make_base:
        make_base(SHAPES[options.make_base], options.work, CORPUS)
        return 0
    options.work.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, options.limit_s)
    bench, failed = Bench(options), False
    bench.unpack()
    bench.result.notes += [f"GPU: {gpu_name() or 'none'}; random weights; `local` engine", COUNTED]
    for name in options.parts.split(","):
        if bench.left_s < NEEDS_S[name]:
            bench.result.notes.append(f"{name}: not run, no time was left")
            continue
        try:
            PARTS[name](bench)
        except TimeoutError as error:
            print(f"{name}: {error}", flush=True)
            bench.result.notes.append(f"{name}: not done to its end, {error}")
            failed = True
        except (RuntimeError, AssertionError) as error:
            print(f"{name} FAILED: {error}", flush=True)
            bench.result.notes.append(f"{name}: failed: {str(error).splitlines()[0]}")
            failed = True
        print(json.dumps({"part": name, "notes": bench.result.notes[-3:]}), flush=True)
        if not options.shape:  # a rehearsal is no result
            bench.result.write()
    return int(failed)


def _out_of_time(*_: object) -> None:
    raise TimeoutError("the time was up")


if __name__ == "__main__":
    sys.exit(main())
