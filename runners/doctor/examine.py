"""Put it together: look, each thing on its deadline, and judge.

The rule: an examination changes nothing and never takes longer than it was given. What did not
answer is a check of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monitor.budget import is_unified
from monitor.model import MemoryReading
from monitor.probes.memory import read_memory_fast
from monitor.rundir import cache_root
from runners.doctor import docker_probes, launch_probes, machine_probes
from runners.doctor.asking import Answers, Question, ask_all, ask_each
from runners.doctor.facts import (
    BaseFacts,
    DiskFacts,
    DockerFacts,
    DriverFacts,
    Facts,
    ImageFacts,
    LaunchFacts,
    LimitFacts,
    MachineFacts,
    SessionFacts,
    told_to_use_the_cpu,
)
from runners.doctor.image_trial import tracker_checks, trial_checks, try_image
from runners.doctor.memory_estimate import MemoryEstimate, estimate
from runners.doctor.needs import settled
from runners.doctor.rows_check import RowsCheck, check_rows
from runners.doctor.stack import local_trackers, trainer_check
from runners.doctor.values import Check, Examination, fail, ok, warn
from runners.doctor.verdict import judge
from runners.engines.docker import DockerEngine
from runners.launch import LaunchOrder
from runners.recipe.comparison import refusal
from runners.recipe.load import recipe_hash
from runners.recipe.model import Recipe
from runners.trackers import tracker_modules

LAUNCH_S = 1.0
"""Before a launch: it is to stay prompt."""
REGISTRY_S = 15.0
"""For a registry, before a launch that has to pull: a refusal now saves a run that fails later."""
DOCTOR_S = 30.0
"""When a person asks."""
DRIVER_S = 0.8
BESIDE = frozenset({"holders", "live", "daemons", "blocks", "packages"})
"""Nice to know before a launch: that one of them takes its time is not worth a line."""
HUNG = f"the engine has not answered within {DOCTOR_S:.0f} s: `sudo systemctl restart docker`"
Waiting = tuple[str, ...]
"""Who has not answered yet."""
NOT_ASKED = DockerFacts(problem="it was not asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """A launch that is being thought of."""

    recipe: Recipe
    lane: str
    engine: str
    image: str | None = None
    python: str | None = None
    """Of the local engine's trainers; None: lanewatch's own."""
    wheelhouse: Path | None = None
    """Where a lane's packages come from without a network."""
    limit_bytes: int | None = None
    """Of the machine's memory, where somebody has set one."""
    waits: bool = False

    @property
    def in_container(self) -> bool:
        """Its stages run in containers."""
        return self.engine == DockerEngine.name


def examine(
    root: Path,
    intended: Intended | None,
    *,
    limit_bytes: int | None = None,
    more: tuple[Check, ...] = (),
) -> Examination:
    """All checks, for a person who waits for them; *intended* None: of the machine alone.

    *more* are checks that were made elsewhere.
    """
    questions = _machine_questions(root) | {"docker": docker_probes.read_docker}
    if intended is not None:
        questions |= _launch_questions(root, intended)
    answers = ask_all(questions, DOCTOR_S)
    if "docker" in answers.unanswered:
        answers.given["docker"] = DockerFacts(problem=HUNG)
        answers.unanswered = tuple(each for each in answers.unanswered if each != "docker")
    if intended is None:
        return judge(_facts(answers, root, None, limit_bytes, RowsCheck()), more)
    rows = check_rows(intended.recipe)
    facts = _facts(answers, root, intended, intended.limit_bytes, rows)
    lane = lane_check(intended.recipe, intended.lane, facts)
    return judge(facts, (*more, lane, *rows.checks, *_trainer_checks(root, intended, facts)))


def lane_check(recipe: Recipe, lane: str, facts: Facts) -> Check:
    """Whether the lane trains what the recipe asks for; a launch asks the same before all else."""
    base = facts.launch.base if facts.launch else None
    if reason := refusal(recipe, lane, base.config if base else None):
        remedy = "`lanewatch recipe check` says what each lane can train"
        return fail(
            "recipe", f"the {lane} lane cannot train it: {reason}", remedy, overridable=False
        )
    return ok("recipe", f"the {lane} lane can train it")


