"""Where stages run. An engine takes a plan and leaves its entries in the store; it decides nothing else.

An engine is a function ``(work, stages) -> failed``: it runs every stage whose entry is missing, each after the
stages it needs, and returns ``{label: sentence}`` for the unlearning runs that diverged. What needs those is left
out; everything else is finished. Any other error ends the run, with finished stages kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from ..errors import UsageError
from ..stages import Stage, Work

Engine = Callable[[Work, Sequence[Stage]], dict[str, str]]

ENGINES = {"embedded": "this machine"}
"""Name → where its stages run."""


def find_engine(name: str) -> Engine:
    """The engine called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in ENGINES:
        raise UsageError(f"There is no engine '{name}'; choose one of {', '.join(ENGINES)}.")
    return import_module(f".{name}", __name__).run_stages
