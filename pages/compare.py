"""Compare: all methods beside Re-train, over seeds; what is chosen anywhere is highlighted everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from ui import figures, state
from ui.glossary import term
from ui.labels import End, beside, name_ends, together
from ui.look import REFERENCES, Look, looks_of
from ui.runs import empty_state, start
from ui.state import escape, plain
from ui.table import table

from rurk_core.compare import (
    COLUMNS,
    CURVES,
    RETRAIN,
    cell_text,
    compare,
    flat,
    gap_text,
    group_key,
    layer_similarity,
    ranks,
    to_csv,
    to_latex,
)
from rurk_core.errors import RurkError
from rurk_core.perturbations import ATTACKS
from rurk_core.reproduce import PAPER_SEEDS
from rurk_core.unlearning import METHODS

GREEN = "#009E73"
SYMBOLS = {
    "circle": "●",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "cross": "✚",
    "star": "★",
    "x": "✖",
    "hexagon": "⬢",
}
GLYPHS = {"best": "◎", "worst": "✕"}
Lines = Sequence[tuple[str, Sequence[Any], dict[str, list[float | None]]]]
"""(model, x, {"mean", "low", "high"}) of every line of a figure."""
FEW = 6
"""Lines up to which a figure has a legend of its own; more of them carry letters, with their key below."""
SHORT = {
    "ratio_of_means": "r̂, ratio of means",
    "r_mean": "r̂, mean of ratios",
    "prevalence": "prevalence",
    "disagreement": "disagreement",
    "unlearn_accuracy": "unlearn accuracy",
}


@dataclass(frozen=True)
class View:
    """What is compared: results of all seeds, the comparison, the looks of its rows, the method that is highlighted."""

    results: list[dict[str, Any]]
    comparison: dict[str, Any]
    looks: dict[str, Look]
    chosen: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.comparison["rows"]

    def strength(self, name: str) -> float:
        """Opacity of a model's line: the others step back where one is highlighted."""
        return 1.0 if self.chosen in ("", name) else 0.3


# --- computing, cached --------------------------------------------------------------------------------------


@st.cache_resource(max_entries=1024, show_spinner=False)
def kin_of(url: str, key: str) -> str:
    """What runs that can be compared share; "" for a run that cannot be read."""
    try:
        return group_key(state.result_of(key))
    except RurkError:
        return ""


@st.cache_resource(max_entries=4, show_spinner="Comparing …")
def compared(url: str, keys: tuple[str, ...]) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Look]]:
    """Results, comparison and looks of runs, the newest first."""
    results = [state.result_of(key) for key in keys]
    comparison = compare(results)
    rows = [row for row in comparison["rows"] if row["name"] != RETRAIN]
    many = [row for result in results for row in result["models"] if row["role"] == "reference"]
    looks = looks_of([*rows, *many])
    looks = {row["name"]: looks[REFERENCES if row["name"] == RETRAIN else row["name"]] for row in comparison["rows"]}
    return results, comparison, looks


def choose_view(run: str) -> View:
    url = state.store().url
    keys = tuple(entry.key for entry in state.runs() if kin_of(url, entry.key) == kin_of(url, run))
    results, comparison, looks = compared(url, keys)
    names = [row["name"] for row in comparison["rows"]]
    return View(results, comparison, looks, state.choice("method", "", state.one_of(names)))


def pick(name: str, chosen: str) -> None:
    """Highlight a model, or nothing where it is highlighted already."""
    state.choose("method", "" if name == chosen else name)


# --- what is compared ---------------------------------------------------------------------------------------


