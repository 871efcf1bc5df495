"""The `import` stage of the `nemo` lane: the Hugging Face base as a Megatron checkpoint.

The rule: what is put into the cache has answered like the base it was made from.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import trackers
from .alone import alone, wait_aloud
from .contract import Contract, StageError, end_process, run_stage, say
from .files import remove_tree
from .folders import begin_folder, put_in_place
from .job import Job, read_job
from .nemo_imports import (
    base_hash,
    import_folder,
    import_key,
    is_whole,
    mark_whole,
    name_import,
)
from .nemo_yarn import doubts, read_config, yarn_fields
from .shards import packed


def main(contract: Contract) -> Mapping[str, Any]:
    """Import the job's base, unless the cache has it."""
    contract.heartbeat(unit="bytes", done=0)
    contract.raise_on_stop = True
    job = read_job(contract)
    trackers.require(job.recipe, "nemo", sys.executable)
    config = read_config(job.base)
    if why := packed(config):
        raise StageError(f"the base {job.base} cannot be used: {why}")
    yarn = yarn_fields(config)
    for doubt in doubts(config):
        say(f"warning: {doubt}")
    digest = base_hash(job.base, contract.progress)
    key = import_key(digest, yarn, str(config.get("dtype") or config.get("torch_dtype")))
    contract.facts.update(versions=key["versions"], layers=key["layers"], yarn=yarn)
    folder = import_folder(job.cache, key)
    waiting = f"another run imports the same base; waiting for {folder}"
    with alone(folder, lambda: wait_aloud(contract, waiting)):
        made = not is_whole(folder, key)
        if made:
            _make(contract, job, folder, key)
    name_import(job.work, folder, key)
    say(f"{'imported' if made else 'imported before'}: {folder}")
    return {"made": made, "folder": str(folder)}


def _make(contract: Contract, job: Job, folder: Path, key: Mapping[str, Any]) -> None:
    from .nemo_import import import_base

    temporary = begin_folder(folder)
    try:
        facts = import_base(contract, job, temporary, key["yarn"])
        mark_whole(temporary, key, job.base)
        contract.raise_on_stop = False
        contract.raise_if_stopped()
        put_in_place(temporary, folder)
    finally:
        remove_tree(temporary)
    contract.facts.update(facts)


if __name__ == "__main__":
    end_process(run_stage(main))
