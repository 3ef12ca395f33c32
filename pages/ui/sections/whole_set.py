"""The forget set as a whole, at the end of Review: radii, membership signals, those who stayed, held-out samples."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.jobs.control import JobStatus, list_jobs
from rurk_core.perturb.copies import ATTACKS
from rurk_core.progress import duration
from ui.figures.look import Look
from ui.jobs.runs import show_jobs, speeds_here, start
from ui.sections.whole_set_retained import show_retained
from ui.sections.whole_set_signals import choose_radius, show_radii, show_signals
from ui.sections.whole_set_unreferenced import show_unreferenced
from ui.session import state
from ui.session.evidence import case_of
from ui.text import escape


def show_whole_set(
    run: str, result: dict[str, Any], dataset: Any, method: str, attack: str, looks: dict[str, Look]
) -> None:
    """The section: the document where there is one, the job that makes it, or how to have it made."""
    st.header("The whole forget set", anchor=False, divider="gray")
    try:
        document, job = document_of(run, method, attack), job_of(run, method, attack)
        if document is not None:
            show_document(document, run, result, dataset, looks)
            more_siblings(document, run, job, dataset, looks)
        elif job is not None:
            show_jobs([job])
        elif dataset is None:
            st.caption("The data of the run cannot be read, so nothing more can be measured.")
        else:
            offer(run, result, dataset, method, attack, looks[method])
    except RurkError as error:
        state.show(error)


def more_siblings(
    document: dict[str, Any], run: str, job: JobStatus | None, dataset: Any, looks: dict[str, Look]
) -> None:
    """Where models of other seeds came or went since: that it is so, and a button that measures again."""
    from rurk_core.evidence.whole_set import other_siblings
    from rurk_core.evidence.whole_words import siblings_words

    method, attack = document["method"], document["attack"]
    apart = other_siblings(case_of(run, method, attack), document["key"])
    if apart is None:
        return
    st.caption(siblings_words(*apart))
    if job is not None:
        show_jobs([job])
    elif dataset is not None and st.button("Measure again", icon=":material/refresh:", key="wholeset_start"):
        measure(run, method, attack, looks[method])


def document_of(run: str, method: str, attack: str) -> dict[str, Any] | None:
    from rurk_core.evidence.whole_set import kept_whole_set

    key = kept_whole_set(case_of(run, method, attack))
    try:
        return _document(state.store().url, key) if key else None
    except RurkError:  # damaged: it is offered to be made anew
        return None


def stayed(run: str, method: str, attack: str) -> list[int]:
    """Samples that stay and were looked at; none without a document."""
    try:
        document = document_of(run, method, attack)
    except RurkError:  # an attack that was not measured
        document = None
    retained = document["retained"] if document else None
    return [row["sample"] for row in retained["samples"]] if retained else []


@st.cache_resource(max_entries=16, show_spinner=False)
def _document(url: str, key: str) -> dict[str, Any]:
    return state.store().read_json(key, "wholeset.json")


def job_of(run: str, method: str, attack: str) -> JobStatus | None:
    """The latest job that was to make the document, unless it is finished or was put away."""
    wanted = {"run": run, "method": method, "attack": attack}
    for job in list_jobs(state.store()):
        asked = job.spec.get("spec")
        if job.spec.get("kind") == "wholeset" and isinstance(asked, dict) and wanted.items() <= asked.items():
            return None if job.state == "done" else job
    return None


def offer(run: str, result: dict[str, Any], dataset: Any, method: str, attack: str, look: Look) -> None:
    """What there would be to see, how long it takes, and a button."""
    with st.container(border=True, key="wholeset_offer"):
        st.html(
            '<div class="rk-verdict">What samples one by one do not show, measured once for '
            f"{look.label()}, {escape(ATTACKS[attack].title)}:<ul>"
            "<li><b>Re-recognition radii</b>: how little change brings each sample back, against re-trained models, "
            "and how well that alone gives membership away beside SVC, LiRA and RMIA.</li>"
            "<li><b>Those who stayed</b>: retained samples whose recognition or membership signal changed beyond the "
            "spread of re-trainings.</li>"
            "<li><b>Without re-trained models</b>: what held-out samples could have said, and how far that agrees.</li>"
            "</ul></div>"
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            if st.button("Measure the whole set", type="primary", icon=":material/play_arrow:", key="wholeset_start"):
                measure(run, method, attack, look)
            st.markdown(time_words(run, result, dataset, method, attack), width="stretch")


def measure(run: str, method: str, attack: str, look: Look) -> None:
    """Start the job that makes the document."""
    title = f"The whole forget set: {look.title}, {ATTACKS[attack].title}"
    start({"run": run, "method": method, "attack": attack, "title": title}, kind="wholeset")
    st.rerun()


def time_words(run: str, result: dict[str, Any], dataset: Any, method: str, attack: str) -> str:
    from rurk_core.evidence.whole_set import whole_set_costs
    from rurk_core.run.estimate import START_SECONDS
    from rurk_core.run.plan import speed_of

    model = result["spec"]["model"]
    speeds, source = speeds_here(model, dataset.input_shape, len(dataset.classes))
    if speeds is None:
        return f"No estimate of the time: {source}."
    costs = whole_set_costs(case_of(run, method, attack), dataset)
    # a radius is searched by gradients, as training
    like = {"Radii": "original", "Membership signals": "scores", "Verdicts": f"verdicts {attack}"}
    seconds = sum(passes / speed_of(like[name.split(",")[0]], speeds) for name, passes in costs.items())
    return (
        f"At most about **{duration(START_SECONDS + seconds)}** here ({source}), in the background; "
        "finished parts are kept."
    )


def show_document(
    document: dict[str, Any], run: str, result: dict[str, Any], dataset: Any, looks: dict[str, Look]
) -> None:
    look, file = looks[document["method"]], f"{run[4:12]}-{document['method']}"
    st.html(f'<div class="rk-key">{look.label()} · {escape(ATTACKS[document["attack"]].title)}</div>')
    norm, kind = choose_radius(document)
    one, two = st.columns(2, gap="large")
    with one:
        show_radii(document, norm, kind, looks, file)
    with two:
        show_signals(document, norm, look, file)
    st.subheader("Those who stayed", anchor=False)
    show_retained(document, run, result, dataset, look, file)
    st.subheader("Without re-trained models: weaker", anchor=False)
    show_unreferenced(document, look, file)
