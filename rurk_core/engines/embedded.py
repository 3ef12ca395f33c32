"""The engine of one process: stages one after another, in the order of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..stages import RUN, Stage, Work
from ..training import Diverged


def run_stages(work: Work, stages: Sequence[Stage]) -> dict[str, str]:
    """Run what is missing; see :mod:`rurk_core.engines` for the contract."""
    failed: dict[str, str] = {}
    for name, group in groupby(stages, key=lambda stage: stage.name):
        missing = [stage for stage in group if not work.store.has(stage.key)]
        ready = [stage for stage in missing if all(map(work.store.has, stage.needs))]
        if not ready:
            continue
        with work.tracker.stage(name):
            try:
                RUN[ready[0].kind](work, ready)
            except Diverged as error:
                if ready[0].kind != "unlearned":
                    raise
                failed[ready[0].label] = str(error)
    return failed
