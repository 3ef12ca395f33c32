"""``rurk audit``: models made elsewhere, measured and kept like an experiment."""

from __future__ import annotations

import argparse

from . import Command
from .output import answer, live, where
from .run import print_result


def register(command: Command) -> None:
    audit = command("audit", _audit, "Measure models made elsewhere and keep the result like an experiment's.")
    audit_flags(audit, references="*")
    audit.add_argument("--title", default="", help="a name for people")
    where(audit)


def audit_flags(parser: argparse.ArgumentParser, *, references: str) -> None:
    """What an audit needs to know; ``references``: argparse's count of ``--retrained``, "+" or "*"."""
    some = references == "+"
    parser.add_argument("--dataset", required=True, help="a name from 'rurk datasets', or a path")
    parser.add_argument("--forget", required=True, help="a forget-set file, or a rule as for 'rurk run'")
    parser.add_argument("--model", default="", help="architecture of state dicts (default: the data set's)")
    parser.add_argument(
        "--normalise",
        default="",
        metavar="MEAN:STD",
        help="of state dicts that bring none: 0.49,0.48,0.45:0.25,0.24,0.26",
    )
    parser.add_argument(
        "--original", required=True, help="trained on everything: .safetensors, .pt, .pth, .ckpt, .bin or .pt2"
    )
    parser.add_argument("--unlearned", required=True, nargs="+", help="models to judge, likewise")
    parser.add_argument(
        "--retrained",
        required=some,
        default=[],
        nargs=references,
        help="references, likewise; several tell how far re-trainings differ" + ("" if some else ", none is possible"),
    )
    parser.add_argument("--attack", default="gaussian", help="of 'rurk attacks', with commas (default: gaussian)")
    parser.add_argument("--tau", default="", help="radii, as for 'rurk run'")
    parser.add_argument("--draws", default="20", help="copies of a sample at each radius (default: 20)")
    parser.add_argument("--seed", default="7", help="keys the draws (default: 7)")


def _audit(options: argparse.Namespace) -> int:
    return audited(options, options.store, title=options.title)


def audited(options: argparse.Namespace, store: str, *, title: str = "") -> int:
    """Audit what the flags say, keep it in ``store``, print it."""
    from ..run.audit import audit
    from ..store.store import Store

    with live(quiet=options.json) as progress:
        result = audit(
            Store(store),
            dataset=options.dataset,
            forget=options.forget,
            model=options.model,
            normalise=options.normalise,
            original=options.original,
            unlearned=options.unlearned,
            retrained=options.retrained,
            attacks=options.attack,
            taus=options.tau,
            draws=options.draws,
            seed=options.seed,
            title=title,
            root=options.data,
            device=options.device,
            progress=progress,
        )
    return answer(options, result, print_result)
