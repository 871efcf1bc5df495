"""The `merge` stage of the `nemo` lane: base + adapter to Hugging Face's format in one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contract import Contract, end_process, run_stage
from .exporting import Export, export
from .nemo_imports import named_import
from .nemo_saves import NEEDED


def main(contract: Contract) -> Mapping[str, Any]:
    """Merge the job's checkpoint, or the one the tracker names."""
    return export(contract, NEEDED, _make)


def _make(wanted: Export) -> None:
    base = named_import(wanted.job.work)
    from .nemo_merge import merge_adapter

    merge_adapter(wanted, base)


if __name__ == "__main__":
    end_process(run_stage(main))
