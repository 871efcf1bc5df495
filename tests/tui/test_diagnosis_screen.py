"""The screen of a diagnosis: looked at off the screen's thread, remedies only after a question."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fabricated_diagnoses import CRASHED, DEADLOCK, HEALTHY, HIDDEN, RUN, STOPPED, UNSURE
from shown import MakeApp, screen_text, show
from textual.pilot import Pilot

from monitor.diagnosis.record import Diagnosis
from monitor.diagnosis.values import Remedy
from monitor.probes.process import parse_stat
from monitor.rundir import RunDir
from runners.errors import EngineError
from runners.sidecar import Offer
from tui import remedy_acts
from tui.diagnosis_looks import How
from tui.remedy_acts import NotDoneError, carry_out
from tui.screens.confirm_look import ConfirmLookScreen
from tui.screens.confirm_remedy import ConfirmRemedyScreen
from tui.screens.diagnosis import DiagnosisScreen
from tui.screens.run import RunScreen


class Acts:
    """Notes what would be done."""

    def __init__(self, problem: str = "") -> None:
        self.done: list[Remedy] = []
        self.problem = problem

    def __call__(self, remedy: Remedy) -> str:
        if self.problem:
            raise NotDoneError(self.problem)
        self.done.append(remedy)
        return "done: it"


async def opened(pilot: Pilot[None], found: Diagnosis, acts: Acts | None = None) -> DiagnosisScreen:
    screen = DiagnosisScreen(RUN, Path("/runs"), look=lambda how: found, act=acts or Acts())
    pilot.app.push_screen(screen)
    await settled(pilot)
    return screen


async def settled(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def notices(pilot: Pilot[None]) -> list[str]:
    return [each.message for each in pilot.app._notifications]


async def test_d_on_a_run_looks_without_holding_the_screen(
    make_app: MakeApp, snap_of: Any, training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, looked_at = threading.Event(), []

    def slow(run: RunDir, *, native: bool, reads_only: bool) -> Diagnosis:
        looked_at.append(run.root)
        go.wait(60)
        return DEADLOCK

    monkeypatch.setattr("monitor.diagnosis.record.diagnose", slow)
    app = make_app(run=training.run)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, snap_of(training, opened=training))
        await pilot.press("d")
        await pilot.pause()
        assert isinstance(app.screen, DiagnosisScreen)
        assert "It is not paused" in screen_text(app)
        await pilot.press("d")  # one look at a time
        go.set()
        await settled(pilot)
        assert looked_at == [Path("/runs") / training.run]
        assert "a deadlock: thread MainThread at wait_for_save" in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)


async def test_it_says_why_how_sure_what_to_do_and_where_the_threads_stand(
    make_app: MakeApp,
) -> None:
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(120, 60)) as pilot:
        await opened(pilot, DEADLOCK)
        text = screen_text(app)
        assert "deadlock  likely" in text
        assert "loses what was done since checkpoint 210: 28 min of work" in text
        assert "never moved" in text
        assert "Thread-2 (pid 4711), Thread-3 (pid 4711)" in text, "grouped where they stand"
        assert "1 calls further out" in text
        assert "2 do it" in text
        await opened(pilot, UNSURE)
        assert "would tell" in screen_text(app)
        assert "as root" in screen_text(app)
        await opened(pilot, CRASHED)
        assert "torchao-old" in screen_text(app)


async def test_a_remedy_is_done_after_a_question_and_not_by_the_wrong_key(
    make_app: MakeApp,
) -> None:
    acts = Acts()
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, DEADLOCK, acts)
        await pilot.press("2")
        assert isinstance(app.screen, ConfirmRemedyScreen)
        assert f"lanewatch kill {RUN}" in screen_text(app)
        await pilot.press("y", "enter")
        assert isinstance(app.screen, ConfirmRemedyScreen), "what kills takes a capital letter"
        await pilot.press("escape")
        await settled(pilot)
        assert acts.done == []
        await pilot.press("2", "X")
        await settled(pilot)
        assert acts.done == [DEADLOCK.conclusion.remedies[1]]
        assert "done: it" in notices(pilot)
        await opened(pilot, STOPPED, acts)
        await pilot.press("1", "y")
        await settled(pilot)
        assert acts.done[-1].commands == (("kill", "-CONT", "4711"),)


async def test_what_cannot_be_done_from_here_is_said(make_app: MakeApp) -> None:
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, DEADLOCK)
        await pilot.press("1", "9")
        assert isinstance(app.screen, DiagnosisScreen)
        assert any("not lanewatch's to do: wait" in each for each in notices(pilot))
        await opened(pilot, STOPPED, Acts(problem="process 4711 is [not] stopped any more"))
        await pilot.press("1", "y")
        await settled(pilot)
        assert any("It was not done: process 4711 is [not]" in each for each in notices(pilot))


async def test_a_read_only_view_does_nothing(make_app: MakeApp) -> None:
    acts = Acts()
    app = make_app(read_only=True, stop=lambda run, save: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, DEADLOCK, acts)
        await pilot.press("2", "X")
        await settled(pilot)
        assert acts.done == []
        assert any("read-only" in each for each in notices(pilot))
        assert "do it" not in screen_text(app)


async def test_a_look_that_fails_is_a_sentence_and_can_be_made_again(make_app: MakeApp) -> None:
    answers: list[Any] = [OSError("the disk [is] gone"), HEALTHY]

    def look(how: How) -> Diagnosis:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Diagnosis)
        return answer

    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(DiagnosisScreen(RUN, Path("/runs"), look=look))
        await settled(pilot)
        assert "It could not be diagnosed: the disk [is] gone" in screen_text(app)
        await pilot.press("d")
        await settled(pilot)
        assert "it is healthy" in screen_text(app)


OFFER = Offer(
    container="night[1]", container_id="c" * 64, image="sha256:1", image_name="nemo:1", program="/p"
)
NATIVE = replace(
    DEADLOCK, groups=tuple(replace(each, native=("cuCtxSync (a.so)",)) for each in DEADLOCK.groups)
)


class Looks:
    """Answers from a list, and notes how it was asked to look."""

    def __init__(self, *answers: Diagnosis) -> None:
        self.answers = answers
        self.asked: list[How] = []

    def __call__(self, how: How) -> Diagnosis:
        self.asked.append(how)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


async def shown(
    pilot: Pilot[None], looks: Looks, find: Callable[[], Offer | None] = lambda: OFFER
) -> None:
    pilot.app.push_screen(DiagnosisScreen(RUN, Path("/runs"), look=looks, find=find, act=Acts()))
    await settled(pilot)


async def test_native_calls_are_looked_for_only_after_a_question(make_app: MakeApp) -> None:
    looks = Looks(DEADLOCK, NATIVE)
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(120, 60)) as pilot:
        await shown(pilot, looks)
        assert "n native calls" in screen_text(app)
        await pilot.press("n")
        assert isinstance(app.screen, ConfirmLookScreen)
        assert "py-spy pauses the trainer" in screen_text(app)
        await pilot.press("enter", "n")
        await settled(pilot)
        assert looks.asked == [How()], "no is no"
        await pilot.press("n", "y")
        await settled(pilot)
        assert looks.asked == [How(), How(native=True)]
        assert "native cuCtxSync (a.so)" in screen_text(app)
        assert "n native calls" not in screen_text(app)
        await pilot.press("c")
        assert isinstance(app.screen, DiagnosisScreen)
        assert any("A container helps only where" in each for each in notices(pilot))


async def test_a_container_looks_only_after_a_question_that_says_what_is_started(
    make_app: MakeApp,
) -> None:
    looks = Looks(HIDDEN, DEADLOCK)
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(100, 40)) as pilot:
        await shown(pilot, looks)
        assert "c let a container look" in screen_text(app)
        await pilot.press("c")
        await settled(pilot)
        assert isinstance(app.screen, ConfirmLookScreen)
        assert "SYS_PTRACE" in screen_text(app)
        assert "night[1]" in screen_text(app), "a name is no markup"
        await pilot.press("escape")
        await settled(pilot)
        assert looks.asked == [How()]
        await pilot.press("c")
        await settled(pilot)
        await pilot.press("y")
        await settled(pilot)
        assert looks.asked == [How(), How(offer=OFFER)]
        assert "a deadlock" in screen_text(app)


async def test_why_no_container_can_look_is_a_sentence(make_app: MakeApp) -> None:
    def refused() -> Offer | None:
        raise OSError("the Docker engine does not answer [x]")

    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, Looks(HIDDEN), refused)
        await pilot.press("c")
        await settled(pilot)
        assert any("engine does not answer [x]" in each for each in notices(pilot))
        await shown(pilot, Looks(HIDDEN), lambda: None)
        await pilot.press("c")
        await settled(pilot)
        assert any("or none is needed any more" in each for each in notices(pilot))


async def test_a_read_only_view_starts_no_container_and_pauses_nothing(make_app: MakeApp) -> None:
    looks = Looks(DEADLOCK, HIDDEN)
    app = make_app(read_only=True, stop=lambda run, save: None)
    async with app.run_test(size=(100, 40)) as pilot:
        await shown(pilot, looks)
        await pilot.press("n")
        assert "read-only" in " ".join(notices(pilot))
        app.clear_notifications()
        await pilot.press("d")
        await settled(pilot)
        await pilot.press("c")
        await settled(pilot)
        assert isinstance(app.screen, DiagnosisScreen)
        assert looks.asked == [How(reads_only=True)] * 2
        assert "let a container look" not in screen_text(app)
        assert "read-only" in " ".join(notices(pilot))


async def test_long_stacks_scroll(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(60, 14)) as pilot:
        await opened(pilot, DEADLOCK)
        top = screen_text(app)
        assert "_pin_memory_loop" not in top
        await pilot.press("G")
        assert "_pin_memory_loop" in screen_text(app)
        await pilot.press("g")
        assert screen_text(app) == top


async def test_the_mouse_scrolls_and_chooses_a_remedy(make_app: MakeApp) -> None:
    app = make_app(stop=lambda run, save: None)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, DEADLOCK)
        rows = screen.view.plain()
        before = screen_text(app)
        await pilot.click(screen.view, offset=(6, 1))
        assert app.screen is screen, "the sentence is no remedy"
        kill = next(at for at, row in enumerate(rows) if "lanewatch kill" in row)
        await pilot.click(screen.view, offset=(6, kill))
        assert isinstance(app.screen, ConfirmRemedyScreen)
        await pilot.press("escape")
        screen.view.on_mouse_scroll_down()
        assert screen_text(app) != before
        screen.view.on_mouse_scroll_up()
        assert screen_text(app) == before


def test_a_stopped_process_is_continued_and_only_a_stopped_one(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        os.kill(child.pid, signal.SIGSTOP)
        _await_state(child.pid, "T")
        remedy = Remedy(do="", loses="", commands=(("kill", "-CONT", str(child.pid)),))
        assert carry_out(remedy, tmp_path).startswith("done: kill -CONT")
        _await_state(child.pid, "S")
        with pytest.raises(NotDoneError, match="is not stopped any more"):
            carry_out(remedy, tmp_path)
    finally:
        child.kill()
        child.wait()


def _await_state(pid: int, state: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
        if found is not None and found.state == state:
            return
        time.sleep(0.02)
    raise AssertionError(f"{pid} is not in state {state}")


def test_a_paused_container_is_let_go_on_and_the_engines_refusal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Client:
        def __init__(self) -> None:
            self.let_go: list[str] = []

        def unpause(self, container: str) -> None:
            self.let_go.append(container)

    client = Client()
    monkeypatch.setattr(
        "runners.engines.docker_client.DockerConnection.ask",
        lambda self, question, image=None: question(client),
    )
    remedy = Remedy(do="", loses="", commands=(("docker", "unpause", "0123456789ab"),))
    assert carry_out(remedy, tmp_path) == "done: docker unpause 0123456789ab"
    assert client.let_go == ["0123456789ab"]

    def refuses(self: object, question: object, image: object = None) -> None:
        raise EngineError("container 0123456789ab is not paused")

    monkeypatch.setattr("runners.engines.docker_client.DockerConnection.ask", refuses)
    with pytest.raises(NotDoneError, match="is not paused"):
        carry_out(remedy, tmp_path)


def test_a_command_that_does_not_answer_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remedy_acts, "COMMAND_S", 0.0)
    remedy = Remedy(do="", loses="", commands=(("lanewatch", "resume", "r"),))
    with pytest.raises(NotDoneError, match=r"^lanewatch resume r did not answer within 0 s$"):
        carry_out(remedy, tmp_path)


def test_only_what_is_lanewatchs_is_run_and_its_refusal_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotDoneError, match="not lanewatch's to run"):
        carry_out(Remedy(do="", loses="", commands=(("rm", "-r", "/"),)), tmp_path)
    with pytest.raises(NotDoneError, match="no run matches"):
        carry_out(Remedy(do="", loses="", commands=(("lanewatch", "kill", "nobody"),)), tmp_path)
