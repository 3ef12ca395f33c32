"""Where stages run. An engine takes a plan and leaves its entries in the store; it decides nothing else.

An engine is a function ``(work, stages) -> failed``: it runs every stage whose entry is missing, each after the
stages it needs, and returns ``{label: sentence}`` for the unlearning runs that diverged or failed. What needs those
is left out; everything else is finished. Any other error ends the run, with finished stages kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from inspect import signature

from ...errors import UsageError
from ..plan import Stage, Work

Engine = Callable[[Work, Sequence[Stage]], dict[str, str]]

ENGINES = {
    "embedded": "this machine, a process for each device",
    "torchrun": "the processes that torchrun started, which train each model together",
    "ray": "a Ray cluster (ray start, or RAY_ADDRESS); settings: ray:cpus=2,gpus=0.25,retries=5",
}
"""Name → where its stages run."""


def find_engine(text: str) -> Engine:
    """The engine of ``"name"`` or ``"name:setting=number,..."``.

    Raises:
        UsageError: there is no such engine or setting.
    """
    name, _, rest = text.partition(":")
    if name not in ENGINES:
        raise UsageError(f"There is no engine '{name[:40]}'; choose one of {', '.join(ENGINES)}.")
    run = import_module(f".{name}", __name__).run_stages
    known = list(signature(run).parameters)[2:]
    settings = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if key not in known or not 0 <= number < 1e6:
            what = f"has the settings {', '.join(known)}, each a number" if known else "has no settings"
            raise UsageError(f"The engine '{name}' {what}; '{part[:40]}' is none of them.")
        settings[key] = number
    return partial(run, **settings)
