"""Searching a method's settings from the Unlearn page, and what a search has found."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from rurk_core.errors import RurkError, UsageError
from rurk_core.run.spec import Spec, make_spec
from rurk_core.store.index import Entry
from rurk_core.tune.aims import against_references
from rurk_core.tune.search import searched
from rurk_core.tune.tune import MAX_PROCESSES, MAX_TRIALS
from rurk_core.unlearning import METHODS, Method
from ui import figures
from ui.jobs.runs import start
from ui.session import state
from ui.text import escape, percent, plain

FOUND, REST, CHOSEN = "#0072B2", "#8A93A3", "#D55E00"


def tunable() -> list[str]:
    """Keys of the methods that have something to search."""

    def has(method: Method) -> bool:
        try:
            return bool(searched(method))
        except UsageError:
            return False

    return [key for key, method in METHODS.items() if has(method)]


def tune_form(spec: Spec) -> None:
    """Search one method's settings on the data, forget set, network, references and radii of ``spec``."""
    keys = tunable()
    one, two, three, four = st.columns([1.4, 1, 1, 1.2], gap="medium", vertical_alignment="bottom")
    key = one.selectbox(
        "Method",
        keys,
        index=keys.index("rurk") if "rurk" in keys else 0,
        format_func=lambda name: METHODS[name].title,
        key="tune_method",
        persist_state="session",
    )
    trials = two.number_input(
        "Settings to try", 1, MAX_TRIALS, 30, key="tune_trials", help="Each is unlearned and measured once."
    )
    processes = three.number_input(
        "At once",
        1,
        MAX_PROCESSES,
        1,
        key="tune_processes",
        help="Processes that share the settings to try. One alone finds the same again.",
    )
    name = four.text_input(
        "Name of the preset", "", key="tune_name", max_chars=40, placeholder="tuned", help="It joins the form above."
    )
    searching = ", ".join(label.replace("_", " ") for label in searched(METHODS[key]))
    st.caption(
        f"Searches {searching} with everything else as above. One half of the forget set chooses: residual knowledge "
        "within the band of the re-trained models, with the least loss of accuracy on retained and held-out samples. "
        "The other half judges."
    )
    if st.button("Tune", icon=":material/experiment:", key="tune_start"):
        title = f"Tune {METHODS[key].title}: {trials} settings"
        try:
            asked = make_spec(**spec.to_dict() | {"methods": [key], "title": title})
            start(asked.to_dict(), kind="tuning", trials=int(trials), processes=int(processes), name=name.strip())
        except RurkError as error:
            state.show(error)
        else:
            st.rerun()


def tuned_list() -> None:
    """Every finished search of the store."""
    entries = state.store().list("tuning")
    if not entries:
        return
    st.header("Tuned settings", anchor=False)
    for entry in entries:
        tuned_card(entry)


def tuned_card(entry: Entry) -> None:
    try:
        result = state.result_of(entry.key)
        words, rows = summary(result), trial_rows(result)
    except (RurkError, KeyError, TypeError) as error:
        state.show(error if isinstance(error, RurkError) else RurkError(f"The search {entry.key} is damaged."))
        return
    with st.expander(words, icon=":material/experiment:", key=f"tuned-{entry.key}"):
        figures.draw(
            front_figure(rows),
            f"front-{entry.key}",
            f"tuning-{result['preset']['method']}",
            "Every setting tried: lost accuracy against distance to the band of the re-trained models",
        )
        beyond = sum(not inside(row, *shown_span(rows)) for row in ended(rows))
        one = beyond == 1
        more = (
            f" {beyond} of those tried {'lies' if one else 'lie'} beyond the figure, at a far greater cost or distance."
        )
        more = more if beyond else ""
        st.html(
            '<div class="rk-see">See: left and low is best. No setting beats those on the line in one aim without '
            f"losing in the other; the ringed one was chosen and is a preset of the form now.{more}</div>"
        )
        figures.download(rows, f"tuning-{result['preset']['method']}", f"data-{entry.key}")
        st.html(judged_table(result))


def summary(result: dict[str, Any]) -> str:
    preset = result["preset"]
    method = METHODS[preset["method"]].title if preset["method"] in METHODS else preset["method"]
    return plain(
        f"{method} on {preset['dataset']}: preset “{preset['name']}”, chosen among {len(result['trials'])} settings"
    )


