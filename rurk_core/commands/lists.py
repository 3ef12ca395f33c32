"""``rurk datasets | models | methods | attacks``: what there is."""

from __future__ import annotations

import argparse
from typing import Any

from . import Command
from .output import answer_list


def register(command: Command) -> None:
    command("datasets", _datasets, "List the data sets.")
    command("models", _models, "List the networks.")
    command("methods", _methods, "List the unlearning methods with their settings.")
    command("attacks", _attacks, "List the ways to perturb.")


def _datasets(options: argparse.Namespace) -> int:
    from ..data import DATASETS

    rows = [
        {"name": key, "title": entry.title, "model": entry.model, "licence": entry.licence, "source": entry.source}
        for key, entry in DATASETS.items()
    ]
    return answer_list(options, "Data sets (a path to a Parquet file or an image folder works too)", rows)


def _models(options: argparse.Namespace) -> int:
    from ..models import MODELS

    rows = [
        {
            "name": key,
            "width": found.width or None,
            "input": "images" if found.images_only else "any",
            "what": found.summary,
        }
        for key, found in MODELS.items()
    ]
    return answer_list(options, "Networks", rows)


def _attacks(options: argparse.Namespace) -> int:
    from ..perturb.copies import ATTACKS

    rows = [{"name": k, "title": a.title, "τ is": a.ball, "what": a.summary} for k, a in ATTACKS.items()]
    return answer_list(options, "Perturbations", rows)


def _methods(options: argparse.Namespace) -> int:
    from ..unlearning import METHODS

    rows: list[dict[str, Any]] = []
    for key, method in METHODS.items():
        settings = {field.name: field.default for field in method.config.settings()}
        rows.append(
            {
                "name": key,
                "needs": method.needs,
                "what": method.summary,
                "settings": settings if options.json else ", ".join(f"{n}={v}" for n, v in settings.items()),
                "presets": dict(method.presets) if options.json else ", ".join(method.presets),
                "source": method.source,
            }
        )
        if options.json:
            rows[-1] |= {
                "batch_norm": method.batch_norm,
                "help": {field.name: field.metadata.get("help", "") for field in method.config.settings()},
            }
    return answer_list(options, "Unlearning methods", rows)
