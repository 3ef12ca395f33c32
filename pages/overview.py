"""Overview: the experiment in view in four beats on one screen, what that rests on, and where to go next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from ui import figures
from ui.figures.finding import key as finding_key
from ui.figures.look import looks_of
from ui.jobs.runs import empty_state
from ui.sections.settling import offer_settling
from ui.sections.standing import caution, questions, verdict
from ui.sections.story import Story, drawn, story_of
from ui.sections.strength import offer_strength
from ui.session import state
from ui.session.evidence import findings_of
from ui.session.view import View, tables_of
from ui.text import plain

from rurk_core.errors import RurkError
from rurk_core.measure.residual import telling_radius

NEXT = (
    ("neighbourhood.py", "Neighbourhood", ":material/blur_on:", "All copies of this sample, and of every other one."),
    ("forget.py", "Forget", ":material/ink_eraser:", "Choose your own samples, by eye or by rule."),
    ("unlearn.py", "Unlearn", ":material/play_circle:", "Train, re-train, unlearn and measure in the background."),
    ("evidence.py", "Evidence", ":material/grid_on:", "All samples beside every signal, in linked pictures."),
    ("compare.py", "Compare", ":material/table_chart:", "All methods in one table, beside the paper’s."),
    ("teach.py", "Teach", ":material/school:", "Moving pictures for a class, and pictures of your own."),
)


def view_of(run: str, result: dict[str, Any], dataset: Any) -> View:
    """The sample that is most beyond a re-training, under the unlearned model with most samples found residual."""
    looks, tables = looks_of(result["models"]), tables_of(result)
    attack, unlearned = questions(result)
    found = {method: findings_of(run, method, attack) for method in unlearned}
    method = max(unlearned, key=lambda name: found[name].counts()["residual"])
    verdicts = state.verdicts_of(tables[attack, method])
    place = found[method].samples[0].place
    at = [float(tau) for tau in verdicts.taus].index(telling_radius(verdicts, method, place))
    return View(run, result, dataset, verdicts, True, looks, attack, method, place, at)


def rows_of(story: Story) -> list[dict[str, Any]]:
    """Every sample under every method, as the picture shows them."""
    return [
        {"method": method, "sample": one.sample, "finding": one.finding, "recognised": one.recognised}
        | {"copies": one.copies, "log_odds": one.row.get("log_odds"), "expected": one.row.get("expected")}
        for method, found in story.found.items()
        for one in found.samples
    ]


def what_it_rests_on(run: str, result: dict[str, Any], view: View) -> None:
    sentence, told = verdict(run, result, view.looks)
    with st.expander("What this rests on", icon=":material/balance:"):
        st.html(f'<div class="rk-head">{sentence}</div>')
        for words in told:
            st.markdown(plain(words))
        offer_settling(result, findings_of(run, view.method, view.attack), view.dataset, "overview")
        offer_strength(result, view.looks, "overview")


def main() -> None:
    st.html(Path(__file__).with_suffix(".css"))
    st.title("What does an unlearned model still know?", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    result = state.result_of(run)
    caution(result)
    dataset = state.dataset_of(result)
    view = view_of(run, result, dataset)
    story = story_of(view, questions(result)[1])
    try:
        st.html(drawn(story, result))
    except RurkError as error:
        state.show(error)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="overview_on"):
        if st.button("Look around this sample", type="primary", icon=":material/blur_on:", key="look_around"):
            for name, value in (("method", view.method), ("attack", view.attack), ("sample", view.sample)):
                state.choose(name, value)
            st.switch_page("neighbourhood.py", query_params={"run": run, "sample": str(view.sample)})
        st.html(finding_key())
        figures.download(lambda: rows_of(story), f"overview-{run[4:12]}", "overview_csv")
    what_it_rests_on(run, result, view)
    st.header("Where to go next", anchor=False)
    for start in range(0, len(NEXT), 3):
        for column, (page, title, icon, words) in zip(st.columns(3), NEXT[start : start + 3], strict=True):
            with column, st.container(border=True, gap="xsmall", height="stretch"):
                st.page_link(page, label=f"**{title}**", icon=icon)
                st.caption(words)


main()
