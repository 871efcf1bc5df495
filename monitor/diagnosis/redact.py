"""Take out of a text or a JSON value what must not leave the machine. Pure.

The rule: rather too much than too little. Secrets by their shape and by the name that they stand
beside, every URL and mail address, the folders of users, the names of user and machine. What is
taken out leaves a word that says what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SECRET, URL, MAIL, HOME = "<secret>", "<url>", "<mail>", "~"
LEAST = 6
"""A shorter value of a secret variable would take half the text with it."""
_NAMES = (
    r"[\w.-]{0,64}?(?:token(?!iz|s\b|s[_.]|ed)|secret|passw(?:or)?d|passphrase|\bpwd\b|api[_-]?key"
    r"|access[_-]?key|account[_-]?key|private[_-]?key|credential|authorization|auth(?!or)|cookie|session[_-]?id|webhook)[\w.-]{0,64}"
)
_HINT = re.compile(
    r"token|secret|pass|pwd|key|credential|auth|cookie|session|webhook|-u\b|--(?:proxy-)?user",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(rf"^-*{_NAMES}$", re.IGNORECASE)
_TABLES = re.compile(r"^(env|environ|environment|environment_variables|headers|urls)$", re.I)
"""Every value below such a name goes."""
_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|\bssh-(?:rsa|ed25519|dss)\s+AAAA[^\s\"']+(?:[ \t]+[^\s\"']+)?"
    r"|\b(?:hf|api_org)_[A-Za-z0-9]{8,}"
    r"|\bsk-[A-Za-z0-9_-]{8,}"
    r"|\b(?:gh[opsur]|github_pat|glpat|gldt|npm|pypi|dckr_pat|nvapi|xox[abeprs]|xapp|AGE-SECRET-KEY)"
    r"[_-][A-Za-z0-9_-]{8,}"
    r"|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}"
    r"|\b(?:r8|wandb_v\d)_[A-Za-z0-9_]{8,}"
    r"|\bSG\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    r"|\bya29\.[A-Za-z0-9_-]{8,}"
    r"|\bhooks\.slack\.com/services/[^\s\"']+"
    r"|\b[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{25,}"  # a bot of Discord
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\bAIza[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?"
    r"|\b\d{8,10}:[A-Za-z0-9_-]{30,}"  # a bot of Telegram
    r"|(?<![0-9a-fA-F])[0-9a-f]{40}(?![0-9a-fA-F])",  # a key of wandb looks like a commit
    re.DOTALL,
)
_LONG = re.compile(r"(?<![\w/+.-])(?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])(?=[\w+=-]*\d)[\w+=-]{32,}")
"""Letters of both cases and digits, and long: no word of anybody's."""
_AWS = re.compile(
    r"(?<![\w/+=.-])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*\d)"
    r"[A-Za-z0-9+][A-Za-z0-9/+]{39}(?![\w/+=.-])"
)
"""A secret key of Amazon's has 40 characters, and may look like a path."""
_BEARER = re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_KEY_END = re.compile(r"-----END [A-Z ]{0,40}PRIVATE KEY")
_KEY_LINE = re.compile(r"(?:^|[\s:|])[A-Za-z0-9+/=]{4,}\s*$")
_QUOTED = r"""(?:b?(?P<quote>\\*["']).*?(?P=quote))"""
"""Also within a JSON text that is itself quoted, once or more often."""
_ASSIGNED = re.compile(
    rf"""(?P<name>\\*["']?\b{_NAMES}\\*["']?\s*[=:]\s*)(?P<value>{_QUOTED}|[^\s,;&}}\])]+)""",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"(?P<name>\b(?:[\w.-]{0,64}passw(?:or)?d|passphrase|(?:set-)?cookie|(?:proxy-)?authorization)"
    r"\s*[=:]\s*)[^\s\"'\\{\[][^\n]*",
    re.IGNORECASE,
)
"""What may hold spaces and commas goes up to the end of its line."""
_FLAG = re.compile(rf"(?P<name>--?{_NAMES}[ \t]+)(?P<value>[^\s-]\S*)", re.IGNORECASE)
_LISTED = re.compile(rf"""(?P<name>--?{_NAMES}\\*["']\s*,\s*)(?P<value>{_QUOTED})""", re.IGNORECASE)
"""An argv as a list prints it."""
_SPOKEN = re.compile(
    r"(?P<name>\b(?:password|passphrase)[ \t]+)(?P<value>[^\s=:]\S*)", re.IGNORECASE
)
"""As in a .netrc; of a sentence it takes a word."""
_USER = re.compile(r"(?P<name>(?:^|\s)(?:-u|--(?:proxy-)?user)[ =]?[ \t]*)(?!\d+:\d+)[^\s:]+:\S+")
_BLOCK = re.compile(
    rf"^(?P<name>(?P<indent>[ \t]*)[\"']?{_NAMES}[\"']?:[ \t]*[|>][+-]?[ \t]*\n)"
    r"(?:(?P=indent)[ \t]+[^\n]*(?:\n|\Z))+",
    re.IGNORECASE | re.MULTILINE,
)
"""A text of several lines in YAML."""
_QUERY = re.compile(
    r"(?<=[\w/])\?[\w.-]+=[^\s\"'<>]*|[?&](?:x-amz-[\w-]+|sig\w*)=[^\s\"'<>]*", re.I
)
_URLS = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]*")
_MAILS = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?::[\w./~-]{1,256})?")
_HOMES = re.compile(
    r"(?:/[\w.-]{1,64}){0,6}/(?:home|users)/[^/\s\"':,;)\]}]+|/root\b"
    r"|[a-z]:\\+users\\+[^\\\s\"':,;)\]}]+"
    r"|%2F(?:home|users)%2F[^%\s\"']+|(?<![\w/~])~[a-z_][\w-]*(?=/)",
    re.IGNORECASE,
)


