"""The `prepare` stage: `python -m runners.prepare RUN_FOLDER`, started by the keeper."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners.errors import RunnerError
from runners.payload.contract import Contract, StageError, run_stage
from runners.prepare.stage import prepare


def main() -> int:
    """Prepare the data of the run that the environment names; see `runners.payload.contract`."""
    if len(sys.argv) > 2:
        sys.stderr.write("usage: python -m runners.prepare [RUN_FOLDER]\n")
        return 2
    return run_stage(_prepare)


def _prepare(contract: Contract) -> Mapping[str, Any]:
    contract.heartbeat(phase="loading", unit="rows", done=0)

    def show(done: int, total: int) -> None:
        contract.raise_if_stopped()
        contract.progress(done, total)

    run_dir = Path(sys.argv[1]) if len(sys.argv) == 2 else contract.run_dir
    try:
        manifest = prepare(run_dir, on_progress=show)
    except RunnerError as error:
        raise StageError(str(error)) from None
    left = f", {manifest.dropped} rows left out as too long" if manifest.dropped else ""
    sys.stdout.write(f"{manifest.rows} rows, {manifest.tokens} tokens{left}\n")
    return {
        "rows": manifest.rows,
        "eval_rows": manifest.eval_rows,
        "tokens": manifest.tokens,
        "ids_sha256": manifest.ids_sha256,
        "dropped": manifest.dropped,
        "cut": manifest.cut,
        "lengths": dict(manifest.lengths),
    }


if __name__ == "__main__":
    raise SystemExit(main())