def about(view: View) -> None:
    """Which runs these are, and more seeds where there are few."""
    found = view.comparison
    spec, seeds = found["spec"], found["seeds"]
    k = spec.get("references", 0)
    st.markdown(
        f"**{plain(found['dataset']['name'])}** · {len(found['forget']['indices'])} to forget "
        f"({plain(found['forget']['rule'])[:80]}) · {plain(spec.get('model', ''))} · "
        f"**{len(seeds)} {'seeds' if len(seeds) > 1 else 'seed'}** ({', '.join(map(str, seeds[:12]))}) · "
        f"{k} re-trained {'models' if k != 1 else 'model'} a seed"
    )
    missing = [seed for seed in PAPER_SEEDS if seed not in seeds][: max(0, 3 - len(seeds))]
    if missing and "audit" not in view.results[0]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                "With one seed an interval knows the samples alone; how much trainings differ takes more seeds."
                if len(seeds) == 1
                else "Three seeds are the paper's number.",
                width="content",
            )
            more = f"Run {len(missing)} more seed{'s' if len(missing) > 1 else ''}"
            if st.button(more, icon=":material/play_arrow:", key="more_seeds"):
                try:
                    for seed in missing:
                        start(dict(view.results[0]["spec"]) | {"seed": seed})
                except RurkError as error:
                    state.show(error)
                else:
                    st.switch_page("unlearn.py")


def highlight(view: View) -> None:
    """One choice for the whole page."""
    st.session_state["highlight"] = view.chosen or None
    st.pills(
        "Highlight a model",
        [row["name"] for row in view.rows],
        format_func=lambda name: f"{view.looks[name].letter} · {view.looks[name].title}",
        key="highlight",
        on_change=lambda: state.choose("method", st.session_state["highlight"] or ""),
    )


# --- the table ----------------------------------------------------------------------------------------------


def cell_of(key: str, cell: dict[str, Any] | None, mark: str) -> dict[str, Any]:
    metric = COLUMNS[key]
    if cell is None:
        return {"text": "–", "gap": "", "interval": "", "help": "not measured", "glyph": "", "mark": "", "sort": None}
    scale, digits = metric.scale, metric.digits
    interval = ""
    if cell["interval"] and cell["n"] > 0:
        low, high = (f"{scale * edge:.{digits}f}" for edge in cell["interval"])
        interval = f"{low} – {high}"
    gap = gap_text(key, cell)
    if not gap and cell["within"]:
        gap = "≈"
    values = ", ".join(f"{scale * value:.{digits}f}" for value in cell["values"][:12])
    distance = cell["gap"] if metric.target and cell["gap"] is not None else cell["mean"]
    return {
        "text": cell_text(key, cell),
        "gap": gap,
        "interval": interval,
        "help": f"{metric.help}; {'values' if cell['n'] > 1 else 'value'}: {values}",
        "glyph": GLYPHS.get(mark, ""),
        "mark": mark,
        "sort": abs(distance) if metric.target else distance,
    }


def settings_words(row: dict[str, Any]) -> str:
    """The name of the settings; of own ones also what differs from the method's defaults."""
    known = METHODS.get(row["method"])
    if known is None or not (row["settings"] == "own" or row["settings"].endswith("changed")):
        return row["settings"]
    default = known.config().to_dict()
    apart = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
             for name, value in row["config"].items() if default.get(name) != value]  # fmt: skip
    return f"{row['settings']}: {', '.join(apart[:3])}{', …' if len(apart) > 3 else ''}"