def _without_key_ends(text: str) -> str:
    """Without the rest of a private key whose first lines were cut off."""
    lines = text.split("\n")
    for end in [at for at, line in enumerate(lines) if _KEY_END.search(line)]:
        at = end
        while at >= 0 and (at == end or _KEY_LINE.search(lines[at])):
            lines[at], at = SECRET, at - 1
    return "\n".join(lines)


def _without_values(line: str) -> str:
    """Without what stands beside a secret's name; few lines hold one, and looking costs."""
    if _HINT.search(line) is None:
        return line
    for each in (_WHOLE, _ASSIGNED, _LISTED, _FLAG, _SPOKEN, _USER):
        line = each.sub(rf"\g<name>{SECRET}", line)
    return line


@dataclass(frozen=True, slots=True)
class Redactor:
    """What is known of this machine, and must not be told."""

    homes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Of users and of the machine."""
    secrets: tuple[str, ...] = ()
    """Values that are known to be secret."""

    def text(self, text: str) -> str:
        """*text* without them."""
        for each in self.secrets:
            text = text.replace(each, SECRET)
        text = _SHAPES.sub(SECRET, text)
        if "-----END" in text:
            text = _without_key_ends(text)
        text = _URLS.sub(URL, text)
        text = _MAILS.sub(MAIL, text)
        text = _QUERY.sub("?<query>", text)
        text = _BEARER.sub(rf"\1 {SECRET}", text)
        text = _BLOCK.sub(rf"\g<name>\g<indent>  {SECRET}\n", text)
        text = "\n".join(map(_without_values, text.split("\n")))
        text = _AWS.sub(SECRET, _LONG.sub(SECRET, text))
        for home in self.homes:
            text = text.replace(home, HOME)
        text = _HOMES.sub(HOME, text)
        for name in self.names:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "<name>", text)
        return text

    def json(self, value: Any, key: str = "", *, hidden: bool = False) -> Any:
        """A JSON *value* without them; *key*: the name that it stands under."""
        hidden = hidden or _TABLES.match(key) is not None or _SECRET_NAME.match(key) is not None
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self.json(each, str(name), hidden=hidden)
                for name, each in value.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, str):
            return self._sequence(value, hidden=hidden)
        if value is None or isinstance(value, bool):
            return value
        if hidden:
            return SECRET
        return self.text(value) if isinstance(value, str) else value

    def _sequence(self, value: Sequence[Any], *, hidden: bool) -> list[Any]:
        """An argv keeps its secrets behind a flag of their own."""
        found: list[Any] = []
        before = ""
        for each in value:
            flagged = before.startswith("-") and _SECRET_NAME.match(before) is not None
            found.append(self.json(each, hidden=hidden or flagged))
            before = each if isinstance(each, str) else ""
        return found


def redactor(
    environment: Mapping[str, str], homes: Iterable[str], names: Iterable[str]
) -> Redactor:
    """Return one that also knows the secrets of an *environment*."""
    secrets = {
        value
        for name, value in environment.items()
        if _SECRET_NAME.match(name) and len(value) >= LEAST
    }
    longest_first = sorted(secrets, key=len, reverse=True)
    return Redactor(
        homes=tuple(sorted({each.rstrip("/") for each in homes if len(each) > 1}, key=len)[::-1]),
        names=tuple(sorted({each for each in names if len(each) > 2 and each != "root"})),
        secrets=tuple(longest_first),
    )
