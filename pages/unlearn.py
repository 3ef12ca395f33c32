"""Unlearn: what to run, running it in the background, and what has been run."""

from __future__ import annotations

from typing import Any

import streamlit as st
from ui import state
from ui.forgetting import checked, draft, what_to_forget
from ui.forms import config_form, network_form, perturbation_form
from ui.glossary import term
from ui.look import looks_of
from ui.runs import digits_button, jobs_panel, open_run, speeds_here, start
from ui.state import escape, plain
from ui.tune import tune_form, tuned_list

from rurk_core.data import DATASETS, Dataset, ForgetSet, forget_set
from rurk_core.errors import RurkError
from rurk_core.jobs import list_jobs
from rurk_core.perturbations import ATTACKS
from rurk_core.presets import presets_of
from rurk_core.spec import MAX_REFERENCES, Spec, make_spec
from rurk_core.store import Entry
from rurk_core.unlearning import METHODS
from rurk_core.unlearning.own import PROBLEMS

PRESETS: dict[str, dict[str, Any]] = {
    "Quick look": {
        "says": "Two methods, one re-trained model, few copies: a first impression, not a judgement.",
        "methods": ["gd", "rurk"],
        "references": 1,
        "draws": 30,
        "steps": 6,
    },
    "Thorough": {
        "says": "Three methods and three re-trained models, so that differences can be set against how much "
        "re-training itself varies.",
        "methods": ["gd", "neggrad_plus", "rurk"],
        "references": 3,
        "draws": 100,
        "steps": 11,
    },
    "Every method": {
        "says": "All methods with their defaults against three re-trained models, on Gaussian copies.",
        "methods": list(METHODS),
        "references": 3,
        "draws": 100,
        "steps": 11,
    },
    "Paper, small CIFAR-5": {
        "says": "The paper’s main table: five classes of CIFAR-10, half of the airplanes, ResNet-18, three attacks. "
        "Made for a GPU.",
        "data": "small_cifar5",
        "methods": list(METHODS),
        "references": 3,
        "draws": 100,
        "steps": 11,
        "attacks": ["gaussian", "fgsm", "pgd"],
        "recipe": "paper",
        "model": "resnet18",
    },
    "Paper, CIFAR-10": {
        "says": "All of CIFAR-10, half of the airplanes, ResNet-18 from scratch, three attacks. Made for a GPU.",
        "data": "cifar10",
        "methods": list(METHODS),
        "references": 3,
        "draws": 100,
        "steps": 11,
        "attacks": ["gaussian", "fgsm", "pgd"],
        "recipe": "paper",
        "model": "resnet18",
    },
}
FIRST = "Thorough"


def choose_preset() -> str:
    """A preset by name; one that belongs to a data set puts that data set in view."""

    def changed() -> None:
        data = PRESETS[st.session_state["preset"]].get("data")
        if data:
            st.session_state["typed_dataset"] = None
            state.choose("data", data)

    mark = st.segmented_control(
        "Preset",
        list(PRESETS),
        default=FIRST,
        required=True,
        key="preset",
        on_change=changed,
        persist_state="session",
    )
    st.caption(PRESETS[mark]["says"])
    return mark


def choose_methods(preset: dict[str, Any], mark: str, dataset: str) -> list[dict[str, Any]]:
    """The unlearning runs, each with the settings of its form."""
    chosen = st.multiselect(
        "Unlearning methods",
        list(METHODS),
        default=[key for key in preset["methods"] if key in METHODS],
        format_func=lambda key: METHODS[key].title,
        key=f"methods-{mark}",
        help="Each makes one unlearned model from the Original. A form per method is below.",
        persist_state="session",
    )
    for sentence in PROBLEMS.values():
        st.warning(plain(sentence), icon=":material/extension_off:")
    found, tuned = [], presets_of(state.store())
    for key in chosen:
        method = METHODS[key]
        with st.expander(f"{method.title}: {method.summary}", key=f"form-{key}"):
            settings = {**method.presets, **tuned.get(key, {})}
            presets = list(settings)
            first = dataset if dataset in presets else "default"
            picked = st.selectbox(
                "Preset",
                presets,
                index=presets.index(first),
                key=f"preset-{key}-{dataset}",
                help=f"{method.source}. Needs {method.needs}. Batch normalisation: {method.batch_norm}.",
                persist_state="session",
            )
            values = config_form(method.config, dict(settings[picked]), f"set-{key}-{picked}")
        found.append({"method": key, "preset": picked, "config": values})
    return found


