"""Review: the samples to forget as a queue, one card at a time, each to be judged by somebody."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from ui import figures
from ui.components.tiles import tiles
from ui.figures.look import REFERENCES, looks_of
from ui.figures.sheet import sheet_of
from ui.jobs.reports import report_buttons
from ui.jobs.runs import dataset_of, empty_state
from ui.sections.copies import copies_row, key_of_marks
from ui.sections.distances import distances
from ui.sections.peers import show_peers
from ui.sections.twins import show_twins
from ui.sections.whole_set import show_wholeset
from ui.session import state
from ui.session.view import View, choose_question, copies_of, step_buttons, tables_of, telling_radius
from ui.text import escape, plain

from rurk_core.errors import RurkError
from rurk_core.findings import SAID, Finding, Findings, find, in_words
from rurk_core.reviews import MAX_AUTHOR, MAX_NOTE, VERDICTS, WITHDRAWN, Judgement, history, judge, latest

WORDS = {"clear": "Clear", "residual": "Residual", "over_forgotten": "Over-forgotten", "cannot_tell": "Cannot tell"}
ICONS = {
    "clear": ":material/check_circle:",
    "residual": ":material/visibility:",
    "over_forgotten": ":material/visibility_off:",
    "cannot_tell": ":material/help:",
}
UNDECIDED = "undecided"
FILTERS = {"all": "All", UNDECIDED: "Undecided", **WORDS}
EVIDENCE = {"all": "Any evidence", **WORDS}
COPIES = 25
STRIP = 150


@dataclass(frozen=True)
class Queue:
    """Samples in the order they are to be looked at, those that a filter leaves, and what was said of them."""

    run: str
    method: str
    found: Findings
    shown: list[Finding]
    past: list[Judgement]
    said: dict[int, Judgement]


def choose_queue(run: str, result: dict[str, Any]) -> tuple[Queue, str]:
    """The controls above the card, and the queue they make; the attack too."""
    show = state.choice("show", "all", state.one_of(list(FILTERS)))
    evidence = state.choice("evidence", "all", state.one_of(list(EVIDENCE)))
    one, two, three, four = st.columns([1.2, 1, 1, 1], gap="medium")
    method, attack = choose_question(result, looks_of(result["models"]), (one, two))
    with three:
        state.bound(st.selectbox, "Judged", "show", show, options=list(FILTERS), format_func=lambda name: FILTERS[name])
    with four:
        state.bound(
            st.selectbox,
            "Evidence",
            "evidence",
            evidence,
            options=list(EVIDENCE),
            format_func=lambda name: EVIDENCE[name],
            help="What the counts alone say of the sample, against how far re-trainings differ.",
        )
    past = history(state.store(), run)
    said = {sample: found for (of, sample), found in latest(past).items() if of == method}
    found = found_in(state.store().url, tables_of(result)[attack, method], method)

    def wanted(finding: Finding) -> bool:
        judgement = said.get(finding.sample)
        verdict = judgement.verdict if judgement else UNDECIDED
        return show in ("all", verdict) and evidence in ("all", finding.verdict)

    return Queue(run, method, found, [f for f in found.samples if wanted(f)], past, said), attack


@st.cache_resource(max_entries=32, show_spinner=False)
def found_in(url: str, key: str, method: str) -> Findings:
    return find(state.verdicts_of(key), method)


def show_progress(queue: Queue) -> None:
    """How far the review is."""
    samples = queue.found.samples
    done, whole = len([finding for finding in samples if finding.sample in queue.said]), len(samples)
    counts = [
        f"{sum(found.verdict == name for found in queue.said.values())} {word.lower()}" for name, word in WORDS.items()
    ]
    st.progress(done / whole, text=f"**{done} of {whole}** judged · {' · '.join(counts)}")


def show_strip(queue: Queue, here: int, classes: list[str], dataset: Any) -> None:
    """The queue as pictures; a click goes to one."""
    if dataset is None:
        return
    first = min(max(0, here - STRIP // 2), max(0, len(queue.shown) - STRIP))
    window = queue.shown[first : first + STRIP]
    ids = [finding.sample for finding in window]
    names = []
    for finding in window:
        found = queue.said.get(finding.sample)
        verdict = WORDS[found.verdict].lower() if found else "not judged"
        names.append(
            f"sample {finding.sample}, class {classes[finding.label]}\nevidence: {SAID[finding.verdict]}\n{verdict}"
        )
    picked = tiles(
        "queue",
        sheet_of(dataset.fingerprint, tuple(ids), dataset),
        ids,
        names,
        label="Samples to review",
        side=40,
        mode="one",
        strip=True,
        selected=[queue.shown[here].sample],
        marks=np.array([[float(sample in queue.said) for sample in ids]]),
        looks=[{"colour": "#6A7484", "shape": "circle"}],
    )
    if picked is not None and picked != queue.shown[here].sample:
        state.choose("sample", picked)
        st.rerun()


# --- the card -------------------------------------------------------------------------------------------------


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
    lines, rows = [], []
    for name in dict.fromkeys(["original", *([REFERENCES] if len(each) else []), view.method]):
        if name != REFERENCES and name not in v.models:
            continue
        look, values = view.looks[name], view.counts(name)[:, view.label]
        words = [f"{look.letter}: {value:.4g} of {v.draws}" for value in values]
        lines.append(figures.Line(look, 100 * values / v.draws, words))
        rows += [
            {"sample": view.sample, "tau": float(tau), "model": look.title, "recognised": float(value), "of": v.draws}
            for tau, value in zip(v.taus, values, strict=True)
        ]
    for name, counts in zip(v.references, each, strict=True):
        rows += [
            {"sample": view.sample, "tau": float(tau), "model": name, "recognised": int(value), "of": v.draws}
            for tau, value in zip(v.taus, counts, strict=True)
        ]
    band = None
    if evidence:
        band = (100 * evidence.by_tau.null_low[view.place], 100 * evidence.by_tau.null_high[view.place])
    figure = figures.curve(
        v.taus.tolist(),
        lines,
        band,
        view.tau,
        title="copies recognised (%)",
        top=100.0,
        band_name="One more re-training, 95%",
    )
    figures.draw(figure, "review_curve", f"review-sample-{view.sample}", "Copies recognised over the radius")
    see = (
        "the model’s curve against the band, in which one more re-training would lie with 95% probability: above it is "
        "residual knowledge, below it over-forgetting."
        if band
        else "how far from the sample the models still recognise it."
    )
    st.html(f'<div class="rk-see">See: {see}</div>')
    figures.download(rows, f"review-sample-{view.sample}", "review_csv")


def judging(queue: Queue, finding: Finding, here: int) -> None:
    """Verdict buttons with keys 1 to 4, a note, and who judges."""
    found = queue.said.get(finding.sample)
    note_key = f"note-{queue.run}-{queue.method}-{finding.sample}"
    st.session_state.setdefault(note_key, found.note if found else "")

    def keep(verdict: str) -> None:
        judgement = Judgement(
            finding.sample,
            queue.method,
            verdict,
            note=st.session_state.get(note_key, ""),
            author=st.session_state.get("reviewer", ""),
        )
        try:
            judge(state.store(), queue.run, judgement)
        except RurkError as error:
            state.note(str(error))
            return
        if verdict != WITHDRAWN:
            onward(queue, here, {**queue.said, finding.sample: judgement})

    with st.container(horizontal=True, gap="small", key="verdicts"):
        for number, (name, word) in enumerate(WORDS.items(), 1):
            st.button(
                word,
                key=f"verdict_{name}",
                shortcut=str(number),
                icon=ICONS[name],
                type="primary" if found and found.verdict == name else "secondary",
                help=VERDICTS[name][0].upper() + VERDICTS[name][1:] + ".",
                on_click=keep,
                args=(name,),
            )
        if found:
            st.button("Take back", key="take_back", type="tertiary", on_click=keep, args=(WITHDRAWN,))
    one, two = st.columns([3, 1], gap="medium")
    one.text_area("Note, kept with the verdict", key=note_key, max_chars=MAX_NOTE, height=80)
    with two:
        st.session_state.setdefault("reviewer", _user())
        st.text_input("Reviewer", key="reviewer", max_chars=MAX_AUTHOR, persist_state="session")
        if found:
            st.caption(f"Judged by {plain(found.author or 'nobody named')}, {found.time[:16].replace('T', ' ')} UTC")
    before = [j for j in queue.past if j.sample == finding.sample and j.method == queue.method]
    if len(before) > 1:
        with st.expander(f"{len(before)} judgements so far", icon=":material/history:"):
            for past in reversed(before):
                word = WORDS.get(past.verdict, "taken back").lower()
                who = plain(past.author or "nobody named")
                st.markdown(f"{past.time[:16].replace('T', ' ')} UTC · **{word}** · {who}  \n{plain(past.note)}")


def onward(queue: Queue, here: int, said: dict[int, Judgement]) -> None:
    """Go to the next sample of the queue that nobody has judged, or to the next one."""
    after = [*queue.shown[here + 1 :], *queue.shown[:here]]
    following = next((finding for finding in after if finding.sample not in said), after[0] if after else None)
    if following:
        state.choose("sample", following.sample)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


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
    dataset = dataset_of(result)
    with st.container(border=True, key="queue_box"):
        queue, attack = choose_queue(run, result)
        show_progress(queue)
        if not queue.shown:
            st.info("No sample fits these filters.", icon=":material/filter_alt_off:")
            return
        samples = [finding.sample for finding in queue.shown]
        sample = state.choice("sample", samples[0], state.whole_of(samples))
        here = samples.index(sample)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            step_buttons(samples, here)
            st.markdown(f"**{here + 1}** of {len(samples)} in the queue", width="content")
        show_strip(queue, here, result["dataset"]["classes"], dataset)
    finding = queue.shown[here]
    key = tables_of(result)[attack, queue.method]
    verdicts = state.verdicts_of(key)
    taus = [float(tau) for tau in verdicts.taus]
    tau = telling_radius(verdicts, queue.method, finding.place)
    looks = looks_of(result["models"])
    view = View(run, result, dataset, verdicts, True, looks, attack, queue.method, finding.place, taus.index(tau))
    left, right = st.columns([1, 4.4], gap="medium")
    with left:
        if dataset is not None:
            tiles(
                "review_sample",
                sheet_of(dataset.fingerprint, (sample,), dataset),
                [sample],
                [f"sample {sample}"],
                label="The sample",
                side=160,
            )
        st.markdown(f"Training sample **{sample}**, class **“{plain(view.classes[view.label])}”**")
        st.page_link(
            "neighbourhood.py",
            label="Its neighbourhood",
            icon=":material/blur_on:",
            query_params={"run": run, "sample": str(sample), "method": queue.method, "attack": attack},
        )
    with right:
        st.html(say(view, finding))
        if queue.found.evidence is None:
            show_peers(view)
        judging(queue, finding, here)
    shown = [name for name in dict.fromkeys(["original", REFERENCES, queue.method]) if view.members(name)]
    if dataset is not None:
        st.subheader(f"Copies at τ = {tau:.4g}, where the models differ most", anchor=False)
        st.html(key_of_marks(view, shown))
        copies_row(view, shown, copies_of(view), count=COPIES)
    one, two = st.columns(2, gap="large")
    with one:
        st.subheader("Against the re-trained models", anchor=False)
        show_curve(view, queue.found)
    with two:
        st.subheader("Did a twin stay?", anchor=False)
        show_twins(view)
    if dataset is not None:
        box = st.expander(
            "How far until a model changes its mind", icon=":material/straighten:", key="radius_box", on_change="rerun"
        )
        if box.open:
            with box:
                distances(view, shown)
    show_wholeset(run, result, dataset, queue.method, attack, looks)
    report_buttons(run, sample)
    for text in result.get("notes", []):
        st.caption(plain(text))


main()
