"""What would settle what is open: more models or more copies, added to the experiment in the background."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.data import Dataset, ForgetSet
from rurk_core.errors import RurkError
from rurk_core.evidence.findings import Findings, Settling
from rurk_core.evidence.null import NEEDED
from rurk_core.evidence.settles import POWER
from rurk_core.evidence.words import drawn_words, power_words, settling_words
from rurk_core.progress import duration
from rurk_core.run.spec import MAX_DRAWS, MAX_REFERENCES, Spec, make_spec
from rurk_core.run.titles import data_words
from ui.jobs.line import ahead, over_words, same_under_way
from ui.jobs.runs import speeds_here, speeds_known, start
from ui.sections.plan import missing, seconds_of, spoken
from ui.session import state
from ui.text import plain

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
SHORT = 600.0
"""Seconds of work that are begun without asking once more."""


def offer_settling(result: dict[str, Any], found: Findings, dataset: Dataset | None, key: str) -> int:
    """A button for each thing that would settle something; none for audits, which train no models, or without the
    data, which a run would read. Returns how many."""
    if "audit" in result or dataset is None:
        return 0
    each = [(one, min(one.number, MOST[one.what]), result["spec"].get(one.what, 0)) for one in offers(found)]
    more = [(one, wanted, wanted - now) for one, wanted, now in each if wanted > now]
    for one, wanted, by in more:
        _offer(result, found, dataset, one, wanted, by, key)
    return len(more)


def offers(found: Findings) -> list[Settling]:
    """What is worth offering: the least that gives findings beside the usual number, and no training of models for
    samples that more copies settle as well, all of them."""
    asked = found.settling()
    few = [one for one in asked if one.what == "references" and one.now < NEEDED < one.number]
    copies = next((one.number for one in asked if one.what == "draws"), 0)
    rows = [one.row for one in found.samples if one.finding == "cannot_tell"]

    def only_way(one: Settling) -> bool:
        settled = [row for row in rows if 0 < (row.get("settles") or 0) <= one.number]
        return not settled or any(not 0 < (row.get("settles_draws") or 0) <= copies for row in settled)

    worth = [one for one in asked if one.what != "references" or not copies or only_way(one)]
    return [Settling("references", NEEDED, one.now, one.samples) for one in few] + worth


def words_of(one: Settling, found: Findings, more: int) -> str:
    """What it would settle, in a sentence or two."""
    if one.what == "references" and one.now < NEEDED:
        least = f"It is the least that gives findings. {power_words(NEEDED)}"
        return least if one.number == NEEDED else power_words(one.number)
    if one.what == "members":
        return settling_words(one, found)
    open_ = found.counts()["cannot_tell"]
    which = f"about {one.samples} of the {open_} samples that cannot be told now"
    if open_ == 1:
        which = "the one sample that cannot be told now"
    why = ""
    if one.what == "draws" and found.judged is not None:
        said = drawn_words(found.judged.drawn)
        why = f" {said[0].upper()}{said[1:]}."
    each = "with" if one.samples == 1 else "each with"
    return f"{more} more, {one.number} in all, would settle {which}, {each} a chance of {POWER:.0%}.{why}"


def _offer(
    result: dict[str, Any], found: Findings, dataset: Dataset, one: Settling, wanted: int, more: int, key: str
) -> None:
    label, noun = LABELS[one.what]
    ending = ("y" if more == 1 else "ies") if label.endswith("cop") else ("" if more == 1 else "s")
    title = f"{data_words(result['dataset']['name'])}, {wanted} {noun}"
    spec = make_spec(**result["spec"] | {one.what: wanted, "title": title})
    forget = ForgetSet(dataset.name, dataset.fingerprint, spec.forget, tuple(result["forget"]["indices"]))
    under_way = same_under_way(spec) is not None
    seconds = None if under_way else _known(spec, dataset, forget)
    asked, said = st.columns([1, 3], vertical_alignment="center", gap="small")
    pressed = asked.button(
        label.format(more=more) + ending,
        icon=":material/add:",
        key=f"settle-{one.what}-{wanted}-{key}",
        width="stretch",
        disabled=under_way,
    )
    time = "" if seconds is None else f"It takes about {duration(seconds)} here, in the background."
    state_now = "It is under way: the bar below says how far." if under_way else time
    said.caption(plain(" ".join(filter(None, [words_of(one, found, more), state_now, KEPT[one.what]]))))
    if pressed and seconds is not None and seconds <= SHORT:
        _start(spec)
    asking = f"settle-{key}"
    if pressed:
        st.session_state[asking] = one
    if st.session_state.get(asking) == one and not under_way:
        _confirm(spec, dataset, forget, asking)


def _known(spec: Spec, dataset: Dataset, forget: ForgetSet) -> float | None:
    """Seconds that it takes, where finished runs tell; None else: a trial takes a moment itself, and may be far off."""
    speeds = speeds_known(spec.model)
    return None if speeds is None else seconds_of(missing(spec, dataset, forget), speeds)


def _confirm(spec: Spec, dataset: Dataset, forget: ForgetSet, asking: str) -> None:
    """How long it takes and what it waits for, before it is begun."""
    speeds, source = speeds_here(spec.model, dataset.input_shape, len(dataset.classes))
    if speeds is None:
        time = f"How long it takes is not known: {source}."
    else:
        time = f"It takes **{spoken(seconds_of(missing(spec, dataset, forget), speeds), source)}** here ({source})."
    before = over_words(ahead({"device": "auto"}))
    wait = f" It begins once {plain(before)}." if before else ""
    with st.container(border=True, key=f"{asking}-confirm"):
        st.markdown(f"**{plain(spec.title)}**  \n{time}{wait} It runs in the background: pages may be left meanwhile.")
        with st.container(horizontal=True, gap="small"):
            begun = st.button("Start", type="primary", icon=":material/play_arrow:", key=f"{asking}-start")
            st.button("Not now", key=f"{asking}-not", on_click=st.session_state.pop, args=(asking, None))
    if begun:
        del st.session_state[asking]
        _start(spec)


def _start(spec: Spec) -> None:
    """Begin it and stay on the page: the bar below every page says how far it is."""
    try:
        start(spec.to_dict())
    except RurkError as error:
        state.note(str(error))
    st.rerun()
