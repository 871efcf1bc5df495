"""The `fetch` stage: `python -m runners.fetch RUN_FOLDER`. A model of the hub comes here.

It goes into the Hugging Face tools' own cache, so that nothing is loaded twice; the run gets a link
to the snapshot. The rule: it ends when the model is here, when it never can be, or when somebody
asks. Files that are whole are not loaded again.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from monitor.probes.text import clean_line
from monitor.rundir import RunDir
from runners.errors import RunnerError
from runners.hub import hub_cache, repository_folder
from runners.payload.contract import Contract, StageError, run_stage, say
from runners.recipe.base import missing, troubles
from runners.runs import read_run

WANTED = (".json", ".safetensors", ".model", ".txt", ".jinja", ".py", ".tiktoken")
"""A trainer needs these; the same weights in other formats would double the load."""
TWICE = "consolidated"
"""Mistral's models lie on the hub a second time under this name, which no trainer reads."""

PAUSES_S = (2.0, 5.0, 15.0, 30.0, 60.0)
REACH_S = 900.0
"""How long a hub that was never reached is tried: a network may be away for a while."""
LOOK_S = 0.5
LINE_S = 10.0
GIB = 1 << 30


class HubSilentError(Exception):
    """The hub cannot be reached now; another try may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the hub has of a model, at one revision."""

    revision: str
    files: Mapping[str, tuple[str, int]]
    """(name of its blob in the cache, bytes) by file name."""

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.files.values())


