"""Neighbourhood: what the models still see around one forgotten sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from ui import figures, state
from ui.glossary import help_of, term
from ui.look import REFERENCES, Look, looks_of
from ui.pictures import Sheet, make_sheet, tiles
from ui.runs import empty_state
from ui.state import escape, plain

from rurk_core.errors import RurkError
from rurk_core.perturbations import ATTACKS
from rurk_core.residual import Verdicts, log_ratio_posterior, reference_band

SHOWN = 100
"""Copies drawn as thumbnails; counts are always of all of them."""
STRIP = 120
"""Samples in the strip at a time."""


@dataclass(frozen=True)
class View:
    """What is looked at: a run, one attack, one model in question, one sample (its place in the forget set), one τ."""

    run: str
    result: dict[str, Any]
    key: str
    verdicts: Verdicts
    looks: dict[str, Look]
    method: str
    place: int
    at: int

    @property
    def sample(self) -> int:
        return int(self.verdicts.samples[self.place])

    @property
    def label(self) -> int:
        return int(self.verdicts.labels[self.place])

    @property
    def classes(self) -> list[str]:
        return self.result["dataset"]["classes"]

    @property
    def tau(self) -> float:
        return float(self.verdicts.taus[self.at])

    @property
    def unlearned(self) -> list[str]:
        """The models that are not re-trained, in the order of the run."""
        return [name for name in self.verdicts.models if name not in self.verdicts.references]

    def counts(self, name: str) -> np.ndarray:
        """Copies of the sample by class [T, C]; the mean over the re-trained models for them together."""
        v = self.verdicts
        if name == REFERENCES:
            at = [v.models.index(reference) for reference in v.references]
            return v.counts[at, self.place].mean(0)
        return v.counts[v.models.index(name), self.place]


# --- computing, cached --------------------------------------------------------------------------------------


@st.cache_resource(max_entries=16, show_spinner=False)
def strip_sheet(fingerprint: str, indices: tuple[int, ...], _dataset: Any) -> Sheet:
    return make_sheet(_dataset.train_images[list(indices)])


@st.cache_resource(max_entries=64, show_spinner=False)
def sample_sheet(fingerprint: str, sample: int, _dataset: Any) -> Sheet:
    return make_sheet(_dataset.train_images[[sample]])


@st.cache_resource(max_entries=600, show_spinner=False)
def copies_at(key: str, place: int, at: int, keys: tuple[str, ...], _dataset: Any) -> tuple[Sheet, np.ndarray, bool]:
    """The copies of a sample at a radius, and what every model takes them for.

    Returns their pictures, classes int16 [models, copies] in the order of the verdicts, and whether these are the very
    copies that were counted (another kind of device draws others).
    """
    import torch

    from rurk_core.data import to_pixels
    from rurk_core.perturbations import copies

    v = state.verdicts_of(key)
    models = [state.frozen_model(state.store().url, model) for model in keys]
    source = models[v.models.index(v.source)] if v.source else None
    sample, label = int(v.samples[place]), torch.from_numpy(v.labels[place : place + 1])
    with torch.no_grad():
        moved = copies(
            v.attack,
            to_pixels(_dataset.train_images[[sample]]),
            label,
            ids=[sample],
            tau=float(v.taus[at]),
            draws=v.draws if v.draws <= 1000 else SHOWN,
            seed=v.seed,
            classes=len(_dataset.classes),
            model=source,
        )[0]
        taken = torch.stack([model(moved).argmax(1) for model in models]).numpy().astype(np.int16)
    counted = v.counts[:, place, at]
    again = np.stack([np.bincount(row, minlength=counted.shape[1]) for row in taken])
    same = v.draws > 1000 or bool((again == counted).all())
    return make_sheet(moved[:SHOWN]), taken[:, :SHOWN], same


def dataset_of(result: dict[str, Any]) -> Any:
    """The data of a run, if they can be read and are the same; a sentence on the page and None otherwise."""
    try:
        found = state.dataset(result["spec"]["dataset"])
    except RurkError as error:
        st.warning(
            f"{plain(str(error))} Counts and curves are shown without pictures; the data root is under Settings in the "
            "sidebar.",
            icon=":material/image_not_supported:",
        )
        return None
    if found.fingerprint != result["dataset"]["fingerprint"]:
        st.warning(
            f"The data set “{plain(found.name)}” here is not the one this experiment ran on (fingerprint "
            f"{found.fingerprint}, not {result['dataset']['fingerprint']}), so its pictures are not shown.",
            icon=":material/image_not_supported:",
        )
        return None
    return found


def residual_order(v: Verdicts, method: str) -> np.ndarray:
    """Places in the forget set, the most residual knowledge over all radii first."""
    excess = v.recognised(method) - v.reference_recognised().mean(0)
    return np.argsort(-excess.sum(1), kind="stable")


def telling_radius(v: Verdicts, method: str, place: int) -> float:
    """The radius at which the model and the re-trained ones differ most on a sample; not 0, where copies are alike."""
    apart = np.abs(v.recognised(method)[place] - v.reference_recognised()[:, place].mean(0))
    apart[(v.taus == 0) & (len(v.taus) > 1)] = -1
    return float(v.taus[int(np.argmax(apart))])


# --- choosing -----------------------------------------------------------------------------------------------


def choose_view(run: str) -> View:
    """The controls above the picture, and what they say."""
    result = state.result_of(run)
    looks = looks_of(result["models"])
    tables = {(entry["attack"], entry["method"]): entry["verdicts"] for entry in result["residual"]}
    attacks = list(dict.fromkeys(attack for attack, _ in tables))
    methods = list(dict.fromkeys(method for _, method in tables))
    methods.sort(key=lambda name: name == "original")
    attack = state.choice("attack", attacks[0], state.one_of(attacks))
    method = state.choice("method", methods[0], state.one_of(methods))
    verdicts = state.verdicts_of(tables[attack, method])
    order = residual_order(verdicts, method)
    samples = [int(i) for i in verdicts.samples]
    sample = state.choice("sample", samples[order[0]], state.whole_of(samples))
    place = samples.index(sample)
    taus = [float(tau) for tau in verdicts.taus]
    tau = state.choice("tau", telling_radius(verdicts, method, place), state.nearest(taus))

    one, two, three = st.columns([1.1, 1, 1.5], gap="medium", vertical_alignment="bottom")
    with one:
        state.bound(
            st.selectbox,
            "Unlearned model",
            "method",
            method,
            options=methods,
            format_func=lambda name: f"{looks[name].letter} · {looks[name].title}",
            help="The model in question: r̂ compares it with the re-trained ones.",
        )
    with two:
        state.bound(
            st.selectbox,
            "Perturbation",
            "attack",
            attack,
            options=attacks,
            format_func=lambda name: ATTACKS[name].title,
            help=f"How copies are made: {ATTACKS[attack].summary}.",
        )
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
    return View(run, result, tables[attack, method], verdicts, looks, method, place, taus.index(tau))


def step_through(view: View, dataset: Any) -> None:
    """The forget set as a strip; arrow keys go through it."""
    v = view.verdicts
    sorted_by = st.session_state.get("strip_order", "residual")
    order = residual_order(v, view.method) if sorted_by == "residual" else np.argsort(v.samples, kind="stable")
    here = int(np.flatnonzero(order == view.place)[0])
    samples = [int(v.samples[place]) for place in order]

    def go(by: int) -> None:
        state.choose("sample", samples[(here + by) % len(samples)])

    with st.container(key="strip_bar", horizontal=True, vertical_alignment="center", gap="small"):
        st.button("Previous", on_click=go, args=(-1,), shortcut="Left", icon=":material/arrow_back:", key="previous")
        st.button("Next", on_click=go, args=(1,), shortcut="Right", icon=":material/arrow_forward:", key="next")
        st.markdown(f"Sample **{here + 1}** of {len(samples)} to forget", width="content")
        st.segmented_control(
            "Order of the strip",
            ["residual", "index"],
            format_func={"residual": "most residual first", "index": "by index"}.get,
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
        strip_sheet(dataset.fingerprint, tuple(window), dataset),
        window,
        [f"sample {i}, class {view.classes[labels[i]]}" for i in window],
        label="Samples to forget",
        side=40,
        mode="one",
        strip=True,
        selected=[view.sample],
    )
    if picked is not None and picked != view.sample:
        state.choose("sample", picked)
        st.rerun()


def choose_models(view: View) -> list[str]:
    """Names of the models to show: Original, the re-trained ones together, and unlearned ones."""
    options = [name for name in ("original", REFERENCES, *view.unlearned) if name in view.looks]
    options = list(dict.fromkeys(options))
    default = [name for name in options if name in ("original", REFERENCES, view.method)]
    chosen = st.pills(
        "Models shown",
        options,
        selection_mode="multi",
        default=default,
        format_func=lambda name: f"{view.looks[name].letter} · {view.looks[name].title}",
        key=f"models-{view.key}-{view.method}",
        persist_state="session",
    )
    return [name for name in options if name in chosen]


# --- saying -------------------------------------------------------------------------------------------------


def say(view: View) -> str:
    """The counts in words, and what they mean."""
    v, name = view.verdicts, escape(view.classes[view.label])
    u = int(v.recognised(view.method)[view.place, view.at])
    each = v.reference_recognised()[:, view.place, view.at]
    many = len(each) > 1
    look = view.looks[view.method]
    who = "the Original" if view.method == "original" else f"the unlearned model {escape(look.title)}"
    others = f"the {len(each)} re-trained models" if many else "the re-trained model"
    average = f" on average ({each.min()}–{each.max()})" if many else ""
    words = (
        f'<div class="rk-head">{look.tag()} At τ = {view.tau:.4g} {who} still recognises <b>{u} of {v.draws}</b> '
        f"copies as “{name}”; {others} <b>{number(each.mean())} of {v.draws}</b>{average}.</div>"
    )
    if u > each.max():
        more = "every re-trained model" if many else "the re-trained model"
        meaning = f"More than {more}: something of this sample is left – residual knowledge."
    elif u < each.min():
        more = "every re-trained model" if many else "the re-trained model"
        meaning = f"Fewer than {more}: this sample is forgotten further than retraining would – over-forgetting."
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
    _, low, high = log_ratio_posterior(np.array(u), draws, np.array(each.sum()), draws * len(each))
    interval = f"{np.exp(low):.2f} – {np.exp(high):.3g}"
    if each.sum() == 0:
        return f"{u} / 0: undefined (0 of {draws})", interval
    return f"{u} / {number(each.mean())} = <b>{u / each.mean():.2f}</b>", interval


def number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


# --- showing ------------------------------------------------------------------------------------------------


def show_copies(view: View, shown: list[str], dataset: Any) -> None:
    """The perturbed copies, each with a mark per model."""
    v, rows = view.verdicts, {row["name"]: row["key"] for row in view.result["models"]}
    keys = tuple(rows[name] for name in v.models)
    sheet, taken, same = copies_at(view.key, view.place, view.at, keys, dataset)
    right = taken == view.label
    names = [f"copy {i + 1}" for i in range(taken.shape[1])]
    marks, looks = [], []
    for name in shown:
        look = view.looks[name]
        members = v.references if name == REFERENCES else (name,)
        at = [v.models.index(member) for member in members]
        marks.append(right[at].mean(0))
        looks.append({"colour": look.colour, "shape": look.symbol})
        for i in range(taken.shape[1]):
            classes = [view.classes[taken[m, i]] for m in at]
            names[i] += f"\n{look.letter}  {', '.join(classes)}"
    tiles(
        "copies",
        sheet,
        range(taken.shape[1]),
        names,
        label=f"Perturbed copies of sample {view.sample} at radius {view.tau:.4g}",
        side=48 if sheet.width < 30 else 64,
        marks=np.stack(marks) if marks else None,
        looks=looks,
    )
    if taken.shape[1] < v.draws:
        st.caption(f"The first {taken.shape[1]} of {v.draws} copies are drawn; counts are of all.")
    if not same:
        st.caption(
            f"The experiment ran on {plain(view.result['device'])}, whose random numbers this machine does not have: "
            "these copies are drawn anew, the counts above are of the experiment."
        )


def key_of_marks(view: View, shown: list[str]) -> str:
    """What the marks mean, as HTML."""
    text = f"filled: still says “{escape(view.classes[view.label])}”; hollow: says something else"
    partly = "; R fills with the share of re-trained models" if REFERENCES in shown else ""
    return f'<div class="rk-key"><span class="rk-quiet">{text}{partly}. Point at a copy for the classes.</span></div>'


def show_taken_for(view: View, shown: list[str]) -> None:
    v = view.verdicts
    st.subheader("What the copies are taken for", anchor=False)
    if not shown:
        return
    bars = [(view.looks[name], view.counts(name)[view.at]) for name in shown]
    figure = figures.taken_for(view.classes, view.label, bars, v.draws)
    figures.draw(
        figure, "taken_for", f"taken-for-sample-{view.sample}", "Stacked bars: copies by class, one bar per model"
    )
    st.html(
        '<div class="rk-see">See: coloured is the sample’s own class; the longer the coloured part, the better the '
        "model still knows it. Grey parts carry the name of the class it was mistaken for.</div>"
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
        scope = st.segmented_control(
            "Of",
            ["sample", "set"],
            format_func={"sample": "this sample", "set": f"all {len(v.samples)} samples"}.get,
            default="sample",
            required=True,
            key="curve_scope",
            persist_state="session",
            label_visibility="collapsed",
        )
        what = st.segmented_control(
            "Show",
            ["copies", "ratio"],
            format_func={"copies": "copies recognised", "ratio": "r̂"}.get,
            default="copies",
            required=True,
            key="curve_what",
            persist_state="session",
            label_visibility="collapsed",
        )
    places = [view.place] if scope == "sample" else list(range(len(v.samples)))
    trials = v.draws * len(places)
    each = v.reference_recognised()[:, places].sum(1)
    below = each.mean(0)
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
                "retrained_mean": float(b),
                "retrained_lowest": int(low),
                "retrained_highest": int(high),
                "ratio": "" if np.isnan(r) else float(r),
            }
            for tau, a, b, low, high, r in zip(v.taus, u, below, each.min(0), each.max(0), ratio, strict=True)
        ]
    if not lines:
        st.caption("Choose a model above to see its curve.")
        return
    band = 100 * each.min(0) / trials, 100 * each.max(0) / trials
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
        dataset = dataset_of(view.result)
        step_through(view, dataset)
    left, right = st.columns([1, 4.4], gap="medium")
    with left:
        if dataset is not None:
            with st.container(key="sample_picture"):
                tiles(
                    "sample",
                    sample_sheet(dataset.fingerprint, view.sample, dataset),
                    [view.sample],
                    [f"sample {view.sample}, class {view.classes[view.label]}"],
                    label="The forgotten sample",
                    side=160,
                )
        st.markdown(f"Training sample **{view.sample}**, class **“{plain(view.classes[view.label])}”**")
    with right:
        st.html(say(view))
        shown = choose_models(view)
        if shown:
            st.html(table(view, shown))
        else:
            st.caption("Choose at least one model to show.")
    if dataset is not None:
        st.subheader(f"{min(SHOWN, view.verdicts.draws)} copies at τ = {view.tau:.4g}", anchor=False)
        st.html(key_of_marks(view, shown))
        try:
            show_copies(view, shown, dataset)
        except RurkError as error:
            state.show(error)
    one, two = st.columns(2, gap="large")
    with one:
        show_curve(view, shown)
    with two:
        show_taken_for(view, shown)
    for text in view.result.get("notes", []):
        st.caption(plain(text))


main()
