"""The set of samples to forget that is being put together, per data set, with its past."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import streamlit as st

from rurk_core.data import DATASETS, Dataset, ForgetSet, forget_set
from rurk_core.errors import UsageError
from ui.session import state
from ui.text import distinct

MAX_PAST = 100


@dataclass(frozen=True)
class Draft:
    """Training indices, the rule they come from ("" when chosen by hand), and what was before."""

    indices: tuple[int, ...] = ()
    rule: str = ""
    past: tuple[tuple[tuple[int, ...], str], ...] = ()


def draft(dataset: Dataset) -> Draft:
    return st.session_state.setdefault("drafts", {}).get(dataset.fingerprint, Draft())


def change(dataset: Dataset, indices: Iterable[int], rule: str = "") -> None:
    """Make ``indices`` the set, keeping the one before for undo."""
    old, new = draft(dataset), tuple(sorted(set(indices)))
    if new != old.indices:
        past = (*old.past[-MAX_PAST:], (old.indices, old.rule))
        st.session_state["drafts"][dataset.fingerprint] = Draft(new, rule, past)
    elif rule and rule != old.rule:
        st.session_state["drafts"][dataset.fingerprint] = replace(old, rule=rule)


def undo(dataset: Dataset) -> None:
    old = draft(dataset)
    if old.past:
        indices, rule = old.past[-1]
        st.session_state["drafts"][dataset.fingerprint] = Draft(indices, rule, old.past[:-1])


def indices_rule(indices: Iterable[int]) -> str:
    """The rule that names exactly these samples.

    >>> indices_rule([3, 1, 2, 9])
    'indices:1-3,9'
    """
    parts: list[list[int]] = []
    for index in sorted(indices):
        if parts and index == parts[-1][1] + 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return "indices:" + ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def rule_of(current: Draft) -> str:
    """The rule an experiment is given for the set."""
    return current.rule or indices_rule(current.indices)


def checked(dataset: Dataset, current: Draft) -> ForgetSet:
    """The set as the core takes it.

    Raises:
        UsageError: it is empty or holds everything.
    """
    found = forget_set(dataset, indices_rule(current.indices)) if current.indices else None
    if found is None:
        raise UsageError("The forget set is empty; choose at least one sample.")
    return replace(found, rule=rule_of(current))


def shares(dataset: Dataset, indices: tuple[int, ...]) -> list[tuple[str, int, int]]:
    """(class, chosen, in all) for every class that is touched, the most chosen first."""
    import torch

    if not indices:
        return []
    chosen = torch.bincount(dataset.train_labels[torch.tensor(indices)], minlength=len(dataset.classes)).tolist()
    whole = torch.bincount(dataset.train_labels, minlength=len(dataset.classes)).tolist()
    found = [(dataset.classes[c], n, whole[c]) for c, n in enumerate(chosen) if n]
    return sorted(found, key=lambda entry: -entry[1])


LINKED = ("class", "random", "indices")
"""Rules that a link may hold: they name samples. A file, or an order by losses, belongs to one machine or model."""
MAX_LINK = 1500
"""Letters of a rule that still fit into a link."""


def linked_rule(dataset: Dataset, text: str) -> ForgetSet:
    """The set a link asks for.

    Raises:
        UsageError: the rule is none that a link may hold, or chooses nothing that can be forgotten here.
    """
    if text.partition(":")[0] not in LINKED:
        raise UsageError("A link names samples to forget by class:…, random:… or indices:….")
    return forget_set(dataset, text)


def follow_link(dataset: Dataset) -> str:
    """Take over the set of a link, then keep the address up to date with the set; returns its rule, "" if too long."""
    written = st.session_state.setdefault("written", {})
    text = st.query_params.get("forget")
    if text is not None and text != written.get("forget"):
        try:
            change(dataset, linked_rule(dataset, text).indices, text)
        except UsageError as error:
            state.note(f"The link’s set was left out: {error}")
    current = draft(dataset)
    rule = rule_of(current) if current.indices and dataset.name in DATASETS else ""
    rule = rule if len(rule) <= MAX_LINK and rule.partition(":")[0] in LINKED else ""
    written["forget"] = rule
    if rule and text != rule:
        st.query_params["forget"] = rule
    elif not rule and text is not None:
        del st.query_params["forget"]
    return rule


def losses_in_view(dataset: Dataset):
    """The loss of every training sample under the Original of the experiment in view, if it fits; else None."""
    from rurk_core.run.stored import stored_scores

    result = state.result_in_view()
    if result is None:
        return None
    scores = next((row.get("scores") for row in result["models"] if row["role"] == "original"), None)
    if result["dataset"]["fingerprint"] != dataset.fingerprint or scores is None or not state.store().has(scores):
        return None
    return stored_scores(state.store(), scores)["train_loss"]


def class_names(dataset: Dataset) -> list[str]:
    """A name per class to choose by; ImageNet, for one, has two classes called “crane”."""
    return distinct(dataset.classes, [f"class {c}" for c in range(len(dataset.classes))])
