"""Whether runs can be compared, and what differs between them. Pure.

The rule: a difference that by itself changes losses or step times makes a comparison unfair; one
that only has to be kept in mind does not. Two lanes may be compared: that is what they are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from runners.compare.facts import RunFacts

WARMER_C = 5.0
"""Medians of the GPU's temperature further apart than that are said."""

THROTTLED_MINUTES = 1.0

_SILENT = ("liveness.", "memory.", "run.", "docker.", "train.keep_last", "train.report_to")
"""Fields that change neither what is learnt nor how fast."""
_MILD = ("train.save_interval", "data.eval_interval")
_WHEREABOUTS = ("data.path", "data.eval_path")
"""Where the rows are: the ids tell whether they are the same ones."""


class Weight(StrEnum):
    """What a difference does to a comparison."""

    DIFFERS = "differs"
    """It is unfair."""
    UNKNOWN = "unknown"
    """It may be unfair: that was not recorded."""
    MIND = "mind"
    """It is fair, with this in mind."""


class Comparable(StrEnum):
    """Whether the runs can be compared."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same; a value for each run, None where it is not known."""

    what: str
    values: tuple[Any, ...]
    weight: Weight


def differences(runs: Sequence[RunFacts]) -> list[Difference]:
    """What differs between *runs*, the gravest first."""
    found = [*_recipe(runs), *_identity(runs), *_circumstances(runs)]
    return sorted(found, key=lambda each: list(Weight).index(each.weight))


def comparable(found: Sequence[Difference]) -> Comparable:
    """The verdict on what was found."""
    weights = {each.weight for each in found}
    if Weight.DIFFERS in weights:
        return Comparable.NO
    return Comparable.UNKNOWN if Weight.UNKNOWN in weights else Comparable.YES


def sentence(found: Sequence[Difference]) -> str:
    """Return "yes", "no: what differs" or what is not known, and what to keep in mind."""
    named = {weight: [each.what for each in found if each.weight is weight] for weight in Weight}
    differ, unknown, mind = named.values()
    if differ:
        said = f"no: {_listed(differ)} {'differs' if len(differ) == 1 else 'differ'}"
    elif unknown:
        said = f"not known: {_listed(unknown)} not recorded for every run"
    else:
        said = "yes"
    if not mind:
        return said
    return f"{said}; mind {_listed(mind)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _recipe(runs: Sequence[RunFacts]) -> Iterator[Difference]:
    if not all(run.recipe and not run.by_command for run in runs):
        yield from _known_in_part(runs)
        return
    same_ids = _all_known_alike([run.ids_sha256 for run in runs])
    for name in dict.fromkeys(key for run in runs for key in run.recipe):
        values = tuple(run.recipe.get(name) for run in runs)
        if all(value == values[0] for value in values) or not _matters(name, runs):
            continue
        if name in _WHEREABOUTS and same_ids:
            continue
        weight = Weight.MIND if name in _MILD else Weight.DIFFERS
        yield Difference(what=name, values=values, weight=weight)


def _known_in_part(runs: Sequence[RunFacts]) -> Iterator[Difference]:
    """What every run names is compared; what else there is of a recipe nobody can say."""
    names = [name for name in runs[0].recipe if all(name in run.recipe for run in runs)]
    for name in names:
        values = tuple(run.recipe[name] for run in runs)
        if any(value != values[0] for value in values):
            yield Difference(
                what=name, values=values, weight=Weight.MIND if name in _MILD else Weight.DIFFERS
            )
    yield Difference(
        what="the rest of the recipe" if names else "recipe",
        values=tuple(_told(run) for run in runs),
        weight=Weight.UNKNOWN,
    )


def _told(run: RunFacts) -> str | None:
    if not run.by_command:
        return "known" if run.recipe else None
    named = [name.rpartition(".")[2] for name in run.recipe]
    return f"its command names {_listed(named)}" if named else None


def _matters(name: str, runs: Sequence[RunFacts]) -> bool:
    if name.startswith(_SILENT):
        return False
    if name.startswith("train.auto_"):
        return any(run.recipe.get("train.iterations") == "auto" for run in runs)
    # A lane's own table says nothing of a run in another lane.
    return not name.startswith("lanes.") or all(name.startswith(f"lanes.{x.lane}.") for x in runs)


def _identity(runs: Sequence[RunFacts]) -> Iterator[Difference]:
    # Who started a run says nothing of it; whether it is a smoke run does.
    kinds = [None if run.by_command else run.kind for run in runs]
    if len({*kinds} - {None}) > 1:
        yield from _one("kind of run", kinds, Weight.DIFFERS)
    yield from _one("token ids", [_short(run.ids_sha256) for run in runs], Weight.DIFFERS, key=True)
    yield from _one("base revision", [_short(run.base_revision) for run in runs], Weight.DIFFERS)
    parameters = [run.adapter_parameters for run in runs]
    yield from _one("adapter parameters", parameters, Weight.DIFFERS, key=True)
    one_lane = len({run.lane for run in runs}) == 1
    images = [run.image_digest or run.image for run in runs]
    yield from _one("image", images, Weight.DIFFERS if one_lane else Weight.MIND)
    yield from _one("engine", [run.engine for run in runs], Weight.MIND)
    yield from _one("software", [run.made_by for run in runs], Weight.MIND)


def _circumstances(runs: Sequence[RunFacts]) -> Iterator[Difference]:
    attempts = tuple(run.attempts for run in runs)
    if any(each is not None and each > 1 for each in attempts):
        yield Difference(what="resumed (attempts)", values=attempts, weight=Weight.MIND)
    states = tuple(run.status for run in runs)
    if any(each != "finished" for each in states):
        yield Difference(what="how it ended", values=states, weight=Weight.MIND)
    warm = [run.figure("temperature_median_c") for run in runs]
    known = [each for each in warm if each is not None]
    if known and max(known) - min(known) >= WARMER_C:
        values = tuple(None if each is None else f"{each:.0f} °C" for each in warm)
        yield Difference(what="GPU temperature (median)", values=values, weight=Weight.MIND)
    throttled = [run.figure("throttle_minutes") for run in runs]
    if any(each is not None and each >= THROTTLED_MINUTES for each in throttled):
        values = tuple(None if each is None else f"{each:.0f} min" for each in throttled)
        yield Difference(what="throttled", values=values, weight=Weight.MIND)


def _one(
    what: str, values: Sequence[Any], weight: Weight, *, key: bool = False
) -> Iterator[Difference]:
    """A difference if the known values are not alike; of a key one also if any is not known."""
    known = {value for value in values if value is not None}
    if len(known) > 1:
        yield Difference(what=what, values=tuple(values), weight=weight)
    elif key and None in values:
        yield Difference(what=what, values=tuple(values), weight=Weight.UNKNOWN)
    elif known and None in values:
        yield Difference(what=what, values=tuple(values), weight=Weight.MIND)


def _all_known_alike(values: Sequence[str | None]) -> bool:
    return None not in values and len(set(values)) == 1


def _short(digest: str | None) -> str | None:
    return None if digest is None else digest[:12]


def flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A recipe's fields by dotted path; a list counts as one value."""
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = tuple(value) if isinstance(value, list) else value
    return found