def choose_measurement(preset: dict[str, Any], mark: str, name: str) -> dict[str, Any]:
    """Model, references, perturbations and seed."""
    one, two, three, four = st.columns(4, gap="medium")
    model = network_form(name, preset.get("model", ""), mark, one, two)
    references = three.number_input(
        "Re-trained models",
        1,
        MAX_REFERENCES,
        preset["references"],
        key=f"references-{mark}",
        help="K networks trained from scratch without the forget set, with K seeds. They differ among themselves; with "
        "one alone that cannot be seen.",
        persist_state="session",
    )
    recipes = ["quick", "paper"] if name in ("small_cifar5", "cifar10") else ["quick"]
    wanted = preset.get("recipe", "quick")
    recipe = four.selectbox(
        "Training",
        recipes,
        index=recipes.index(wanted) if wanted in recipes else 0,
        key=f"recipe-{mark}-{name}",
        format_func={"quick": "quick, for two cores", "paper": "as in the paper, for a GPU"}.__getitem__,
        persist_state="session",
    )
    draws = perturbation_form(name, mark, preset.get("attacks", ["gaussian"]), preset["steps"], preset["draws"])
    return {
        "model": model,
        "references": references,
        "recipe": recipe,
        **draws,
    }


def plan(spec: Spec, dataset: Dataset, forget: ForgetSet) -> str:
    """What will run, counted, and about how long it will take, as HTML."""
    methods, k, chosen = len(spec.methods), spec.references, len(forget.indices)
    each = chosen * len(spec.taus) * spec.draws
    verdicts = 0
    for attack in spec.attacks:
        # random draws serve all models at once; an attack is made on the Original and on each unlearned model
        verdicts += each * ((methods + 1) * (k + 2) - 1 if ATTACKS[attack].uses_model else methods + 1 + k)
    s = "s" if methods != 1 else ""
    models = "models" if k > 1 else "model"
    pretrained = " after pre-training on CIFAR-10," if spec.training().pretrain else ""
    return (
        f'<div class="rk-plan"><b>What will run:</b>{pretrained} 1 {term("original", "Original")} on '
        f"{len(dataset.train_labels):,} samples, {k} {term('re-trained')} {models} on "
        f"{len(dataset.train_labels) - chosen:,}, {methods} unlearning run{s} ({escape(spec.model)}); then {chosen:,} "
        f"samples × {len(spec.taus)} {term('radii')} × {spec.draws} {term('copies')}, <b>{verdicts:,}</b> "
        f"{term('verdicts')} in all. {time_words(spec, dataset, forget)}</div>"
    )


def time_words(spec: Spec, dataset: Dataset, forget: ForgetSet) -> str:
    """How long it will take, and how that is known."""
    from rurk_core.estimate import START_SECONDS, missing_stages
    from rurk_core.stages import Work, expected_seconds
    from rurk_core.training import default_device

    device, start_on = default_device(), DATASETS[spec.dataset].pretrain_on if spec.dataset in DATASETS else None
    start_data = state.dataset(start_on) if start_on and spec.training().pretrain else None
    stages = missing_stages(Work(spec, state.store(), dataset, start_data, device, forget=forget))
    if not stages:
        return "<b>Everything is in the store already</b>: the result is there at once."
    speeds, source = speeds_here(spec.model, dataset.input_shape, len(dataset.classes))
    if speeds is None:
        return f"No estimate of the time: {source}."
    waiting = sum(job.alive for job in list_jobs(state.store()))
    queue = f", once {waiting} other run{'s are' if waiting > 1 else ' is'} over" if waiting else ""
    seconds = START_SECONDS + expected_seconds(stages, speeds)
    return (
        f"It takes <b>about {state.duration(seconds)}</b> here ({source}){queue}. It runs in the "
        "background; finished stages are kept."
    )


