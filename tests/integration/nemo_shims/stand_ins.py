"""Packages that are imported by Megatron-Bridge and never used by what the tests run."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

INERT = ("modelopt", "nvidia_resiliency_ext", "megatron.energon", "webdataset", "triton")
"""Any module below these roots can be imported; all it holds is classes that do nothing."""

MISSED = ("nvidia_resiliency_ext.checkpointing", "nvidia_resiliency_ext.attribution")
"""Whoever imports these does well without them."""


class _Meta(type):
    """A class any attribute of which is such a class again."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _inert(name)


def _inert(name: str) -> Any:
    return _Meta(
        name,
        (),
        {
            "__init__": lambda self, *_, **__: None,
            "__call__": lambda self, *given, **__: given[0] if given else None,
            "__getattr__": lambda self, name: _inert(name),
            "__class_getitem__": classmethod(lambda cls, _: cls),
        },
    )


class _Told(_inert("SummaryWriter")):  # type: ignore[misc]
    """Writes what TensorBoard would be told into a file."""

    def __init__(self, log_dir: str, **_: object) -> None:
        self._path = Path(log_dir) / "told.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def add_scalar(self, name: str, value: Any, step: int) -> None:
        with self._path.open("a") as file:
            print(json.dumps([name, float(value), step]), file=file)


class _Finder:
    """Finds inert modules, after every real one."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = roots

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if not _below(name, self._roots) or _below(name, MISSED):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return FUNCTIONS.get(name) or _inert(name)

        module.__path__ = []
        module.__version__ = "0.0.0"  # too old for whatever it is asked for
        module.__getattr__ = attribute


def _below(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


FUNCTIONS: dict[str, Any] = {
    "is_quantized": lambda *_, **__: False,
    "restore_sharded_modelopt_state": lambda *_, **__: None,
    "save_sharded_modelopt_state": lambda *_, **__: None,
    "restore_modelopt_state": lambda *_, **__: None,
    "save_modelopt_state": lambda *_, **__: None,
    "get_tensor_shapes_adjust_fn_for_distillation": lambda *_, **__: None,
    "jit": lambda function=None, **_: function if function else (lambda inner: inner),
}
"""What is called all the same, and what it then has to say."""


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _module(name: str, **content: Any) -> types.ModuleType:
    """A module in sys.modules only: whoever looks for the package does not find it installed."""
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None, is_package=True)
    module.__path__ = []
    module.__dict__.update(content)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, module)
    return module


def install() -> None:
    """Put every stand-in in place."""
    if not hasattr(typing, "override"):  # Python 3.11; the wheels are made for 3.12
        typing.override = lambda function: function
    roots = tuple(name for name in INERT if not _there(name))
    sys.meta_path.append(_Finder(roots))
    _stand_in_for_datasets()
    _stand_in_for_transformer_engine()
    _skip_the_compiler()


def _stand_in_for_datasets() -> None:
    if not _there("datasets"):
        empty = {name: _inert(name) for name in ("Dataset", "DatasetDict", "IterableDataset")}
        names = ("load_dataset", "concatenate_datasets")
        _module("datasets", **empty, **{name: _inert(name)() for name in names})
        _module("datasets.builder")
    if not _there("tensorboard.compat"):
        _module("torch.utils.tensorboard", SummaryWriter=_Told)
        _module("torch.utils.tensorboard.writer", SummaryWriter=_Told)


def _stand_in_for_transformer_engine() -> None:
    """Only while the adapters are imported: megatron.core has to see that it is not there."""
    if _there("transformer_engine"):
        return
    import torch

    for name in (
        "megatron.core.extensions.transformer_engine",
        "megatron.core.models.gpt.gpt_layer_specs",
        "megatron.core.transformer.moe.experts",
        "megatron.core.optimizer",
        "megatron.core.tensor_parallel",
    ):
        importlib.import_module(name)
    layers = ("Linear", "LayerNormLinear", "LayerNorm", "RMSNorm", "GroupedLinear", "Sequential")
    modules = {name: type(f"Te{name}", (torch.nn.Module,), {}) for name in layers}
    _module("transformer_engine", __version__="0.0.0")
    _module("transformer_engine.pytorch", **modules)
    _module("transformer_engine.pytorch.ops", **modules)
    for name in ("lora_layers", "lora", "canonical_lora", "utils", "module_matcher"):
        importlib.import_module(f"megatron.bridge.peft.{name}")
    for name in ("utils", "module_matcher"):
        module = sys.modules[f"megatron.bridge.peft.{name}"]
        for flag in [each for each in vars(module) if each.startswith("HAVE_TE")]:
            setattr(module, flag, False)
    for name in [each for each in sys.modules if each.partition(".")[0] == "transformer_engine"]:
        del sys.modules[name]


def _skip_the_compiler() -> None:
    """A wheel has its helpers compiled, but no Makefile: Megatron-Bridge would end the program."""
    for name in ("megatron.core.datasets.utils", "megatron.bridge.training.initialize"):
        module = importlib.import_module(name)
        if hasattr(module, "compile_helpers"):
            module.compile_helpers = lambda: None
