"""The `merge` stage of the `reference` lane: base + adapter into one bf16 model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contract import Contract, end_process, run_stage
from .exporting import ADAPTER_FILES, Export, export
from .folders import copy_files


def main(contract: Contract) -> Mapping[str, Any]:
    """Merge the job's checkpoint, or the one the tracker names."""
    return export(contract, ADAPTER_FILES, _make)


def _make(wanted: Export) -> None:
    from .reference_merge import merge_adapter

    copy_files(ADAPTER_FILES, wanted.checkpoint, wanted.adapter)
    merge_adapter(
        wanted.contract, wanted.job, wanted.checkpoint, wanted.merged, tensors=wanted.tensors
    )


if __name__ == "__main__":
    end_process(run_stage(main))
