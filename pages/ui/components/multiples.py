"""A small figure for every model over the radius, the others faint behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.components.assets import component

_multiples = component("rurk_multiples", '<div class="rk-multiples"></div>', "multiples.js", "multiples.css")


def multiples(
    key: str, panels: Sequence[dict[str, Any]], *, across: str, up: str, level: float | None, selected: str
) -> str | None:
    """Show them; returns the name of the one that was clicked just now.

    Args:
        panels: ``{"name", "title", "letter", "colour", "ink", "taus", "mean", "low", "high", "band", "nothing"}``:
            lists of a number or None a radius; band: (lowest, highest) of re-trainings or None; nothing: what to say
            where no value is defined.
        across, up: titles of the axes; level: a line there.
    """
    data = {"panels": list(panels), "across": across, "up": up, "level": level, "selected": selected}
    found = _multiples(key=key, data=data, on_pick_change=lambda: None)
    picked = found.get("pick")
    return picked if picked in [panel["name"] for panel in panels] else None
