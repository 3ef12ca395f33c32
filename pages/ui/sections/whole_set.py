"""The forget set as a whole, at the end of Review: radii, membership signals, those who stayed, held-out samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.jobs import JobStatus, list_jobs
from rurk_core.perturbations import ATTACKS
from rurk_core.radius import NORMS
from ui import figures
from ui.components.tiles import tiles
from ui.figures.look import REFERENCES, Look
from ui.figures.sheet import sheet_of
from ui.jobs.runs import show_jobs, speeds_here, start
from ui.session import state
from ui.text import duration, escape, plain

KINDS = {"strong": "by search", "random": "along random directions"}
SIGNALS = {"SVC": "dot", "confidence": "solid", "U-LiRA": "dash", "RULI": "dashdot"}
"""Signals that do not look at radii, with the dash of their line; all are grey, as they belong to no model."""
GREY = "#7D8796"
LISTED = 12
SHOWN = 60


def show_wholeset(
    run: str, result: dict[str, Any], dataset: Any, method: str, attack: str, looks: dict[str, Look]
) -> None:
    """The section: the document where there is one, the job that makes it, or how to have it made."""
    st.subheader("The whole forget set", anchor=False, divider="gray")
    try:
        document = document_of(run, method, attack)
        if document is not None:
            show_document(document, run, result, dataset, looks)
        elif (job := job_of(run, method, attack)) is not None:
            show_jobs([job])
        elif dataset is None:
            st.caption("The data of the run cannot be read, so nothing more can be measured.")
        else:
            offer(run, result, dataset, method, attack, looks[method])
    except RurkError as error:
        state.show(error)


def document_of(run: str, method: str, attack: str) -> dict[str, Any] | None:
    from rurk_core.wholeset import wholeset_key

    store = state.store()
    key = wholeset_key(store, run, method=method, attack=attack)
    try:
        return _document(store.url, key) if store.has(key) else None
    except RurkError:  # damaged: it is offered to be made anew
        return None


def stayed(run: str, method: str, attack: str) -> list[int]:
    """Samples that stay and were looked at; none without a document."""
    try:
        document = document_of(run, method, attack)
    except RurkError:  # an attack that was not measured
        document = None
    retained = document["retained"] if document else None
    return [row["sample"] for row in retained["samples"]] if retained else []


@st.cache_resource(max_entries=16, show_spinner=False)
def _document(url: str, key: str) -> dict[str, Any]:
    return state.store().read_json(key, "wholeset.json")


def job_of(run: str, method: str, attack: str) -> JobStatus | None:
    """The latest job that was to make the document, unless it is finished or was put away."""
    wanted = {"run": run, "method": method, "attack": attack}
    for job in list_jobs(state.store()):
        asked = job.spec.get("spec")
        if job.spec.get("kind") == "wholeset" and isinstance(asked, dict) and wanted.items() <= asked.items():
            return None if job.state == "done" else job
    return None


def offer(run: str, result: dict[str, Any], dataset: Any, method: str, attack: str, look: Look) -> None:
    """What there would be to see, how long it takes, and a button."""
    with st.container(border=True, key="wholeset_offer"):
        st.html(
            '<div class="rk-verdict">What samples one by one do not show, measured once for '
            f"{look.label()}, {escape(ATTACKS[attack].title)}:<ul>"
            "<li><b>Re-recognition radii</b>: how little change brings each sample back, against re-trained models, "
            "and how well that alone gives membership away beside SVC, U-LiRA and RULI.</li>"
            "<li><b>Those who stayed</b>: retained samples whose recognition or membership signal changed beyond the "
            "spread of re-trainings.</li>"
            "<li><b>Without re-trained models</b>: what held-out samples could have said, and how far that agrees.</li>"
            "</ul></div>"
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            if st.button("Measure the whole set", type="primary", icon=":material/play_arrow:", key="wholeset_start"):
                title = f"The whole forget set: {look.title}, {ATTACKS[attack].title}"
                start({"run": run, "method": method, "attack": attack, "title": title}, kind="wholeset")
                st.rerun()
            st.markdown(time_words(run, result, dataset, method, attack), width="stretch")


def time_words(run: str, result: dict[str, Any], dataset: Any, method: str, attack: str) -> str:
    from rurk_core.estimate import START_SECONDS
    from rurk_core.stages import speed_of
    from rurk_core.wholeset import wholeset_costs

    model = result["spec"]["model"]
    speeds, source = speeds_here(model, dataset.input_shape, len(dataset.classes))
    if speeds is None:
        return f"No estimate of the time: {source}."
    costs = wholeset_costs(state.store(), run, dataset, method=method, attack=attack)
    # a radius is searched by gradients, as training
    like = {"Radii": "original", "Membership signals": "scores", "Verdicts": f"verdicts {attack}"}
    seconds = sum(passes / speed_of(like[name.split(",")[0]], speeds) for name, passes in costs.items())
    return (
        f"At most about **{duration(START_SECONDS + seconds)}** here ({source}), in the background; "
        "finished parts are kept."
    )


# --- what was measured ----------------------------------------------------------------------------------------


def show_document(
    document: dict[str, Any], run: str, result: dict[str, Any], dataset: Any, looks: dict[str, Look]
) -> None:
    look, file = looks[document["method"]], f"{run[4:12]}-{document['method']}"
    st.html(f'<div class="rk-key">{look.label()} · {escape(ATTACKS[document["attack"]].title)}</div>')
    norm, kind = choose_radius(document)
    one, two = st.columns(2, gap="large")
    with one:
        show_radii(document, norm, kind, looks, file)
    with two:
        show_signals(document, norm, look, file)
    st.subheader("Those who stayed", anchor=False)
    show_retained(document, run, result, dataset, look, file)
    st.subheader("Without re-trained models: weaker", anchor=False)
    show_unreferenced(document, look, file)


def choose_radius(document: dict[str, Any]) -> tuple[str, str]:
    """How a change is measured, and how it was found."""
    first = "linf" if ATTACKS[document["attack"]].ball == "linf" else "l2"
    norm = state.choice("change", first, state.one_of(list(NORMS)))
    kind = state.choice("found", "strong", state.one_of(list(KINDS)))
    with st.container(horizontal=True, gap="medium"):
        for label, name, value, options in (
            ("Change measured as", "change", norm, NORMS),
            ("Found", "found", kind, KINDS),
        ):
            state.bound(
                st.segmented_control, label, name, value, options=list(options), format_func=options.get, required=True
            )
    return norm, kind


def show_radii(document: dict[str, Any], norm: str, kind: str, looks: dict[str, Look], file: str) -> None:
    """Shares of the forget set that a model says the label of, over the size of a change, against the references."""
    from rurk_core.wholeset import beyond_words

    st.markdown("**Re-recognition radius**")
    found = document["radii"][norm]
    share = found["share"][kind]
    grid, values = share["grid"], {model: 100 * np.array(of) for model, of in share["models"].items()}
    references = [model for model in values if model.startswith("reference-") and model != document["method"]]
    if references:
        values[REFERENCES] = np.mean([values[model] for model in references], axis=0)
    lines = [
        figures.Line(looks[model], values[model], [f"{looks[model].letter}: {value:.1f}%" for value in values[model]])
        for model in dict.fromkeys(["original", REFERENCES, document["method"]])
        if model in values
    ]
    band = None
    if len(references) > 1:
        each = np.stack([values[model] for model in references])
        band = each.min(0), each.max(0)
    figure = figures.curve(
        grid,
        lines,
        band,
        0.0,
        title="samples whose label is said (%)",
        across=f"{NORMS[norm]} (pixel units)<br>← brings the label back · takes it away →",
        top=100.0,
    )
    figures.draw(figure, "radii", f"radii-{file}-{norm}", "Samples whose label is said, over the size of a change")
    st.html(
        '<div class="rk-see">See: at 0 the samples themselves; left of it those that come back within such a change '
        "(the re-recognition radius), right of it those that no change found of that size takes away. Above the green "
        "band a model holds samples more firmly than re-trained ones do. Radii are upper bounds: a smaller change may "
        f"exist. {escape(beyond_words(found, len(document['samples'])))}</div>"
    )
    rows = [
        {"model": looks[model].title, "norm": norm, "found": KINDS[kind], "change": change, "samples": value / 100}
        for model in share["models"]
        for change, value in zip(grid, values[model].tolist(), strict=True)
    ]
    figures.download(rows, f"radii-{file}-{norm}", "radii_csv")


def show_signals(document: dict[str, Any], norm: str, look: Look, file: str) -> None:
    """ROC curves of membership signals, and a table of them."""
    st.markdown("**Membership signals**")
    signals = document["membership"]
    if signals is None:
        st.caption(plain(document["missing"]["membership"]))
        return
    shown = [signal for signal in signals if not signal["name"].startswith("radius") or signal["name"].endswith(norm)]
    traces = [diagonal(0, 100, "")]
    for signal in shown:
        own = signal["name"].startswith("radius")
        dash = SIGNALS.get(signal["name"], "dash" if "per sample" in signal["name"] else "solid")
        x, y = (100 * np.array(axis) for axis in signal["curve"])
        traces.append(
            {
                "type": "scatter",
                "x": x,
                "y": y,
                "name": signal_title(signal["name"]),
                "mode": "lines",
                "line": {"color": look.colour if own else GREY, "dash": dash, "width": 3 if own else 2, "shape": "hv"},
                "hovertemplate": "%{y:.1f}%",
            }
        )
    figure = figure_of(
        traces,
        "re-trained models’ samples accused (%)",
        "this model’s samples accused (%)",
        "x unified",
        range=[-1, 101],
    )
    figures.draw(figure, "signals", f"signals-{file}-{norm}", "ROC curves of membership signals")
    st.html(
        '<div class="rk-see">See: on the diagonal a signal cannot tell the model from re-trained ones (AUC 0.5); above '
        "it the model is more familiar with the samples than they are, below it less: over-forgetting gives samples "
        "away too. The radius alone is in the model’s colour.</div>"
    )
    st.html(signal_table(shown))
    rows = [
        {"signal": signal["name"], "false_positive_rate": x, "true_positive_rate": y}
        for signal in signals
        for x, y in zip(*signal["curve"], strict=True)
    ]
    figures.download(rows, f"signals-{file}", "signals_csv")


def figure_of(traces: list[dict[str, Any]], across: str, up: str, hovermode: str, **axes: Any) -> go.Figure:
    """A figure of the section: its traces, titles of the axes, and what else holds for both axes."""
    titled = {
        side: {"title": {"text": title}, "zeroline": False, **axes}
        for side, title in (("xaxis", across), ("yaxis", up))
    }
    return go.Figure(traces, figures.shared(hovermode) | titled)


def diagonal(low: float, high: float, name: str) -> dict[str, Any]:
    """The line on which both axes have the same value; in the legend where it has a name."""
    return {
        "type": "scatter",
        "x": [low, high],
        "y": [low, high],
        "mode": "lines",
        "line": {"color": GREY, "width": 1},
        "name": name,
        "showlegend": bool(name),
        "hoverinfo": "skip",
    }


def signal_title(name: str) -> str:
    """ "radius per sample, linf" → "Radius per sample"."""
    words = name.partition(",")[0]
    return words[0].upper() + words[1:]


def signal_table(signals: Sequence[dict[str, Any]]) -> str:
    """AUC with interval, what low false-positive rates leave, and the models behind each rule, as HTML."""
    rows = []
    for signal in signals:
        point = signal["tpr"][-1]
        rate = f"{100 * point['tpr']:.1f}%" + ("" if point["resolved"] else f" at 0 of {signal['negatives']:,}")
        behind = f"{signal['inside']} in, {signal['outside']} out" if signal["outside"] else "–"
        rows.append(
            f"<tr><td>{escape(signal_title(signal['name']))}</td><td class='num'><b>{signal['auc']:.2f}</b> "
            f"<span class='quiet'>{signal['low']:.2f} – {signal['high']:.2f}</span></td><td class='num'>{rate}</td>"
            f"<td class='num rk-wide'>{behind}</td></tr>"
        )
    head = (
        "<tr><th>signal</th><th>AUC, 95% interval</th><th>accused at 1%</th>"
        "<th class='rk-wide'>models behind the rule</th></tr>"
    )
    return (
        f"<div class='rk-scroll'><table class='rk-table'>{head}{''.join(rows)}</table></div>"
        "<div class='rk-see rk-below'>Models behind the rule: “in” saw the samples and unlearned them by this method "
        "(other seeds in the store), “out” never saw them. With fewer than two in, only the other side is known.</div>"
    )


# --- who stayed -----------------------------------------------------------------------------------------------


def show_retained(
    document: dict[str, Any], run: str, result: dict[str, Any], dataset: Any, look: Look, file: str
) -> None:
    from rurk_core.wholeset import changes, retained_words

    retained = document["retained"]
    if retained is None:
        st.caption(plain(document["missing"]["retained"]))
        return
    changed = set(retained["changed"])
    rows = [row for row in retained["samples"] if row["sample"] in changed]
    words = {row["sample"]: changes(row, retained["rate"]) for row in retained["samples"]}
    st.markdown(plain(retained_words(retained)))
    one, two = st.columns([1, 1.15], gap="large")
    with one:
        show_distance(retained, look, file)
    with two:
        if rows:
            show_changed(rows, words, document, run, result, dataset)
    figures.download(
        [retained_row(row, words[row["sample"]], result) for row in retained["samples"]],
        f"retained-{file}",
        "retained_csv",
    )


def show_distance(retained: dict[str, Any], look: Look, file: str) -> None:
    """Does it happen near the forget set? Recognition beyond re-training over the distance to it."""
    changed = set(retained["changed"])
    traces = []
    for title, colour, symbol, of in (
        ("within the spread", GREY, "circle-open", lambda row: row["sample"] not in changed),
        ("changed", look.colour, look.symbol, lambda row: row["sample"] in changed),
    ):
        rows = [row for row in retained["samples"] if of(row)]
        traces.append(
            {
                "showlegend": bool(rows),
                "type": "scatter",
                "x": [row["distance"] for row in rows],
                "y": [100 * row["excess"] for row in rows],
                "name": title,
                "mode": "markers",
                "marker": {"color": colour, "symbol": symbol, "size": 9},
                "customdata": [[row["sample"], row["nearest"]] for row in rows],
                "hovertemplate": "sample %{customdata[0]}, near %{customdata[1]}<br>%{y:+.1f} points<extra></extra>",
            }
        )
    figure = figure_of(
        traces,
        "distance to the nearest forgotten sample<br>(1 − cosine of features)",
        "recognised beyond re-training (points)",
        "closest",
    )
    figure.update_yaxes(zeroline=True, zerolinecolor=GREY, zerolinewidth=1)
    figures.draw(figure, "stayed", f"retained-{file}", "Retained samples: change over distance")
    st.html(
        '<div class="rk-see">See: below the line a sample that was to stay is recognised less than after re-training; '
        "if the coloured marks lie on the left, unlearning harmed the neighbours of what it forgot.</div>"
    )


def show_changed(
    rows: Sequence[dict[str, Any]],
    words: dict[int, list[str]],
    document: dict[str, Any],
    run: str,
    result: dict[str, Any],
    dataset: Any,
) -> None:
    """Pictures that lead to their neighbourhoods, nearest to the forget set first, and a table."""
    classes = result["dataset"]["classes"]
    if dataset is not None:
        ids = [row["sample"] for row in rows[:SHOWN]]
        picked = tiles(
            "changed",
            sheet_of(dataset.fingerprint, tuple(ids), dataset),
            ids,
            [
                f"sample {row['sample']}, class {classes[row['label']]}\n" + "\n".join(words[row["sample"]])
                for row in rows[:SHOWN]
            ],
            label="Retained samples that changed, nearest to the forget set first",
            side=48,
            mode="one",
        )
        st.caption("Nearest to the forget set first. A click opens the neighbourhood of a sample.")
        if picked is not None:
            query = {"run": run, "sample": str(picked), "method": document["method"], "attack": document["attack"]}
            st.switch_page("neighbourhood.py", query_params=query)
    lines = "".join(
        f"<tr><td class='num'>{row['sample']}</td><td>{escape(classes[row['label']])}</td>"
        f"<td class='num'>{row['nearest']}</td><td class='num'>{100 * row['recognised']:.0f}% "
        f"<span class='quiet'>({100 * row['expected']:.0f}%)</span></td>"
        f"<td>{escape('; '.join(words[row['sample']]))}</td></tr>"
        for row in rows[:LISTED]
    )
    head = "<tr><th>sample</th><th>class</th><th>near</th><th>recognised (by re-trained)</th><th>what changed</th></tr>"
    st.html(f"<div class='rk-scroll'><table class='rk-table'>{head}{lines}</table></div>")
    if len(rows) > LISTED:
        st.caption(f"The first {LISTED} of {len(rows)}; the download has all.")


def retained_row(row: dict[str, Any], words: Sequence[str], result: dict[str, Any]) -> dict[str, Any]:
    names = ("distance", "nearest", "recognised", "expected", "excess", "low", "high")
    tests = ("q_residual", "q_forgotten", "shift", "q_shift")
    return {
        "sample": row["sample"],
        "class": result["dataset"]["classes"][row["label"]],
        **{name: row[name] for name in (*names, *tests)},
        "changed": "; ".join(words),
    }


# --- without references ---------------------------------------------------------------------------------------


def show_unreferenced(document: dict[str, Any], look: Look, file: str) -> None:
    from rurk_core.wholeset import unreferenced_words

    found = document["unreferenced"]
    if found is None:
        st.caption(plain(document["missing"]["unreferenced"]))
        return
    answer, worth = unreferenced_words(found)
    rows = [row for row in found["samples"] if row["expected"] is not None]
    one, two = st.columns([1, 1.15], gap="large")
    with two:
        st.markdown(plain(answer))
        st.markdown(f"**What that is worth.** {plain(worth)}")
    with one:
        if found["agreement"] is not None and rows:
            show_agreement(rows, look, file)
        figures.download(found["samples"], f"held-out-{file}", "weaker_csv")


def show_agreement(rows: Sequence[dict[str, Any]], look: Look, file: str) -> None:
    """The excess over held-out samples against that over re-trained models."""
    x = [100 * row["calibrated"] for row in rows]
    y = [100 * (row["recognised"] - row["expected"]) for row in rows]
    marks = {
        "type": "scatter",
        "x": x,
        "y": y,
        "mode": "markers",
        "name": escape(look.title),
        "marker": {"color": look.colour, "symbol": look.symbol, "size": 8, "opacity": 0.75},
        "customdata": [[row["sample"]] for row in rows],
        "hovertemplate": "sample %{customdata[0]}: %{x:+.1f} and %{y:+.1f} points<extra></extra>",
    }
    figure = figure_of(
        [diagonal(min(*x, *y), max(*x, *y), "the same"), marks],
        "excess over re-trained models (points)",
        "excess over held-out samples (points)",
        "closest",
    )
    figures.draw(figure, "weaker", f"held-out-{file}", "Excess by held-out and by re-trained")
    st.html(
        '<div class="rk-see">See: one mark per sample to forget; the further from the line, the less held-out samples '
        "can stand in for re-trained models.</div>"
    )
