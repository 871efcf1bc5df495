"""Answers on the CPU what is asked of CUDA, as far as one process that trains needs it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed
from torch.overrides import TorchFunctionMode


def _is_cuda(value: Any) -> bool:
    if isinstance(value, torch.device):
        return value.type == "cuda"
    return isinstance(value, str) and value.startswith("cuda")


class _OnTheCpu(TorchFunctionMode):
    """Every call of torch that names a CUDA device names the CPU instead."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = {
            name: "cpu" if _is_cuda(value) else value for name, value in (kwargs or {}).items()
        }
        given |= {"pin_memory": False} if given.get("pin_memory") else {}
        return function(*("cpu" if _is_cuda(each) else each for each in args), **given)


class _Event:
    """Of a stream that is never behind."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._at = time.monotonic()

    def record(self, *_: Any, **__: Any) -> None:
        self._at = time.monotonic()

    def query(self) -> bool:
        return True

    def elapsed_time(self, other: _Event) -> float:
        return 1000.0 * (other._at - self._at)

    def synchronize(self) -> None: ...
    def wait(self, *_: Any) -> None: ...


class _Stream:
    """The only one."""

    cuda_stream = 0

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: Any) -> bool:
        return False

    def record_event(self, *_: Any) -> _Event:
        return _Event()

    def wait_stream(self, *_: Any) -> None: ...
    def wait_event(self, *_: Any) -> None: ...
    def synchronize(self) -> None: ...


def install() -> None:
    """Take the place of CUDA in this process."""
    _OnTheCpu().__enter__()
    for kind in (torch.Tensor, torch.nn.Module):
        kind.cuda = lambda self, *_, **__: self
    torch.Tensor.pin_memory = lambda self, *_, **__: self
    _take_over_types()
    for name, answer in _answers().items():
        setattr(torch.cuda, name, answer)
        if hasattr(torch.cuda.random, name):
            setattr(torch.cuda.random, name, answer)
    for kind_name in ("Float", "Half", "BFloat16", "Double", "Int", "Long", "Byte"):
        name = f"{kind_name}Tensor"
        setattr(torch.cuda, name, getattr(torch, name))
    torch.cuda.nvtx.range_push = torch.cuda.nvtx.range_pop = lambda *_, **__: None
    torch._C._cuda_getDefaultStream = lambda *_: 0
    _take_over_distributed()


def _answers() -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("set_device", "synchronize", "empty_cache", "manual_seed", "manual_seed_all",
         "reset_peak_memory_stats", "set_stream", "ipc_collect", "_lazy_init"),
        lambda *_, **__: None,
    )  # fmt: skip
    zero = dict.fromkeys(
        ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"),
        lambda *_, **__: 0,
    )
    properties = SimpleNamespace(
        name="cpu", major=9, minor=0, total_memory=1 << 34, multi_processor_count=1
    )
    return nothing | zero | {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: torch.device("cpu"),
        "get_rng_state": lambda *_, **__: torch.get_rng_state(),
        "set_rng_state": lambda state, *_, **__: torch.set_rng_state(state),
        "memory_stats": lambda *_: {},
        "get_device_properties": lambda *_: properties,
        "get_device_capability": lambda *_: (9, 0),
        "get_device_name": lambda *_: "cpu",
        "mem_get_info": lambda *_: (1 << 34, 1 << 34),
        "Event": _Event,
        "Stream": _Stream,
        "stream": lambda *_: _Stream(),
        "current_stream": lambda *_: _Stream(),
        "default_stream": lambda *_: _Stream(),
        "default_generators": (torch.default_generator,),
        "is_current_stream_capturing": lambda: False,
    }  # fmt: skip


def _take_over_types() -> None:
    """Megatron tells a tensor's kind by the name that its CUDA type would have."""
    named = torch.Tensor.type

    def type_(self: Any, *given: Any, **named_given: Any) -> Any:
        if given or named_given:
            return named(self, *given, **named_given)
        return f"torch.cuda.{named(self).rpartition('.')[2]}"

    torch.Tensor.type = type_


def _take_over_distributed() -> None:
    made, grouped = torch.distributed.init_process_group, torch.distributed.new_group

    def init_process_group(backend: str | None = None, **given: Any) -> Any:
        given.pop("device_id", None)
        return made(backend="gloo", **given)

    def new_group(*ranks: Any, **given: Any) -> Any:
        given.pop("pg_options", None)
        return grouped(*ranks, **given | {"backend": "gloo"})

    torch.distributed.init_process_group = init_process_group
    torch.distributed.new_group = new_group
