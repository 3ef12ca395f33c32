"""What a stage is told of a run besides its parts: names, looks, radii, what was found of every sample."""

from __future__ import annotations

from typing import Any

from ..evidence.findings import SAID
from ..explore.scene import CUTS, REACH, Scene
from ..explore.stage import FILLED, NEAR, ZOOMS, sides
from .looks import FILLS, REFERENCES, REST, Look, looks_of

LIGHT = 40_000
"""Copies in all, times models, times values of an input in thousands, up to which all radii are asked for at once."""


def described(scene: Scene, version: str) -> dict[str, Any]:
    """Plain JSON values for the scripts of the stage.

    Args:
        version: names the scene; what is shown begins anew where it changes.
    """
    looks, names = looks_of(scene.result["models"]), scene.names
    numel = scene.data.train_images[0].numel()
    return {
        "version": version,
        "samples": _samples(scene),
        "classes": list(scene.data.classes),
        "fills": list(FILLS),
        "rest": REST,
        "filled": FILLED,
        "names": names,
        "looks": {name: _plain(looks[name]) for name in (*names, REFERENCES)},
        "method": scene.method,
        "references": list(scene.references),
        "judges": list(scene.models),
        "taus": scene.taus,
        "tauWords": [f"{tau:.4g}" for tau in scene.taus],
        "levels": len(sides(scene)),
        "zooms": ZOOMS,
        "reach": REACH,
        "near": NEAR,
        "light": scene.copies_each * len(scene.taus) * len(scene.models) * numel <= 1000 * LIGHT,
        "cuts": CUTS,
        "findings": SAID,
    }


def _samples(scene: Scene) -> list[list[Any]]:
    """[index, class, finding] of the samples to forget, those most beyond a re-training first where that is known."""
    if scene.found is not None:
        return [[one.sample, one.label, one.finding] for one in scene.found.samples]
    return [[int(sample), scene.label(int(sample)), ""] for sample in scene.like.samples]


def _plain(look: Look) -> dict[str, str]:
    return {
        "letter": look.letter,
        "title": look.title,
        "colour": look.colour,
        "ink": look.ink,
        "shape": look.symbol,
    }
