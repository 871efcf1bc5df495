"""Record what NVML and /proc show of a training on this GPU: healthy, slow, and hung for real.

For `tests/traces/recorded`: one JSON line a second (GPU, process, what the trainer said). A spin
kernel, a host deadlock, SIGSTOP, a loader whose worker is stuck, and a healthy phase that is slow.
Needs torch alone; without a GPU it rehearses. The trainer says "step N" after each step and "HANG"
when it is about to hang; the recorder says "STOPPED" when it has stopped it.

    python bench/gpu_hangs.py --to OUT [--only spin,sigstop] [--seconds 60]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

TRAINER = '''
import sys, threading, time, torch
mode, seconds = sys.argv[1], float(sys.argv[2])
cuda = torch.cuda.is_available()
torch.manual_seed(0)
width, layers, rows, length = (4096, 6, 8, 2048) if cuda else (64, 2, 2, 32)
device = "cuda" if cuda else "cpu"
kind = torch.bfloat16 if cuda else torch.float32
heads = 32 if cuda else 4
stack = torch.nn.ModuleList(
    torch.nn.TransformerEncoderLayer(width, heads, 4 * width, batch_first=True, dropout=0.0)
    for _ in range(layers)
).to(device, kind)
data = torch.randn(rows, length, width, device=device, dtype=kind)
began, done = time.monotonic(), 0
healthy = seconds * 0.4

def step(x):
    for layer in stack:
        x = layer(x)
    x.float().pow(2).mean().backward()
    for each in stack.parameters():
        each.grad = None
    if cuda:
        torch.cuda.synchronize()

def train(until):
    global done
    while time.monotonic() - began < until:
        for _ in range(4):
            step(data)
        if not cuda:
            time.sleep(0.2)
        done += 1
        print("step", done, flush=True)

class Stuck(torch.utils.data.Dataset):
    """The worker that reads it waits for a lock that nobody gives back."""
    def __len__(self):
        return 10**6
    def __getitem__(self, index):
        if index >= 2:
            lock = threading.Lock()
            lock.acquire()
            lock.acquire(timeout=seconds)
        return index

if mode in ("healthy", "sigstop"):
    train(seconds)
elif mode == "slow-phase":
    train(healthy)
    while time.monotonic() - began < seconds:
        step(data)
        time.sleep(4)
        done += 1
        print("step", done, flush=True)
else:
    train(healthy)
    print("HANG", flush=True)
    left = seconds - healthy
    if mode == "spin" and cuda:
        torch.cuda._sleep(int(left * 1.9e9))
        torch.cuda.synchronize()
    elif mode == "spin":
        end = time.monotonic() + left
        while time.monotonic() < end:
            pass
    elif mode == "deadlock":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire(timeout=left)
    elif mode == "dead-loader":
        for _ in torch.utils.data.DataLoader(Stuck(), num_workers=1, batch_size=1):
            pass
'''
MODES = ("healthy", "spin", "deadlock", "sigstop", "dead-loader", "slow-phase")
STOPS_AT = 0.4
"""Of the seconds, when the recorder stops a trainer itself."""


class Gpus:
    """What NVML says; nothing where there is none."""

    def __init__(self) -> None:
        self._nvml: Any = None
        with contextlib.suppress(Exception):
            import pynvml

            pynvml.nvmlInit()
            self._nvml = pynvml

    def read(self) -> list[dict[str, Any]]:
        """One reading of each GPU."""
        if self._nvml is None:
            return []
        return [self._one(index) for index in range(self._nvml.nvmlDeviceGetCount())]

    def _one(self, index: int) -> dict[str, Any]:
        nvml = self._nvml
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)
        use = nvml.nvmlDeviceGetUtilizationRates(gpu)
        return {
            "index": index,
            "util": use.gpu,
            "memutil": use.memory,
            "power_w": nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
            "sm_mhz": nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
            "temp_c": nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
            "mem_mib": nvml.nvmlDeviceGetMemoryInfo(gpu).used >> 20,
            "reasons": nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),
        }


def process(pid: int) -> dict[str, Any] | None:
    """State, CPU seconds and threads of *pid*; None once it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    cpu_s = (int(words[11]) + int(words[12])) / ticks
    return {"state": words[0], "cpu_s": cpu_s, "threads": int(words[17])}


def record(mode: str, seconds: float, to: Path, gpus: Gpus) -> str:
    """Record one training; returns a line that sums it up."""
    argv = [sys.executable, "-u", "-c", TRAINER, mode, str(seconds)]
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    rows: list[dict[str, Any]] = []
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as child:
        assert child.stdout is not None
        threading.Thread(target=_listen, args=(child.stdout, said), daemon=True).start()
        try:
            rows += _watch(child, mode, seconds, said, gpus)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    (to / f"{mode}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [word for row in rows for word in row["said"]]
    steps = sum(word.startswith("step ") for word in words)
    mark = next((row["t"] for row in rows if {"HANG", "STOPPED"} & set(row["said"])), None)
    power = [row["gpus"][0]["power_w"] for row in rows if row["gpus"]]
    last = f", last power {power[-1]:.0f} W" if power else ", no GPU"
    return f"{mode}: {len(rows)} rows, {steps} steps, hung at {mark}{last}; said last {words[-1:]}"


def _watch(
    child: subprocess.Popen[str],
    mode: str,
    seconds: float,
    said: queue.SimpleQueue[str],
    gpus: Gpus,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    began, trains_since, stopped = time.monotonic(), None, False
    while child.poll() is None:
        now = time.monotonic()
        words = []
        while not said.empty():
            words.append(said.get())
        if trains_since is None and any(word.startswith("step ") for word in words):
            trains_since = now
        trained = 0.0 if trains_since is None else now - trains_since
        if mode == "sigstop" and not stopped and trained > STOPS_AT * seconds:
            os.kill(child.pid, signal.SIGSTOP)
            stopped = True
            words.append("STOPPED")
        row = {"t": round(now - began, 2), "gpus": gpus.read(), "procs": [process(child.pid)]}
        rows.append(row | {"said": words})
        if trained > seconds:
            break
        time.sleep(max(0.0, 1.0 - (time.monotonic() - now)))
    return [row for row in rows if row["procs"][0] is not None]


def _listen(stream: IO[str], said: queue.SimpleQueue[str]) -> None:
    for line in stream:
        said.put(line.strip())


def main() -> None:
    """Record each; a file that cannot be told from a failure is said so."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--only", default=",".join(MODES))
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    gpus = Gpus()
    for mode in options.only.split(","):
        print(record(mode, options.seconds, options.to, gpus), flush=True)


if __name__ == "__main__":
    main()
