"""Forms made from settings classes: a number, a choice, a line of help, nothing written twice."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import streamlit as st

from rurk_core.config import Config


def config_form(config: type[Config], values: dict[str, Any], key: str) -> dict[str, Any]:
    """Widgets for every field of a settings class; returns what they say.

    Args:
        values: what differs from the defaults at first (a preset); key: of the widgets, to be changed with the preset.
    """
    found = {}
    fields = dataclasses.fields(config)
    columns = st.columns(3, gap="medium")
    for at, field in enumerate(fields):
        with columns[at % 3]:
            found[field.name] = _widget(field, values.get(field.name, field.default), f"{key}-{field.name}")
    return found


def _widget(field: dataclasses.Field, value: Any, key: str) -> Any:
    meta, label = field.metadata, field.name.replace("_", " ")
    help = meta.get("help")
    if "options" in meta:
        options = list(meta["options"])
        return st.selectbox(label, options, index=options.index(value), key=key, help=help, persist_state="session")
    if "low" not in meta:
        return value
    low, high = meta["low"], meta["high"]
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
