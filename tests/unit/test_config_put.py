"""The UI changes one key of the user's file and nothing else of it."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from monitor import files
from runners import config
from runners.config import ConfigError, config_path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(None, '[ui]\ntheme = "light"\n', id="no file yet"),
        pytest.param(
            '# mine\n[launch]\nlane = "nemo"\n',
            '# mine\n[launch]\nlane = "nemo"\n\n[ui]\ntheme = "light"\n',
            id="no such table yet",
        ),
        pytest.param(
            '[ui]\n# colours\ntheme = "mono"  # loud\n[launch]\nlane = "nemo"\n',
            '[ui]\n# colours\ntheme = "light"\n[launch]\nlane = "nemo"\n',
            id="another value",
        ),
        pytest.param(
            '[ui]\n# theme = "dark"\nat_limit = "notify"\n',
            '[ui]\ntheme = "light"\n# theme = "dark"\nat_limit = "notify"\n',
            id="commented out",
        ),
    ],
)
def test_one_key_is_put(before: str | None, after: str) -> None:
    path = config_path()
    if before is not None:
        path.parent.mkdir(parents=True)
        path.write_text(before)
    config.put("ui.theme", "light")
    assert path.read_text() == after
    assert config.get("ui.theme") == "light"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('ui.theme = "mono"\n', id="a dotted key"),
        pytest.param('ui = { theme = "mono" }\n', id="an inline table"),
    ],
)
def test_a_file_of_another_form_is_left_as_it_is(content: str) -> None:
    path = config_path()
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(ConfigError):
        config.put("ui.theme", "light")
    assert path.read_text() == content


def test_a_broken_file_is_not_written_over() -> None:
    path = config_path()
    path.parent.mkdir(parents=True)
    path.write_text("[ui\n")
    with pytest.raises(ConfigError, match="not TOML"):
        config.put("ui.theme", "light")
    assert path.read_text() == "[ui\n"


def test_a_theme_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANEWATCH_THEME", "pink")
    with pytest.raises(ConfigError, match=r"ui\.theme is one of dark, light"):
        config.settings()


def test_two_keys_that_are_put_at_once_are_both_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced, going = files.replace_bytes, threading.Barrier(2)

    def slow(*args: Any, **options: Any) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            going.wait(0.3)  # for another one that has read what was there before
        replaced(*args, **options)

    monkeypatch.setattr(files, "replace_bytes", slow)
    both = (("ui.theme", "light"), ("ui.at_limit", "notify"))
    threads = [threading.Thread(target=config.put, args=each) for each in both]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [config.get(key) for key, _ in both] == ["light", "notify"]
