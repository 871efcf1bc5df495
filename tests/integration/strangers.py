"""Commands as a user that no /etc/passwd knows, as those of many containers and clusters are.

Such a user may not look into /root, where the Python that runs the tests, or a checkout, may lie.
So his commands see, in a mount namespace of their own, a /root that holds these and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

UID = 54321
"""Of nobody."""

_SEE = """
set -e
uid=$1 groups=$2 scratch=$3 shown=$4
shift 4
if [ "$shown" -gt 0 ]; then
    mkdir -p "$scratch"
    mount --rbind /root "$scratch"
    mount -t tmpfs -o mode=755 tmpfs /root
fi
while [ "$shown" -gt 0 ]; do
    mkdir -p "$1"
    mount --bind "$scratch${1#/root}" "$1"
    shown=$((shown - 1))
    shift
done
exec setpriv --reuid="$uid" --regid="$uid" --groups="$groups" --inh-caps=-all -- "$@"
"""


def as_stranger(argv: Sequence[str], *, groups: Sequence[int], scratch: Path) -> list[str]:
    """The command line that runs *argv* as UID, with *groups* besides."""
    listed = ",".join(map(str, (UID, *groups)))
    needed = {sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])}
    shown = sorted(each for each in needed if each.startswith("/root/"))
    see = ["sh", "-c", _SEE, "sh", str(UID), listed, str(scratch), str(len(shown)), *shown]
    return ["unshare", "--mount", "--propagation", "private", "--", *see, *argv]
