"""Who recognises a sample at one radius: in words, as a table, and what its copies are taken for."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from rurk_core.evidence.words import sample_words
from rurk_core.measure.residual import log_ratio_posterior
from ui import figures
from ui.figures.look import REFERENCES, Look
from ui.glossary import term
from ui.session.evidence import finding_of, findings_of
from ui.session.view import View
from ui.text import escape, number


def say(view: View) -> str:
    """The counts in words, and what is said of the sample."""
    v, name = view.verdicts, escape(view.classes[view.label])
    u = int(v.recognised(view.method)[view.place, view.at])
    each = v.reference_recognised()[:, view.place, view.at]
    look = view.looks[view.method]
    who = "the Original" if view.method == "original" else f"the unlearned model {escape(look.title)}"
    words = (
        f'<div class="rk-head">{look.tag()} At τ = {view.tau:.4g} {who} recognises <b>{u} of {v.draws}</b> copies as '
        f"“{name}”"
    )
    if len(each):
        others = f"the {len(each)} re-trained models" if len(each) > 1 else "the re-trained model"
        average = f" on average ({each.min()}–{each.max()})" if len(each) > 1 else ""
        words += f"; {others} <b>{number(each.mean())} of {v.draws}</b>{average}"
    return f'{words}.</div><div class="rk-verdict">{escape(_meaning(view))}</div>'


def _meaning(view: View) -> str:
    """The finding on the sample; or why there is none."""
    if not view.forgotten:
        return "This sample stays, and the re-trained models saw it; findings are made of samples to forget."
    if not view.measured:
        return "This perturbation was measured of this sample only; a finding needs the whole forget set."
    found = findings_of(view.run, view.method, view.attack)
    return sample_words(finding_of(found, view.sample), found)


def table(view: View, shown: list[str]) -> str:
    """Counts, r̂ with numerator and denominator, and its interval, a row per model."""
    v = view.verdicts
    each = v.reference_recognised()[:, view.place, view.at]
    rows = []
    for name in shown:
        look, own = view.looks[name], float(view.counts(name)[view.at, view.label])
        bar = f'<i style="width:{100 * own / v.draws:.1f}%;background:{look.colour}"></i>'
        if name == REFERENCES:
            listed = ", ".join(str(count) for count in each[:8]) + (", …" if len(each) > 8 else "")
            ratio, interval = f'<span class="quiet">each: {listed}</span>', ""
            if len(each) > 1:
                low, high = 100 * each.min() / v.draws, 100 * each.max() / v.draws
                bar += f'<u style="left:{low:.1f}%;width:{max(0.8, high - low):.1f}%"></u>'
        else:
            ratio, interval = ratio_words(int(own), each, v.draws)
        rows.append(
            f"<tr><td>{look.label()}</td><td class='rk-wide' style='width:26%'><div class='rk-bar'>{bar}</div></td>"
            f"<td class='num'><b>{number(own)}</b> of {v.draws}</td><td class='num'>{ratio}</td>"
            f"<td class='num rk-wide'>{interval}</td></tr>"
        )
    head = (
        f"<tr><th>model</th><th class='rk-wide'></th><th>copies {term('recognised')}</th>"
        f"<th>{term('r̂')} = model / re-trained</th><th class='rk-wide'>{term('interval', '95% interval')}</th></tr>"
    )
    return f"<div class='rk-scroll'><table class='rk-table'>{head}{''.join(rows)}</table></div>"


def ratio_text(ratio: float) -> str:
    """An end of an interval; what is far beyond all that copies can tell apart is not written out.

    >>> ratio_text(1.638), ratio_text(62.47), ratio_text(365_000.0)
    ('1.64', '62.5', 'over 1,000')
    """
    return "over 1,000" if ratio > 1000 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.3g}"


def ratio_words(u: int, each: np.ndarray, draws: int) -> tuple[str, str]:
    """("83 / 41 = 2.02", "1.64 – 2.51"); a ratio with nothing below the line is undefined."""
    if not len(each):
        return "–", ""
    _, low, high = log_ratio_posterior(np.array(u), draws, np.array(each.sum()), draws * len(each))
    interval = f"{ratio_text(float(np.exp(low)))} – {ratio_text(float(np.exp(high)))}"
    if each.sum() == 0:
        return f"{u} / 0: undefined (0 of {draws})", interval
    return f"{u} / {number(each.mean())} = <b>{u / each.mean():.2f}</b>", interval


OTHERS = ("#A0A9B7", "#C6CCD6", "#B4BCC8", "#D5DAE1")
"""Greys of the classes a copy is mistaken for, all light enough for dark text."""
READABLE = 12.0
"""Per cent of a bar that has room for words."""


def taken_for(view: View, shown: list[str]) -> None:
    """How many of the copies every model takes for which class: a stacked bar per model, and the numbers."""
    v, bars = view.verdicts, [(view.looks[name], view.counts(name)[view.at]) for name in shown]
    st.subheader(f"What the copies are taken for at τ = {view.tau:.4g}", anchor=False)
    st.html(
        stacked(view.classes, view.label, bars, v.draws)
        + '<div class="rk-see rk-below">See: coloured is the sample’s own class; the longer the coloured part, the '
        "better the model still knows it. Grey parts carry the name of the class it was mistaken for.</div>"
    )
    about: dict[str, Any] = {"sample": view.sample, "tau": view.tau}
    rows = [
        about | {"model": look.title, "class": view.classes[c], "copies": n, "of": v.draws}
        for look, counts in bars
        for c, n in enumerate(counts.tolist())
    ]
    figures.download(rows, f"taken-for-sample-{view.sample}", "taken_for_csv")


def stacked(classes: list[str], own: int, bars: list[tuple[Look, np.ndarray]], draws: int) -> str:
    """One stacked bar per model, as HTML.

    Args:
        own: the sample's class, which comes first and has the model's colour; the others are grey and carry names.
        bars: look and copies by class [C] of each model; draws: copies in all.
    """
    total = np.sum([counts for _, counts in bars], axis=0)
    others = [int(c) for c in np.argsort(-total, kind="stable") if c != own and total[c] > 0]
    rows = []
    for look, counts in bars:
        parts = []
        for place, c in enumerate([own, *others]):
            share, text = 100 * float(counts[c]) / draws, f"{escape(classes[c])}: {number(counts[c])}"
            if share > 0:
                fill, ink = (look.colour, look.ink) if c == own else (OTHERS[(place - 1) % len(OTHERS)], "#000")
                parts.append(
                    f'<span style="width:{share:.2f}%;background:{fill};color:{ink}" title="taken for {text} of '
                    f'{draws}">{text if share >= READABLE else ""}</span>'
                )
        rows.append(
            f"<tr><td>{look.label()}</td><td style='width:62%'><div class='rk-stack'>{''.join(parts)}</div></td></tr>"
        )
    scale = f"<div class='rk-ends'><span>0</span><span>copies</span><span>{draws}</span></div>"
    return f"<table class='rk-table'>{''.join(rows)}<tr><td></td><td>{scale}</td></tr></table>"
