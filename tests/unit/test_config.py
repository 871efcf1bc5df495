"""Configuration: flag > environment > file > default, and nothing unknown passes."""

from __future__ import annotations

import os
import sys

import pytest

from runners.config import (
    KEYS,
    ConfigError,
    apply_config,
    config_path,
    get,
    render_config,
    settings,
)


def write(text: str | bytes) -> None:
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_without_a_file_the_defaults_hold() -> None:
    assert get("launch.lane") == "reference"
    assert settings()["launch.lane"].source == "default"


def test_the_file_beats_the_default_and_the_environment_beats_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('[launch]\nlane = "nemo"\nengine = "docker"\n')
    assert get("launch.lane") == "nemo"
    monkeypatch.setenv("LANEWATCH_LANE", "unsloth")
    assert get("launch.lane") == "unsloth"
    assert get("launch.engine") == "docker"


def test_apply_speaks_only_where_the_environment_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('[paths]\nruns = "/from/file"\ncache = "/cache/from/file"\n')
    monkeypatch.setenv("LANEWATCH_RUNS", "/from/environment")
    monkeypatch.setenv("LANEWATCH_CACHE", "")
    apply_config()
    assert os.environ["LANEWATCH_RUNS"] == "/from/environment"
    assert os.environ["LANEWATCH_CACHE"] == "/cache/from/file"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('[launch]\nlan = "nemo"\n', "did you mean launch.lane", id="unknown key"),
        pytest.param("[launch]\nlane = 3\n", "launch.lane must be a string", id="a number"),
        pytest.param('[launch]\nlane = ""\n', "not empty", id="empty"),
        pytest.param("launch = 1\n", "unknown key launch", id="no table"),
        pytest.param("[launch\n", "is not TOML", id="half a table"),
        pytest.param(b"\x00\xff\xfe", "is not TOML", id="binary"),
        pytest.param(b"#" * (1 << 20) + b"\n\n", "over 1 MiB", id="huge"),
    ],
)
def test_a_wrong_file_is_one_sentence(text: str | bytes, says: str) -> None:
    write(text)
    with pytest.raises(ConfigError, match=says):
        settings()


@pytest.mark.parametrize(
    ("key", "value", "becomes"),
    [
        pytest.param("alerts.repeat_minutes", "15", "15", id="a whole number"),
        pytest.param("alerts.repeat_minutes", "7.5", "7.5", id="a fraction"),
        pytest.param("alerts.repeat_minutes", '"15"', "15", id="a string as before"),
        pytest.param("alerts.bell", "false", "off", id="off"),
        pytest.param("alerts.bell", "true", "on", id="on"),
        pytest.param("memory.limit_gib", "96", "96", id="memory"),
    ],
)
def test_numbers_and_switches_may_be_written_as_toml_has_them(
    key: str, value: str, becomes: str
) -> None:
    table, _, name = key.partition(".")
    write(f"[{table}]\n{name} = {value}\n")
    assert get(key) == becomes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[alerts]\nrepeat_minutes = 0\n", "no number of minutes", id="0"),
        pytest.param("[alerts]\nrepeat_minutes = -5\n", "no number of minutes", id="negative"),
        pytest.param("[alerts]\nrepeat_minutes = nan\n", "no number of minutes", id="nan"),
        pytest.param("[alerts]\nrepeat_minutes = 1441\n", "no number of minutes", id="days"),
        pytest.param("[alerts]\nrepeat_minutes = true\n", "must be a number", id="a boolean"),
        pytest.param("[alerts]\nbell = 1\n", "must be true or false", id="a number"),
        pytest.param("[alerts]\nquiet = 2026-01-01\n", "must be a string", id="a date"),
        pytest.param("[alerts]\nrepeat_minutes = [1]\n", "must be a number", id="a list"),
    ],
)
def test_numbers_and_switches_keep_their_bounds(text: str, says: str) -> None:
    write(text)
    with pytest.raises(ConfigError, match=says):
        settings()


def test_every_problem_is_told_at_once() -> None:
    write('[launch]\nlan = "x"\nengine = 1\n')
    with pytest.raises(ConfigError, match=r"lan.*engine"):
        settings()


def test_a_new_file_holds_every_key_and_changes_nothing() -> None:
    write(render_config())
    assert not [each.key for each in settings().values() if each.source == "file"]
    assert all(key.partition(".")[2] in render_config() for key in KEYS)


def test_a_file_that_sets_nothing_is_read_without_a_parser_of_toml(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(render_config())
    monkeypatch.setitem(sys.modules, "tomllib", None)  # whoever imports it fails
    assert {each.source for each in settings().values()} <= {"default", "environment"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[paths]\n[paths]\n", id="a table twice"),
        pytest.param("# \x07\n", id="a control character in a comment"),
        pytest.param("[paths\n", id="half a table"),
        pytest.param(b"# \xff\n", id="no UTF-8"),
    ],
)
def test_a_file_that_seems_to_set_nothing_is_still_toml_or_refused(text: str | bytes) -> None:
    write(text)
    with pytest.raises(ConfigError, match="is not TOML"):
        settings()
