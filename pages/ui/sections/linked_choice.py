"""What becomes of samples that were chosen in the linked pictures."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.evidence.slices import keep_slice
from ui.session import state
from ui.session.forgetting import change, draft


def act(done: dict[str, Any], run: str, method: str, attack: str, dataset: Any) -> None:
    """What was asked for in the pictures."""
    ids = done["ids"]
    if done["act"] == "open" and ids:
        for name, value in (("method", method), ("attack", attack), ("sample", ids[0])):
            state.choose(name, value)
        st.switch_page("neighbourhood.py", query_params={"run": run, "sample": str(ids[0])})
    elif done["act"] == "forget" and dataset is not None:
        change(dataset, set(draft(dataset).indices) | set(ids))
        count = len(draft(dataset).indices)
        many = "1 sample is" if count == 1 else f"{count} samples are"
        st.toast(f"{many} to be forgotten next; the Forget page has {'it' if count == 1 else 'them'}.")
    elif done["act"] == "slice":
        try:
            keep_slice(state.store(), run, done["name"], ids)
        except RurkError as error:
            state.show(error)
        else:
            st.rerun()
