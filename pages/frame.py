"""The frame around every page: navigation, the experiment in view, settings, the running job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, StopException
from ui import glossary
from ui.components.entry import say_nowhere
from ui.figures.look import CSS
from ui.jobs.dock import dock
from ui.session import state
from ui.text import plain

from rurk_core.run.again import as_command, as_python, view_as_command, view_as_python, view_of
from rurk_core.store.index import Entry

OFFERED = 200
"""Experiments to choose from beside a page: more would be sent to the browser at every click."""
ASSETS = Path(__file__).parents[1] / "assets"

# the icon comes before the pages are known: a page's own would be fetched from the network as the icon of the tab
st.set_page_config(page_icon=str(ASSETS / "icon.svg"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")
st.html(CSS)

page = st.navigation(
    [
        st.Page("overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("neighbourhood.py", title="Neighbourhood", icon=":material/blur_on:", url_path="neighbourhood"),
        st.Page("forget.py", title="Forget", icon=":material/ink_eraser:", url_path="forget"),
        st.Page("unlearn.py", title="Unlearn", icon=":material/play_circle:", url_path="unlearn"),
        st.Page("compare.py", title="Compare", icon=":material/table_chart:", url_path="compare"),
        st.Page("evidence.py", title="Evidence", icon=":material/grid_on:", url_path="evidence"),
        st.Page("review.py", title="Review", icon=":material/rate_review:", url_path="review"),
        st.Page("embedding.py", title="Embedding", icon=":material/scatter_plot:", url_path="embedding"),
        st.Page("teach.py", title="Teach", icon=":material/school:", url_path="teach"),
        st.Page("audit.py", title="Audit", icon=":material/verified_user:", url_path="audit"),
    ]
)
st.set_page_config(page_title=f"{page.title} · RURK Explorer")


@st.dialog("Copy as code", width="large")
def copied(result: dict[str, Any]) -> None:
    """The lines that make the experiment in view again, and the finding that is looked at."""
    url, view = state.store().url, view_of(result, st.query_params)
    st.caption("Makes what is in view again, or finds it in the store. As Python:")
    st.code(as_python(result, url) + view_as_python(view, url), language="python", wrap_lines=True)
    st.caption("As commands:")
    commands = [as_command(result, url), view_as_command(result["key"], view, url)]
    st.code("\n".join(commands), language="sh", wrap_lines=True)


def made_by() -> None:
    """Where the experiment in view comes from, where that is not all here and now."""
    result = state.result_in_view()
    for sentence in state.origin_of(result["key"]) if result else ():
        st.caption(f":material/history: {plain(sentence)}")


def described(entry: Entry) -> None:
    """The experiment in view in full: a list beside a page cuts it off."""
    facts = [entry.title, *state.facts_of(entry.key)[:2], f"{entry.created[:16].replace('T', ' ')} UTC"]
    st.caption(plain(" · ".join(filter(None, facts))))


def sidebar() -> None:
    entries, current = state.runs(newest=OFFERED), state.run_in_view()
    if current and current not in {entry.key for entry in entries}:
        entries += state.store().entry(current)
    names = state.names_of(entries)
    if current:
        state.bound(
            st.selectbox,
            "Experiment in view",
            "run",
            current,
            options=list(names),
            format_func=lambda key: names.get(key, key),
            help="Finished experiments of your store, newest first, then the one that came with the app. Of very many "
            f"the newest {OFFERED} are offered; Unlearn lists all.",
        )
        described(next(entry for entry in entries if entry.key == current))
        made_by()
        result = state.result_in_view()
        if result and st.button("Copy as code", icon=":material/code:", width="stretch"):
            copied(result)
    if st.button("Glossary", icon=":material/menu_book:", width="stretch"):
        glossary.listed()
    with st.expander("Settings", icon=":material/settings:"):
        st.text_input(
            "Data root",
            key="data_root",
            persist_state="session",
            placeholder=os.environ.get("RURK_DATA") or "a folder, for example /data",
            help="The folder that holds data sets, such as one with cifar10/train*.parquet in it. Empty: the variable "
            "RURK_DATA, or a folder in your cache.",
        )
        st.segmented_control(
            "Figures are saved as",
            ["svg", "png"],
            format_func=str.upper,
            default="svg",
            required=True,
            key="figure_format",
            persist_state="session",
            help="What the button at the top right of every figure saves.",
        )
        st.caption(f"Results are kept in {plain(state.store().url)}.")


say_nowhere()
try:
    with st.sidebar:
        sidebar()
    notes = st.container()
    page.run()
    dock()
    with notes:
        state.show_notes()
except (RerunException, StopException):
    raise
except Exception as error:
    state.show(error)
