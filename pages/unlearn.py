"""Unlearn: what to run, running it in the background, and what has been run."""

from __future__ import annotations

import streamlit as st
from ui.jobs.line import same_under_way
from ui.jobs.runs import digits_button, jobs_panel, start
from ui.jobs.tune import tune_form, tuned_list
from ui.sections.experiments import finished_runs
from ui.sections.forgotten import what_to_forget
from ui.sections.new_run import PRESETS, choose_measurement, choose_methods, choose_preset
from ui.sections.plan import plan
from ui.session import state
from ui.session.forgetting import checked, draft

from rurk_core.data import forget_set
from rurk_core.errors import RurkError
from rurk_core.run.presets import presets_of
from rurk_core.run.spec import make_spec
from rurk_core.run.titles import spoken_title


def new_run() -> None:
    mark = choose_preset(state.dataset_choice())
    chosen = what_to_forget()
    if chosen is None:
        return
    name, dataset, rule = chosen
    preset = PRESETS[mark]
    methods = choose_methods(preset, mark, name)
    spec, twin = None, None
    try:
        with st.expander("Network, training, perturbations, seed", icon=":material/tune:", key="measurement"):
            measurement = choose_measurement(preset, mark, name)
        said = spoken_title({"dataset": name, "forget": rule, "methods": methods}, dataset.classes)
        title = st.text_input("Title", key="title", max_chars=120, placeholder=said).strip() or said
        spec = make_spec(name, rule, methods=methods, title=title, presets=presets_of(state.store()), **measurement)
        current, twin = draft(dataset), same_under_way(spec)
        st.html(plan(spec, dataset, checked(dataset, current) if current.indices else forget_set(dataset, rule)))
    except RurkError as error:
        spec = None
        state.show(error)
    impossible = spec is None or twin is not None
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="start", disabled=impossible) and spec:
        try:
            start(spec.to_dict())
        except RurkError as error:
            state.show(error)
            return
        st.rerun()
    if spec is not None:
        with st.expander("Tune a method on this", icon=":material/experiment:", key="tune"):
            tune_form(spec)


def main() -> None:
    st.title("Unlearn", anchor=False)
    st.html(
        '<div class="rk-lead">Train an Original, re-train it without the forgotten samples, unlearn them, and measure '
        "who still recognises what. Runs go on when you leave the page.</div>"
    )
    with st.container(border=True, key="new_run"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header("New experiment", anchor=False)
            digits_button("run_digits")
        new_run()
    jobs_panel()
    tuned_list()
    finished_runs()


main()
