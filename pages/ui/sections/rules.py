"""Choosing samples to forget by rule."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rurk_core.data import Dataset, forget_set
from rurk_core.data.forget import LOSS_RULES
from rurk_core.errors import RurkError, UsageError
from rurk_core.evidence.ordered import ORDERS, ordered
from ui.session import state
from ui.session.forgetting import change, class_names, draft, losses_in_view

RULES = {
    "share": "Share of a class",
    "class": "Whole class",
    "random": "Random",
    "indices": "Indices",
    "hardest": "Hardest",
    "easiest": "Easiest",
    "twins": "Near-twins",
    "canaries": "Canaries",
    "most_memorised": "Most memorised",
    "least_memorised": "Least memorised",
    "vulnerable": "Vulnerable",
    "protected": "Protected",
}


def rules(dataset: Dataset) -> None:
    """Choosing by rule: what it would choose replaces the set or is added to it."""
    kind = st.segmented_control(
        "Rule",
        [kind for kind in RULES if kind != "canaries" or dataset.canaries],
        format_func=RULES.__getitem__,
        default="share",
        required=True,
        key="rule_kind",
        label_visibility="collapsed",
    )
    if kind in ORDERS:
        _take(dataset, choose_ordered(dataset, str(kind)), "")
        return
    losses = losses_in_view(dataset) if kind in LOSS_RULES else None
    rule, found = choose_rule(dataset, str(kind), losses is not None), None
    if rule:
        try:
            found = forget_set(dataset, rule, losses=losses)
        except UsageError as error:
            state.show(error)
    # losses belong to the Original in view, not to the one the next run trains: keep what they chose, not the rule
    _take(dataset, found.indices if found else (), "" if losses is not None else rule)


def _take(dataset: Dataset, chosen: Sequence[int], kept: str) -> None:
    """Buttons that make ``chosen`` the set or add them; ``kept`` is the rule that chose them, "" for samples alone."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Take these {len(chosen)}" if chosen else "Take these",
            type="primary",
            disabled=not chosen,
            on_click=change,
            args=(dataset, chosen, kept),
            key="rule_replace",
        )
        st.button(
            "Add to the set",
            disabled=not chosen,
            on_click=change,
            args=(dataset, set(draft(dataset).indices) | set(chosen)),
            key="rule_add",
        )


def choose_ordered(dataset: Dataset, order: str) -> list[int]:
    """The first samples in an order of those that the experiment in view forgot."""
    result = state.result_in_view()
    if result is None or result["dataset"]["fingerprint"] != dataset.fingerprint:
        st.caption(
            "This rule takes models that saw a sample and models that did not, which an experiment has of the samples "
            "it forgot: put an experiment on this very data set in view (in the sidebar) to use it."
        )
        return []
    try:
        found = ordered(state.store(), result, order)
    except RurkError as error:
        state.show(error)
        return []
    count = st.number_input("How many", 1, len(found), min(20, len(found)), key=f"rule_{order}_{len(found)}")
    st.caption(
        f"Of the {len(found)} samples that the experiment in view forgot, the only ones of which it has models with "
        f"and without them: {ORDERS[order]}."
    )
    return found[: int(count)]


def choose_rule(dataset: Dataset, kind: str, known: bool) -> str:
    """The rule that the widgets of its kind spell; "" while they spell none.

    Args:
        known: whether losses are known to order samples by.
    """
    if kind == "canaries":
        return kind
    n = len(dataset.train_labels)
    one, two, three = st.columns([1, 1, 1], vertical_alignment="bottom")
    if kind in ("share", "class"):
        names, classes = class_names(dataset), list(range(len(dataset.classes)))
        label = one.selectbox("Class", classes, format_func=lambda c: names[c], key=f"rule_class_{n}")
        if kind == "class":
            return f"class:{label}"
        share = two.slider("Share (%)", 1, 100, 50, key="rule_share")
        seed = three.number_input("Seed", 0, 10**6, 0, key="rule_seed", help="Another seed chooses other samples.")
        return f"class:{label}:{share / 100:g}" + (f":{seed}" if seed else "")
    if kind == "indices":
        text = one.text_input("Training indices", placeholder="3, 5-9, 42", key="rule_indices")
        return f"indices:{text}" if text.strip() else ""
    count = one.number_input("How many", 1, n - 1, min(50, n - 1), key=f"rule_{kind}_{n}")
    if kind == "random":
        seed = two.number_input("Seed", 0, 10**6, 0, key="rule_random_seed")
        return f"random:{count}" + (f":{seed}" if seed else "")
    if kind == "twins":
        return f"twins:{count}"
    if not known:
        st.caption(
            "This rule orders samples by the Original's loss: put an experiment on this very data set in view (in "
            "the sidebar) to use it."
        )
    return f"{kind}:{count}" if known else ""
