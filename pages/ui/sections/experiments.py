"""The finished experiments of the store, each with a card."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.progress import duration
from rurk_core.store.index import Entry
from ui.figures.look import looks_of
from ui.glossary import term
from ui.session import state
from ui.text import escape, percent, plain


def finished_runs() -> None:
    shown = st.session_state.setdefault("runs_shown", STEP)
    entries, count = state.runs(shown), state.store().count("run")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Experiments", anchor=False)
        st.page_link("compare.py", label="Compare methods", icon=":material/table_chart:")
    if not entries:
        st.caption("None yet: start one above.")
        return
    with st.container(border=True, key="experiments", gap="small"):
        for entry in entries:
            run_row(entry)
    if len(entries) < count and len(entries) >= shown:
        st.button(f"Show {STEP} more of {count:,}", key="more_runs", on_click=_more, icon=":material/expand_more:")
    st.caption(f"Your store {plain(state.store().url)} takes {state.store().size() / 1e6:.1f} MB.")


STEP = 20
"""Experiments that are shown at first, and at each wish for more."""


def _more() -> None:
    st.session_state["runs_shown"] += STEP


def run_row(entry: Entry) -> None:
    """One line: title, when and on what, a way to open it, and what can be done with it."""
    try:
        result = state.result_of(entry.key)
    except RurkError as error:
        state.show(error)
        st.button("Delete", on_click=_delete, args=(entry.key,), key=f"delete-{entry.key}")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"run-{entry.key}"):
        came = " · came with the app" if entry.bundled else " · imported" if entry.imported else ""
        came += " · audit" if "audit" in result else ""
        facts = " · ".join(state.facts_of(entry.key)[:2])
        seen = " · in view" if entry.key == state.run_in_view() else ""
        st.markdown(
            f"**{plain(entry.title)}**  \n:small[:gray[{entry.created[:16].replace('T', ' ')} UTC · "
            f"{facts} · {len(result['forget']['indices'])} forgotten of {result['dataset']['train']:,} · "
            f"{duration(result['seconds'])} on {plain(result['device'])}{came}{seen}]]",
            width="stretch",
        )
        if st.button("Open", key=f"open-{entry.key}", icon=":material/blur_on:"):
            state.open_run(entry.key)
        with st.popover("More", icon=":material/more_horiz:", key=f"manage-{entry.key}"):
            st.html(accuracies(result))
            if not entry.bundled:
                manage(entry)


def manage(entry: Entry) -> None:
    """Another title, or no result any more."""
    title = st.text_input("Title", entry.title, key=f"title-{entry.key}", max_chars=120)
    st.button("Rename", on_click=_rename, args=(entry.key, title), key=f"rename-{entry.key}")
    sure = st.checkbox("Yes, delete its result", key=f"sure-{entry.key}")
    st.button(
        "Delete",
        on_click=_delete,
        args=(entry.key,),
        disabled=not sure,
        icon=":material/delete:",
        key=f"delete-{entry.key}",
    )


def accuracies(result: dict[str, Any]) -> str:
    looks = looks_of(result["models"])
    rows = []
    for row in result["models"]:
        look = looks[row["name"]]
        if "failed" in row:
            cells = f"<td colspan='4'>{escape(row['failed'])}</td>"
        else:
            names = ("retain_accuracy", "unlearn_accuracy", "test_accuracy")
            cells = "".join(f"<td class='num'>{percent(row[name])}</td>" for name in names)
            time = "" if "audit" in result else duration(row["seconds"])
            cells += f"<td class='num quiet'>{time}</td>"
        rows.append(f"<tr><td>{look.label()}</td>{cells}</tr>")
    head = (
        f"<tr><th>model</th><th>{term('retain accuracy', 'retain')}</th>"
        f"<th>{term('unlearn accuracy', 'unlearn')}</th><th>{term('test accuracy', 'test')}</th><th>time</th></tr>"
    )
    return f"<div class='rk-scroll'><table class='rk-table'>{head}{''.join(rows)}</table></div>"


def _rename(key: str, title: str) -> None:
    try:
        state.store().rename(key, title)
    except RurkError as error:
        state.note(str(error))


def _delete(key: str) -> None:
    try:
        state.store().delete(key)
    except RurkError as error:
        state.note(str(error))
