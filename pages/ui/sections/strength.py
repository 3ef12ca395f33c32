"""What methods had to say; those that over-forget, did nothing or made it worse with a button that looks for better
settings of them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.progress import duration
from rurk_core.run.auto import TRIALS, with_auto
from rurk_core.run.spec import make_spec
from rurk_core.run.standing import OVER, stands_apart
from rurk_core.run.titles import data_words
from ui.figures.look import Look
from ui.jobs.runs import start
from ui.jobs.tune import tunable
from ui.session import state
from ui.text import plain

SETTINGS = 30
"""Settings that a search tries."""


def offer_strength(result: dict[str, Any], looks: dict[str, Look], key: str) -> None:
    """A line for every unlearned model of which there is something to say; nothing for audits."""
    if "audit" in result:
        return
    for row in result["models"]:
        if row["role"] == "unlearned" and "failed" not in row and row.get("notes"):
            _line(result, row, looks[row["name"]].title, f"{key}-{row['name']}")


def _line(result: dict[str, Any], row: dict[str, Any], title: str, key: str) -> None:
    again, button, does = None, "", ""
    if apart := stands_apart(row):
        again = with_auto(result["spec"], row["name"], less=any(note.startswith(OVER) for note in apart))
        if again is not None:
            button, does = "Find its strength", _search_words(result, row)
        elif row["method"] in tunable():
            button, does = "Tune it", _tune_words(row)
    said = " ".join(note.removeprefix(f"{title}: ") for note in dict.fromkeys(row["notes"]))
    asked, words = st.columns([1, 3], vertical_alignment="center", gap="small")
    words.caption(plain(f"{title}: {said} {does}".strip()))
    if button and asked.button(button, icon=":material/experiment:", key=f"strength-{key}", width="stretch"):
        try:
            _start(result, row, again, title)
        except RurkError as error:
            state.show(error)
        else:
            st.rerun()


def _start(result: dict[str, Any], row: dict[str, Any], again: dict[str, Any] | None, title: str) -> None:
    if again is not None:
        start(again | {"title": f"{data_words(result['dataset']['name'])}, the strength of {title}"})
        return
    asked = result["spec"] | {"methods": [row["method"]], "title": f"Tune {title}: {SETTINGS} settings"}
    start(make_spec(**asked).to_dict(), kind="tuning", trials=SETTINGS, processes=1, name="")


def _search_words(result: dict[str, Any], row: dict[str, Any]) -> str:
    return (
        "The button runs this experiment again with the ceiling of its forget loss chosen so that it recognises the "
        f"forget set as the {result['spec']['references']} re-trained models do: at most {TRIALS} runs of it, about "
        f"{duration(TRIALS * row['seconds'])} of unlearning here; verdicts are counted again, the other models kept."
    )


def _tune_words(row: dict[str, Any]) -> str:
    return (
        f"The button tries {SETTINGS} settings of it on this experiment, about {duration(SETTINGS * row['seconds'])} "
        "of unlearning here, and keeps the best as a preset; this experiment stays as it is."
    )
