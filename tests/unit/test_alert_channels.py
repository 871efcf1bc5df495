"""alerts.toml and the command that keeps it: secrets stay where they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from channels import Receiver, configure, nobody_listens

from monitor.alert_channels import (
    Channel,
    ChannelError,
    ChannelFileError,
    channels_path,
    read_channels,
    with_channel,
    write_channels,
)
from monitor.alert_send import READ_S
from monitor.channel_lines import HEAD, with_channels
from tui.cli.main import run


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_what_is_written_is_read_and_is_nobody_elses_business() -> None:
    channels = (Channel("phone", "ntfy://tøpic"), Channel("m", 'mailto://a:"b"@c.d/\\'))
    write_channels(channels_path(), channels)
    assert read_channels(channels_path()) == channels
    assert channels_path().stat().st_mode & 0o777 == 0o600
    assert channels_path().parent.stat().st_mode & 0o777 == 0o700


OWN = """\
# mine
[channels]  # all of them

# the phone
phone = "ntfy://topic"  # rings at night
'office' = 'json://localhost/a#b'
"""


@pytest.mark.parametrize(
    ("text", "urls", "becomes"),
    [
        pytest.param(
            OWN,
            {"phone": "ntfy://topic", "office": "json://localhost/a#b", "b.c": "ntfy://x"},
            OWN + '"b.c" = "ntfy://x"\n',
            id="one more",
        ),
        pytest.param(
            OWN,
            {"phone": "ntfy://topic"},
            OWN.replace("'office' = 'json://localhost/a#b'\n", ""),
            id="one less",
        ),
        pytest.param(
            OWN,
            {"phone": "ntfy://other", "office": "json://localhost/a#b"},
            OWN.replace('phone = "ntfy://topic"  # rings at night\n', "")
            + '"phone" = "ntfy://other"\n',
            id="another URL",
        ),
        pytest.param("# none\n", {"a": "b://c"}, HEAD + '"a" = "b://c"\n', id="no table"),
        pytest.param("", {}, HEAD, id="empty"),
        pytest.param("[channels", {"a": "b://c"}, HEAD + '"a" = "b://c"\n', id="no TOML"),
        pytest.param("channels = { a = 'b://c' }\n", {}, HEAD, id="a table in one line"),
        pytest.param(
            "channels.a = 'b://c'\n[channels.d]\n",
            {"a": "b://c"},
            HEAD + '"a" = "b://c"\n',
            id="more than channels",
        ),
    ],
)
def test_what_the_owner_wrote_beside_the_channels_stays(
    text: str, urls: dict[str, str], becomes: str
) -> None:
    assert with_channels(text, urls) == becomes


def test_comments_outlive_the_command() -> None:
    path = configure()
    path.write_text(OWN)
    assert run(["alerts", "add", "ntfy://other"]) == 0
    assert run(["alerts", "remove", "ntfy"]) == 0
    assert path.read_text() == OWN


def test_no_file_is_no_channel() -> None:
    assert read_channels(channels_path()) == ()


def test_a_file_that_others_may_read_is_closed_to_them() -> None:
    path = configure(phone="ntfy://topic")
    path.chmod(0o644)
    assert read_channels(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    write_channels(real, (Channel("phone", "ntfy://topic"),))
    link = channels_path()
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    assert run(["alerts", "add", "ntfy://other"]) == 0
    assert link.is_symlink()
    assert [each.name for each in read_channels(real)] == ["phone", "ntfy"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b'[channels]\nphone = "ntfy://sesame', "is not TOML", id="cut short"),
        pytest.param(b"\xff\x00sesame", "is not TOML", id="binary"),
        pytest.param(b'channels = "sesame"', "must be a table", id="no table"),
        pytest.param(b'[channels]\nphone = "sesame"', "'phone'", id="no URL"),
        pytest.param(b"[channels]\nphone = 3", "'phone'", id="a number"),
        pytest.param(b'[channels]\n"a b" = "ntfy://sesame"', "'a b'", id="a name with a space"),
        pytest.param(b'[channel]\na = "ntfy://sesame"', "did you mean channels", id="a table"),
        pytest.param(b'[[channel]]\na = "ntfy://sesame"', "did you mean channels", id="tables"),
        pytest.param(b'phone = "ntfy://sesame"', r"listed in \[channels\]", id="no table at all"),
    ],
)
def test_a_file_that_is_wrong_is_named_and_not_quoted(
    content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configure()
    path.write_bytes(content)
    with pytest.raises(ChannelFileError, match=said) as raised:
        read_channels(path)
    assert "sesame" not in str(raised.value)
    for words in (["list"], ["add", "json://h"], ["remove", "phone"], ["test"]):
        assert run(["alerts", *words]) == 78
        assert str(path) in capsys.readouterr().err
    assert path.read_bytes() == content


def test_no_file_of_another_kind_is_waited_for() -> None:
    path = configure()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ChannelError, match="not a regular file"):
        read_channels(path)


@pytest.mark.parametrize(
    ("url", "name", "becomes"),
    [
        pytest.param("ntfy://x", None, "ntfy2", id="the name of the service is taken"),
        pytest.param("mailtos://x", None, "mailtos", id="the service"),
        pytest.param("ntfy://x", "phone", "phone", id="a name"),
    ],
)
def test_a_channel_gets_a_name(url: str, name: str | None, becomes: str) -> None:
    assert with_channel((Channel("ntfy", "ntfy://a"),), url, name).name == becomes


@pytest.mark.parametrize(
    ("url", "name", "said"),
    [
        pytest.param("sesame", None, "SERVICE://", id="no URL"),
        pytest.param("ntfy://sesame x", None, "no spaces", id="a space"),
        pytest.param("ntfy://sesame\n", None, "no spaces", id="a line break"),
        pytest.param("ntfy://sesame", "a b", "not usable", id="a bad name"),
        pytest.param("ntfy://sesame", "ntfy", "already called", id="a taken name"),
    ],
)
def test_what_is_no_channel(url: str, name: str | None, said: str) -> None:
    with pytest.raises(ChannelError, match=said) as raised:
        with_channel((Channel("ntfy", "ntfy://a"),), url, name)
    assert "sesame" not in str(raised.value)


def test_add_list_test_and_remove(receiver: Receiver, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["alerts", "add", receiver.url, "--name", "desk"]) == 0
    assert run(["alerts", "list"]) == 0
    assert run(["alerts", "list", "--json"]) == 0
    assert run(["alerts", "test"]) == 0
    assert run(["alerts", "test", "desk", "--json"]) == 0
    said = capfd.readouterr()
    assert "sesame" not in said.out + said.err
    assert "desk  json://…" in said.out
    assert len(receiver.titles) == 2
    assert "lanewatch test" in receiver.titles[0]
    assert run(["alerts", "remove", "desk"]) == 0
    assert run(["alerts", "remove", "desk"]) == 2
    assert read_channels(channels_path()) == ()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("file:///etc/sesame", "file://…: apprise does not know", id="a file"),
        pytest.param("ntyf://sesame", "ntyf://…: apprise does not know", id="a typing error"),
        pytest.param("discord://sesame", "lacks a part", id="half a URL"),
    ],
)
def test_what_nothing_can_be_sent_to_is_not_added(
    url: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["alerts", "add", url]) == 2
    told = capfd.readouterr().err
    assert said in told
    assert "sesame" not in told
    assert not channels_path().exists()


def test_a_url_can_be_tested_before_it_is_added(receiver: Receiver) -> None:
    assert run(["alerts", "test", receiver.url]) == 0
    assert len(receiver.titles) == 1
    assert not channels_path().exists()


def test_the_one_that_fails_is_named_with_the_reason(
    receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = Receiver(lambda _: 500)
    configure(good=receiver.url, broken=broken.url, gone=nobody_listens(), odd="nosuch://sesame")
    assert run(["alerts", "test", "--json"]) == 1
    said = capfd.readouterr()
    results = {each["channel"]: each for each in json.loads(said.out)}
    assert {name: each["ok"] for name, each in results.items()} == {
        "good": True,
        "broken": False,
        "gone": False,
        "odd": False,
    }
    assert "500" in results["broken"]["problem"]
    assert "apprise does not know" in results["odd"]["problem"]
    assert "sesame" not in said.out + said.err
    broken.close()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["test"], id="none to test"),
        pytest.param(["test", "desk"], id="no such name"),
        pytest.param(["test", "http:// "], id="no URL"),
        pytest.param(["remove", "desk"], id="none to remove"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alerts", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_slow_service_is_given_its_time_and_not_the_message_again() -> None:
    ask = (
        "from monitor.alert_send import _service, _Words, Channel\n"
        "for said in ('', '?rto=3'):\n"
        "    service = _service(Channel('slow', f'json://127.0.0.1{said}'), _Words())\n"
        "    print(service.request_timeout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split("\n")[:2] == [f"(4.0, {READ_S})", "(4.0, 3.0)"]