def trial_rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per setting tried."""
    return [
        {
            "trial": trial["number"],
            "distance to the band": trial["distance"],
            "lost accuracy (points)": None if trial["loss"] is None else 100 * trial["loss"],
            "on the front": trial["number"] in result["front"],
            "chosen": trial["number"] == result["chosen"],
            "failed": trial["failed"],
            **trial["settings"],
        }
        for trial in result["trials"]
    ]


def ended(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["distance to the band"] is not None and not row["failed"]]


def shown_span(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """How far the axes of the figure reach: as far as the front and where the search began, which failures dwarf."""
    told = [row for row in ended(rows) if row["on the front"] or row["trial"] == 0]
    across, up = (
        max((row[name] for row in told), default=0.0) for name in ("lost accuracy (points)", "distance to the band")
    )
    return max(1.0, 1.4 * across), max(0.05, 1.4 * up)


def inside(row: dict[str, Any], across: float, up: float) -> bool:
    return row["lost accuracy (points)"] <= across and row["distance to the band"] <= up


def front_figure(rows: list[dict[str, Any]]) -> go.Figure:
    """Lost accuracy against distance to the band; the front as a line, the chosen setting ringed."""
    done = ended(rows)
    best = sorted((row for row in done if row["on the front"]), key=lambda row: row["distance to the band"])
    figure = go.Figure()
    for shown, name, style in (
        (
            [row for row in done if not row["on the front"]],
            "tried",
            {"mode": "markers", "marker": _marker(REST, "x-thin-open")},
        ),
        (
            [row for row in done if row["trial"] == 0],
            "began here",
            {"mode": "markers", "marker": _marker(REST, "square-open", 15)},
        ),
        (best, "front", {"mode": "lines+markers", "marker": _marker(FOUND, "circle"), "line": {"color": FOUND}}),
        (
            [row for row in done if row["chosen"]],
            "chosen",
            {"mode": "markers", "marker": _marker(CHOSEN, "circle-open", 18)},
        ),
    ):
        figure.add_scatter(
            x=[row["lost accuracy (points)"] for row in shown],
            y=[row["distance to the band"] for row in shown],
            name=name,
            hovertext=[f"setting {row['trial']}" for row in shown],
            **style,
        )
    across, up = shown_span(rows)
    figure.update_xaxes(
        title="lost accuracy, retained and validation samples (percentage points)", range=[-0.06 * across, across]
    )
    figure.update_yaxes(title="distance to the band (mean |log r̂|)", range=[-0.06 * up, up])
    return figures.finished(figure, "closest")


def _marker(colour: str, symbol: str, size: int = 9) -> dict[str, Any]:
    return {"color": colour, "symbol": symbol, "size": size, "line": {"width": 2}}


def judged_table(result: dict[str, Any]) -> str:
    """What was chosen, and what the other half of the forget set says of the start and of it, as HTML."""
    chosen = next(trial for trial in result["trials"] if trial["number"] == result["chosen"])
    settings = ", ".join(
        f"{escape(name.replace('_', ' '))} {value:.4g}"
        if isinstance(value, float)
        else f"{escape(name)} {escape(value)}"
        for name, value in chosen["settings"].items()
    )
    kept = result["references"]
    rows = [
        "<tr><td>re-trained models, the target</td><td class='num'></td>"
        + "".join(f"<td class='num'>{percent(kept[part])}</td>" for part in ("retain", "test"))
        + "</tr>"
    ]
    for number, judged in result["judged"].items():
        which = "chosen" if int(number) == result["chosen"] else "where the search began"
        if judged is None:
            rows.append(f"<tr><td>{which}</td><td colspan='3'>failed</td></tr>")
            continue
        cells = [f"{judged['distance']:.4f}"]
        cells += [
            f"{percent(judged[part])} ({apart:+.1f})" for part, apart in against_references(result, judged).items()
        ]
        rows.append(f"<tr><td>{which}</td>" + "".join(f"<td class='num'>{cell}</td>" for cell in cells) + "</tr>")
    head = (
        "<tr><th>judged on the other half</th><th>distance to the band</th><th>retain (against the target)</th>"
        "<th>test (against the target)</th></tr>"
    )
    return (
        f"<p>Chosen: {settings}.</p><div class='rk-scroll'><table class='rk-table'>{head}{''.join(rows)}</table></div>"
    )
