"""The user's configuration: flag > environment > file > default, and every key is known.

A file with an unknown key or a wrong value is refused whole: half a configuration is a surprise.
"""

from __future__ import annotations

import os
import stat
import threading
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from monitor.rundir import config_folder
from runners.errors import RunnerError

READ_LIMIT_BYTES = 1 << 20


class ConfigError(RunnerError):
    """The configuration file cannot be used."""


class Takes(StrEnum):
    """What a key may be in the file beside a string."""

    TEXT = "a string that is not empty"
    NUMBER = "a number"
    SWITCH = "true or false"


class Key(NamedTuple):
    """One setting."""

    variable: str | None
    default: str | None
    about: str
    secret: bool = False
    """Never shown."""
    takes: Takes = Takes.TEXT
    one_of: tuple[str, ...] = ()
    """The only values that it may have; () for any."""


_PUTTING = threading.Lock()
"""Two keys that are put at the same moment: neither is lost, the later one of one key stays."""

KEYS = {
    "paths.runs": Key(
        variable="LANEWATCH_RUNS",
        default=None,
        about="folder of the runs; default: the user's state folder + lanewatch/runs",
    ),
    "paths.cache": Key(
        variable="LANEWATCH_CACHE",
        default=None,
        about="folder of what runs share; default: the user's cache folder + lanewatch",
    ),
    "memory.limit_gib": Key(
        variable="LANEWATCH_MEMORY_LIMIT_GIB",
        default=None,
        about="GiB of this machine that a run may fill, where its recipe says nothing",
        takes=Takes.NUMBER,
    ),
    "launch.lane": Key(
        variable="LANEWATCH_LANE", default="reference", about="lane when --lane is not given"
    ),
    "launch.engine": Key(
        variable="LANEWATCH_ENGINE", default="local", about="engine when --engine is not given"
    ),
    "launch.python": Key(
        variable="LANEWATCH_PYTHON",
        default=None,
        about="Python of the local engine's trainers; default: the one that runs lanewatch",
    ),
    "launch.wheelhouse": Key(
        variable="LANEWATCH_WHEELHOUSE",
        default=None,
        about="folder of wheels to install lane environments from; default: pip's own index",
    ),
    "docker.image": Key(
        variable="LANEWATCH_DOCKER_IMAGE",
        default=None,
        about="container image where the recipe names none; default: the lane's own",
    ),
    "ui.theme": Key(
        variable="LANEWATCH_THEME",
        default="dark",
        about="colours of the UI: dark, light, colour-blind, mono or ascii",
        one_of=("dark", "light", "colour-blind", "mono", "ascii"),
    ),
    "ui.at_limit": Key(
        variable="LANEWATCH_UI_AT_LIMIT",
        default=None,
        about="what the launch form proposes at the memory limit: notify, save-and-stop, stop-now",
        one_of=("notify", "save-and-stop", "stop-now"),
    ),
    "alerts.quiet": Key(
        variable="LANEWATCH_ALERTS_QUIET",
        default=None,
        about='quiet hours, "22:00-07:00": what wakes nobody is held back and sent after them',
    ),
    "alerts.repeat_minutes": Key(
        variable="LANEWATCH_ALERTS_REPEAT_MINUTES",
        default="15",
        about="minutes between reminders of what wakes, until `lanewatch ack RUN`",
        takes=Takes.NUMBER,
    ),
    "alerts.host": Key(
        variable="LANEWATCH_ALERTS_HOST",
        default=None,
        about="what an alert writes after `ssh -t`; default: this machine's name",
    ),
    "alerts.bell": Key(
        variable="LANEWATCH_ALERTS_BELL",
        default="on",
        about="on or off: the UI rings the terminal's bell at an alert",
        takes=Takes.SWITCH,
    ),
    "alerts.osc": Key(
        variable="LANEWATCH_ALERTS_OSC",
        default="auto",
        about="auto, 9, 777, both or off: how the UI asks the terminal for a desktop notification",
    ),
    "alerts.deadman_url": Key(
        variable="LANEWATCH_DEADMAN_URL",
        default=None,
        about="requested every 60 s while a run lives, so that an outside service rings when the "
        "machine falls silent; a secret",
        secret=True,
    ),
    "alerts.deadman_shape": Key(
        variable="LANEWATCH_DEADMAN_SHAPE",
        default="auto",
        about="auto, healthchecks (URL/start, URL at a clean end, URL/fail), plain (URL, URL/fail)",
    ),
}


class Setting(NamedTuple):
    """A key's value in force and where it comes from."""

    key: str
    value: str | None
    source: str
    """environment, file or default."""


def config_path() -> Path:
    """`$XDG_CONFIG_HOME/lanewatch/config.toml`, else below ~/.config."""
    return config_folder() / "config.toml"


def settings() -> dict[str, Setting]:
    """Every key with its value in force. Raises ConfigError."""
    file = _read(config_path())
    found = {key: _setting(key, each, file) for key, each in KEYS.items()}
    problems = [problem for each in found.values() if (problem := _misused(each))]
    if problems:
        raise ConfigError("; ".join(problems))
    return found


