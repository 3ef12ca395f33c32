"""Stages in other processes: what such a process is told, and what it tells back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from ...data import ForgetSet, load_dataset
from ...errors import RurkError, UsageError
from ...progress import Progress, Tracker, quietly
from ...store.store import Store
from ...training.loop import Diverged
from ...unlearning import MethodFailed
from ..plan import Stage, Work, start_data
from ..spec import spec_from_dict
from ..stages import RUN


@dataclass(frozen=True)
class Order:
    """All that another process, here or on another machine, must know to run stages: plain values only."""

    spec: dict[str, Any]
    store: str
    bundled: tuple[str, ...]
    root: str | None
    fingerprint: str
    forget: str | None


def order_of(work: Work) -> Order:
    """The order for ``work``.

    Raises:
        UsageError: no other process can see the store.
    """
    store = work.store
    if store.url.startswith("memory://"):
        raise UsageError("Several processes need a store that all of them see: a folder or a bucket.")
    return Order(
        work.spec.to_dict(),
        store.url,
        tuple(other.url for other in store.bundled),
        work.root,
        work.dataset.fingerprint,
        work.forget.to_json() if work.forget else None,
    )


_data = lru_cache(maxsize=2)(load_dataset)  # a process that runs many stages reads its data once


def open_work(order: Order, device: torch.device, tracker: Tracker) -> Work:
    """The work of ``order`` on this machine.

    Raises:
        RurkError: the data that lies here is not that of the run, or it cannot be read.
    """
    spec = spec_from_dict(order.spec)
    dataset = _data(spec.dataset, order.root)
    if dataset.fingerprint != order.fingerprint:
        raise RurkError(
            f"The data set '{spec.dataset}' on this machine has fingerprint {dataset.fingerprint}, but the run was "
            f"planned on {order.fingerprint}; give every machine the same data."
        )
    forget = ForgetSet.from_json(order.forget, dataset) if order.forget else None
    store = Store(order.store, bundled=order.bundled)
    return Work(spec, store, dataset, start_data(spec, order.root), device, tracker, order.root, forget)


def run_batch(work: Work, stages: Sequence[Stage]) -> dict[str, str]:
    """Run stages of one name; returns ``{label: sentence}`` where a method diverged, failed or cannot run here."""
    try:
        RUN[stages[0].kind](work, stages)
    except (Diverged, MethodFailed) as error:
        if stages[0].kind != "unlearned":
            raise
        return {stages[0].label: str(error)}
    return {}


def of_a_part(tell: Progress) -> Progress:
    """``tell`` now and then, and nothing of the whole run, of which a process knows a part."""
    return quietly(lambda event: tell({name: event[name] for name in event if name not in ("overall", "eta")}))
