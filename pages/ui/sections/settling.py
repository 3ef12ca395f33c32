"""What would settle what is open: more models or more copies, added to the experiment in the background."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.evidence.findings import Findings, Settling
from rurk_core.evidence.words import settling_words
from rurk_core.run.spec import MAX_DRAWS, MAX_REFERENCES
from ui.jobs.runs import start

LABELS = {
    "references": ("Train {more} more re-trained model", "re-trained models"),
    "members": ("Train {more} further Original", "further Originals"),
    "draws": ("Look at {more} more cop", "copies at each radius"),
}
"""What adds it, and what it is."""
KEPT = {
    "references": "Models that this version made are kept; verdicts are counted again, with the new ones.",
    "members": "What this version made is kept.",
    "draws": "Models that this version made are kept; verdicts are counted again.",
}
"""What is made again."""
MOST = {"references": MAX_REFERENCES, "members": MAX_REFERENCES, "draws": MAX_DRAWS}


def offer_settling(result: dict[str, Any], found: Findings, key: str) -> int:
    """A button for each thing that would settle something, none for audits; returns how many."""
    offered = 0
    if "audit" in result:
        return offered
    for one in found.settling():
        wanted, now = min(one.number, MOST[one.what]), result["spec"].get(one.what, 0)
        if wanted > now:
            _offer(result, found, one, wanted, wanted - now, key)
            offered += 1
    return offered


def _offer(result: dict[str, Any], found: Findings, one: Settling, wanted: int, more: int, key: str) -> None:
    label, noun = LABELS[one.what]
    ending = ("y" if more == 1 else "ies") if label.endswith("cop") else ("" if more == 1 else "s")
    asked, said = st.columns([1, 3], vertical_alignment="center", gap="small")
    with asked:
        if st.button(
            label.format(more=more) + ending, icon=":material/add:", key=f"settle-{one.what}-{key}", width="stretch"
        ):
            start(result["spec"] | {one.what: wanted, "title": f"{result['dataset']['name']}, {wanted} {noun}"})
            st.switch_page("unlearn.py")
    said.caption(f"{settling_words(one, found)} {KEPT[one.what]}")