def apply_config() -> None:
    """Let the file speak where the environment is silent. Raises ConfigError."""
    for setting in settings().values():
        variable = KEYS[setting.key].variable
        if setting.source == "file" and variable and setting.value is not None:
            os.environ[variable] = setting.value


def get(key: str) -> str | None:
    """The value in force of one key. Raises ConfigError."""
    return settings()[key].value


def put(key: str, value: str) -> None:
    """Write one key into the user's file and leave the rest of it as it is. Raises ConfigError.

    The environment still has the last word on what is in force.
    """
    with _PUTTING:
        _put(key, value)


def _put(key: str, value: str) -> None:
    from monitor.files import replace_bytes
    from runners.config_edit import edited

    path = config_path()
    before = _read(path)
    try:
        text = path.read_text() if before or path.exists() else ""
        content = edited(text, key, value).encode()
        if not _becomes(content, path, before | {key: value}):
            raise ConfigError(f"{path}: {key} could not be changed there; set it by hand")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_bytes(path, content, durable=True)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot write {path}: {error}") from error
    variable = KEYS[key].variable
    if variable and key in before and os.environ.get(variable) == before[key]:
        os.environ[variable] = value  # `apply_config` had put the old one there


def _becomes(content: bytes, path: Path, wanted: dict[str, str]) -> bool:
    try:
        return _parsed(content, path) == wanted
    except ConfigError:
        return False


def render_config() -> str:
    """The text of a new configuration file: every key, commented out."""
    lines = ["# lanewatch configuration. flag > environment > this file > default.", ""]
    table = ""
    for key, each in KEYS.items():
        name, _, field = key.partition(".")
        if name != table:
            lines += [f"[{name}]"]
            table = name
        also = f" (${each.variable})" if each.variable else ""
        lines += [f"# {each.about}{also}", f'# {field} = "{each.default or ""}"']
    return "\n".join(lines) + "\n"


def _setting(key: str, each: Key, file: dict[str, str]) -> Setting:
    named = os.environ.get(each.variable) if each.variable else None
    if named:
        return Setting(key=key, value=named, source="environment")
    if key in file:
        return Setting(key=key, value=file[key], source="file")
    return Setting(key=key, value=each.default, source="default")


def _misused(setting: Setting) -> str | None:
    """What is wrong with a value that somebody chose."""
    variable, allowed = KEYS[setting.key].variable, KEYS[setting.key].one_of
    where = config_path() if setting.source == "file" else f"${variable}"
    if setting.source == "default":
        return None
    if allowed and setting.value not in allowed:
        return f"{where}: {setting.key} is one of {', '.join(allowed)}, not {setting.value!r}"
    if not setting.key.startswith("alerts."):
        return None
    from monitor.alert_settings import PARSERS

    try:
        PARSERS[variable or ""](setting.value or "")
    except ValueError as error:
        return f"{where}: {setting.key}: {error}"
    return None


def _read(path: Path) -> dict[str, str]:
    try:
        # A FIFO in the file's place would hold every command for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{path} is not a regular file")
            raw = stream.read(READ_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    if len(raw) > READ_LIMIT_BYTES:
        raise ConfigError(f"{path} is over 1 MiB: that is no configuration of lanewatch")
    return _parsed(raw, path)


def _parsed(raw: bytes, path: Path) -> dict[str, str]:
    if _says_nothing(raw):
        return {}
    import tomllib  # here: most have no such file, and every command comes by

    try:
        content = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    return _checked(content, path)


def _says_nothing(raw: bytes) -> bool:
    """True for a file as `config init` writes it: comments, and each table's name at most once."""
    try:
        lines = [line.strip(" \t") for line in raw.decode().split("\n")]
    except UnicodeDecodeError:
        return False
    tables = {f"[{key.partition('.')[0]}]" for key in KEYS}
    for line in lines:
        if line in tables:
            tables.remove(line)
        elif line and not (line.startswith("#") and line.isprintable()):
            return False
    return True


def _checked(content: dict[str, Any], path: Path) -> dict[str, str]:
    flat: dict[str, Any] = {}
    for table, inner in content.items():
        if isinstance(inner, dict):
            flat |= {f"{table}.{key}": value for key, value in inner.items()}
        else:
            flat[table] = inner
    problems = [_problem(key, value) for key, value in flat.items()]
    told = [problem for problem in problems if problem]
    if told:
        raise ConfigError(f"{path}: " + "; ".join(told))
    return {key: _as_text(value) for key, value in flat.items()}


def _as_text(value: object) -> str:
    """A value as the environment would have it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _problem(key: str, value: object) -> str | None:
    if key not in KEYS:
        import difflib

        near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.6)
        return f"unknown key {key}" + (f", did you mean {near[0]}?" if near else "")
    takes = KEYS[key].takes
    if isinstance(value, bool):
        fits = takes is Takes.SWITCH
    elif isinstance(value, int | float):
        fits = takes is Takes.NUMBER
    else:
        fits = isinstance(value, str) and bool(value)
    return None if fits else f"{key} must be {takes}, not {value!r}"
