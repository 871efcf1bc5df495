"""`lanewatch doctor --prove`."""

from __future__ import annotations

import argparse


def prove_command(options: argparse.Namespace) -> int:
    raise NotImplementedError
