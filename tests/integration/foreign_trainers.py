"""Small trainers that know nothing of lanewatch: they write what real ones write, and no more.

The lines are those of captured runs (Megatron-Bridge 0.4.2, transformers 5.17), with the numbers
that change filled in; the folders have the names and the files of both layouts.
"""

from __future__ import annotations

MEGATRON = r"""
import argparse, os, time
words = argparse.ArgumentParser()
words.add_argument("--save", default=os.environ.get("WHERE"))
words.add_argument("--train-iters", type=int)
words.add_argument("--save-interval", type=int)
words.add_argument("--seconds", type=float)
words.add_argument("--hold-at", type=int, default=0)
words.add_argument("--text", type=int, default=0)
told = words.parse_args()
os.makedirs(told.save, exist_ok=True)
for done in range(1, told.train_iters + 1):
    time.sleep(told.seconds)
    print(f" [2026-11-23 19:28:50] iteration {done:8d}/{told.train_iters:8d} | consumed samples: "
          f"{done * 8:12d} | elapsed time per iteration (ms): {told.seconds * 1000:.1f} | learning "
          f"rate: 1.000000E-03 | global batch size:     8 | lm loss: {6 / done:.6E} | loss scale: "
          "1.0 | grad norm: 9.553 | number of skipped iterations:   0 | number of nan iterations: "
          "  0 |" + " " * told.text, flush=True)
    with open(os.path.join(told.save, "truth"), "w") as truth:
        truth.write(str(done))
    if done % told.save_interval == 0 or done == told.train_iters:
        folder = os.path.join(told.save, f"iter_{done:07d}")
        os.makedirs(folder, exist_ok=True)
        for name in (".metadata", "metadata.json", "train_state.pt", "__0_0.distcp"):
            open(os.path.join(folder, name), "w").write("x" * 100)
        open(os.path.join(folder, "run_config.yaml"), "w").write(
            f"checkpoint:\n  save: {told.save}\n  save_interval: {told.save_interval}\n"
            f"train:\n  train_iters: {told.train_iters}\n")
        open(os.path.join(told.save, "latest_checkpointed_iteration.txt"), "w").write(str(done))
    while done == told.hold_at:
        time.sleep(0.1)
"""

HUGGING_FACE = r"""
import argparse, json, os, sys, time
words = argparse.ArgumentParser()
words.add_argument("--output_dir")
words.add_argument("--steps", type=int)
words.add_argument("--every", type=int)
words.add_argument("--seconds", type=float)
told = words.parse_args()
os.makedirs(told.output_dir, exist_ok=True)
print("Loading weights: 100%|##########| 311/311 [00:00<00:00, 1663.93it/s]", file=sys.stderr)
for done in range(1, told.steps + 1):
    time.sleep(told.seconds)
    bar = (f"\r{100 * done // told.steps:3d}%|###       | {done}/{told.steps} "
           f"[00:15<07:16, {told.seconds:5.2f}s/it]")
    print(bar + "\r" + " " * 46 + "\r", end="", file=sys.stderr, flush=True)
    print({"loss": f"{12 / done:.4g}", "grad_norm": "3.233", "learning_rate": "5e-05",
           "epoch": "0.04"}, flush=True)
    print(bar, end="", file=sys.stderr, flush=True)
    if done % told.every == 0 or done == told.steps:
        folder = os.path.join(told.output_dir, f"checkpoint-{done}")
        os.makedirs(folder, exist_ok=True)
        open(os.path.join(folder, "adapter_model.safetensors"), "w").write("x" * 100)
        json.dump({"global_step": done, "max_steps": told.steps, "save_steps": told.every},
                  open(os.path.join(folder, "trainer_state.json"), "w"))
"""
