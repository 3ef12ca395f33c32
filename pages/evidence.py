"""Evidence: all samples of the forget set beside every signal, in pictures that filter each other."""

from __future__ import annotations

from typing import Any

import streamlit as st
from ui.components.linked import linked
from ui.figures.finding import HUES
from ui.figures.look import looks_of
from ui.jobs.runs import empty_state
from ui.sections.linked_choice import act
from ui.sections.settling import offer_settling
from ui.sections.standing import caution
from ui.session import state
from ui.session.evidence import case_of, findings_of
from ui.session.served import images_at
from ui.session.view import choose_question
from ui.text import plain

from rurk_core.evidence.findings import SAID
from rurk_core.evidence.null import NEEDED
from rurk_core.evidence.slices import slices
from rurk_core.evidence.words import set_words


@st.cache_resource(max_entries=24, show_spinner="Reading signals …")
def signals_of(url: str, run: str, method: str, attack: str, _dataset: Any) -> tuple[list[dict[str, Any]], Any]:
    """The matrix of a case for the browser, and its map; no map without data."""
    from rurk_core.explore.matrix import flat_map, matrix

    case, found = case_of(run, method, attack), findings_of(run, method, attack)
    rows = [
        {"name": one.name, "title": one.title, "unit": one.unit, "meaning": one.meaning, "values": one.plain()}
        for one in matrix(case, found, _dataset)
    ]
    samples = [one.sample for one in found.samples]
    return rows, None if _dataset is None else flat_map(case, samples, _dataset).round(4).tolist()


def main() -> None:
    st.title("Evidence", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    result = state.result_of(run)
    caution(result)
    dataset, looks = state.dataset_of(result), looks_of(result["models"])
    one, two, three = st.columns([1.2, 1, 2.2], gap="medium", vertical_alignment="bottom")
    method, attack = choose_question(result, looks, (one, two))
    found = findings_of(run, method, attack)
    with three.popover("What the evidence says of the set", icon=":material/balance:"):
        st.markdown(plain(set_words(found)))
    url = state.store().url
    signals, places = signals_of(url, run, method, attack, dataset)
    if found.judged is None or found.judged.references < NEEDED:
        there = ", ".join(signal["title"] for signal in signals)
        needs = found.why or f"It takes {NEEDED} re-trained models."
        st.caption(
            f"What is there without findings: {plain(there)}. What is missing: how unusual each sample is, and with "
            f"that its finding. {plain(needs)}"
        )
        offer_settling(result, found, dataset, "evidence")
    done = linked(
        "evidence",
        ids=[finding.sample for finding in found.samples],
        classes=result["dataset"]["classes"],
        labels=[finding.label for finding in found.samples],
        findings=[finding.finding for finding in found.samples],
        groups=[{"name": name, "title": word, "colour": HUES[name]} for name, word in SAID.items()],
        signals=signals,
        places=places,
        slices=slices(state.store(), run),
        images="" if dataset is None else images_at(dataset),
        version=f"{run}-{method}-{attack}",
    )
    if done is not None:
        act(done, run, method, attack, dataset)


main()
