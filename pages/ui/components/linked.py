"""All samples in linked pictures: a histogram, a map, a matrix of signals and a gallery that filter each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.components.assets import component

_HTML = """
<div class="rk-linked">
  <div class="rk-chosen"></div>
  <div class="rk-two">
    <figure><figcaption class="rk-hist-head"></figcaption><canvas class="rk-bars" role="img"></canvas>
      <div class="rk-span"></div></figure>
    <figure><figcaption class="rk-map-head"></figcaption><canvas class="rk-places" role="img"></canvas></figure>
  </div>
  <figure><figcaption>A column a sample, a row a signal; click a signal to sort by it.</figcaption>
    <div class="rk-heat"><div class="rk-heat-names"></div><canvas class="rk-cells" role="img"></canvas></div></figure>
  <div class="rk-told" role="status"></div>
  <div class="rk-gallery" role="group" aria-label="Samples that are left"></div>
</div>
"""

_linked = component("rurk_linked", _HTML, "linked.js", "linked.css")
ACTS = ("open", "forget", "slice")


def linked(
    key: str,
    *,
    ids: Sequence[int],
    classes: Sequence[str],
    labels: Sequence[int],
    findings: Sequence[str],
    groups: Sequence[dict[str, str]],
    signals: Sequence[dict[str, Any]],
    places: Sequence[Sequence[float]] | None,
    slices: dict[str, list[int]],
    images: str,
    version: str,
) -> dict[str, Any] | None:
    """Show them; returns what was asked for just now: ``{"act", "ids", "name"}``, act one of :data:`ACTS`.

    Args:
        ids: of the samples; labels: their classes; findings: names in ``groups`` (``{"name", "title", "colour"}``).
        signals: ``{"name", "title", "unit", "meaning", "values"}``, a value or None a sample.
        places: (x, y) from 0 to 1 on the map; None without one. slices: named sets of ids; images: where pictures are.
        version: another one begins anew.
    """
    found = _linked(
        key=key,
        data={
            "version": version,
            "ids": list(ids),
            "classes": list(classes),
            "labels": list(labels),
            "findings": list(findings),
            "groups": list(groups),
            "signals": list(signals),
            "places": None if places is None else [list(place) for place in places],
            "slices": slices,
            "images": images,
        },
        on_act_change=lambda: None,
    )
    act = found.get("act")
    if not isinstance(act, dict) or act.get("act") not in ACTS or not isinstance(act.get("ids"), list):
        return None
    known = set(ids)
    return {"act": act["act"], "ids": [i for i in act["ids"] if i in known], "name": str(act.get("name") or "")}
