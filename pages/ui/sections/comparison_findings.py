"""What the evidence says of every method: all samples by finding, and how much of the Original's excess is left."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.evidence.findings import Findings
from rurk_core.evidence.words import set_words, share_words, short_words
from rurk_core.run.stored import role_of
from ui import figures
from ui.figures.finding import key, stack
from ui.figures.look import Look
from ui.sections.comparison import View
from ui.session.evidence import findings_of
from ui.text import escape, plain

Told = tuple[dict[str, Any], str, Look, Findings]
"""(result document, method, its look, what is said of it)"""


LEFT = "still there of the Original’s excess (95% interval)"


def told_of(view: View, attack: str) -> list[Told]:
    """Every unlearned model of every seed, from the newest run that has it; the Original last, which nothing was
    removed from."""
    found, seen = [], set()
    for result in view.results:
        names = {row["name"]: view.name_of(row) for row in result["models"]}
        for entry in result["residual"]:
            name = names.get(entry["method"], "")
            once = (result["seed"], name)
            if entry["attack"] == attack and name in view.looks and once not in seen:
                seen.add(once)
                found.append((result, name, view.looks[name], findings_of(result["key"], entry["method"], attack)))
    order = list(view.looks)
    return sorted(found, key=lambda told: (role_of(told[1]) == "original", order.index(told[1]), told[0]["seed"]))


def interval(found: Findings, name: str) -> str:
    """The share still known with its interval, as a dot on a line from 0% to 100%; words where it is no number."""
    if role_of(name) == "original":
        return '<td colspan="2" class="rk-quiet rk-small">nothing was removed from it</td>'
    share, words = share_words(found)
    if share is None:
        return f'<td colspan="2" class="rk-quiet rk-small">{escape(words) or f"{LEFT}: cannot be told"}</td>'
    assert found.judged is not None and found.judged.whole is not None
    low, high = 100 * found.judged.whole.share_low, 100 * found.judged.whole.share_high
    return (
        f'<td class="num" data-head="{LEFT}"><b>{share:.0%}</b> '
        f'<span class="rk-quiet">{low:.0f} – {high:.0f}</span></td>'
        f'<td><div class="rk-range" role="img" aria-label="{escape(words)}"><i style="left:{low:.1f}%;'
        f'width:{max(high - low, 0.5):.1f}%"></i><b style="left:{100 * share:.1f}%"></b></div></td>'
    )


def show_findings(view: View, attack: str) -> None:
    """A line for every method, and the sentences behind it."""
    try:
        told = told_of(view, attack)
    except RurkError as error:  # results without their tables of verdicts
        st.caption(f"Nothing can be said of the samples. {plain(str(error))}")
        return
    many = len({result["seed"] for result, *_ in told}) > 1
    rows = []
    for result, name, look, found in told:
        seed = f' <span class="rk-quiet">seed {result["seed"]}</span>' if many else ""
        on = ' class="on"' if name == view.chosen else ""
        rows.append(
            f'<tr{on}><td>{look.label()}{seed}</td><td class="rk-wide-bar">{stack(found.counts())}'
            f'<div class="rk-quiet rk-small">{escape(short_words(found))}</div></td>{interval(found, name)}</tr>'
        )
    st.html(
        '<div class="rk-scroll"><table class="rk-table rk-told"><tr><th>model</th><th>samples by finding</th>'
        f'<th colspan="2">{LEFT}</th></tr>{"".join(rows)}</table></div>' + key()
    )
    show_classes(told)
    with st.expander("The evidence in words", icon=":material/balance:"):
        for result, _, look, found in told:
            seed = f", seed {result['seed']}" if many else ""
            st.markdown(f"**{plain(look.title)}{seed}.** {plain(set_words(found))}")
    figures.download(lambda: rows_of(told), f"findings-{attack}", "findings_csv")


def show_classes(told: list[Told]) -> None:
    """The same by class, where the forget set has several."""
    classes = told[0][0]["dataset"]["classes"]
    labels = sorted({one.label for one in told[0][3].samples})
    if len(labels) < 2:
        return
    head = "".join(f"<th>{escape(classes[label])}</th>" for label in labels)
    rows = []
    for _, _, look, found in told:
        by = found.by_class()
        cells = "".join(f"<td>{stack(by[label])}</td>" if label in by else "<td></td>" for label in labels)
        rows.append(f"<tr><td>{look.label()}</td>{cells}</tr>")
    st.html(
        f'<div class="rk-scroll"><table class="rk-table"><tr><th>by class</th>{head}</tr>{"".join(rows)}</table></div>'
    )


def rows_of(told: list[Told]) -> list[dict[str, Any]]:
    rows = []
    for result, name, _, found in told:
        document = found.to_dict()
        rows.append(
            {"run": result["key"], "seed": result["seed"], "method": name} | document["findings"] | document["set"]
        )
    return rows
