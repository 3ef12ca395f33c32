"""The desk of a reviewer: queue, picture, sentence, curve, decisions and note on one screen.

Stepping, deciding and writing happen in the browser and are told to the server as they are, so that no key is lost
however fast it follows the one before: decisions and notes are sent again until the server says that it has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from ui.components.assets import component
from ui.figures.sheet import Sheet

_HTML = """
<div class="rk-console">
  <div class="rk-line" role="group" aria-label="Samples to review, by finding"></div>
  <div class="rk-desk">
    <div class="rk-left"><div class="rk-face" role="img"></div><p class="rk-who"></p></div>
    <div class="rk-middle">
      <div class="rk-say" aria-live="polite"></div>
      <div class="rk-decide" role="group" aria-label="Decision"></div>
      <label class="rk-write"><span>Note, kept as it is typed<span class="rk-hint"> (key n)</span></span>
        <textarea rows="2" maxlength="2000"></textarea>
      </label>
      <div class="rk-kept" role="status"></div>
    </div>
    <div class="rk-right"></div>
  </div>
</div>
"""

_console = component("rurk_console", _HTML, "console.js", "console.css")


def console(
    key: str,
    *,
    cards: Sequence[dict[str, Any]],
    sheet: Sheet | None,
    at: int,
    groups: Sequence[dict[str, str]],
    decisions: Sequence[dict[str, str]],
    curve: dict[str, Any],
    version: str,
    heard: Callable[[dict[str, Any]], None],
) -> None:
    """The desk. ``heard`` is called with what was done and is not known to be kept: ``{"of", "at", "decisions",
    "notes"}``, lists of ``{"n", "of", "sample"}`` with ``"verdict"`` or ``"text"``; ``of`` is the version of then.

    Args:
        cards: one a sample, in the order of the queue: ``{"id", "class", "finding", "words", "counts", "verdict",
            "by", "note"}``, counts by name of the models of ``curve``; sheet: their pictures.
        at: the sample in view; groups: ``{"name", "title", "colour"}`` of the findings; decisions: ``{"name", "title",
            "help"}``.
        curve: ``{"taus", "across", "draws", "looks": {name: {"colour", "letter", "ink", "title", "dash"}}}``.
        version: names the model and run that the cards are of.
    """

    def changed() -> None:
        said = st.session_state[key].get("done")
        if isinstance(said, dict):
            st.session_state[f"{key}-heard"] = said.get("turn", 0)
            heard(said)

    if sheet is not None:
        st.html(f"<style>{sheet.rule}</style>")
    _console(
        key=key,
        data={
            "version": version,
            "cards": list(cards),
            "sheet": sheet
            and {"name": sheet.name, "columns": sheet.columns, "rows": sheet.rows}
            | {"width": sheet.width, "height": sheet.height},
            "at": at,
            "groups": list(groups),
            "decisions": list(decisions),
            "curve": curve,
            "heard": st.session_state.get(f"{key}-heard", 0),
        },
        on_done_change=changed,
    )
