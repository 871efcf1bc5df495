"""`lanewatch du` and `lanewatch prune`."""

from __future__ import annotations

import argparse


def du_command(options: argparse.Namespace) -> int:
    raise NotImplementedError


def prune_command(options: argparse.Namespace) -> int:
    raise NotImplementedError
