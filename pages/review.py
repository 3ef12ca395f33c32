"""Review: the samples to forget as a queue, one card at a time, each to be judged by somebody."""

from __future__ import annotations

from typing import Any

import streamlit as st
from ui import figures
from ui.components.tiles import sample_tiles
from ui.figures.look import looks_of
from ui.jobs.reports import report_buttons
from ui.jobs.runs import empty_state
from ui.sections.copies import copies_row, key_of_marks
from ui.sections.deciding import judging
from ui.sections.distances import distances_box
from ui.sections.peers import show_peers
from ui.sections.queue import Queue, choose_queue, show_progress, show_strip
from ui.sections.settling import offer_references
from ui.sections.twins import show_twins
from ui.sections.whole_set import show_whole_set
from ui.session import state
from ui.session.view import View, copies_of, step_buttons, tables_of, telling_radius
from ui.text import escape, plain

from rurk_core.evidence.findings import Finding, Findings
from rurk_core.evidence.null import NEEDED
from rurk_core.evidence.words import caveats, sample_words

COPIES = 25


def say(view: View, finding: Finding, found: Findings) -> str:
    """The evidence in words, as HTML."""
    look, each = view.looks[view.method], finding.references
    head = (
        f'<div class="rk-head">{look.tag()} Of {finding.copies:,} copies at radii above 0, {escape(look.title)} '
        f"recognises <b>{finding.recognised:,}</b> as “{escape(view.classes[finding.label])}”"
    )
    if each:
        counts = ", ".join(f"{count:,}" for count in sorted(each)[:8]) + (", …" if len(each) > 8 else "")
        who = f"the {len(each)} re-trained models" if len(each) > 1 else "the re-trained model"
        head += f"; {who} <b>{sum(each) / len(each):,.0f}</b>" + (f" ({counts})" if len(each) > 1 else "")
    return f'{head}.</div><div class="rk-verdict">{escape(sample_words(finding, found))}</div>'


def show_curve(view: View) -> None:
    """Where the model's recognition lies beside the re-trained models', over all radii."""
    v = view.verdicts
    each = v.reference_recognised()[:, view.place]
    counts = [(view.looks[name], view.counts(name)[:, view.label].astype(float)) for name in view.principal]
    of_each = [*((look.title, values) for look, values in counts), *zip(v.references, each, strict=True)]
    rows = [
        {"sample": view.sample, "tau": float(tau), "model": name, "recognised": value, "of": v.draws}
        for name, values in of_each
        for tau, value in zip(v.taus, values.tolist(), strict=True)
    ]
    figure, _ = figures.recognised(v.taus.tolist(), counts, figures.span(each), view.tau, v.draws)
    figures.draw(figure, "review_curve", f"review-sample-{view.sample}", "Copies recognised over the radius")
    see = "how far from the sample the models still recognise it."
    if len(each):
        see += " The green band spans the re-trained models that there are; the finding says what that amounts to."
    st.html(f'<div class="rk-see">See: {see}</div>')
    figures.download(rows, f"review-sample-{view.sample}", "review_csv")


def choose_finding(queue: Queue, classes: list[str], dataset: Any) -> tuple[Finding, int]:
    """The sample in view, and its place in the queue: by button, arrow key or a click on its picture."""
    samples = [finding.sample for finding in queue.shown]
    here = samples.index(state.choice("sample", samples[0], state.whole_of(samples)))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        step_buttons(samples, here)
        st.markdown(f"**{here + 1}** of {len(samples)} in the queue", width="content")
    show_strip(queue, here, classes, dataset)
    return queue.shown[here], here


def card(view: View, queue: Queue, finding: Finding, here: int) -> None:
    """The sample, the evidence in words, and what the reviewer makes of it."""
    sample = view.sample
    left, right = st.columns([1, 4.4], gap="medium")
    with left:
        if view.dataset is not None:
            sample_tiles("review_sample", view.dataset, [sample], [f"sample {sample}"], label="The sample", side=160)
        st.markdown(f"Training sample **{sample}**, class **“{plain(view.classes[view.label])}”**")
        st.page_link(
            "neighbourhood.py",
            label="Its neighbourhood",
            icon=":material/blur_on:",
            query_params={"run": view.run, "sample": str(sample), "method": view.method, "attack": view.attack},
        )
    with right:
        st.html(say(view, finding, queue.found))
        if queue.found.judged is None or queue.found.judged.references < NEEDED:
            show_peers(view)
        if finding.finding == "cannot_tell":
            offer_references(view.result, queue.found, "review")
        judging(queue, finding, here)


def around(view: View) -> None:
    """What the evidence is made of: copies, curves, near neighbours, the smallest changes."""
    if view.dataset is not None:
        st.subheader(f"Copies at τ = {view.tau:.4g}, where the models differ most", anchor=False)
        st.html(key_of_marks(view, view.principal))
        copies_row(view, view.principal, copies_of(view), count=COPIES)
    one, two = st.columns(2, gap="large")
    with one:
        st.subheader("Against the re-trained models", anchor=False)
        show_curve(view)
    with two:
        st.subheader("Did a twin stay?", anchor=False)
        show_twins(view)
    if view.dataset is not None:
        distances_box(view, view.principal, "radius_box")


def main() -> None:
    st.title("Review", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    st.html(
        '<div class="rk-lead">The samples to forget, strongest evidence of residual knowledge first. Look at each and '
        "say what you make of it: keys 1 to 4 judge and go on, ← and → step through. Nothing said is ever lost.</div>"
    )
    result = state.result_of(run)
    for words in caveats(result):
        st.warning(plain(words), icon=":material/info:")
    dataset, looks = state.dataset_of(result), looks_of(result["models"])
    with st.container(border=True, key="queue_box"):
        queue, attack = choose_queue(run, result)
        show_progress(queue)
        if not queue.shown:
            st.info("No sample fits these filters.", icon=":material/filter_alt_off:")
            return
        finding, here = choose_finding(queue, result["dataset"]["classes"], dataset)
    verdicts = state.verdicts_of(tables_of(result)[attack, queue.method])
    at = verdicts.taus.tolist().index(telling_radius(verdicts, queue.method, finding.place))
    view = View(run, result, dataset, verdicts, True, looks, attack, queue.method, finding.place, at)
    card(view, queue, finding, here)
    around(view)
    show_whole_set(run, result, dataset, queue.method, attack, looks)
    report_buttons(run, finding.sample)
    for text in result.get("notes", []):
        st.caption(plain(text))


main()
