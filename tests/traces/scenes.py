"""The scenes of the labelled traces: the article's night, and nights on which nothing is wrong."""

from __future__ import annotations

from dataclasses import replace

import scenes_endings
import scenes_hangs
import scenes_logs
from changes import NEMO_S, SHORT
from labels import expect, healthy
from night import CHECKPOINTS, LOG, Gpu

UNSLOTH_S = 43.6
NEMO = replace(SHORT, hours=5.75, iterations=625, ends=True)
UNSLOTH = replace(
    NEMO, seed=2, step_s=UNSLOTH_S, hours=4.0, save_s=4.0, iterations=None, ends=False
)
LOG_ONLY = replace(SHORT, mode=LOG)
SEEN_OUTSIDE = replace(SHORT, mode=CHECKPOINTS, hours=3.0)
STUCK = 116 * NEMO_S + 130
NEXT_SAVE = 140 * NEMO_S + 600


def articles() -> None:
    """The night of the article: the log stops at iteration 116, training goes on."""
    stuck = expect("log-stuck", STUCK, STUCK + 600)
    healthy(
        "article-nemo-heartbeat",
        "32.4 s a step; the log freezes at iteration 116 and training goes on to the end",
        replace(NEMO, log_stops_at=117),
        stuck,
        expect("finished", 19_000, 25_000),
    )
    healthy(
        "article-nemo-no-heartbeat",
        "the same, a run that lanewatch did not start: only checkpoints prove that it goes on",
        replace(NEMO, mode=LOG, log_stops_at=117, iterations=None, ends=False),
        expect("log-stuck", STUCK, NEXT_SAVE),
        strict=False,
    )
    healthy(
        "article-unsloth-heartbeat",
        "43.6 s a step; the log freezes at iteration 116 and training goes on",
        replace(UNSLOTH, log_stops_at=117),
        expect("log-stuck", 116 * UNSLOTH_S + 130, 116 * UNSLOTH_S + 800),
    )
    healthy(
        "article-unsloth-no-heartbeat",
        "the same without a heartbeat",
        replace(UNSLOTH, mode=LOG, log_stops_at=117),
        expect("log-stuck", 116 * UNSLOTH_S + 130, 140 * UNSLOTH_S + 700),
        strict=False,
    )
    healthy(
        "article-nemo-checkpoints-only",
        "32.4 s a step, neither heartbeat nor log",
        replace(NEMO, mode=CHECKPOINTS, iterations=None, ends=False),
        strict=False,
    )
    healthy(
        "article-unsloth-checkpoints-only",
        "43.6 s a step, neither heartbeat nor log",
        replace(UNSLOTH, mode=CHECKPOINTS),
        strict=False,
    )
    healthy("article-nemo-well", "32.4 s a step, heartbeat and log, nothing happens", SHORT)
    healthy(
        "article-stuck-then-hang-quiet",
        "the log freezes at iteration 60, and training goes on",
        replace(SHORT, log_stops_at=61),
        expect("log-stuck", 60 * NEMO_S + 100, 60 * NEMO_S + 800),
    )


