"""Lets the real Megatron-Bridge run on a CPU, from its wheels alone. For tests; not a way to train.

Python imports this file at its start when its folder is on PYTHONPATH. It stands in for packages
that Megatron-Bridge imports but a LoRA does not use, and answers on the CPU what is asked of CUDA.
"""

from __future__ import annotations

import sys

if "-c" not in sys.orig_argv:  # a helper process of multiprocessing needs none of it
    import cpu_as_cuda
    import stand_ins

    stand_ins.install()
    cpu_as_cuda.install()
