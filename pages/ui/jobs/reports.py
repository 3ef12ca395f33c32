"""Buttons that make a report and hand it over; nothing is made before somebody asks."""

from __future__ import annotations

from functools import partial

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.jobs.control import JobStatus
from rurk_core.store.store import Store
from ui.session import state


def report_buttons(run: str, sample: int | None) -> None:
    """Reports on a sample to forget, if there is one, and on its whole run, and the numbers behind the run's."""
    store, root = state.store(), state.data_root() or None
    pages = (
        ("sample", "Report on this sample", sample, f"report-sample-{sample}.html"),
        ("run", "Report on the run", None, "report.html"),
    )
    with st.container(horizontal=True, gap="small"):
        for key, words, of, name in pages[sample is None :]:
            st.download_button(
                words,
                partial(_made, store, root, run, of, "html"),
                file_name=name,
                mime="text/html",
                key=f"report_{key}",
                icon=":material/description:",
                on_click="ignore",
                help="One page that needs nothing else: figures, tables, settings, fingerprints. Print it for a PDF.",
            )
        st.download_button(
            "Numbers of the run (JSON)",
            partial(_made, store, root, run, None, "json"),
            file_name="report.json",
            mime="application/json",
            key="report_json",
            type="tertiary",
            icon=":material/data_object:",
            on_click="ignore",
        )


def page_of(job: JobStatus) -> str:
    """The key of the page that a job has made, if it has; ""."""
    made = job.state == "done" and job.result.startswith("page-") and state.store().has(job.result)
    return job.result if made else ""


def page_button(job: JobStatus, mark: str = "") -> None:
    """Hands over the page that a job has made; ``mark`` makes the key where it is offered twice."""
    from rurk_core.report.share import FILE

    store, key, samples = state.store(), page_of(job), job.spec["spec"]["samples"]
    st.download_button(
        f"Save the page of {len(samples)} sample{'s' * (len(samples) > 1)}",
        partial(store.read, key, FILE),
        file_name=f"stage-{samples[0]}.html",
        mime="text/html",
        key=f"{mark}save-{job.id}",
        icon=":material/download:",
        on_click="ignore",
        type="primary",
    )


def _made(store: Store, root: str | None, run: str, sample: int | None, kind: str) -> str:
    """The file; where there can be none, one that says why."""
    from rurk_core.report.document import make_report

    try:
        report = make_report(store, run, sample=sample, root=root)
    except RurkError as error:
        return str(error)
    return report.html if kind == "html" else report.json
