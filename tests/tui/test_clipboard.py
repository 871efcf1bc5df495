"""Copying: what is sent to the terminal, and what is said where it has no clipboard."""

from __future__ import annotations

import base64
import shlex
from pathlib import Path
from typing import Any

import pytest
from shown import MakeApp
from waiting import settled

from tui.clipboard import copy, to_tmux

NONE = "This terminal has no clipboard: it was not copied."
TEXT = "lanewatch launch «x»\nline 2"


@pytest.fixture
def tmux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name that notes how it is called, and knows no -w."""
    noted = tmp_path / "noted"
    program = tmp_path / "bin" / "tmux"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {shlex.quote(str(noted))}\n'
        f'[ "$2" = -w ] && exit 1\ncat >> {shlex.quote(str(noted))}\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return noted


@pytest.mark.parametrize(
    ("term", "said", "sent"),
    [
        pytest.param("xterm-256color", "Copied it, where the terminal allows it.", True, id="sent"),
        pytest.param("linux", NONE, False, id="a bare console"),
        pytest.param("dumb", NONE, False, id="no sequences at all"),
    ],
)
async def test_what_is_said_is_what_is_known(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, term: str, said: str, sent: bool
) -> None:
    written: list[str] = []
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        driver: Any = app._driver
        monkeypatch.setattr(driver, "write", written.append)
        assert copy(app, TEXT, "it", {"TERM": term}) == said
    coded = base64.b64encode(TEXT.encode()).decode()
    assert (f"\x1b]52;c;{coded}\a" in written) is sent
    assert (app.clipboard == TEXT) is sent


async def test_inside_tmux_its_own_command_is_called_as_well(make_app: MakeApp, tmux: Path) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        said = copy(app, TEXT, "2 lines", {"TERM": "screen", "TMUX": "/tmp/x,1,0"})
        assert said == "Copied 2 lines for tmux, and to the clipboard where the terminal allows it."
        await settled(pilot, lambda: tmux.exists() and TEXT in tmux.read_text())
    noted = tmux.read_text()  # noqa: ASYNC240 - the app is over
    assert noted == f"load-buffer -w -\nload-buffer -\n{TEXT}"


def test_without_the_program_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    to_tmux(TEXT)