def _trainer_checks(root: Path, intended: Intended, facts: Facts) -> Iterator[Check]:
    """The trainer's Python or, once the image is here, the image itself, tried as this user."""
    launch = facts.launch
    assert launch is not None
    if not intended.in_container:
        yield trainer_check(intended.lane, intended.python)
        yield from local_trackers(launch.recipe, intended.lane, intended.python)
    elif launch.image is not None and launch.image.local:
        order = order_of(root, intended, launch.base.folder)
        yield from trial_checks(try_image(order), needs_gpu=launch.on_gpu)
    else:
        yield from _image_trackers(root, intended, launch)


def _image_trackers(root: Path, intended: Intended, launch: LaunchFacts) -> Iterator[Check]:
    """Before a launch the image is asked for nothing but what train.report_to names, if it does."""
    modules = tracker_modules(launch.recipe, intended.lane)
    if not modules or not intended.in_container or launch.image is None:
        return
    if launch.image.local:
        order = order_of(root, intended, launch.base.folder)
        yield from tracker_checks(try_image(order, trackers_alone=True))
    elif launch.image.problem is None:
        seen = f"whether {intended.image} has {', '.join(modules)} is not known before it is here"
        yield warn("report_to", seen, "its first stage looks, before anything else is done")


def order_of(root: Path, intended: Intended, base: str | None) -> LaunchOrder:
    """The launch that *intended* would be, on the base in the folder *base*."""
    return LaunchOrder(
        recipe=intended.recipe.model_dump(mode="json"),
        recipe_hash=recipe_hash(intended.recipe),
        base=None if base is None else Path(base),
        lane=intended.lane,
        engine=intended.engine,
        image=intended.image,
        python=intended.python,
        wheelhouse=intended.wheelhouse,
        root=root,
        anyway=True,
    )


def examine_before_launch(
    root: Path, intended: Intended, *, ask_image: bool = False
) -> Examination:
    """What is cheap enough for every launch; the rows are looked at by `launch` itself.

    *ask_image* starts a container where the recipe names trackers: for the launch itself, not while
    somebody still thinks of it.
    """
    *_, (whole, _) = examine_step_by_step(root, intended, ask_image=ask_image)
    return whole


def examine_step_by_step(
    root: Path, intended: Intended, *, ask_image: bool = False
) -> Iterator[tuple[Examination, Waiting]]:
    """As `examine_before_launch`, each check as soon as nothing can change it any more.

    Each step holds what the one before held; the last one is the whole and waits for nobody.
    """
    questions = _machine_questions(root) | _launch_questions(root, intended)
    questions["driver"] = lambda: machine_probes.read_driver(DRIVER_S)
    if intended.in_container:
        questions["docker"] = docker_probes.read_docker
        questions |= _image_question(intended, docker_probes.find_image)
    answers = Answers()
    for answers in ask_each(questions, LAUNCH_S):
        if answers.unanswered:
            yield _so_far(answers, root, intended), answers.unanswered
    image = answers.get("image")
    if image is not None and docker_probes.to_be_pulled(image):
        del answers.given["image"]
        yield _so_far(replace(answers, unanswered=("image",)), root, intended), ("image",)
        answers.update(
            ask_all({"image": lambda: docker_probes.ask_registry(image.name)}, REGISTRY_S)
        )
        answers.given.setdefault("image", image)
    answers.unanswered = tuple(each for each in answers.unanswered if each not in BESIDE)
    facts = _facts(answers, root, intended, intended.limit_bytes, RowsCheck())
    assert facts.launch is not None
    trackers = _image_trackers(root, intended, facts.launch) if ask_image else ()
    yield judge(facts, tuple(trackers)), ()


def _so_far(answers: Answers, root: Path, intended: Intended) -> Examination:
    """The checks that those who have not answered cannot change."""
    waiting = {*answers.unanswered}
    image = answers.get("image")
    if image is not None and docker_probes.to_be_pulled(image):
        waiting.add("image")  # the registry has its say
    facts = _facts(
        replace(answers, unanswered=()), root, intended, intended.limit_bytes, RowsCheck()
    )
    found = judge(facts)
    return replace(found, checks=settled(found.checks, waiting))