def show_table(view: View) -> None:
    shown = [key for key in COLUMNS if any(row["cells"][key] for row in view.rows)]
    marks = {key: ranks(view.rows, key) for key in shown}
    rows = []
    for row in view.rows:
        look, failed = view.looks[row["name"]], row["failed"]
        gone = bool(failed) and not any(row["cells"].values())
        note = settings_words(row) + (f" · failed with {len(failed)} of the seeds" if failed and not gone else "")
        rows.append(
            {
                "name": row["name"],
                "title": look.title,
                "note": note,
                "letter": look.letter,
                "colour": look.colour,
                "ink": look.ink,
                "fixed": row["name"] in ("original", RETRAIN),
                "failed": "Failed: " + " ".join(dict.fromkeys(failed.values())) if gone else "",
                "cells": []
                if gone
                else [cell_of(key, row["cells"][key], marks[key].get(row["name"], "")) for key in shown],
            }
        )
    columns = [{"title": COLUMNS[key].title, "unit": COLUMNS[key].unit, "help": COLUMNS[key].help} for key in shown]
    version = ",".join([*view.comparison["runs"], *shown])
    picked = table("comparison", columns, rows, selected=view.chosen, version=version)
    if picked is not None:
        pick(picked, view.chosen)
        st.rerun()
    st.html(
        '<div class="rk-see">The target of every column up to r̂ is what '
        f"{term('re-trained', 'Re-train')} has, not the highest or the lowest number. Under each value: its difference "
        "to Re-train, with ≈ where re-trainings differ as much from each other, and its 95% interval (bootstrap over "
        "seeds and samples). ◎ <b>nearest</b> to Re-train, ✕ <i>furthest</i>; of costs ◎ is the least. A click on a "
        "column sorts by the distance, one on a model highlights it. The grey word is whose settings a method ran "
        "with.</div>"
    )
    name = f"comparison-{view.comparison['dataset']['name']}"
    with st.container(horizontal=True, gap="small"):
        for label, text, ending in (
            ("Table (CSV)", to_csv(flat(view.comparison)), "csv"),
            ("Table (LaTeX)", to_latex(view.comparison), "tex"),
        ):
            st.download_button(
                label,
                text.encode(),
                file_name=f"{name}.{ending}",
                mime="text/plain",
                key=f"table_{ending}",
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
            )


# --- figures ------------------------------------------------------------------------------------------------


