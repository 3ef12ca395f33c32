"""The engine of processes that ``torchrun`` started: together they train one model at a time, for large models.

    torchrun --nproc-per-node 4 -m rurk_core run --engine torchrun --dataset photos?size=224 --model resnet50 ...

The first process leads: it plans, writes to the store, and runs all that is not training. The others wait for its
orders, which go through the key-value store that torchrun keeps, and take their part in every batch
(:mod:`rurk_core.training.shared`). Every process, here or on another machine, needs the data and sees the store.
"""

from __future__ import annotations

import atexit
import dataclasses
import itertools
import json
import os
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist

from ...errors import RurkError, UsageError
from ...progress import Tracker
from ...store.store import Store
from ...training.shared import Share
from ..plan import Stage, Work
from .elsewhere import Order, open_work, order_of, run_batch
from .embedded import in_turn

TRAINED = ("pretrained", "original", "reference")
"""Kinds of stages that all processes run; unlearning starts from a trained model and is short."""
PATIENCE = timedelta(days=30)
"""How long the others wait for the next order while the first unlearns and judges."""


def run_stages(work: Work, stages: Sequence[Stage]) -> dict[str, str]:
    """Run what is missing; see :mod:`rurk_core.run.engines` for the contract.

    Raises:
        UsageError: this process was not started by torchrun.
    """
    group = _join()
    missing = [stage for stage in stages if not work.store.trusts(stage.key)]
    together = dataclasses.replace(work, share=group.share, device=group.device)

    def run(work: Work, ready: Sequence[Stage]) -> dict[str, str]:
        if ready[0].kind not in TRAINED:
            return run_batch(work, ready)
        order = dataclasses.asdict(order_of(work))
        group.tell({"order": order, "stages": [dataclasses.asdict(stage) for stage in ready]})
        return run_batch(together, ready)

    return in_turn(work, missing, run)


def follows() -> bool:
    """Whether this process is one of those that wait for orders."""
    return int(os.environ.get("RANK") or 0) > 0


def follow() -> int:
    """Do as the first process says until it ends; the exit code.

    Raises:
        RurkError: the first process ended in the middle of a model.
    """
    group = _join()
    while said := group.hear():
        order = Order(**said["order"] | {"bundled": tuple(said["order"]["bundled"])})
        work = open_work(order, group.device, Tracker())
        work = dataclasses.replace(work, share=group.share, store=_Unwritten(order.store, bundled=order.bundled))
        try:
            run_batch(work, [Stage(**stage | {"needs": tuple(stage["needs"])}) for stage in said["stages"]])
        except RuntimeError as error:
            raise RurkError(f"The first process ended; what it said stands above ({type(error).__name__}).") from None
    return 0


class _Unwritten(Store):
    """A store that is only read: the first process writes what all of them made."""

    def put(self, key: str, spec: Any, files: Any, *, origin: Any = None) -> None:
        return None


class _Group:
    """All processes: the part of this one, its device, and the orders of the first."""

    def __init__(self, orders: Any, share: Share, device: torch.device) -> None:
        self.share, self.device = share, device
        self._orders, self._numbers = orders, itertools.count()

    def tell(self, what: dict[str, Any] | None) -> None:
        self._orders.set(f"order {next(self._numbers)}", json.dumps(what))

    def hear(self) -> dict[str, Any] | None:
        name = f"order {next(self._numbers)}"
        self._orders.wait([name], PATIENCE)
        return json.loads(self._orders.get(name))


@lru_cache(maxsize=1)
def _join() -> _Group:
    """Meet the other processes, once."""
    if not all(os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")):
        raise UsageError(
            "The engine torchrun runs in processes that torchrun starts: "
            "torchrun --nproc-per-node 2 -m rurk_core run --engine torchrun ..."
        )
    store, rank, world = next(dist.rendezvous("env://"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK") or 0)) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=world)
    atexit.register(dist.destroy_process_group)
    group = _Group(dist.PrefixStore("rurk", store), Share(rank, world), device)
    if not rank:
        atexit.register(group.tell, None)  # run before the other: the last registered is the first
    return group
