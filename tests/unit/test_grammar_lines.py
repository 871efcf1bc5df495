"""What single lines of logs say, and what lines that look alike do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.grammar import begin, fold
from monitor.readings import LogProgress

TIMED = b" | elapsed time per iteration (ms): 189.6 | lm loss: 5.5E+00 |"
STEP = b" [2026-11-23 18:45:02] iteration       10/      30" + TIMED


def said(*lines: bytes) -> LogProgress:
    state = begin()
    for line in lines:
        state = fold(state, line)
    return state.progress


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            b"{'loss': 1.3736, 'grad_norm': 3.41775, 'learning_rate': 0.0001, 'epoch': 1.0}",
            LogProgress(loss=1.3736, grad_norm=3.41775, lr=0.0001, epoch=1.0, phase="iteration"),
            id="transformers 4",
        ),
        pytest.param(
            b"{'loss': nan, 'grad_norm': nan, 'learning_rate': 0.0001, 'epoch': 1.0}",
            LogProgress(nan=True, grad_nan=True, lr=0.0001, epoch=1.0, phase="iteration"),
            id="transformers 4, NaN",
        ),
        pytest.param(
            b"{'loss': '1.22', 'grad_norm': '0.4', 'learning_rate': '2e-4', 'entropy': '1.2',"
            b" 'num_tokens': '1.068e+04', 'mean_token_accuracy': '0.7', 'epoch': '0.03'}",
            LogProgress(loss=1.22, grad_norm=0.4, lr=2e-4, epoch=0.03, phase="iteration"),
            id="TRL",
        ),
        pytest.param(
            b"{'loss': np.float64(0.8731), 'grad_norm': tensor(0.41, device='cuda:0'),"
            b" 'learning_rate': 8e-05, 'epoch': 0.3}",
            LogProgress(loss=0.8731, grad_norm=0.41, lr=8e-05, epoch=0.3, phase="iteration"),
            id="figures of numpy and torch",
        ),
        pytest.param(
            b"{'loss': np.float64(nan), 'grad_norm': tensor(nan), 'learning_rate': 1e-4,"
            b" 'epoch': 1.0}",
            LogProgress(nan=True, grad_nan=True, lr=0.0001, epoch=1.0, phase="iteration"),
            id="NaN of numpy and torch",
        ),
        pytest.param(
            b"{'loss': 1.47077751, 'grad_norm': 10.5625, 'learning_rate': 2e-06, 'token_acc': 0.65,"
            b" 'epoch': 0.05, 'global_step/max_steps': '5/94', 'percentage': '5.32%',"
            b" 'elapsed_time': '2s', 'memory(GiB)': 4.87, 'train_speed(iter/s)': 0.345807}",
            LogProgress(
                iteration=5,
                total=94,
                loss=1.47077751,
                grad_norm=10.5625,
                lr=2e-06,
                epoch=0.05,
                phase="iteration",
            ),
            id="ms-swift",
        ),
        pytest.param(
            b"Epoch 2:   3%|#  | 19/625 [10:38<5:39:22,  0.50it/s, v_num=3, train_loss=0.87]",
            LogProgress(iteration=1269, loss=0.87, step_s=2.0, phase="iteration"),
            id="Lightning counts within the epoch, and epochs from 0",
        ),
        pytest.param(
            b"Epoch 0: :   3%|#  | 19/625 [10:38<5:39:22, v_num=, reduced_train_loss=nan]",
            LogProgress(iteration=19, nan=True, phase="iteration"),
            id="the bar of NeMo 1",
        ),
        pytest.param(
            b"Steps:  47%|####  | 293/625 [2:38:01<2:59:08, 32.38s/it, lr=0.0001, step_loss=0.01]",
            LogProgress(
                iteration=293, total=625, loss=0.01, lr=0.0001, step_s=32.38, phase="iteration"
            ),
            id="diffusers",
        ),
        pytest.param(
            b"Validation DataLoader 0:  50%|##   | 1/2 [00:00<00:00,  3.1it/s]",
            LogProgress(phase="evaluating"),
            id="an evaluation of Lightning",
        ),
        pytest.param(
            b"[NeMo I 2026-05-21 11:14:23 megatron_gpt_model:982] step=116 loss=0.873 lr=8.2e-05",
            LogProgress(iteration=116, loss=0.873, lr=8.2e-05, phase="iteration"),
            id="NeMo 1",
        ),
        pytest.param(
            b"0: Training epoch 0, iteration 28/99 | lr: 5.6e-06 | global_batch_size: 32 |"
            b" global_step: 28 | reduced_train_loss: 2.778 | train_step_timing in s: 0.189",
            LogProgress(
                iteration=29, total=100, loss=2.778, lr=5.6e-06, step_s=0.189, phase="iteration"
            ),
            id="NeMo 2 counts from 0",
        ),
        pytest.param(
            b"iteration 116/625 | loss 0.8730 | lr 8.2e-05 | grad norm 0.41 | step 32.40 s",
            LogProgress(
                iteration=116,
                total=625,
                loss=0.873,
                lr=8.2e-05,
                grad_norm=0.41,
                step_s=32.4,
                phase="iteration",
            ),
            id="our reference lane",
        ),
        pytest.param(
            b"iteration 70 | checkpoint published in 1.25 s",
            LogProgress(saved=70, save_s=1.25, phase="iteration"),
            id="our reference lane saves",
        ),
        pytest.param(
            b" validation loss at iteration 20 on validation set | lm loss value: 1.5E+00 |"
            b" lm loss PPL: 4.48E+00 | ",
            LogProgress(eval_loss=1.5, phase="iteration"),
            id="Megatron evaluates",
        ),
        pytest.param(
            b"[Rank 0] (after 100 iterations) memory (MB) | allocated: 2712.5 |"
            b" max allocated: 10595.8 | reserved: 12906.0 | max reserved: 12906.0",
            LogProgress(memory_bytes=12906 << 20),
            id="memory of Megatron-LM",
        ),
        pytest.param(
            b"Step Time : 32.40s GPU utilization: 9.9MODEL_TFLOP/s/GPU",
            LogProgress(step_s=32.4),
            id="step time",
        ),
        pytest.param(
            b"   \\\\   /|    Num examples = 24,772 | Num Epochs = 3 | Total steps = 9,288",
            LogProgress(total=9288),
            id="Unsloth's banner",
        ),
        pytest.param(
            b"Saving model checkpoint to out/checkpoint-500",
            LogProgress(iteration=500, phase="saving"),
            id="transformers saves",
        ),
        pytest.param(
            b"Loading checkpoint shards:  50%|#####     | 2/4 [00:04<00:04,  1.20s/it]",
            LogProgress(phase="loading"),
            id="shards are loaded",
        ),
    ],
)
def test_single_lines(line: bytes, expected: LogProgress) -> None:
    assert said(line) == expected


@pytest.mark.parametrize(
    "label",
    [b"[rank0]: ", b"[default3]:", b"0: ", b"15: ", b"[1,0]<stdout>:", b"2026-11-23T18:45:02.12Z "],
)
def test_what_torchrun_srun_mpirun_and_docker_put_before_a_line_changes_nothing(
    label: bytes,
) -> None:
    error = [b"Traceback (most recent call last):", b'  File "a.py", line 1', b"KeyError: 'q'"]
    lines = [b" 46%|####7     | 29/63 [2:38:01<2:59:08, 32.38s/it]", b"Step Time : 32.40s"]
    for each in ([lines[0]], lines, [STEP], [STEP, *error]):
        plain = said(*each)
        assert plain != LogProgress()
        assert said(*(label + line for line in each)) == plain


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"Map: 100%|####| 800/800 [00:00<00:00, 6430.29 examples/s]", id="map"),
        pytest.param(b"Merging:  50%|##  | 1/2 [00:01<00:01,  1.47s/it]", id="described"),
        pytest.param(b" 50%|##  | 1.2G/2.4G [00:01<00:01, 1.47GB/s]", id="bytes"),
        pytest.param(b"Epoch 1:  50%|##  | 1/2 [00:01<00:01, 1.47s/it, loss=2]", id="whose epoch"),
        pytest.param(b"Steps:  50%|##  | 1/2 [00:01<00:01,  1.47s/it]", id="steps of anything"),
        pytest.param(b"12it [00:03,  3.20it/s]", id="no total"),
        pytest.param(b" 50%|##  | 31/30 [00:01<00:01,  1.47s/it]", id="more than all"),
        pytest.param(b" 50%|##  | 0/0 [00:01<00:01,  1.47s/it]", id="of nothing"),
        pytest.param(b" 50%|##  | 1/3", id="cut short"),
        pytest.param("\u0663%|#| \u0663/\u0664 [0:01<0:01, 1.47s/it]".encode(), id="other digits"),
        pytest.param(
            "iteration \u0661/ \u0663 | elapsed time per iteration (ms): 1 |".encode(),
            id="other digits in a step",
        ),
        pytest.param(b" iteration 1_0/ 30" + TIMED, id="underscores"),
        pytest.param(
            b" iteration 99999999999999999999/ 30" + TIMED,
            id="absurd",
        ),
        pytest.param(b"{'loss': 'nll', 'epoch': {'a': 1}}", id="a configuration"),
        pytest.param(b"{'loss': 1.16, 'metrics': {'acc': 0.6}}", id="someone's evaluation"),
        pytest.param(b"  train_iters: 30", id="a configuration of Megatron"),
        pytest.param(b"Not an error, but Unsloth cannot patch MLP layers", id="not an error"),
        pytest.param(b'  File "x.py", line 3, in RuntimeError: ', id="inside a line"),
        pytest.param(b"x" * 1_000_000, id="a megabyte"),
        pytest.param(b"{'epoch': " * 100_000, id="nested"),
        pytest.param(b"\x00" * 5000, id="zeros"),
    ],
)
def test_lines_that_say_nothing(line: bytes) -> None:
    progress = said(line)
    assert replace(progress, phase=None) == LogProgress()


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        pytest.param(
            [
                b"Traceback (most recent call last):",
                b'  File "train.py", line 3, in <module>',
                b"    1 / 0",
                b"    ~~^~~",
                b"ZeroDivisionError: division by zero",
                b"after",
            ],
            "ZeroDivisionError: division by zero",
            id="a traceback",
        ),
        pytest.param(
            [
                b"[rank0]: Traceback (most recent call last):",
                b'[rank0]:   File "train.py", line 3, in <module>',
                b"[rank0]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            ],
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
            id="of a rank",
        ),
        pytest.param(
            [
                b"Traceback (most recent call last):",
                b"KeyError: 'a'",
                b"",
                b"During handling of the above exception, another exception occurred:",
                b"",
                b"Traceback (most recent call last):",
                b'  File "train.py", line 3, in <module>',
                b"INFO: another thread says something",
                b"lane.StopRequested",
            ],
            "lane.StopRequested",
            id="one after another",
        ),
        pytest.param([b"RuntimeError: CUDA error: unknown error"], None, id="alone"),
        pytest.param([b"Fatal Python error: Segmentation fault"], None, id="fatal"),
        pytest.param([b"RuntimeError: x", STEP], "", id="survived"),
    ],
)
def test_errors(lines: list[bytes], error: str | None) -> None:
    shown = lines[0].decode() if error is None else error or None
    assert said(*lines).error == shown
