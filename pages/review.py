"""Review: the samples to forget as a queue, decided one by one at a desk that holds all of it on one screen."""

from __future__ import annotations

from typing import Any

import streamlit as st
from ui.figures.look import looks_of
from ui.jobs.reports import report_buttons
from ui.jobs.runs import empty_state
from ui.sections.copies import copies_row, key_of_marks
from ui.sections.declaring import declaring, standing
from ui.sections.desk import desk
from ui.sections.distances import distances_box
from ui.sections.peers import show_peers
from ui.sections.queue import Queue, choose_queue, progress_words
from ui.sections.settling import offer_settling
from ui.sections.standing import caution
from ui.sections.twins import show_twins
from ui.sections.whole_set import show_whole_set
from ui.session import state
from ui.session.view import View, copies_of, tables_of
from ui.text import plain

from rurk_core.evidence.law import RATE
from rurk_core.evidence.null import NEEDED
from rurk_core.measure.residual import telling_radius

COPIES = 25
MORE = {
    "standing": "Declared and signed",
    "copies": "Copies",
    "twins": "Near twins",
    "distances": "Smallest change",
    "whole": "Whole forget set",
    "history": "History",
    "settle": "What would settle more",
}


def head(result: dict[str, Any]) -> None:
    """What a reviewer must know before any number, in one line."""
    k = sum(row["role"] == "reference" and bool(row.get("key")) for row in result["models"])
    if not caution(result):
        st.html(
            f'<div class="rk-see">Held against {k} re-trained models that never saw the samples; false-discovery rate '
            f'{RATE:.0%}. <span class="rk-keys">Keys: ← → step, 1 to 4 decide, n writes a note, Esc leaves it.</span>'
            "</div>"
        )


def history_of(queue: Queue, sample: int) -> None:
    before = [one for one in queue.past if one.sample == sample and one.method == queue.method]
    if not before:
        st.caption("Nothing was decided on this sample yet.")
    for one in reversed(before):
        word = one.verdict.replace("_", "-") or "taken back"
        who = plain(one.author or "nobody named")
        st.markdown(f"{one.time[:16].replace('T', ' ')} UTC · **{word}** · {who}  \n{plain(one.note)}")


def more(view: View, queue: Queue) -> None:
    """One part at a time of what the evidence is made of: none is computed before somebody asks."""
    part = state.bound(
        st.pills,
        "More on it",
        "more",
        state.choice("more", None, state.one_of(list(MORE))),
        options=list(MORE),
        format_func=MORE.__getitem__,
    )
    if part == "standing":
        standing(queue)
    elif part == "history":
        history_of(queue, view.sample)
    elif part == "settle":
        if not offer_settling(view.result, queue.found, view.dataset, "review"):
            st.caption("There is nothing to add here that would settle more.")
    elif part == "whole":
        show_whole_set(view.run, view.result, view.dataset, view.method, view.attack, view.looks)
    elif part == "twins":
        show_twins(view)
    elif part and view.dataset is None:
        st.caption("The data of the run cannot be read, so there is nothing to show.")
    elif part == "copies":
        st.caption(f"At τ = {view.tau:.4g}, where the models differ most.")
        st.html(key_of_marks(view, view.principal))
        copies_row(view, view.principal, copies_of(view), count=COPIES)
    elif part == "distances":
        distances_box(view, view.principal, "radius_box")


def main() -> None:
    run = state.run_in_view()
    if run is None:
        st.title("Review", anchor=False)
        empty_state()
        return
    result = state.result_of(run)
    dataset, looks = state.dataset_of(result), looks_of(result["models"])
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="review_bar"):
        st.title("Review", anchor=False, width="content")
        said = st.empty()
        filters = st.popover("Queue", icon=":material/filter_list:", key="queue_box")
        bar = st.container(width="content")
    with filters:
        queue = choose_queue(run, result, [filters] * 4)
    with bar:
        declaring(queue)
    said.markdown(f"{looks[queue.method].title}: {progress_words(queue)}", width="stretch")
    head(result)
    if not queue.shown:
        st.info("No sample fits these filters.", icon=":material/filter_alt_off:")
        return
    verdicts = state.verdicts_of(tables_of(result)[queue.attack, queue.method])
    finding = desk(queue, result, dataset, verdicts, looks)
    at = verdicts.taus.tolist().index(telling_radius(verdicts, queue.method, finding.place))
    view = View(run, result, dataset, verdicts, True, looks, queue.attack, queue.method, finding.place, at)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="review_links"):
        st.page_link(
            "neighbourhood.py",
            label="Its neighbourhood",
            icon=":material/blur_on:",
            query_params={"run": run, "sample": str(finding.sample), "method": view.method, "attack": view.attack},
        )
        report_buttons(run, finding.sample)
    if queue.found.judged is None or queue.found.judged.references < NEEDED:
        show_peers(view)
    more(view, queue)
    state.show_remarks(result.get("notes", []))


main()
