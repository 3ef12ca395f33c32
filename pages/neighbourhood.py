"""Neighbourhood: what the models still see around one forgotten sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from ui.components.stage import stage
from ui.figures.look import looks_of
from ui.jobs.reports import report_buttons
from ui.jobs.runs import empty_state
from ui.sections.counts import say, table, taken_for
from ui.sections.distances import distances_box
from ui.sections.recognition import show_curve
from ui.sections.sharing import share_box
from ui.sections.standing import caution
from ui.sections.whole_set import stayed
from ui.session import state
from ui.session.evidence import findings_of
from ui.session.served import images_at
from ui.session.stages import scene_of
from ui.session.view import View, choose_question, tables_of

from rurk_core.errors import RurkError
from rurk_core.explore.scene import CUTS, Scene
from rurk_core.measure.residual import telling_radius
from rurk_core.report.stages import described


def choose_sample(run: str, method: str, attack: str, result: dict[str, Any], classes: bool) -> int:
    """The sample that the address names: one to forget, or one of those that stay that Review looked at."""
    measured = tables_of(result)
    of = attack if (attack, method) in measured else next(of for of, name in measured if name == method)
    samples = result["forget"]["indices"]

    def known(text: str) -> int:
        try:
            return state.whole_of(samples)(text)
        except ValueError:
            return state.whole_of(stayed(run, method, attack) if classes else [])(text)

    return state.choice("sample", findings_of(run, method, of).samples[0].sample, known, always=True)


def follow() -> None:
    """Where the stage has come to rest since is where the address says that it is."""
    at = (st.session_state.get("stage") or {}).get("rest")
    if not isinstance(at, dict) or at.get("turn") == st.session_state.get("stage_turn"):
        return
    st.session_state["stage_turn"] = at.get("turn")
    state.choose("sample", at.get("sample", ""))
    state.choose("tau", at.get("tau", "") if at.get("chosen") else "")
    state.choose("copy", at.get("copy") or "")
    state.choose("cut", at.get("cut") if at.get("cut") != next(iter(CUTS)) else "")


def start_of(scene: Scene, sample: int) -> dict[str, Any]:
    """Where the stage begins, as the address has it."""
    telling = scene.taus[scene.telling(sample)]
    tau = state.choice("tau", telling, state.nearest(scene.taus), always=True)
    copy = state.choice("copy", None, state.whole_of(range(1, scene.copies_each + 1)))

    def plane(text: str) -> str:
        scene.cut(sample, text)
        return text

    cut = state.choice("cut", next(iter(CUTS)), plane)
    return {
        "sample": sample,
        "t": scene.taus.index(tau),
        "chosen": tau != telling,
        "copy": None if copy is None else copy - 1,
        "cut": cut,
    }


@st.fragment
def show_stage(run: str, result: dict[str, Any], dataset: Any, method: str, attack: str) -> None:
    """The stage, and below it what it rests on, of the sample on it."""
    follow()
    sample = choose_sample(run, method, attack, result, True)
    try:
        name, scene = scene_of(run, method, attack, dataset)
        about = described(scene, name)
        start = start_of(scene, sample)
    except RurkError as error:
        state.show(error)
        return
    if sample not in result["forget"]["indices"]:
        about["samples"] = [[sample, scene.label(sample), ""], *about["samples"]]
    places = {
        "place": f"stages/{name}",
        "pictures": f"{images_at(dataset)}/train",
        "live": True,
        "hand": dataset.train_images.dim() == 4,
    }
    stage("stage", {**about, **places, "start": start})
    box = st.expander(
        "Numbers, curves, distances, files to hand on", icon=":material/table_chart:", key="drawer", on_change="rerun"
    )
    if box.open:
        with box:
            drawer(run, result, dataset, method, attack, sample, scene)


def drawer(
    run: str, result: dict[str, Any], dataset: Any, method: str, attack: str, sample: int, scene: Scene | None
) -> None:
    """Tables, curves and files on the sample in view."""
    looks, key = looks_of(result["models"]), tables_of(result).get((attack, method))
    whole = state.verdicts_of(key) if key else None
    if whole is not None and sample in whole.samples:
        verdicts, measured, place = whole, True, int((whole.samples == sample).argmax())
    elif scene is not None:
        with st.spinner("Asking the models …"):
            verdicts, measured, place = scene.table(sample), False, 0
    else:
        st.caption("This perturbation was not measured, and without the pictures it cannot be measured now.")
        return
    telling = telling_radius(verdicts, method, place)
    taus = [float(tau) for tau in verdicts.taus]
    at = taus.index(state.choice("tau", telling, state.nearest(taus), always=True))
    view = View(run, result, dataset, verdicts, measured, looks, attack, method, place, at)
    shown = choose_models(view)
    st.html(say(view))
    if shown:
        st.html(table(view, shown))
        taken_for(view, shown)
        show_curve(view, shown)
    if dataset is not None:
        distances_box(view, shown, "distance_box")
    report_buttons(run, sample if view.forgotten else None)
    if scene is not None:
        share_box(scene, sample)
    state.show_remarks(result.get("notes", []))


def choose_models(view: View) -> list[str]:
    """Names of the models in the tables: Original, the re-trained ones together, and unlearned ones."""
    options = list(dict.fromkeys([*view.principal, *view.unlearned]))
    chosen = st.pills(
        "Models in the tables",
        options,
        selection_mode="multi",
        default=view.principal,
        format_func=lambda name: view.looks[name].named,
        key=f"models-{view.run}-{view.attack}-{view.method}",
        persist_state="session",
    )
    return [name for name in options if name in chosen]


def main() -> None:
    st.html(Path(__file__).with_suffix(".css"))
    run = state.run_in_view()
    if run is None:
        st.title("Neighbourhood", anchor=False)
        empty_state()
        return
    result = state.result_of(run)
    dataset = state.dataset_of(result)
    with st.container(horizontal=True, vertical_alignment="center", key="stage_top"):
        st.title("Neighbourhood", anchor=False, width="content")
        columns = st.container(width=250), st.container(width=250)
        method, attack = choose_question(result, looks_of(result["models"]), columns, on_demand=dataset is not None)
    caution(result)
    if dataset is None:
        drawer(run, result, None, method, attack, choose_sample(run, method, attack, result, False), None)
    else:
        show_stage(run, result, dataset, method, attack)


main()
