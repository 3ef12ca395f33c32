"""What is acceptable, declared before looking; how the findings stand to it; and the end of a review."""

from __future__ import annotations

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.evidence.acceptance import RULE, against, declared_words
from rurk_core.evidence.reviews import MAX_AUTHOR, Declaration, Signature, declarations, declare, sign, signatures
from ui.sections.desk import reviewer, reviewer_box
from ui.sections.queue import Queue
from ui.session import state
from ui.text import plain

MARKS = {True: ":material/check: met", False: ":material/close: not met", None: ":material/help: cannot be told"}


def declaring(queue: Queue) -> None:
    """In a popover: what will be accepted, kept with its time."""
    declared = declarations(state.store(), queue.run)
    last = declared[-1] if declared else Declaration(0.01, 0.05, 0.5)
    with st.popover("What is acceptable", icon=":material/gavel:", key="acceptable"):
        st.caption(
            "Declare it before the first decision: it is kept with its time, and the report prints it beside what was "
            "found and says which came first."
        )
        residual = st.number_input(
            "Samples with residual knowledge, at most (%)", 0.0, 100.0, 100 * last.residual, 0.5, key="accept_residual"
        )
        forgotten = st.number_input(
            "Samples over-forgotten, at most (%)", 0.0, 100.0, 100 * last.forgotten, 0.5, key="accept_forgotten"
        )
        left = st.number_input(
            "Left of what the Original has beyond re-trainings, at most (%)",
            0.0,
            100.0,
            100 * last.left,
            5.0,
            key="accept_left",
            help="The upper end of its 95% interval is held against this.",
        )
        why = st.text_input("Why (risk appetite, one line)", last.why, key="accept_why", max_chars=200)
        reviewer_box()
        if st.button("Declare", type="primary", key="declare", icon=":material/gavel:"):
            try:
                wanted = Declaration(residual / 100, forgotten / 100, left / 100, why, reviewer())
                declare(state.store(), queue.run, wanted)
            except RurkError as error:
                state.note(str(error))
            st.rerun()


def standing(queue: Queue) -> None:
    """The declaration beside the findings, and signing off."""
    declared = declarations(state.store(), queue.run)
    if declared:
        st.caption(plain(declared_words(declared, queue.past)))
        for row in against(declared[-1], queue.found):
            st.markdown(f"{MARKS[row.met]} · {plain(row.condition)}: **{plain(row.found)}**")
        st.caption(RULE)
    else:
        st.caption(
            "What is acceptable was not declared yet; the button “What is acceptable” at the top of the page is for "
            "that."
        )
    for one in signatures(state.store(), queue.run):
        if one.method == queue.method:
            word = "accepted" if one.accepted else "not accepted"
            st.markdown(
                f"Signed off as **{word}** by {plain(one.author)}, {one.time[:16].replace('T', ' ')} UTC, with "
                f"{one.decided} of {one.samples} samples decided. {plain(one.note)}"
            )
    note = st.text_input("Conclusion (one line)", key="conclusion", max_chars=400)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.text_input("Your name", reviewer(), key="signed_by", max_chars=MAX_AUTHOR, width=220)
        for word, accepted in (("Sign off: accept", True), ("Sign off: do not accept", False)):
            st.button(word, key=f"sign_{accepted}", on_click=_sign, args=(queue, accepted, note))
    if st.session_state.pop("unsigned", False):
        st.warning("A review is signed with a name: type yours.", icon=":material/info:")


def _sign(queue: Queue, accepted: bool, note: str) -> None:
    author = st.session_state["signed_by"].strip()
    if not author:
        st.session_state["unsigned"] = True
        return
    st.session_state["reviewer"] = author
    signature = Signature(queue.method, accepted, len(queue.said), len(queue.found.samples), note=note, author=author)
    try:
        sign(state.store(), queue.run, signature)
    except RurkError as error:
        state.note(str(error))
