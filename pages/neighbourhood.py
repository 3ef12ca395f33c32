"""Neighbourhood: what the models still see around one forgotten sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from ui import closeup, figures, state
from ui.closeup import number
from ui.copies import copies_row, key_of_marks
from ui.distances import distances
from ui.forgetting import sheet_of
from ui.glossary import help_of, term
from ui.look import REFERENCES, looks_of
from ui.maps import decision_map
from ui.pictures import tiles
from ui.reports import report_buttons
from ui.runs import dataset_of, empty_state
from ui.state import escape, plain
from ui.view import (
    Copies,
    View,
    choose_question,
    copies_of,
    on_demand,
    residual_order,
    step_buttons,
    tables_of,
    telling_copy,
    telling_radius,
)
from ui.wholeset import stayed

from rurk_core.errors import RurkError
from rurk_core.residual import Verdicts, log_ratio_posterior, reference_band

STRIP = 120
"""Samples in the strip at a time."""


# --- choosing -----------------------------------------------------------------------------------------------


def choose_view(run: str) -> View:
    """The controls above the picture, and what they say."""
    result = state.result_of(run)
    looks, tables, dataset = looks_of(result["models"]), tables_of(result), dataset_of(result)
    one, two, three = st.columns([1.1, 1, 1.5], gap="medium", vertical_alignment="bottom")
    method, attack = choose_question(result, looks, (one, two), on_demand=dataset is not None)
    whole = state.verdicts_of(
        tables.get((attack, method)) or next(key for (_, m), key in tables.items() if m == method)
    )
    order = residual_order(whole, method)
    samples = [int(i) for i in whole.samples]

    def known(text: str) -> int:
        """A sample to forget, or one of those that stay that Review looked at."""
        try:
            return state.whole_of(samples)(text)
        except ValueError:
            return state.whole_of(stayed(run, method, attack) if dataset is not None else [])(text)

    sample = state.choice("sample", samples[order[0]], known, always=True)
    verdicts, place = whole, samples.index(sample) if sample in samples else None
    if place is None or (attack, method) not in tables:
        label = int(dataset.train_labels[sample] if place is None else whole.labels[place])
        verdicts = on_demand(state.store().url, run, attack, method, sample, label, dataset)
    at = 0 if place is None or verdicts is not whole else place
    taus = [float(tau) for tau in whole.taus]
    tau = state.choice("tau", telling_radius(verdicts, method, at), state.nearest(taus), always=True)
    with three:
        if len(taus) > 1:
            state.bound(
                st.select_slider,
                "Radius τ",
                "tau",
                tau,
                options=taus,
                format_func=lambda value: f"{value:.4g}",
                help=help_of("radius"),
            )
    step_through(whole, order, place, result["dataset"]["classes"], dataset)
    return View(run, result, dataset, verdicts, verdicts is whole, looks, attack, method, at, taus.index(tau))


def step_through(v: Verdicts, residual: np.ndarray, place: int | None, classes: list[str], dataset: Any) -> None:
    """The forget set as a strip; arrow keys go through it. A sample that stays (``place`` None) lies before it."""
    order = residual if st.session_state.get("strip_order", "residual") == "residual" else np.argsort(v.samples)
    here = -1 if place is None else int(np.flatnonzero(order == place)[0])
    samples = [int(v.samples[at]) for at in order]

    with st.container(key="strip_bar", horizontal=True, vertical_alignment="center", gap="small"):
        step_buttons(samples, here)
        words = f"Sample **{here + 1}** of {len(samples)} to forget"
        st.markdown(
            words if place is not None else "A sample that **stays**; Next leads to those to forget", width="content"
        )
        st.segmented_control(
            "Order of the strip",
            ["residual", "index"],
            format_func={"residual": "most residual first", "index": "by index"}.__getitem__,
            default="residual",
            required=True,
            key="strip_order",
            persist_state="session",
            label_visibility="collapsed",
        )
    if dataset is None:
        return
    first = min(max(0, here - STRIP // 2), max(0, len(samples) - STRIP))
    window = samples[first : first + STRIP]
    labels = {int(s): int(c) for s, c in zip(v.samples, v.labels, strict=True)}
    picked = tiles(
        "strip",
        sheet_of(dataset.fingerprint, tuple(window), dataset),
        window,
        [f"sample {i}, class {classes[labels[i]]}" for i in window],
        label="Samples to forget",
        side=40,
        mode="one",
        strip=True,
        selected=[] if place is None else [samples[here]],
    )
    if picked is not None and (place is None or picked != samples[here]):
        state.choose("sample", picked)
        st.rerun()


def choose_models(view: View) -> list[str]:
    """Names of the models to show: Original, the re-trained ones together, and unlearned ones."""
    together = [REFERENCES] if view.verdicts.references else []
    options = list(dict.fromkeys(["original", *together, *view.unlearned]))
    default = [name for name in options if name in ("original", REFERENCES, view.method)]
    chosen = st.pills(
        "Models shown",
        options,
        selection_mode="multi",
        default=default,
        format_func=lambda name: f"{view.looks[name].letter} · {view.looks[name].title}",
        key=f"models-{view.run}-{view.attack}-{view.method}",
        persist_state="session",
    )
    return [name for name in options if name in chosen]


# --- saying -------------------------------------------------------------------------------------------------


MEANINGS = {
    True: (
        "More than {}: something of this sample is left – residual knowledge.",
        "Fewer than {}: this sample is forgotten further than retraining would – over-forgetting.",
    ),
    False: (
        "More than {}: it holds this sample, which stays, more firmly than retraining would.",
        "Fewer than {}: unlearning others has damaged this sample, which was to stay.",
    ),
}
"""What more, and fewer, than re-trained models means, for a sample to forget and for one that stays."""


def say(view: View) -> str:
    """The counts in words, and what they mean."""
    v, name = view.verdicts, escape(view.classes[view.label])
    u = int(v.recognised(view.method)[view.place, view.at])
    each = v.reference_recognised()[:, view.place, view.at]
    many = len(each) > 1
    look = view.looks[view.method]
    who = "the Original" if view.method == "original" else f"the unlearned model {escape(look.title)}"
    if not len(each):
        return (
            f'<div class="rk-head">{look.tag()} At τ = {view.tau:.4g} {who} still recognises <b>{u} of {v.draws}</b> '
            f"copies as “{name}”.</div><div class='rk-verdict'>There is no re-trained model to compare with.</div>"
        )
    others = f"the {len(each)} re-trained models" if many else "the re-trained model"
    average = f" on average ({each.min()}–{each.max()})" if many else ""
    words = (
        f'<div class="rk-head">{look.tag()} At τ = {view.tau:.4g} {who} still recognises <b>{u} of {v.draws}</b> '
        f"copies as “{name}”; {others} <b>{number(each.mean())} of {v.draws}</b>{average}.</div>"
    )
    others = "every re-trained model" if many else "the re-trained model"
    above, below = MEANINGS[view.forgotten]
    if u > each.max():
        meaning = above.format(others)
    elif u < each.min():
        meaning = below.format(others)
    elif many:
        meaning = "Within the range of the re-trained models: on this sample they cannot be told apart by these counts."
    else:
        meaning = "As many as the re-trained model: on this sample they cannot be told apart by these counts."
    return f'{words}<div class="rk-verdict">{meaning}</div>'


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


def ratio_words(u: int, each: np.ndarray, draws: int) -> tuple[str, str]:
    """("83 / 41 = 2.02", "1.64 – 2.51"); a ratio with nothing below the line is undefined."""
    if not len(each):
        return "–", ""
    _, low, high = log_ratio_posterior(np.array(u), draws, np.array(each.sum()), draws * len(each))
    interval = f"{np.exp(low):.2f} – {np.exp(high):.3g}"
    if each.sum() == 0:
        return f"{u} / 0: undefined (0 of {draws})", interval
    return f"{u} / {number(each.mean())} = <b>{u / each.mean():.2f}</b>", interval


# --- showing ------------------------------------------------------------------------------------------------


def show_copies(view: View, shown: list[str], found: Copies, chosen: int) -> None:
    """The perturbed copies, each with a mark per model; a click brings one close up."""
    picked = copies_row(view, shown, found, chosen=chosen)
    if picked is not None and picked != chosen:
        state.choose("copy", picked + 1)
        st.rerun()
    count = found.taken.shape[1]
    if count < view.verdicts.draws:
        st.caption(f"The first {count} of {view.verdicts.draws} copies are drawn; counts are of all.")
    if not found.same:
        st.caption(
            f"The experiment ran on {plain(view.result['device'])}, whose random numbers this machine does not have: "
            "these copies are drawn anew, the counts above are of the experiment."
        )


def show_closeup(view: View, shown: list[str], found: Copies, chosen: int) -> None:
    """The chosen copy: what was changed, and how sure every model is of what."""
    from rurk_core.data import to_pixels

    image = to_pixels(view.dataset.train_images[[view.sample]])[0].numpy()
    bars = [
        (view.looks[name], found.probability[view.members(name), chosen].astype(np.float32).mean(0)) for name in shown
    ]
    st.html(
        closeup.pictures(image, found.change[chosen], chosen + 1, view.tau)
        + closeup.probabilities(view.classes, view.label, bars)
        + '<div class="rk-see rk-below">See: bold is what a model says. Click another copy to bring it here.</div>'
    )


def show_taken_for(view: View, shown: list[str]) -> None:
    v = view.verdicts
    st.subheader("What the copies are taken for", anchor=False)
    if not shown:
        return
    bars = [(view.looks[name], view.counts(name)[view.at]) for name in shown]
    st.html(
        closeup.taken_for(view.classes, view.label, bars, v.draws)
        + '<div class="rk-see rk-below">See: coloured is the sample’s own class; the longer the coloured part, the '
        "better the model still knows it. Grey parts carry the name of the class it was mistaken for.</div>"
    )
    rows = [
        {
            "sample": view.sample,
            "tau": view.tau,
            "model": look.title,
            "class": view.classes[c],
            "copies": n,
            "of": v.draws,
        }
        for look, counts in bars
        for c, n in enumerate(counts.tolist())
    ]
    figures.download(rows, f"taken-for-sample-{view.sample}", "taken_for_csv")


def show_curve(view: View, shown: list[str]) -> None:
    v = view.verdicts
    st.subheader("Over all radii", anchor=False)
    with st.container(horizontal=True, gap="small"):
        scope = "sample"
        if view.measured:
            scope = st.segmented_control(
                "Of",
                ["sample", "set"],
                format_func={"sample": "this sample", "set": f"all {len(v.samples)} samples"}.__getitem__,
                default="sample",
                required=True,
                key="curve_scope",
                persist_state="session",
                label_visibility="collapsed",
            )
        what = st.segmented_control(
            "Show",
            ["copies", "ratio"],
            format_func={"copies": "copies recognised", "ratio": "r̂"}.__getitem__,
            default="copies",
            required=True,
            key="curve_what",
            persist_state="session",
            label_visibility="collapsed",
        )
    places = [view.place] if scope == "sample" else list(range(len(v.samples)))
    trials = v.draws * len(places)
    each = v.reference_recognised()[:, places].sum(1)
    if what == "ratio" and not len(each):
        st.caption("r̂ compares with re-trained models, and there is none.")
        return
    below = each.mean(0) if len(each) else np.full(len(v.taus), np.nan)
    low, high = (each.min(0), each.max(0)) if len(each) else (below, below)
    lines, rows = [], []
    for name in shown:
        look = view.looks[name]
        u = below if name == REFERENCES else v.recognised(name)[places].sum(0)
        if what == "ratio" and name == REFERENCES:
            continue
        ratio = np.divide(u, below, out=np.full(u.shape, np.nan), where=below > 0)
        hover = [
            f"{number(a)} / {number(b)} = {r:.2f}" if b > 0 else f"{number(a)} / 0: undefined"
            for a, b, r in zip(u, below, ratio, strict=True)
        ]
        counted = [f"{number(a)} of {trials}" for a in u]
        lines.append(
            figures.Line(
                look,
                ratio if what == "ratio" else 100 * u / trials,
                [f"{look.letter}: {h}" for h in (hover if what == "ratio" else counted)],
            )
        )
        rows += [
            {
                "tau": float(tau),
                "model": look.title,
                "recognised": float(a),
                "of": trials,
                "retrained_mean": "" if np.isnan(b) else float(b),
                "retrained_lowest": "" if np.isnan(lowest) else int(lowest),
                "retrained_highest": "" if np.isnan(highest) else int(highest),
                "ratio": "" if np.isnan(r) else float(r),
            }
            for tau, a, b, lowest, highest, r in zip(v.taus, u, below, low, high, ratio, strict=True)
        ]
    if not lines:
        st.caption("Choose a model above to see its curve.")
        return
    band = 100 * low / trials, 100 * high / trials
    if what == "ratio":
        band = reference_band(v.reference_recognised()[:, places])
    figure = figures.curve(
        v.taus.tolist(),
        lines,
        band if len(each) > 1 else None,
        view.tau,
        title="r̂ = model / mean of re-trained" if what == "ratio" else "copies recognised (%)",
        top=None if what == "ratio" else 100.0,
        one=what == "ratio",
    )
    figures.draw(figure, "curve", f"curve-{view.sample if scope == 'sample' else 'all'}", "Curves over the radius")
    undefined = int((below == 0).sum()) if what == "ratio" else 0
    see = (
        "See: above 1 the model recognises more than retraining would leave; below 1 it over-forgets. The band is how "
        "far honest re-trainings differ from each other."
        if what == "ratio"
        else "See: a curve above the green band is residual knowledge, below it over-forgetting. The band spans the "
        "re-trained models."
    )
    if scope == "set" and what == "ratio":
        see += " The ratio is of sums over the set (ratio of means)."
    if undefined:
        see += f" At {undefined} of {len(v.taus)} radii no re-trained model recognises any copy: r̂ is undefined there."
    st.html(f'<div class="rk-see">{see}</div>')
    figures.download(rows, f"curve-{view.sample if scope == 'sample' else 'all'}", "curve_csv")


def main() -> None:
    st.title("Neighbourhood", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    st.html(
        '<div class="rk-lead">One forgotten sample, copied many times with small perturbations. Who still recognises '
        "it? What an unlearned model sees here, and re-trained models do not, is "
        f"{term('residual knowledge')}.</div>"
    )
    with st.container(border=True, key="controls"):
        view = choose_view(run)
    with st.container(key="verdict"):
        st.html(say(view))
        shown = choose_models(view)
        if shown:
            st.html(table(view, shown))
        else:
            st.caption("Choose at least one model to show.")
    if view.dataset is not None:
        try:
            around(view, shown)
        except RurkError as error:
            state.show(error)
    else:
        show_taken_for(view, shown)
    show_curve(view, shown)
    report_buttons(view.run, view.sample if view.forgotten else None)
    for text in view.result.get("notes", []):
        st.caption(plain(text))


def around(view: View, shown: list[str]) -> None:
    """Everything that needs the pictures: one copy close up, all copies, the decision map."""
    found = copies_of(view)
    count = found.taken.shape[1]
    chosen = state.choice("copy", telling_copy(view, found) + 1, state.whole_of(range(1, count + 1))) - 1
    left, right = st.columns([1, 1.75], gap="large")
    with left:
        st.subheader("One copy close up", anchor=False)
        show_closeup(view, shown, found, chosen)
        show_taken_for(view, shown)
    with right:
        st.subheader(f"{count} copies at τ = {view.tau:.4g}", anchor=False)
        st.html(key_of_marks(view, shown))
        show_copies(view, shown, found, chosen)
    box = st.expander("Decision map", icon=":material/map:", key="map_box", on_change="rerun")
    if box.open:
        with box:
            decision_map(view, shown, found)
    box = st.expander(
        "How far until a model changes its mind", icon=":material/straighten:", key="distance_box", on_change="rerun"
    )
    if box.open:
        with box:
            distances(view, shown)


main()
