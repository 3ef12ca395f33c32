"""Compare: all methods beside Re-train, over seeds; what is chosen anywhere is highlighted everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from ui.figures.look import REFERENCES, Look, looks_of
from ui.jobs.runs import empty_state, start
from ui.sections.comparison import View
from ui.sections.comparison_costs import show_cost, show_trade_off
from ui.sections.comparison_curves import choose_attack, show_curves
from ui.sections.comparison_dots import show_dots
from ui.sections.comparison_findings import show_findings
from ui.sections.comparison_layers import show_layers
from ui.sections.comparison_table import show_table
from ui.sections.standing import caution
from ui.sections.strength import offer_strength
from ui.session import state
from ui.text import plain

from rurk_core.compare.columns import RETRAIN
from rurk_core.compare.table import compare, group_key
from rurk_core.compare.targets import PAPER_SEEDS
from rurk_core.errors import RurkError
from rurk_core.run.titles import data_words, forgotten_words

MOST = 50
"""Runs that are compared, the newest: more seeds than any table needs."""


@st.cache_resource(max_entries=1024, show_spinner=False)
def kin_of(url: str, key: str) -> str:
    """What runs that can be compared share; "" for a run that cannot be read."""
    try:
        return group_key(state.result_of(key))
    except RurkError:
        return ""


@st.cache_resource(max_entries=4, show_spinner="Comparing …")
def compared(url: str, keys: tuple[str, ...]) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Look]]:
    """Results, comparison and looks of runs, the newest first."""
    results = [state.result_of(key) for key in keys]
    comparison = compare(results)
    rows = [row for row in comparison["rows"] if row["name"] != RETRAIN]
    many = {(result["seed"], row["name"]): row for result in results for row in result["models"]}
    looks = looks_of([*rows, *(row for row in many.values() if row["role"] == "reference")])
    looks = {row["name"]: looks[REFERENCES if row["name"] == RETRAIN else row["name"]] for row in comparison["rows"]}
    return results, comparison, looks


def choose_view(run: str) -> View:
    url = state.store().url
    keys = tuple(key for key in state.store().kin(run, MOST) if kin_of(url, key) == kin_of(url, run))
    results, comparison, looks = compared(url, keys)
    names = [row["name"] for row in comparison["rows"]]
    return View(results, comparison, looks, state.choice("method", "", state.one_of(names)))


def about(view: View) -> None:
    """Which runs these are, and more seeds where there are few."""
    found = view.comparison
    spec, seeds = found["spec"], found["seeds"]
    k = spec.get("references", 0)
    many, rule = len(found["forget"]["indices"]), forgotten_words(found["forget"]["rule"], found["dataset"]["classes"])
    st.markdown(
        f"**{plain(data_words(found['dataset']['name']))}** · {plain(rule)} to forget, {many:,} "
        f"{'samples' if many != 1 else 'sample'} · network {plain(spec.get('model', ''))} · {k} re-trained "
        f"{'models' if k != 1 else 'model'}{' a seed' if len(seeds) > 1 else ''} · "
        f"**{len(seeds)} {'seeds' if len(seeds) > 1 else 'seed'}** ({', '.join(map(str, seeds[:12]))})"
    )
    missing = [seed for seed in PAPER_SEEDS if seed not in seeds][: max(0, 3 - len(seeds))]
    if missing and "audit" not in view.results[0]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                "With one seed an interval knows the samples alone; how much trainings differ takes more seeds."
                if len(seeds) == 1
                else "Three seeds are the paper's number.",
                width="content",
            )
            more = f"Run {len(missing)} more seed{'s' if len(missing) > 1 else ''}"
            if st.button(more, icon=":material/play_arrow:", key="more_seeds"):
                try:
                    for seed in missing:
                        start(dict(view.results[0]["spec"]) | {"seed": seed})
                except RurkError as error:
                    state.show(error)
                else:
                    st.switch_page("unlearn.py")


def highlight(view: View) -> None:
    """One choice for the whole page."""
    st.session_state["highlight"] = view.chosen or None
    st.pills(
        "Highlight a model",
        [row["name"] for row in view.rows],
        format_func=lambda name: view.looks[name].named,
        key="highlight",
        on_change=lambda: state.choose("method", st.session_state["highlight"] or ""),
    )


def say_of_methods(view: View) -> None:
    """What every method had to say in the newest run that has it, and what may find better settings of it."""
    said: set[str] = set()
    for result in view.results:
        names = {row["name"]: view.name_of(row) for row in result["models"]}
        models = [row for row in result["models"] if names[row["name"]] not in said]
        looks = {row["name"]: view.looks[names[row["name"]]] for row in models if row["role"] == "unlearned"}
        offer_strength(result | {"models": models}, looks, f"compare-{result['key']}")
        said |= set(names.values())


def main() -> None:
    st.html(Path(__file__).with_suffix(".css"))
    st.title("Compare", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    lead = st.empty()
    view = choose_view(run)
    words = "All models beside each other. There is no re-trained model to hold them against."
    if view.retrained:
        words = (
            "All methods beside each other and beside Re-train, over all seeds of the experiment in view. What counts "
            "is the distance to Re-train."
        )
    lead.html(f'<div class="rk-lead">{words}</div>')
    caution(*view.results)
    about(view)
    highlight(view)
    attack = choose_attack(view)
    if attack:
        st.header("What the evidence says", anchor=False)
        show_findings(view, attack)
    if view.retrained:
        st.header("How far from Re-train", anchor=False)
        show_dots(view)
    say_of_methods(view)
    with st.expander("All numbers in one table", icon=":material/table_chart:"):
        show_table(view)
    show_curves(view, attack)
    one, two = st.columns(2, gap="large")
    with one:
        show_trade_off(view)
    with two:
        show_cost(view)
    show_layers(view)
    state.show_remarks(view.comparison["notes"])


main()