class Fetch:
    """Loads one model into the cache, with as many tries as it takes."""

    def __init__(self, contract: Contract, name: str, cache: Path) -> None:
        self._contract, self._name, self._cache = contract, name, cache
        self._folder = repository_folder(name, cache)
        self._said_s, self._began = time.monotonic(), (time.monotonic(), 0)

    def get(self) -> tuple[Path, Listing]:
        """Return the snapshot's folder and what is in it. Raises StageError."""
        listing = self._insist(lambda: list_files(self._name), first=True)
        self._require_room(listing)
        say(f"{self._name}: {len(listing.files)} files, {listing.bytes / GIB:.2f} GiB")
        self._began = (time.monotonic(), self._loaded(listing))
        with self._watched(listing):
            for file in listing.files:
                self._insist(partial(self._load, file, listing))
        snapshot = self._folder / "snapshots" / listing.revision
        absent, wrong = missing(snapshot), troubles(snapshot)
        if absent or wrong:
            why = wrong or [f"it lacks {' and '.join(absent)}: is it a model in safetensors?"]
            raise StageError(f"{self._name} is not usable: {'; '.join(why)}")
        return snapshot, listing

    def _insist(self, deed: Callable[[], Any], *, first: bool = False) -> Any:
        began, failures = time.monotonic(), 0
        while True:
            try:
                return deed()
            except HubSilentError as error:
                failures += 1
                if first and time.monotonic() - began > REACH_S:
                    raise StageError(f"the hub cannot be reached: {error}") from None
                pause_s = PAUSES_S[min(failures - 1, len(PAUSES_S) - 1)]
                say(f"the load was interrupted ({error}); again in {pause_s:g} s")
                time.sleep(pause_s)

    def _load(self, file: str, listing: Listing) -> None:
        from huggingface_hub import hf_hub_download

        with _hub_errors(self._name, self._cache):
            hf_hub_download(self._name, file, revision=listing.revision, cache_dir=self._cache)

    def _require_room(self, listing: Listing) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        needed = listing.bytes - self._loaded(listing)
        free = shutil.disk_usage(self._cache).free
        if needed > free:
            raise StageError(
                f"disk full: {self._name} takes {needed / GIB:.1f} GiB more in {self._cache}, and "
                f"{free / GIB:.1f} GiB are free there; set HF_HOME to a larger disk, or free some"
            )

    def _loaded(self, listing: Listing) -> int:
        """Bytes of the model that are in the cache, whole files and begun ones."""
        blobs, done = self._folder / "blobs", 0
        for blob, size in listing.files.values():
            parts = [_size(each) for each in blobs.glob(f"{blob}*.incomplete")]
            whole = (blobs / blob).exists()
            done += size if whole else min(size, max(parts, default=0))
        return done

    @contextmanager
    def _watched(self, listing: Listing) -> Any:
        """Say how far it is while the main thread loads."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_S):
                self._tell(listing)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()
        self._tell(listing)

    def _tell(self, listing: Listing) -> None:
        done, now = self._loaded(listing), time.monotonic()
        self._contract.progress(done, listing.bytes)
        if now - self._said_s < LINE_S:
            return
        self._said_s, (began_s, before) = now, self._began
        rate = (done - before) / (now - began_s)
        left = f", about {(listing.bytes - done) / rate / 60:.0f} min left" if rate > 0 else ""
        of = f"{done / GIB:.2f} of {listing.bytes / GIB:.2f} GiB"
        say(f"{of}, {rate / (1 << 20):.1f} MiB/s{left}")


def list_files(name: str) -> Listing:
    """Ask the hub what the model consists of. Raises HubSilentError and StageError."""
    from huggingface_hub import HfApi

    with _hub_errors(name, hub_cache()):
        info = HfApi().model_info(name, files_metadata=True)
    files = {
        each.rfilename: (each.lfs.sha256 if each.lfs else each.blob_id or "", each.size or 0)
        for each in info.siblings or ()
        if each.rfilename.endswith(WANTED) and "/" not in each.rfilename
    }
    if any(name.startswith("model") and name.endswith(".safetensors") for name in files):
        files = {name: each for name, each in files.items() if not name.startswith(TWICE)}
    return Listing(revision=str(info.sha), files=files)


@contextmanager
def _hub_errors(name: str, cache: Path) -> Any:
    """What the hub's library raises, as a StageError with a remedy, or as HubSilentError."""
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise StageError(
            f"{name} is not in the cache and HF_HUB_OFFLINE forbids to load it: unset that"
        ) from None
    except errors.GatedRepoError:
        raise StageError(
            f"{name} is gated: accept its terms at its page of the hub, then `hf auth login`, or "
            "set HF_TOKEN for this launch"
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        raise StageError(
            f"the hub has no model {name}, or keeps it private: is the name right, is `hf auth "
            "login` done or HF_TOKEN set?"
        ) from None
    except errors.HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        if code in (401, 403):
            raise StageError(f"the hub refuses {name}: {_line(error)}; `hf auth login`") from None
        raise HubSilentError(_line(error)) from error
    except PermissionError as error:
        where = error.filename or cache
        raise StageError(f"{where} may not be written: {_owner(where)}") from error
    except (httpx.HTTPError, OSError, errors.LocalEntryNotFoundError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StageError(f"disk full: no room for {name} in {cache}") from error
        raise HubSilentError(_line(error)) from error


def _line(error: Exception) -> str:
    return clean_line(str(error).strip().partition("\n")[0], 300) or type(error).__name__


def _owner(path: Any) -> str:
    """Whose it is, and what to do: a cache that a container filled as root is the usual case."""
    place = Path(os.fsdecode(path))
    while not place.exists() and place != place.parent:
        place = place.parent
    if place.stat().st_uid == os.geteuid():
        return "it is yours, but its mode forbids it"
    return f"{place} belongs to user {place.stat().st_uid}; `sudo chown -R $(id -u) {place}`"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _link(link: Path, target: Path) -> None:
    """Let *link* lead to *target*, in one step."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def _fetch(contract: Contract) -> Mapping[str, Any]:
    contract.heartbeat(phase="loading", unit="bytes", done=0)
    # Bars that redraw themselves are no log; what a library prints of them has no newline.
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    contract.raise_on_stop = True
    run = RunDir(Path(sys.argv[1]) if len(sys.argv) == 2 else contract.run_dir)
    try:
        info = read_run(run)
    except RunnerError as error:
        raise StageError(str(error)) from None
    asked = info["fetch"]
    name = str(asked["hub"])
    # As it was where the run was launched: a keeper that a service brought back knows no HF_HOME.
    cache = Path(asked["cache"]) if asked.get("cache") else hub_cache()
    snapshot, listing = Fetch(contract, name, cache).get()
    contract.raise_on_stop = False
    _link(Path(info["paths"]["base"]), snapshot)
    say(f"{name} is here: {snapshot}")
    found = {"hub": name, "revision": listing.revision, "folder": str(snapshot)}
    return {"fetch": dict(asked) | found | {"bytes": listing.bytes}}


def main() -> int:
    """Fetch the base of the run that the environment names; see `runners.payload.contract`."""
    return run_stage(_fetch)


if __name__ == "__main__":
    raise SystemExit(main())
