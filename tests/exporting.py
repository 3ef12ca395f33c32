"""Programs of ``torch.export`` for several test files, made in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any


def elsewhere(work: Callable[..., Any], *arguments: Any) -> int:
    """Run a function in a process of its own and return its exit code.

    ``torch.export`` starts threads of autograd, after which a process can no longer fork to train references.
    """
    child = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    child.start()
    child.join(60)
    return child.exitcode


def export_program(model: Any, shape: tuple[int, ...], path: Path, *, any_batch: bool = True) -> Path:
    """A model as a ``.pt2`` file, taking batches of ``shape``."""

    def export() -> None:
        import torch

        sizes = ({0: torch.export.Dim("n")},) if any_batch else None
        program = torch.export.export(model.eval(), (torch.rand(3, *shape),), dynamic_shapes=sizes)
        torch.export.save(program, path)

    assert elsewhere(export) == 0
    return path
