"""Without re-trained models: a forgotten sample against held-out samples of its class that are as hard."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.evidence.numbers import chance
from ui.session import state
from ui.session.evidence import case_of
from ui.session.view import View

WORDS = {
    "residual": "It is recognised more than nearly all of them: something of it seems to be left.",
    "over_forgotten": "It is recognised less than nearly all of them: it seems to be forgotten too far.",
    "cannot_tell": "It stands out from them neither way: nothing can be told.",
}


def show_peers(view: View) -> None:
    """The weaker comparison, made when it is asked for, and what it says of the sample."""
    if view.dataset is None or not st.toggle(
        "Compare with held-out samples instead (weaker)",
        key="peers",
        help="Test samples of the same class, as hard to tell from other classes as this one, stand in for re-trained "
        "models: to a model that has forgotten the sample it is one more unseen sample.",
        persist_state="session",
    ):
        return
    try:
        found = _peers(state.store().url, view.run, view.method, view.attack, view.dataset)
    except RurkError as error:
        state.show(error)
        return
    place = found.samples.tolist().index(view.sample)
    if not found.peers[place]:
        st.caption("The data set has too few test samples of this class to compare with.")
        return
    above = min(found.p_residual[place], found.p_forgotten[place])
    own, expected = (f"{100 * share:.1f}%" for share in (found.recognised[place], found.expected[place]))
    st.markdown(
        f"**Weaker evidence.** {own} of the copies are recognised; of {found.peers[place]} held-out samples of this "
        f"class, as hard as this one, {expected} on average ({chance('rank p', above)}). {WORDS[found.verdict[place]]}"
    )


@st.cache_resource(max_entries=16, show_spinner="Judging held-out samples …")
def _peers(url: str, run: str, method: str, attack: str, _dataset: Any) -> Any:
    from rurk_core.evidence.unreferenced import without_references

    return without_references(case_of(run, method, attack), _dataset)
