"""Forms made from settings classes: a number, a choice, a line of help, nothing written twice."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from rurk_core.config import Config
from rurk_core.data import dataset_entry, find_recipe
from rurk_core.models import MODELS
from rurk_core.perturb.copies import ATTACKS
from rurk_core.report.units import PIXELS, unit_of
from rurk_core.run.spec import parse_taus
from rurk_core.run.titles import data_words


def config_form(config: type[Config], values: dict[str, Any], key: str) -> dict[str, Any]:
    """Widgets for every field of a settings class; returns what they say.

    Args:
        values: what differs from the defaults at first (a preset); key: of the widgets, to be changed with the preset.
    """
    found = {}
    columns = st.columns(3, gap="medium")
    for at, field in enumerate(config.settings()):
        with columns[at % 3]:
            found[field.name] = _widget(field, values.get(field.name, field.default), f"{key}-{field.name}")
    return found


def network_form(dataset: str, first: str, mark: str, left: Any, right: Any) -> str:
    """An architecture that takes this data, with its width, as ``create_model`` reads it.

    Args:
        first: what is chosen at first ("": the data set's own); mark: makes the widgets' keys; left, right: columns.
    """
    entry = dataset_entry(dataset)
    table = entry.kind == "table"
    own, _, width = (first or entry.model).partition(":")
    if table and MODELS[own].images_only:
        own = entry.model
    networks = [key for key, found in MODELS.items() if not (table and found.images_only)]
    model = left.selectbox(
        "Network",
        networks,
        index=networks.index(own),
        key=f"model-{mark}-{dataset}",
        format_func=lambda key: f"{key} – {MODELS[key].summary}",
        persist_state="session",
    )
    if not MODELS[model].width:
        return model
    wide = right.number_input(
        "Width",
        1,
        4096,
        int(width) if width and model == own else MODELS[model].width,
        key=f"width-{mark}-{model}",
        help=MODELS[model].summary,
        persist_state="session",
    )
    return f"{model}:{wide}" if wide != MODELS[model].width else model


ASKED = ("epochs", "lr", "batch")
"""Settings of the training that a form asks for; ``rurk run --train`` takes all."""


def training_form(dataset: str, recipe: str, mark: str) -> dict[str, dict[str, Any]]:
    """What differs from a recipe in training, and in pre-training where it has one, by the names of an experiment."""
    found, entry = find_recipe(recipe, dataset), dataset_entry(dataset)
    pretrain = found.pretrain if entry.pretrain_on else None
    columns, key = st.columns(4, gap="medium"), f"{mark}-{dataset}-{recipe}"
    fields = {field.name: field for field in type(found.train).settings()}
    train = {}
    for name, column in zip(ASKED, columns, strict=False):
        with column:
            value = _widget(fields[name], first := getattr(found.train, name), f"train-{name}-{key}")
        if value != first:
            train[name] = value
    if pretrain is None:
        return {"train": train, "pretrain": {}}
    epochs = columns[3].number_input(
        "Epochs of pre-training",
        0,
        10_000,
        pretrain.epochs,
        key=f"pretrain-epochs-{key}",
        help=f"All models start from one that was trained on {data_words(entry.pretrain_on or '')}. With 0 they start "
        "from random weights.",
        persist_state="session",
    )
    return {"train": train, "pretrain": {} if epochs == pretrain.epochs else {"epochs": epochs}}


def units_help(attacks: Sequence[str]) -> str:
    """What τ is under the attacks that are chosen."""
    shares = [f"{ATTACKS[attack].title}: a {unit_of(attack)}." for attack in attacks if unit_of(attack) != PIXELS]
    grid = f"In {PIXELS}: pixels run from 0 to 1. The paper's grid ends at 0.0314 = 8/255."
    return " ".join([*([] if attacks and len(shares) == len(attacks) else [grid]), *shares])


def perturbation_form(dataset: str, mark: str, attacks: list[str], steps: int, draws: int) -> dict[str, Any]:
    """Attacks, radii, draws and the seed, by the names an experiment gives them; the arguments are chosen at first."""
    chosen = st.multiselect(
        "Perturbations",
        list(ATTACKS),
        default=attacks,
        format_func=lambda key: ATTACKS[key].title,
        key=f"attacks-{mark}",
        help="Random draws cost one table for all models; attacks are built on each unlearned model in turn.",
        persist_state="session",
    )
    start, stop, _ = dataset_entry(dataset).taus.split(":")
    one, two, three, four, five = st.columns(5, gap="medium")
    low = one.number_input(
        "τ from", 0.0, 100.0, float(start), format="%.4g", step=0.01, key=f"low-{dataset}", persist_state="session"
    )
    high = two.number_input(
        "τ to",
        0.0,
        100.0,
        float(stop),
        format="%.4g",
        step=0.01,
        key=f"high-{dataset}",
        help=units_help(chosen),
        persist_state="session",
    )
    radii = three.number_input(
        "Radii", 1, 200, steps, key=f"steps-{mark}", help="Steps of the τ grid.", persist_state="session"
    )
    copies = four.number_input(
        "Copies of a sample",
        1,
        100_000,
        draws,
        key=f"draws-{mark}",
        help="Perturbed copies at every radius; the paper takes 100.",
        persist_state="session",
    )
    seed = five.number_input(
        "Seed",
        0,
        2**31 - 1,
        7,
        key="seed",
        help="Equal settings with an equal seed give equal results.",
        persist_state="session",
    )
    return {
        "attacks": chosen,
        "taus": [low] if radii == 1 else list(parse_taus(f"{low}:{high}:{radii}")),
        "draws": copies,
        "seed": seed,
    }


LABELS = {
    "alpha": "Noise α",
    "anchor": "Pulls towards",
    "batch": "Batch size",
    "beta": "Weight β on forgetting",
    "bn": "Batch normalisation",
    "cache": "Keep frozen blocks",
    "ceiling": "Ceiling q of the forget loss",
    "clip": "Gradient norm, at most",
    "dampening": "Dampening λ",
    "decay": "Learning rate falls",
    "draw": "Labels are drawn",
    "forget_batch": "Forget samples a step",
    "gamma": "Weight γ on cross-entropy",
    "k": "Blocks that train, k",
    "l2": "L2 penalty λ",
    "lambda_a": "Weight λ_a on vulnerable copies",
    "lambda_f": "Weight λ_f on forgetting",
    "lr": "Learning rate",
    "max_iterations": "Steps, at most",
    "min_iterations": "Steps, at least",
    "search": "Search for vulnerable copies",
    "sigma": "Noise σ",
    "tau": "Radius τ",
    "temperature": "Temperature T",
    "v": "Vulnerable copies a step, v",
}
"""Settings whose names are too short to say what they set."""


def label_of(name: str) -> str:
    """What a setting is called in a form.

    >>> label_of("lr"), label_of("weight_decay"), label_of("pgd_steps")
    ('Learning rate', 'Weight decay', 'PGD steps')
    """
    return LABELS.get(name) or name.replace("_", " ").capitalize().replace("Pgd", "PGD")


def _widget(field: dataclasses.Field, value: Any, key: str) -> Any:
    meta, label = field.metadata, label_of(field.name)
    help = meta.get("help")
    if "options" in meta:
        options = list(meta["options"])
        return st.selectbox(label, options, index=options.index(value), key=key, help=help, persist_state="session")
    if "low" not in meta:
        return value
    low, high = min([meta["low"], *meta.get("words", {}).values()]), meta["high"]
    if isinstance(field.default, int):
        return st.number_input(
            label, int(low), int(high), int(value), step=1, key=key, help=help, persist_state="session"
        )
    return st.number_input(
        label,
        float(low),
        float(high),
        float(value),
        step=_step(float(value)),
        format="%.5g",
        key=key,
        help=help,
        persist_state="session",
    )


def _step(value: float) -> float:
    """A tenth of the number's first digit place: 0.03 → 0.001, 0.9 → 0.01."""
    return 10.0 ** (math.floor(math.log10(value)) - 1) if value > 0 else 0.01
