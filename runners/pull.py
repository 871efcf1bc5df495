"""The `pull` stage: `python -m runners.pull RUN_FOLDER`. The image of a run's containers is here.

The rule: it ends when the image is here, when it never can be, or when somebody asks. A registry or
an engine that goes away is waited for; what was loaded by then is not loaded again.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from monitor.rundir import RunDir
from runners.engines.docker_client import DockerConnection, NotThereError
from runners.engines.docker_errors import (
    EngineSilentError,
    image_missing,
    pull_in_words,
    registry_of,
)
from runners.engines.pull_progress import PullProgress, heard, in_words, with_sizes
from runners.engines.registry import image_size, split_name, stored_credentials
from runners.errors import EngineError, RunnerError
from runners.payload.contract import Contract, StageError, run_stage, say
from runners.runs import read_run

T = TypeVar("T")

LINE_S = 10.0
PAUSES_S = (2.0, 5.0, 15.0, 30.0, 60.0)
REACH_S = 900.0
"""How long a registry that was never reached is tried: a network may be away for a while."""
ENGINE_AWAY_S = 180.0
"""How long an engine that has not answered yet is waited for; one that has, without end."""
AWAY_PAUSE_S = 2.0


class PullFailed(Exception):
    """The engine gave up on a pull; its words."""


class Pull:
    """Gets one image, with as many tries as it takes."""

    def __init__(self, contract: Contract, image: str, engine: DockerConnection) -> None:
        self._contract, self._image, self._engine = contract, image, engine
        self._progress = PullProgress()
        self._said_s = time.monotonic()
        self._said = ""

    def get(self) -> dict[str, Any]:
        """Return the image as the engine describes it. Raises StageError."""
        self._ask_for_sizes()
        began, failures = time.monotonic(), 0
        while True:
            before = self._progress.done
            try:
                why = self._try()
                found = look(self._engine, self._image) if why is None else None
            except EngineSilentError as error:
                say(f"the pull was interrupted ({error})")
                when_it_answers(lambda: look(self._engine, self._image), math.inf)
                continue
            if found is not None:
                say(in_words(self._progress))
                return found
            why = why or "the engine's answer ended before the image was whole"
            failures = 0 if self._progress.done > before else failures + 1
            if self._progress.done == 0 and time.monotonic() - began > REACH_S:
                registry = registry_of(self._image)
                raise StageError(f"the registry {registry} cannot be reached: {why}")
            pause_s = PAUSES_S[min(max(0, failures - 1), len(PAUSES_S) - 1)]
            say(f"the pull was interrupted ({why}); again in {pause_s:g} s")
            time.sleep(pause_s)

    def _ask_for_sizes(self) -> None:
        try:
            size = image_size(self._image, stored_credentials(self._image))
        except EngineError as error:
            say(f"{error}; the total shows as the layers come")
        else:
            self._progress = with_sizes(self._progress, size.layers)
            say(f"{self._image}: {len(size.layers)} layers, {size.bytes / 2**30:.2f} GiB to load")

    def _try(self) -> str | None:
        """Pull once; None when the engine calls it done, else why it stopped for now.

        Raises EngineSilentError where the engine went away, and StageError where it never can be.
        """
        repository, reference = split_name(self._image)
        try:
            self._engine.ask(
                lambda client: self._follow(
                    client.pull(repository, tag=reference, stream=True, decode=True)
                )
            )
        except EngineSilentError:
            raise
        except (EngineError, PullFailed) as error:
            said = str(getattr(error.__cause__, "explanation", None) or error)
            final = pull_in_words(said, self._image)
            if final is not None:
                raise StageError(final) from None
            return said
        return None

    def _follow(self, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            if "error" in event:
                raise PullFailed(str(event["error"]))
            self._progress = heard(self._progress, event, time.monotonic())
            if self._progress.layers:
                self._contract.progress(self._progress.done, self._progress.total)
            self._say_how_far()

    def _say_how_far(self) -> None:
        now = time.monotonic()
        if now - self._said_s < LINE_S:
            return
        line = in_words(self._progress)
        if line != self._said:
            say(line)
            self._said, self._said_s = line, now


def when_it_answers(question: Callable[[], T], patience_s: float) -> T:
    """The answer to *question*, once an engine that is away answers. Raises EngineError."""
    deadline = time.monotonic() + patience_s
    told = False
    while True:
        try:
            return question()
        except EngineSilentError as error:
            if time.monotonic() > deadline:
                raise
            if not told:
                say(f"waiting for the engine: {error}")
            told = True
        time.sleep(AWAY_PAUSE_S)


def look(engine: DockerConnection, image: str) -> dict[str, Any] | None:
    """The image of that name or id as it is here: name, id, digest and bytes."""
    try:
        seen = engine.ask(lambda client: client.inspect_image(image))
    except NotThereError:
        return None
    repository = split_name(image)[0]
    digests = [str(each) for each in seen.get("RepoDigests") or ()]
    digests.sort(key=lambda each: each.partition("@")[0] != repository)  # its own registry first
    return {
        "name": image,
        "id": str(seen["Id"]),
        "digest": digests[0] if digests else None,
        "size_bytes": seen.get("Size"),
    }


def _pull(contract: Contract) -> Mapping[str, Any]:
    contract.heartbeat(phase="loading", unit="bytes", done=0)
    contract.raise_on_stop = True
    run = RunDir(Path(sys.argv[1]) if len(sys.argv) == 2 else contract.run_dir)
    try:
        info = read_run(run)
        known = info.get("image") or {}
        never = (info["recipe"].get("docker") or {}).get("pull") == "never"
        found = _have(contract, known, never=never)
    except RunnerError as error:
        raise StageError(str(error)) from None
    contract.raise_on_stop = False
    say(f"image {found['name']} is here: {found['id']}")
    return {"image": found}


def _have(contract: Contract, known: Mapping[str, Any], *, never: bool) -> dict[str, Any]:
    """The very image of an earlier attempt, else what its name means now, pulled if need be."""
    engine, name = DockerConnection(), str(known["name"])
    when_it_answers(engine.about, ENGINE_AWAY_S)
    if known.get("id") and (kept := look(engine, str(known["id"]))):
        return kept | {"name": name, "digest": known.get("digest") or kept["digest"]}
    if (here := look(engine, name)) is not None and not known.get("digest"):
        if known.get("id"):
            say(f"warning: the image of the attempt before is gone; {name} is another one by now")
        return here
    if never and here is not None:
        raise StageError(
            f"the image of the attempt before ({known['digest']}) is gone, {name} is another one "
            "by now, and docker.pull forbids to get it: `docker pull` it by that digest"
        )
    if never:
        raise StageError(image_missing(name))
    return Pull(contract, str(known.get("digest") or name), engine).get() | {"name": name}


def main() -> int:
    """Get the image of the run that the environment names; see `runners.payload.contract`."""
    return run_stage(_pull)


if __name__ == "__main__":
    raise SystemExit(main())
