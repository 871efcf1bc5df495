"""Lets the real Megatron-Bridge run from its wheels alone, on a CPU too. Only for tests.

Python imports this file at its start when its folder is on PYTHONPATH. It stands in for packages
that Megatron-Bridge imports but a LoRA does not use, and without a GPU answers on the CPU what is
asked of CUDA.
"""

from __future__ import annotations

import sys

if "-c" not in sys.orig_argv:  # a helper process of multiprocessing needs none of it
    import stand_ins

    stand_ins.install()

    import torch

    if not torch.cuda.is_available():
        import cpu_as_cuda

        cpu_as_cuda.install()
