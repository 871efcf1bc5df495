"""Quiet hours and the settings of alerts."""

from __future__ import annotations

import pytest

from monitor.alert_settings import AlertSettings, read_settings
from monitor.quiet import QuietHours, parse_quiet
from runners.config import ConfigError, config_path, settings
from tui.cli.main import run as lanewatch


@pytest.mark.parametrize(
    ("hours", "minute", "quiet"),
    [
        pytest.param("22:00-07:00", 23 * 60, True, id="before midnight"),
        pytest.param("22:00-07:00", 6 * 60 + 59, True, id="its last minute"),
        pytest.param("22:00-07:00", 7 * 60, False, id="its end"),
        pytest.param("22:00-07:00", 12 * 60, False, id="noon"),
        pytest.param("13:00-14:30", 13 * 60, True, id="a nap"),
        pytest.param("13:00-14:30", 15 * 60, False, id="after it"),
        pytest.param("8:00 - 8:00", 8 * 60, False, id="no minute at all"),
    ],
)
def test_quiet_hours(hours: str, minute: int, quiet: bool) -> None:
    assert parse_quiet(hours).hold(minute) is quiet


@pytest.mark.parametrize("text", ["", "22-7", "24:00-07:00", "22:00", "22:60-07:00", "night"])
def test_what_is_no_quiet_hours(text: str) -> None:
    with pytest.raises(ValueError, match="22:00-07:00"):
        parse_quiet(text)


def test_settings_come_from_the_environment() -> None:
    read = read_settings(
        {
            "LANEWATCH_ALERTS_QUIET": "22:00-07:00",
            "LANEWATCH_ALERTS_REPEAT_MINUTES": "5",
            "LANEWATCH_ALERTS_HOST": "me@spark",
        }
    )
    assert read == AlertSettings(quiet=QuietHours(1320, 420), repeat_s=300.0, host="me@spark")


def test_a_wrong_setting_is_the_default_and_a_sentence() -> None:
    read = read_settings(
        {
            "LANEWATCH_ALERTS_QUIET": "night",
            "LANEWATCH_ALERTS_REPEAT_MINUTES": "0",
            "LANEWATCH_ALERTS_HOST": "-oProxyCommand=x",
        }
    )
    assert (read.quiet, read.repeat_s) == (None, 900.0)
    assert len(read.problems) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param('quiet = "night"', "alerts.quiet", id="quiet"),
        pytest.param('repeat_minutes = "x"', "alerts.repeat_minutes", id="minutes"),
        pytest.param('host = "a b"', "alerts.host", id="host"),
        pytest.param('deadman_url = "ftp://sesame"', "alerts.deadman_url", id="URL"),
        pytest.param('deadman_shape = "round"', "alerts.deadman_shape", id="shape"),
        pytest.param('bell = "loud"', "alerts.bell", id="bell"),
        pytest.param('osc = "8"', "alerts.osc", id="osc"),
    ],
)
def test_a_wrong_setting_in_the_file_is_bad_configuration(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(f"[alerts]\n{line}\n")
    with pytest.raises(ConfigError, match=said) as raised:
        settings()
    assert "sesame" not in str(raised.value)
    assert lanewatch(["runs"]) == 78


def test_the_switch_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('[alerts]\ndeadman_url = "https://hc-ping.com/sesame"\n')
    assert lanewatch(["config", "print"]) == 0
    assert lanewatch(["config", "print", "--json"]) == 0
    said = capsys.readouterr().out
    assert "sesame" not in said
    assert said.count("not shown") == 2