def faded(colour: str, opacity: float) -> str:
    """#RRGGBB → rgba(...)."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def picks(view: View) -> Any:
    """What happens when a point of a figure is clicked: its model is highlighted."""

    def picked(points: list[dict[str, Any]]) -> None:
        found = points[0].get("customdata") if points else None
        name = found[0] if isinstance(found, list | tuple) and found else None
        if name in view.looks:
            pick(name, view.chosen)

    return picked


def lines_of(view: View, lines: Lines, scale: float, unit: str) -> go.Figure:
    """A line with a band from its lowest to its highest value for every model."""
    figure = go.Figure()
    many = len(view.results) > 1
    order = sorted(lines, key=lambda line: line[0] == view.chosen)  # the highlighted one on top
    for name, x, values in order:
        look, strength = view.looks[name], view.strength(name)
        mean, low, high = ([None if v is None else scale * v for v in values[e]] for e in ("mean", "low", "high"))
        if (many and (len(lines) <= 2 or name == view.chosen)) or name == RETRAIN:
            edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            figure.add_scatter(x=x, y=high, **edge)
            figure.add_scatter(x=x, y=low, fill="tonexty", fillcolor=faded(look.colour, 0.16), **edge)
        said = ["" if m is None else f"{m:.4g} {unit}" + (f" ({a:.4g} – {b:.4g})" if many else "")
                for m, a, b in zip(mean, low, high, strict=True)]  # fmt: skip
        figure.add_scatter(
            x=x,
            y=mean,
            name=escape(f"{look.letter} {look.title}"),
            mode="lines+markers",
            line={"color": look.colour, "dash": look.dash, "width": 3.6 if name == view.chosen else 2},
            marker={"symbol": look.symbol, "size": 9 if name == view.chosen else 6.5, "color": look.colour},
            opacity=strength,
            legendrank=list(view.looks).index(name),
            customdata=[[name, text] for text in said],
            hovertemplate=f"{escape(look.letter)} {escape(look.title)}: %{{customdata[1]}}<extra></extra>",
        )
    figures.finished(figure, hovermode="closest").update_layout(height=470, showlegend=len(lines) <= FEW)
    return figure


def name_lines(
    view: View,
    figure: go.Figure,
    lines: Sequence[tuple[str, Sequence[Any], dict[str, list[float | None]]]],
    scale: float,
) -> None:
    """Letters at the ends of many lines; the figure has all its lines by now."""
    if len(lines) <= FEW:
        return
    ends = []
    for name, x, values in lines:
        at = max((at for at, value in enumerate(values["mean"]) if value is not None), default=None)
        if at is not None:
            look = view.looks[name]
            y = scale * (values["mean"][at] or 0.0)
            ends.append(End(x[at], y, look.letter, look.colour, view.strength(name)))
    if ends:
        name_ends(figure.update_layout(margin_t=12), ends, height=380)


def letters(view: View, names: Sequence[str]) -> None:
    """The legend of figures with many lines: letters as in the table."""
    if len(names) > FEW:
        items = "".join(
            f'<span><span style="color:{look.colour}">{SYMBOLS.get(look.symbol, "")}</span> {look.label()}</span>'
            for look in (view.looks[name] for name in names)
        )
        st.html(f'<div class="rk-key">{items}</div>')


def over_radii(view: View, attack: str, figure: str) -> None:
    """One figure over τ, a line per method."""
    curves = [c for c in view.comparison["curves"] if c["attack"] == attack]
    ratio = figure in ("ratio_of_means", "r_mean")
    scale, unit = (1, "") if ratio else (100, "%")
    lines = [(c["name"], c["taus"], c[figure]) for c in curves]
    drawn = lines_of(view, lines, scale, unit)
    if ratio:
        low = [min((x for x in edge if x is not None), default=None) for edge in zip(*[c["band"]["low"] for c in curves], strict=True)]  # noqa: E501  # fmt: skip
        high = [max((x for x in edge if x is not None), default=None) for edge in zip(*[c["band"]["high"] for c in curves], strict=True)]  # noqa: E501  # fmt: skip
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        drawn.add_scatter(x=curves[0]["taus"], y=high, showlegend=False, **edge)
        drawn.add_scatter(
            x=curves[0]["taus"],
            y=low,
            fill="tonexty",
            fillcolor=faded(GREEN, 0.2),
            name="re-trained, among each other",
            **edge,
        )
        drawn.add_hline(y=1, line={"color": "#8B95A5", "width": 1})
    name_lines(view, drawn, lines, scale)
    drawn.update_xaxes(title=figures.TAU_TITLE, zeroline=False, tickformat="~g")
    drawn.update_yaxes(title=CURVES[figure] + ("" if ratio else " (%)"), zeroline=False)
    name = f"{figure}-{attack}"
    figures.draw(drawn, f"figure-{figure}", name, f"{CURVES[figure]} over the radius", on_pick=picks(view))
    letters(view, [c["name"] for c in curves])
    see = {
        "ratio_of_means": "above 1 a model recognises more than retraining would leave (residual knowledge), below 1 "
        "it over-forgets. Inside the green band it is as near to re-trainings as they are to each other.",
        "r_mean": "the paper's mean over the samples where r̂ is defined; samples that no re-trained model recognises "
        "are left out of it.",
        "prevalence": "how many forget samples are recognised more often than by re-trained models.",
        "disagreement": "how often a model and a re-trained one give a copy different classes. Two re-trainings "
        "disagree as well: 0 is not the target.",
        "unlearn_accuracy": "the share of copies a model gives another class than their sample's.",
    }[figure]
    bands = ""
    if len(view.results) > 1:
        whose = "" if len(curves) <= 2 else " of the highlighted model" if view.chosen else " of a highlighted model"
        bands = f" The band{whose} reaches from the lowest to the highest seed."
    st.html(f'<div class="rk-see">See: {see}{bands}</div>')
    rows = [
        {"model": view.looks[c["name"]].title, "tau": tau, "figure": figure, "attack": attack}
        | {edge: c[figure][edge][at] for edge in ("mean", "low", "high")}
        | {f"band_{edge}": c["band"][edge][at] for edge in ("low", "high")}
        for c in curves
        for at, tau in enumerate(c["taus"])
    ]
    if rows:
        figures.download(rows, name, f"{figure}_csv")


def show_curves(view: View) -> None:
    st.subheader("Over all radii", anchor=False)
    attacks = list(dict.fromkeys(curve["attack"] for curve in view.comparison["curves"]))
    if not attacks:
        st.caption("No model of these runs was judged on perturbed copies.")
        return
    attack = state.choice("attack", attacks[0], state.one_of(attacks))
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        state.bound(
            st.segmented_control,
            "Perturbation",
            "attack",
            attack,
            options=attacks,
            format_func=lambda key: ATTACKS[key].title,
            required=True,
        )
    for column, options in zip(
        st.columns(2, gap="large"),
        (("ratio_of_means", "r_mean"), ("prevalence", "disagreement", "unlearn_accuracy")),
        strict=True,
    ):
        with column:
            figure = st.segmented_control(
                "Figure",
                options,
                format_func=SHORT.__getitem__,
                default=options[0],
                required=True,
                key=f"which-{options[0]}",
                persist_state="session",
                label_visibility="collapsed",
            )
            over_radii(view, attack, str(figure))


def span_of(values: Sequence[float]) -> list[float]:
    """The range of an axis that holds all of them, with some room."""
    low, high = min(values), max(values)
    room = 0.07 * ((high - low) or 1.0)
    return [low - room, high + room]


def point_names(
    view: View, where: dict[str, tuple[float, float]], across: Sequence[float], up: Sequence[float]
) -> dict[str, tuple[str, str]]:
    """Model → (its letter, on which side of its point); of points that lie on each other the first names all."""
    names = list(where)
    (left, right), (low, high) = across, up
    width, height = 420, 330  # pixels, about
    pixels = [(width * (x - left) / (right - left), height * (y - low) / (high - low)) for x, y in where.values()]
    groups = together(pixels, 9)
    texts = [" ".join(view.looks[names[at]].letter for at in group) for group in groups]
    sides = beside(pixels, [group[0] for group in groups], texts, 12)
    named = {names[group[0]]: (text, side) for group, text, side in zip(groups, texts, sides, strict=True)}
    return {name: named.get(name, ("", "top center")) for name in names}


def show_trade_off(view: View) -> None:
    """Accuracy against residual knowledge: what a method pays for forgetting."""
    st.subheader("Accuracy against residual knowledge", anchor=False)
    points = [
        (row["name"], row["cells"]["test_accuracy"], row["cells"]["residual"])
        for row in view.rows
        if row["cells"]["test_accuracy"] and row["cells"]["residual"]
    ]
    retrained = next((row["cells"]["test_accuracy"] for row in view.rows if row["name"] == RETRAIN), None)
    if not points or not retrained:
        st.caption("This needs test accuracies and residual knowledge of at least one model and one reference.")
        return
    figure = go.Figure()
    edges = [c for curve in view.comparison["curves"] for c in (curve["band"]["low"][-1], curve["band"]["high"][-1])]
    edges = [edge for edge in edges if edge is not None] or [1.0]
    low, high = (100 * pick_(retrained["values"]) for pick_ in (min, max))
    figure.add_shape(
        type="rect", x0=low, x1=high, y0=min(edges), y1=max(edges), fillcolor=faded(GREEN, 0.2), line={"width": 0}
    )
    across = span_of(
        [100 * (a["mean"] + side * (a["sd"] or 0)) for _, a, _ in points for side in (-1, 1)] + [low, high]
    )
    up = span_of([r["mean"] + side * (r["sd"] or 0) for _, _, r in points for side in (-1, 1)] + [1.0, *edges])
    where = {name: (100 * a["mean"], r["mean"]) for name, a, r in points} | {RETRAIN: (100 * retrained["mean"], 1.0)}
    names = point_names(view, where, across, up)
    text, place = names[RETRAIN]
    figure.add_scatter(
        x=[100 * retrained["mean"]],
        y=[1.0],
        mode="markers+text",
        text=[text],
        textposition=place,
        textfont={"size": 11},
        marker={"symbol": "square", "size": 13, "color": GREEN},
        customdata=[[RETRAIN]],
        hovertemplate="Re-train, the target: %{x:.2f}%<extra></extra>",
    )
    for name, accuracy, residual in points:
        look = view.looks[name]
        text, place = names[name]
        bars = {"color": faded(look.colour, 0.5 * view.strength(name)), "thickness": 1, "width": 3}
        figure.add_scatter(
            x=[100 * accuracy["mean"]],
            y=[residual["mean"]],
            error_x={"array": [100 * (accuracy["sd"] or 0)], **bars},
            error_y={"array": [residual["sd"] or 0], **bars},
            mode="markers+text",
            text=[text],
            textposition=place,
            textfont={"size": 11},
            marker={"symbol": look.symbol, "size": 16 if name == view.chosen else 11, "color": look.colour},
            opacity=view.strength(name),
            customdata=[[name]],
            hovertemplate=f"{escape(look.title)}<br>test accuracy %{{x:.2f}}%<br>r̂ %{{y:.3f}}<extra></extra>",
        )
    figure.add_hline(y=1, line={"color": "#8B95A5", "width": 1})
    figure.update_xaxes(title="test accuracy (%)", zeroline=False, range=across)
    figure.update_yaxes(title="r̂ at the largest τ (ratio of means)", zeroline=False, range=up)
    figures.finished(figure, hovermode="closest").update_layout(showlegend=False, height=430, margin_t=12)
    figures.draw(figure, "trade_off", "trade-off", "Test accuracy against residual knowledge", on_pick=picks(view))
    letters(view, [name for name, *_ in points])
    st.html(
        '<div class="rk-see">See: the green square is Re-train, the patch around it how far re-trainings differ. '
        "Higher is residual knowledge, lower is over-forgetting; further left has lost accuracy. Bars are one standard "
        "deviation over seeds.</div>"
    )
    rows = [
        {"model": view.looks[name].title, "test_accuracy": a["mean"], "test_accuracy_sd": a["sd"]}
        | {"residual_knowledge": r["mean"], "residual_knowledge_sd": r["sd"]}
        for name, a, r in points
    ]
    figures.download(rows, "trade-off", "trade_off_csv")


def show_cost(view: View) -> None:
    st.subheader("What a method costs", anchor=False)
    rows = [row for row in view.rows if row["role"] == "unlearned" and row["cells"]["seconds"]]
    if not rows:
        st.caption("No run time was measured.")
        return
    share = all(row["cells"]["cost_share"] for row in rows)
    key, unit = ("cost_share", "% of one Re-train") if share else ("seconds", "seconds")
    scale = COLUMNS[key].scale
    rows.sort(key=lambda row: row["cells"][key]["mean"])
    said = []
    for row in rows:
        memory = row["cells"]["peak_memory_mb"]
        said.append(
            f"{row['cells']['seconds']['mean']:.3g} s"
            + (f", {memory['mean']:.0f} MB" if memory and memory["mean"] >= 0.5 else "")
        )
    figure = go.Figure()
    figure.add_bar(
        y=[
            f"<b>{escape(view.looks[row['name']].letter)}</b> {escape(view.looks[row['name']].title[:22])}"
            for row in rows
        ],
        x=[scale * row["cells"][key]["mean"] for row in rows],
        orientation="h",
        marker={
            "color": [view.looks[row["name"]].colour for row in rows],
            "opacity": [view.strength(row["name"]) for row in rows],
        },
        customdata=[[row["name"], text] for row, text in zip(rows, said, strict=True)],
        text=said,
        textposition="auto",
        insidetextanchor="start",
        insidetextfont={"color": [view.looks[row["name"]].ink for row in rows]},
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.3g} " + unit + "<br>%{customdata[1]}<extra></extra>",
    )
    if share:
        figure.add_vline(x=100, line={"color": GREEN, "width": 2, "dash": "dash"}, layer="below")
    longest = max(scale * row["cells"][key]["mean"] for row in rows)
    figure.update_xaxes(title=unit, range=[0, 1.22 * max(longest, 100.0 if share else 0.0)], zeroline=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figures.finished(figure, hovermode="closest").update_layout(
        height=120 + 30 * len(rows), bargap=0.35, showlegend=False, margin_t=12
    )
    figures.draw(figure, "cost", "cost", "Run time of every method", on_pick=picks(view))
    st.html(
        '<div class="rk-see">See: run time of the method itself, without what it starts from; the dashed line is one '
        "Re-train, of several trained together on the same machine. Memory is what the method took on top.</div>"
    )
    figures.download(
        [
            {"model": view.looks[row["name"]].title}
            | {name: (row["cells"][name] or {}).get("mean") for name in ("seconds", "cost_share", "peak_memory_mb")}
            for row in rows
        ],
        "cost",
        "cost_csv",
    )


def show_layers(view: View) -> None:
    st.subheader("Layer by layer", anchor=False)
    names = [row["name"] for row in view.rows if not (row["failed"] and not any(row["cells"].values()))]
    base = RETRAIN if RETRAIN in names else names[0]
    base = state.choice("layers", base, state.one_of(names))
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        state.bound(
            st.selectbox,
            "Compare every model with",
            "layers",
            base,
            options=names,
            format_func=lambda name: f"{view.looks[name].letter} · {view.looks[name].title}",
            width=280,
        )
        kind = st.segmented_control(
            "On",
            ["forget", "retain"],
            format_func={"forget": "forget samples", "retain": "retain samples"}.__getitem__,
            default="forget",
            required=True,
            key="layers_on",
            persist_state="session",
        )
    lines, samples = [], 0
    for name in names:
        found = layer_similarity(view.results, base, name, str(kind))
        if found and (name != base or base == RETRAIN):
            lines.append((name, found["blocks"], found))
            samples = found["samples"]
    if not lines:
        st.caption("Not measured: the run is older than this view, or the forget set has fewer than four samples.")
        return
    figure = lines_of(view, lines, 1, "")
    name_lines(view, figure, lines, 1)
    figure.update_xaxes(title="block, from input to output", zeroline=False)
    figure.update_yaxes(title=f"linear CKA with {escape(view.looks[base].title)}", zeroline=False)
    figures.draw(figure, "layers", "layers", "Similarity of layers", on_pick=picks(view))
    letters(view, [name for name, *_ in lines])
    st.html(
        f'<div class="rk-see">See: 1 means that two models’ features of {samples} {kind} samples are equal up to a '
        "rotation and a scale. A method that forgets like Re-train follows the line of re-trained models among each "
        f"other; where it leaves it tells which layers were changed ({term('layer similarity', 'linear CKA')}, "
        "unbiased estimate).</div>"
    )
    figures.download(
        [
            {"model": view.looks[name].title, "with": view.looks[base].title, "samples": kind, "block": block}
            | {edge: values[edge][at] for edge in ("mean", "low", "high")}
            for name, blocks, values in lines
            for at, block in enumerate(blocks)
        ],
        "layers",
        "layers_csv",
    )


def main() -> None:
    st.title("Compare", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    st.html(
        '<div class="rk-lead">All methods beside each other and beside Re-train, over all seeds of the experiment in '
        "view. What counts is the distance to Re-train.</div>"
    )
    view = choose_view(run)
    about(view)
    highlight(view)
    show_table(view)
    show_curves(view)
    one, two = st.columns(2, gap="large")
    with one:
        show_trade_off(view)
    with two:
        show_cost(view)
    show_layers(view)
    for text in view.comparison["notes"]:
        st.caption(plain(text))


main()
