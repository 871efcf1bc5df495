"""alerts.toml: where alerts are sent. The one file that holds the channels' URLs: secrets.

The rule: a URL goes from this file into the process that sends, and nowhere else: not into an argv,
an event, a log, a run folder or a terminal.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monitor.channel_lines import HEAD, TABLE, with_channels
from monitor.errors import BadConfigError, MonitorError
from monitor.files import replace_bytes
from monitor.rundir import config_folder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


class ChannelError(MonitorError):
    """alerts.toml cannot be used, or not be changed as asked."""


class ChannelFileError(ChannelError, BadConfigError):
    """What alerts.toml says is wrong: it is left as it is, for its owner to correct."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to reach a person."""

    name: str
    url: str

    @property
    def redacted(self) -> str:
        """The service alone: what follows the scheme may be a token in any of them."""
        return redact(self.url)


def redact(url: str) -> str:
    """`ntfy://…`"""
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://…" if separator and _SCHEME.fullmatch(scheme) else "…"


def channels_path() -> Path:
    """Beside config.toml; where that is a link, the file it leads to."""
    return (config_folder() / "alerts.toml").resolve()


def read_channels(path: Path) -> tuple[Channel, ...]:
    """Read the channels, by name. Closes the file to others where it was open to them.

    Raises ChannelError when it cannot be read, is not ours, or is wrong.
    """
    try:
        raw = _read(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ChannelError(f"cannot read {path}: {error.strerror or error}") from error
    import tomllib

    try:
        content = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        # Not the parser's own words: they may quote the line.
        raise ChannelFileError(f"{path} is not TOML; correct it by hand") from None
    return _channels_of(content, path)


def _channels_of(content: Mapping[str, object], path: Path) -> tuple[Channel, ...]:
    """What is not understood is refused: `add` and `remove` would write the file without it."""
    if unknown := [key for key in content if key != TABLE]:
        raise ChannelFileError(f"{path}: {_unknown(unknown[0])}; correct it by hand")
    table = content.get(TABLE, {})
    if not isinstance(table, dict):
        raise ChannelFileError(f"{path}: channels must be a table of name = url")
    wrong = [name for name, url in table.items() if not isinstance(url, str) or problem_of(url)]
    wrong += [name for name in table if not NAME.fullmatch(name)]
    if wrong:
        raise ChannelFileError(f"{path}: {wrong[0]!r} is no name with a URL; correct it by hand")
    return tuple(Channel(name, url) for name, url in table.items())


def _unknown(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, (TABLE,), n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; channels are listed in [{TABLE}]"
    # Cut: a line without its table may hold a URL where the name belongs.
    return f"unknown key {key[:20]!r}{hint}"


def _read(path: Path) -> bytes:
    # A FIFO in the file's place would hold us for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ChannelError(f"{path} is not a regular file")
        if status.st_uid != os.geteuid():
            raise ChannelError(f"{path} belongs to another user (uid {status.st_uid}): not used")
        if status.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        return stream.read(1 << 20)


def write_channels(path: Path, channels: tuple[Channel, ...]) -> None:
    """Replace the file, 0600 from its first instant; comments in it stay. Raises ChannelError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = _read(path).decode(errors="replace") if path.exists() else HEAD
        after = with_channels(before, {each.name: each.url for each in channels})
        replace_bytes(path, after.encode(), durable=True)
    except OSError as error:
        raise ChannelError(f"cannot write {path}: {error.strerror or error}") from error


def problem_of(url: str) -> str | None:
    """Why *url* cannot be a channel's, without repeating it; None where it can."""
    if not url.isprintable() or any(each.isspace() for each in url):
        return "a URL holds no spaces and no control characters"
    scheme, separator, rest = url.partition("://")
    if not separator or not rest or not _SCHEME.fullmatch(scheme):
        return "a URL is SERVICE://…, see https://appriseit.com/services/"
    return None


def with_channel(channels: tuple[Channel, ...], url: str, name: str | None) -> Channel:
    """The channel that *url* becomes beside *channels*. Raises ChannelError."""
    if (problem := problem_of(url)) is not None:
        raise ChannelError(problem)
    taken = {each.name for each in channels}
    if name is not None:
        if not NAME.fullmatch(name):
            raise ChannelError(f"the name {name!r} is not usable: letters, digits, '.', '_', '-'")
        if name in taken:
            raise ChannelError(f"a channel is already called {name}; remove it first")
        return Channel(name, url)
    base = re.sub(r"[^A-Za-z0-9]", "", url.partition("://")[0])[:20] or "channel"
    free = (base if number == 1 else f"{base}{number}" for number in range(1, len(taken) + 2))
    return Channel(next(each for each in free if each not in taken), url)
