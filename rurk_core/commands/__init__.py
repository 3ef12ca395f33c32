"""The commands of ``rurk``, one file each; a file's ``register(command)`` adds what it has to the parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Command = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""``command(name, run, help)`` adds a command and returns its parser, for flags of its own."""

FILES = (
    "app",
    "lists",
    "run",
    "compare",
    "reproduce",
    "audit",
    "residual",
    "report",
    "share",
    "store",
    "doctor",
    "evidence",
    "calibrate",
    "check_methods",
    "tune",
)
"""The files of this package that register commands, in the order of ``rurk --help``."""
