"""What a new experiment is made of: a preset, methods with their settings, what is measured."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.data import DATASETS, RECIPES, dataset_entry
from rurk_core.run.presets import presets_of
from rurk_core.run.spec import DRAWS, MAX_REFERENCES, likely_preset
from rurk_core.unlearning import METHODS
from rurk_core.unlearning.own import PROBLEMS
from ui.sections.forms import config_form, network_form, perturbation_form, training_form
from ui.session import state
from ui.text import plain

RECIPE_WORDS = {
    "quick": "quick, for two cores",
    "paper": "as in the paper, for a GPU",
    "fast": "fast, by another optimiser",
}
FULL = {"references": 8, "draws": DRAWS, "steps": 11}
EVERY = FULL | {"methods": list(METHODS)}
PAPER = EVERY | {"draws": 100, "attacks": ["gaussian", "fgsm", "pgd"], "recipe": "paper", "model": "resnet18"}
PRESETS: dict[str, dict[str, Any]] = {
    "Quick look": {
        "says": "Begins with two methods, one re-trained model and few copies: a first impression, not a judgement.",
        "methods": ["gd", "rurk"],
        "references": 1,
        "draws": 10,
        "steps": 6,
    },
    "Thorough": FULL
    | {
        "says": "Begins with three methods and eight re-trained models, so that differences can be set against how "
        "much re-training itself varies.",
        "methods": ["gd", "neggrad_plus", "rurk"],
    },
    "Every method": EVERY
    | {"says": "Begins with all methods with their defaults against eight re-trained models, on Gaussian copies."},
    "Paper, small CIFAR-5": PAPER
    | {
        "says": "The paper’s main table: five classes of CIFAR-10, half of the airplanes, ResNet-18, three attacks. "
        "Made for a GPU.",
        "data": "small_cifar5",
    },
    "Paper, CIFAR-10": PAPER
    | {
        "says": "All of CIFAR-10, half of the airplanes, ResNet-18 from scratch, three attacks. Made for a GPU.",
        "data": "cifar10",
    },
}
FIRST = "Thorough"


def choose_preset(dataset: str) -> str:
    """A preset by name; one that was made for another data set offers it and changes nothing by itself."""
    mark = st.segmented_control(
        "Preset", list(PRESETS), default=FIRST, required=True, key="preset", persist_state="session"
    )
    st.caption(PRESETS[mark]["says"])
    data = PRESETS[mark].get("data")
    if data and data != dataset:
        title = DATASETS[data].title

        def take() -> None:
            st.session_state["typed_dataset"] = None
            state.choose("data", data)

        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="preset_data"):
            st.markdown(
                f"This preset is the paper’s on **{plain(title)}**; your data stay as they are.", width="content"
            )
            st.button(f"Use {title} instead", key="use_preset_data", on_click=take)
    return mark


def choose_methods(preset: dict[str, Any], mark: str, dataset: str) -> list[dict[str, Any]]:
    """The unlearning runs, each with the settings of its form."""
    chosen = st.multiselect(
        "Unlearning methods",
        list(METHODS),
        default=[key for key in preset["methods"] if key in METHODS],
        format_func=lambda key: METHODS[key].title,
        key=f"methods-{mark}",
        help="Each makes one unlearned model from the Original.",
        persist_state="session",
    )
    for sentence in PROBLEMS.values():
        st.warning(plain(sentence), icon=":material/extension_off:")
    if not chosen:
        return []
    with st.expander("Settings of the methods", icon=":material/tune:", key="method_settings"):
        tabs = st.tabs([METHODS[key].title for key in chosen])
        return [_settings(key, tab, dataset) for key, tab in zip(chosen, tabs, strict=True)]


def _settings(key: str, tab: Any, dataset: str) -> dict[str, Any]:
    """One method with the preset and the values of its form."""
    method = METHODS[key]
    with tab:
        st.caption(f"{plain(method.summary)}. Needs {plain(method.needs)}. Source: {plain(method.source)}.")
        settings = {**method.presets, **presets_of(state.store()).get(key, {})}
        presets = list(settings)
        first = likely_preset(presets, dataset)
        picked = st.selectbox(
            "Preset",
            presets,
            index=presets.index(first),
            key=f"preset-{key}-{dataset}",
            help=f"Batch normalisation: {method.batch_norm}.",
            persist_state="session",
        )
        values = config_form(method.config, dict(settings[picked]), f"set-{key}-{picked}")
    return {"method": key, "preset": picked, "config": values}


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
    members = three.number_input(
        "Further Originals",
        0,
        MAX_REFERENCES,
        preset.get("members", 0),
        key=f"members-{mark}",
        help="Models like the Original with other seeds. What they say of a sample tells whether a model remembers "
        "this very sample, and not its class alone; each costs as much as the Original.",
        persist_state="session",
    )
    recipes = [recipe for recipe in RECIPES if getattr(dataset_entry(name), recipe)]
    wanted = preset.get("recipe", "quick")
    recipe = four.selectbox(
        "Training",
        recipes,
        index=recipes.index(wanted) if wanted in recipes else 0,
        key=f"recipe-{mark}-{name}",
        format_func=RECIPE_WORDS.__getitem__,
        persist_state="session",
    )
    training = training_form(name, recipe, mark)
    draws = perturbation_form(name, mark, preset.get("attacks", ["gaussian"]), preset["steps"], preset["draws"])
    return {
        "model": model,
        "references": references,
        "members": members,
        "recipe": recipe,
        **training,
        **draws,
    }
