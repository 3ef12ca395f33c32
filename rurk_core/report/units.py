"""The unit of τ, which is the attack's: a size in pixels, or a share of what a transform may do to an image."""

from __future__ import annotations

from ..perturb.copies import ATTACKS

PIXELS = "pixel units"
SHARES = {
    "shift": "share of the side",
    "rotation": "share of half a turn",
    "crop": "share of the side that is cut away",
    "blur": "share of a quarter of the side",
    "jpeg": "share of 99 steps of quality",
    "occlusion": "share of the side",
}
"""What τ = 1 would be all of; see :mod:`rurk_core.perturb.transforms`."""


def unit_of(attack: str) -> str:
    """The unit of τ under an attack of :data:`~rurk_core.perturb.copies.ATTACKS`.

    >>> unit_of("gaussian"), unit_of("rotation")
    ('pixel units', 'share of half a turn')
    """
    return SHARES[attack] if ATTACKS[attack].ball == "share" else PIXELS


def tau_title(attack: str) -> str:
    """The title of an axis of radii.

    >>> tau_title("pgd")
    'radius τ (pixel units, pixels run from 0 to 1)'
    """
    unit = unit_of(attack)
    return f"radius τ ({unit}{', pixels run from 0 to 1' if unit == PIXELS else ''})"
