"""What would settle what is open: more re-trained models, added to the experiment in the background."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.evidence.findings import Findings
from rurk_core.run.spec import MAX_REFERENCES
from ui.jobs.runs import start


def offer_references(result: dict[str, Any], found: Findings, key: str) -> None:
    """A button that adds re-trained models, where they would settle something; nothing for audits and else."""
    settling = found.settling()
    if settling is None or "audit" in result:
        return
    wanted, samples = min(settling[0], MAX_REFERENCES), settling[1]
    k = result["spec"]["references"]
    if wanted <= k:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(f"Train {wanted - k} more re-trained models", icon=":material/add:", key=f"settle-{key}"):
            title = f"{result['dataset']['name']}, {wanted} re-trained models"
            start(result["spec"] | {"references": wanted, "title": title})
            st.switch_page("unlearn.py")
        more = "sample" if samples == 1 else "samples"
        st.markdown(
            f"With {wanted} in place of {k} about {samples} more {more} would be told in 4 of 5 cases. Models that "
            "are there are kept; verdicts are counted again, with the new ones."
            if k >= 3
            else "Findings need at least 3 re-trained models; models that are there are kept.",
            width="stretch",
        )