def new_run() -> None:
    mark = choose_preset()
    chosen = what_to_forget()
    if chosen is None:
        return
    name, dataset, rule = chosen
    preset = PRESETS[mark]
    methods = choose_methods(preset, mark, name)
    spec = None
    try:
        with st.expander("Network, perturbations, seed", icon=":material/tune:", key="measurement"):
            measurement = choose_measurement(preset, mark, name)
        title = st.text_input(
            "Title (optional)", key="title", max_chars=120, placeholder="a name for the list of experiments"
        )
        spec = make_spec(
            name, rule, methods=methods, title=title.strip(), presets=presets_of(state.store()), **measurement
        )
        current = draft(dataset)
        st.html(plan(spec, dataset, checked(dataset, current) if current.indices else forget_set(dataset, rule)))
    except RurkError as error:
        spec = None
        state.show(error)
    if st.button("Start", type="primary", icon=":material/play_arrow:", key="start", disabled=spec is None) and spec:
        try:
            start(spec.to_dict())
        except RurkError as error:
            state.show(error)
            return
        st.rerun()
    if spec is not None:
        with st.expander("Tune a method on this", icon=":material/experiment:", key="tune"):
            tune_form(spec)


def finished_runs() -> None:
    entries = state.runs()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Experiments", anchor=False)
        st.page_link("compare.py", label="Compare methods", icon=":material/table_chart:")
    if not entries:
        st.caption("None yet: start one above.")
        return
    for entry in entries:
        run_card(entry)
    st.caption(f"Your store {plain(state.store().url)} takes {state.store().size() / 1e6:.1f} MB.")


def run_card(entry: Entry) -> None:
    try:
        result = state.result_of(entry.key)
    except RurkError as error:
        with st.container(border=True, key=f"run-{entry.key}"):
            state.show(error)
            st.button("Delete", on_click=_delete, args=(entry.key,), key=f"delete-{entry.key}")
        return
    in_view = entry.key == state.run_in_view()
    with st.container(border=True, key=f"run-{entry.key}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            came = " · came with the app" if entry.bundled else " · audit" if "audit" in result else ""
            seen = " · in view" if in_view else ""
            st.markdown(
                f"**{plain(entry.title)}**  \n:small[:gray[{entry.created[:16].replace('T', ' ')} UTC · "
                f"{len(result['forget']['indices'])} forgotten of {result['dataset']['train']:,} · "
                f"{state.duration(result['seconds'])} on {plain(result['device'])}{came}{seen}]]",
                width="stretch",
            )
            if st.button("Open", key=f"open-{entry.key}", icon=":material/blur_on:"):
                open_run(entry.key)
            if not entry.bundled:
                with st.popover("Manage", icon=":material/more_horiz:", key=f"manage-{entry.key}"):
                    title = st.text_input("Title", entry.title, key=f"title-{entry.key}", max_chars=120)
                    st.button("Rename", on_click=_rename, args=(entry.key, title), key=f"rename-{entry.key}")
                    st.divider()
                    sure = st.checkbox("Yes, delete its result", key=f"sure-{entry.key}")
                    st.button(
                        "Delete",
                        on_click=_delete,
                        args=(entry.key,),
                        disabled=not sure,
                        icon=":material/delete:",
                        key=f"delete-{entry.key}",
                    )
        with st.expander("Accuracies"):
            st.html(accuracies(result))


def accuracies(result: dict[str, Any]) -> str:
    looks = looks_of(result["models"])
    rows = []
    for row in result["models"]:
        look = looks[row["name"]]
        if "failed" in row:
            cells = f"<td colspan='4'>{escape(row['failed'])}</td>"
        else:
            names = ("retain_accuracy", "unlearn_accuracy", "test_accuracy")
            cells = "".join(f"<td class='num'>{state.percent(row[name])}</td>" for name in names)
            cells += f"<td class='num quiet'>{state.duration(row['seconds'])}</td>"
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


def main() -> None:
    st.title("Unlearn", anchor=False)
    st.html(
        '<div class="rk-lead">Train an Original, re-train it without the forgotten samples, unlearn them, and measure '
        "who still recognises what. Runs go on when you leave the page.</div>"
    )
    jobs_panel()
    with st.container(border=True, key="new_run"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader("New experiment", anchor=False)
            digits_button("run_digits")
        new_run()
    tuned_list()
    finished_runs()


main()
