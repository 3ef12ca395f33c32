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
from ui.sections.twins import show_twins
from ui.sections.whole_set import show_wholeset
from ui.session import state
from ui.session.view import View, copies_of, step_buttons, tables_of, telling_radius
from ui.text import escape, plain

from rurk_core.evidence.findings import Finding, Findings, in_words

COPIES = 25


def say(view: View, finding: Finding) -> str:
    """The evidence in words, as HTML."""
    look, each = view.looks[view.method], finding.references
    head = (
        f'<div class="rk-head">{look.tag()} Of {finding.copies:,} copies at all radii, {escape(look.title)} recognises '
        f"<b>{finding.recognised:,}</b> as “{escape(view.classes[finding.label])}”"
    )
    if each:
        counts = ", ".join(f"{count:,}" for count in sorted(each)[:8]) + (", …" if len(each) > 8 else "")
        who = f"the {len(each)} re-trained models" if len(each) > 1 else "the re-trained model"
        head += f"; {who} <b>{sum(each) / len(each):,.0f}</b>" + (f" ({counts})" if len(each) > 1 else "")
    return f'{head}.</div><div class="rk-verdict">{escape(in_words(finding))}</div>'


def show_curve(view: View, found: Findings) -> None:
    """Where the model's recognition lies in what a re-training would do, over all radii."""
    v, evidence = view.verdicts, found.evidence
    each = v.reference_recognised()[:, view.place]
    counts = [(view.looks[name], view.counts(name)[:, view.label].astype(float)) for name in view.principal]
    of_each = [*((look.title, values) for look, values in counts), *zip(v.references, each, strict=True)]
    rows = [
        {"sample": view.sample, "tau": float(tau), "model": name, "recognised": value, "of": v.draws}
        for name, values in of_each
        for tau, value in zip(v.taus, values.tolist(), strict=True)
    ]
    band = None
    if evidence:
        band = v.draws * evidence.by_tau.null_low[view.place], v.draws * evidence.by_tau.null_high[view.place]
    name = "One more re-training, 95%"
    figure, _ = figures.recognised(v.taus.tolist(), counts, band, view.tau, v.draws, band_name=name)
    figures.draw(figure, "review_curve", f"review-sample-{view.sample}", "Copies recognised over the radius")
    see = (
        "the model’s curve against the band, in which one more re-training would lie with 95% probability: above it is "
        "residual knowledge, below it over-forgetting."
        if band
        else "how far from the sample the models still recognise it."
    )
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
        st.html(say(view, finding))
        if queue.found.evidence is None:
            show_peers(view)
        judging(queue, finding, here)


def around(view: View, found: Findings) -> None:
    """What the evidence is made of: copies, curves, near neighbours, the smallest changes."""
    if view.dataset is not None:
        st.subheader(f"Copies at τ = {view.tau:.4g}, where the models differ most", anchor=False)
        st.html(key_of_marks(view, view.principal))
        copies_row(view, view.principal, copies_of(view), count=COPIES)
    one, two = st.columns(2, gap="large")
    with one:
        st.subheader("Against the re-trained models", anchor=False)
        show_curve(view, found)
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
    around(view, queue.found)
    show_wholeset(run, result, dataset, queue.method, attack, looks)
    report_buttons(run, finding.sample)
    for text in result.get("notes", []):
        st.caption(plain(text))


main()