def looks_like_a_hang() -> None:
    """Healthy, and not easily told from a hang."""
    healthy("save-5-min", "each save takes 5 minutes", replace(SHORT, save_s=300.0, hours=2.2))
    healthy(
        "eval-6-min",
        "an evaluation of 6 minutes every 40 iterations",
        replace(SHORT, eval_interval=40, eval_s=360.0, hours=2.4),
    )
    healthy(
        "eval-50-min",
        "an evaluation of 50 minutes, never seen before",
        replace(SHORT, eval_interval=60, eval_s=3000.0, hours=2.0),
        strict=False,
    )
    healthy(
        "spike-10x-noisy-power",
        "one iteration takes ten times as long, and the GPU's power varies by a quarter",
        replace(
            SHORT, step_s=10.4, jitter=0.3, spikes=((150, 10.1),), hours=0.8,
            gpu=Gpu(busy_w=66.0, spread_w=17.5),
        ),
        strict=False,
    )  # fmt: skip
    healthy(
        "eval-40-min-checkpoints-only",
        "an evaluation of 40 minutes, seen by nothing but checkpoints and the power of its own GPU",
        replace(SEEN_OUTSIDE, save_interval=45, eval_interval=160, eval_s=2400.0, hours=2.6),
        strict=False,
    )
    healthy(
        "eval-6-min-no-heartbeat",
        "an evaluation of 6 minutes every 40 iterations, log and checkpoints only",
        replace(LOG_ONLY, eval_interval=40, eval_s=360.0, hours=2.4),
        strict=False,
    )
    healthy(
        "first-save-50x",
        "the first save takes 10 minutes, each later one 12 s",
        replace(SHORT, first_save_factor=50.0, hours=1.7),
    )
    healthy(
        "suspend-3-h", "the machine sleeps for 3 hours", replace(SHORT, pauses=((3000.0, 10800.0),))
    )
    healthy(
        "suspend-3-h-no-heartbeat",
        "the machine sleeps for 3 hours, a foreign run",
        replace(LOG_ONLY, hours=2, pauses=((5000.0, 10800.0),)),
        strict=False,
    )
    healthy(
        "nfs-lag",
        "checkpoints are on a file server that shows them a minute late",
        replace(SHORT, lag_s=60.0),
    )
    healthy(
        "nfs-lag-checkpoints-only",
        "the same with nothing but checkpoints",
        replace(SEEN_OUTSIDE, lag_s=60.0),
        strict=False,
    )
    healthy(
        "steps-20-s-to-200-s",
        "iterations of 20 s become iterations of 200 s, at the same power",
        replace(SHORT, step_s=20.0, slower_from=120, slower=10.0),
        strict=False,
    )
    healthy(
        "watcher-starved-3-min",
        "the watcher gets no time to run for 3 minutes, twice",
        replace(SHORT, gaps=((2000.0, 180.0), (4000.0, 180.0))),
    )
    healthy(
        "watcher-starved-3-min-no-heartbeat",
        "the same, a foreign run",
        replace(LOG_ONLY, gaps=((4000.0, 180.0), (6000.0, 180.0)), hours=2.5),
        strict=False,
    )
    healthy(
        "slow-but-fine",
        "iterations take 1.8 times as long from the middle on",
        replace(SHORT, slower_from=100, slower=1.8),
    )
    healthy(
        "quiet-log-by-design",
        "a line every 50 iterations",
        replace(SHORT, step_s=5.0, log_every=50, save_interval=400, hours=0.7),
    )
    healthy(
        "loader-bound",
        "the GPU idles half of the time, the power with it",
        replace(SHORT, gpu=Gpu(busy_w=16.0, spread_w=4.0, busy_percent=0)),
    )
    healthy(
        "long-first-iteration",
        "compiling takes 13 minutes",
        replace(SHORT, first_iteration_s=780.0),
    )
    healthy("long-loading", "loading takes 14 minutes", replace(SHORT, load_s=840.0))
    healthy(
        "power-state",
        "a power state slows the GPU to 799 MHz: 96 %, 19.5 W, half the pace",
        replace(SHORT, slower_from=50, slower=2.2, slower_watts=19.5),
        expect("slow", 50 * NEMO_S, 4680),
        strict=False,
    )
    healthy(
        "fast-steps",
        "0.2 s a step",
        replace(SHORT, step_s=0.2, save_interval=3000, hours=0.5),
    )
    healthy("slow-steps", "300 s a step", replace(SHORT, step_s=300.0, save_interval=5, hours=4))
    healthy("jittery-steps", "iterations vary by 40 %", replace(SHORT, jitter=0.4))
    healthy(
        "foreign-hugging-face",
        "a foreign run of the Trainer: a log of dict lines every 10 steps",
        replace(LOG_ONLY, step_s=4.0, log_every=10, save_interval=500, hours=2),
        strict=False,
    )
    healthy(
        "foreign-megatron",
        "a foreign run of Megatron-Bridge: a line each step",
        replace(LOG_ONLY, hours=2),
        strict=False,
    )
    healthy(
        "checkpoints-only-slow",
        "a checkpoint every 50 minutes, and nothing else",
        replace(SEEN_OUTSIDE, save_interval=93, hours=4.5),
        strict=False,
    )


def add_all() -> None:
    """Fill `labels.TRACES`, once."""
    articles()
    looks_like_a_hang()
    scenes_hangs.add()
    scenes_endings.add()
    scenes_logs.add()
