"""``rurk residual``: residual knowledge of checkpoints made elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import Command
from .output import console, live, print_json, where
from .run import print_result


def register(command: Command) -> None:
    residual = command("residual", _residual, "Measure residual knowledge of checkpoints made elsewhere.")
    residual.add_argument("--dataset", required=True, help="a name from 'rurk datasets', or a path")
    residual.add_argument("--forget", required=True, help="a forget-set file, or a rule as for 'rurk run'")
    residual.add_argument("--model", help="architecture of all checkpoints (default: the data set's)")
    residual.add_argument("--original", required=True, type=Path, help="checkpoint trained on everything")
    residual.add_argument("--unlearned", required=True, type=Path, nargs="+", help="checkpoints to judge")
    residual.add_argument("--retrained", required=True, type=Path, nargs="+", help="one or more references")
    residual.add_argument("--attack", default="gaussian", help="one of 'rurk attacks' (default: gaussian)")
    residual.add_argument("--tau", help="radii, as for 'rurk run'")
    residual.add_argument("--draws", default="100", help="copies of a sample at each radius (default: 100)")
    residual.add_argument("--seed", default="7", help="keys the draws (default: 7)")
    where(residual, store=False)


def _residual(options: argparse.Namespace) -> int:
    from ..audit import audit_checkpoints

    with live(quiet=options.json) as progress:
        result = audit_checkpoints(
            dataset=options.dataset,
            forget=options.forget,
            model=options.model or "",
            original=options.original,
            unlearned=options.unlearned,
            retrained=options.retrained,
            attack=options.attack,
            taus=options.tau or "",
            draws=options.draws,
            seed=options.seed,
            root=options.data,
            device=options.device,
            progress=progress,
        )
    if options.json:
        print_json(result)
    else:
        print_result(result, console())
    return 0
