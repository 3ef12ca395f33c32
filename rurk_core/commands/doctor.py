"""``rurk doctor``: is everything in place, and what to do where it is not."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import RurkError
from . import Command
from .output import Console, Table, Text, answer, where

LITTLE_SPACE = 5 * 10**9
"""Bytes below which a disk is called nearly full: a ResNet-50 experiment with ten models takes 1 GB."""


def register(command: Command) -> None:
    where(command("doctor", _doctor, "Check versions, devices, data, store and space; exit code 1 on a problem."))


def _doctor(options: argparse.Namespace) -> int:
    rows = [
        {"what": what, "found": found, "advice": advice}
        for check in (_versions, _devices, _data, _store)
        for what, found, advice in check(options)
    ]
    answer(options, rows, _print)
    return 1 if any(row["advice"] for row in rows) else 0


def _print(rows: list[dict[str, Any]], out: Console) -> None:
    table = Table(show_header=False, box=None)
    for row in rows:
        mark = Text("✗", "red") if row["advice"] else Text("✓", "green")
        table.add_row(mark, row["what"], row["found"])
        if row["advice"]:
            table.add_row("", "", f"→ {row['advice']}")
    out.print(table)


Check = Iterator[tuple[str, str, str]]
"""What was looked at, what was found, and what to do ("" where nothing is)."""


def _versions(options: argparse.Namespace) -> Check:
    pinned = Path(__file__).parents[2] / "requirements.txt"
    wanted = {}
    if pinned.is_file():
        lines = (line.partition("#")[0].strip() for line in pinned.read_text(encoding="utf-8").splitlines())
        wanted = dict(line.split("==") for line in lines if "==" in line)
    yield "Python", platform.python_version(), ""
    other = []
    for name, version in wanted.items():
        try:
            found = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != version:
            other.append(f"{name} {found} (tested with {version})")
    if wanted:  # a checkout; an installed package says which versions it takes, and pip has seen to it
        advice = "pip install -r requirements.txt" if other else ""
        yield "packages", ", ".join(other) or f"{len(wanted)} as pinned", advice
    try:
        yield "Ray (for --engine ray)", importlib.metadata.version("ray"), ""
    except importlib.metadata.PackageNotFoundError:
        yield "Ray (for --engine ray)", "not installed, which is fine: pip install 'rurk-explorer[ray]' adds it", ""


def _devices(options: argparse.Namespace) -> Check:
    import torch

    from ..device import device_name, fast_bfloat16, find_devices

    cpu = torch.device("cpu")
    yield "CPU", f"{torch.get_num_threads()} threads; bfloat16 {'fast' if fast_bfloat16(cpu) else 'slow, not used'}", ""
    driver = Path("/proc/driver/nvidia").exists()
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        yield "GPU", f"{device_name(torch.device('cuda', index))}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free", ""
    if not torch.cuda.device_count():
        advice = "this torch sees no GPU though there is a driver: install a CUDA build of torch" if driver else ""
        yield "GPU", "none", advice
    try:
        yield "--device", f"{options.device} → {', '.join(map(device_name, find_devices(options.device)))}", ""
    except RurkError as error:
        yield "--device", options.device, str(error)


def _data(options: argparse.Namespace) -> Check:
    from ..data import DATASETS, data_root

    root = data_root(options.data)
    if not root.exists():
        yield "data root", f"{root} (not there yet)", ""
        return
    try:
        names = sorted(set(os.listdir(root)) & set(DATASETS))
    except OSError as error:
        yield "data root", str(root), f"it cannot be read ({error.strerror}); name a folder in RURK_DATA or with --data"
        return
    yield "data root", f"{root}: {', '.join(names) or 'empty'}; digits, iris and moons need none", ""


def _store(options: argparse.Namespace) -> Check:
    from ..jobs.control import list_jobs
    from ..run.archive import verify
    from ..store.store import Store

    try:
        store = Store(options.store)
        entries, wrong = store.list(), verify(store)
        states = [job.state for job in list_jobs(store)]
    except RurkError as error:
        yield "store", options.store, str(error)
        return
    size = sum(entry.bytes for entry in entries)
    yield "store", f"{store.url}: {len(entries)} entries, {size / 1e6:.0f} MB", ""
    yield "entries", f"{len(wrong)} damaged", "; ".join(list(wrong.values())[:3])
    lost = states.count("killed")
    alive = sum(state in ("queued", "running") for state in states)
    advice = f"{lost} ended without a word: resume them on the page Unlearn, or delete them" if lost else ""
    yield "jobs", f"{len(states)}, of which {alive} under way", advice
    if store.local:
        yield from _space(store.root)


def _space(folder: str) -> Check:
    there = next(place for place in (Path(folder), *Path(folder).absolute().parents) if place.exists())
    usage: Any = shutil.disk_usage(there)  # of a store that nothing was put into yet, where it will be
    advice = "free some space, or delete what nobody needs: rurk store gc" if usage.free < LITTLE_SPACE else ""
    yield "free space", f"{usage.free / 1e9:.1f} GB beside the store", advice