def _machine_questions(root: Path) -> dict[str, Question]:
    return {
        "limits": machine_probes.read_limits,
        "session": machine_probes.read_session,
        "driver": machine_probes.read_driver,
        "holders": machine_probes.read_all_holders,
        "live": lambda: machine_probes.read_live(root),
        "blocks": machine_probes.read_large_blocks,
        "daemons": machine_probes.read_daemons,
        "kernel": machine_probes.read_kernel,
        "memory": read_memory_fast,
    }


def _launch_questions(root: Path, intended: Intended) -> dict[str, Question]:
    python = intended.python
    questions: dict[str, Question] = {
        "base": lambda: launch_probes.read_base(intended.recipe),
        "runs folder": lambda: machine_probes.read_disk(root),
        "cache folder": lambda: machine_probes.read_disk(cache_root()),
    }
    if intended.in_container:
        questions |= _image_question(intended, docker_probes.read_image)
    else:
        questions["packages"] = lambda: launch_probes.read_packages(python)
    return questions


def _image_question(intended: Intended, look: Callable[..., ImageFacts]) -> dict[str, Question]:
    image, may_pull = intended.image, intended.recipe.docker.pull != "never"
    return {} if image is None else {"image": lambda: look(image, may_pull=may_pull)}


def _facts(
    answers: Answers,
    root: Path,
    intended: Intended | None,
    limit_bytes: int | None,
    rows: RowsCheck,
) -> Facts:
    machine = _machine(answers, root, limit_bytes)
    return Facts(
        machine=machine,
        docker=answers.get("docker", NOT_ASKED),
        launch=_launch(answers, root, intended, machine, rows) if intended else None,
        unanswered=(*answers.unanswered, *answers.failed),
    )


def _machine(answers: Answers, root: Path, limit_bytes: int | None) -> MachineFacts:
    memory: MemoryReading | None = answers.get("memory")
    driver: DriverFacts = answers.get("driver", DriverFacts())
    kernel, command = answers.get("kernel", ("", ""))
    live_runs, live_pids = answers.get("live", (frozenset(), frozenset()))
    return MachineFacts(
        memory=memory,
        limit_bytes=limit_bytes,
        unified=is_unified(driver.gpus, memory.total_bytes) if memory else None,
        holders=answers.get("holders", ()),
        limits=answers.get("limits", LimitFacts()),
        session=answers.get("session", SessionFacts()),
        driver=driver,
        kernel=kernel,
        kernel_command=command,
        root=str(root),
        large_blocks=answers.get("blocks"),
        daemons=answers.get("daemons", frozenset()),
        live_runs=live_runs,
        live_pids=live_pids,
    )


def _launch(
    answers: Answers, root: Path, intended: Intended, machine: MachineFacts, rows: RowsCheck
) -> LaunchFacts:
    recipe = intended.recipe.model_dump(mode="json")
    base: BaseFacts = answers.get(
        "base", BaseFacts(name=intended.recipe.model.path, problem="it could not be read in time")
    )
    image: ImageFacts | None = answers.get("image")
    launch = LaunchFacts(
        recipe=recipe,
        lane=intended.lane,
        engine=intended.engine,
        base=base,
        runs=answers.get("runs folder", DiskFacts(path=str(root))),
        cache=answers.get("cache folder", DiskFacts(path=str(cache_root()))),
        image=image,
        packages=answers.get("packages", {}),
        on_gpu=_on_gpu(recipe, intended.lane, machine.driver),
        waits=intended.waits,
    )
    return replace(launch, estimate=estimate_of(launch, rows.longest))


def _on_gpu(recipe: Mapping[str, Any], lane: str, driver: DriverFacts) -> bool:
    """Whether the trainer will use a GPU: the reference and unsloth lanes may be told not to."""
    if lane == "nemo":
        return True
    if told_to_use_the_cpu(recipe, lane):
        return False
    return bool(driver.gpus) or driver.version is not None


def estimate_of(launch: LaunchFacts, longest_row: int | None = None) -> MemoryEstimate | None:
    """What the launch will take of the memory; None without the sizes of its base.

    *longest_row* in tokens; None: as long as the recipe allows.
    """
    if launch.base.shape is None:
        return None
    return estimate(
        launch.base.shape,
        launch.recipe,
        launch.lane,
        on_gpu=launch.on_gpu,
        largest_file_bytes=launch.base.largest_file_bytes,
        longest_row=longest_row,
    )
