"""A report as one HTML page: style and figures inside, no script, nothing fetched, made to be printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from ..data import Dataset
from ..evidence.findings import SAID
from ..evidence.words import beyond_words, changes, retained_words, unreferenced_words
from ..measure.radius import NORMS
from ..measure.residual import Verdicts
from ..perturb.copies import ATTACKS
from .looks import REFERENCES, Look, looks_of
from .pictures import as_pictures, png_uri
from .svg import Curve, curves, histogram, mark, nice, round_numbers

THUMBNAILS = 28
"""Samples shown as pictures in a report on a run."""
ROWS = 12
"""Samples in a table; the document has all."""
SIDE = 96
"""Larger pictures are reduced to this."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

STYLE = """
:root { color-scheme: light; --ink: #1b2130; --quiet: #555c6b; --line: #d9dde5; --soft: #f4f6f9; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: var(--ink); background: #fff; margin: 0;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
h1, li, dd, pre, .hash, blockquote { overflow-wrap: anywhere; }
main { max-width: 60rem; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.02em; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1.1rem; }
h3 { font-size: 1rem; margin: 1.3rem 0 .3rem; }
h4 { font-size: .92rem; margin: 1rem 0 .2rem; }
p { margin: .4rem 0; max-width: 46rem; }
.quiet, figcaption, .see { color: var(--quiet); font-size: .88rem; }
.answers { list-style: none; padding: 0; margin: .8rem 0; }
.answers li { border: 1px solid var(--line); border-left: 6px solid var(--colour); border-radius: .5rem;
  padding: .7rem .9rem; margin: .55rem 0; break-inside: avoid; }
.answers b { font-weight: 650; }
.tag { display: inline-block; min-width: 1.9em; padding: 0 .4em; border-radius: .3em; font-weight: 700;
  font-size: .78em; line-height: 1.6; text-align: center; color: #fff; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 550; color: var(--quiet); }
td.num, th.num { text-align: right; }
td.num { white-space: nowrap; }
th { vertical-align: bottom; }
td:first-child { white-space: nowrap; }
td.words { min-width: 12rem; }
.wide { overflow-x: auto; }
figure { margin: .8rem 0; break-inside: avoid; }
.figure { width: 100%; max-width: 44rem; height: auto; display: block; }
.figure text { font-size: 11.5px; fill: var(--quiet); }
.figure .grid { stroke: var(--line); }
.figure .zero { stroke: var(--ink); stroke-width: 1.2; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .86rem; align-items: center; }
.key svg { width: 13px; height: 13px; vertical-align: -2px; margin-right: .25rem; overflow: visible; }
.tiles { display: flex; flex-wrap: wrap; gap: .5rem; }
.tile { width: 4.4rem; font-size: .72rem; line-height: 1.25; color: var(--quiet); break-inside: avoid; }
.tile img, .sample img { display: block; width: 100%; image-rendering: pixelated; border-radius: .25rem;
  box-shadow: 0 0 0 1px var(--line); }
.tile svg { width: 10px; height: 10px; overflow: visible; margin: .15rem .12rem 0 0; }
.copies .tile { width: 3.6rem; }
.sample figure { width: 11rem; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .7rem;
  font-size: .76rem; line-height: 1.45; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .25rem 1rem; font-size: .88rem; }
dt { color: var(--quiet); } dd { margin: 0; }
blockquote { margin: .2rem 0; padding-left: .7rem; border-left: 3px solid var(--line); white-space: pre-wrap; }
@media (max-width: 640px) { main { padding: 1.2rem .9rem 3rem; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .3rem; } }
@page { size: A4; margin: 16mm 14mm; }
@media print { main { max-width: none; padding: 0; } body { font-size: 10.5pt; } table { font-size: 8pt; }
  th, td { padding-right: .4rem; }
  h2, h3, h4 { break-after: avoid; } tr { break-inside: avoid; } .wide { overflow: visible; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


@dataclass(frozen=True)
class Copies:
    """Perturbed copies of one sample as the models see them.

    Attributes:
        tau: their radius; images: float32 [copies, ...].
        recognised: bool [models, copies], in the order of the verdicts' models.
    """

    tau: float
    images: Any
    recognised: Any


def page(
    document: dict[str, Any],
    result: dict[str, Any],
    tables: dict[str, Verdicts],
    data: Dataset | None,
    copies: dict[str, Copies],
) -> str:
    """The whole page.

    Args:
        document: of :func:`rurk_core.report.document.make_report`; result: of the run; tables: verdicts by their
            keys; data: for pictures, if it can be had; copies: of the one sample, by keys of verdicts.
    """
    looks = looks_of(result["models"])
    parts = [_head(document), _answers(document, looks)]
    if document["sample"] is not None:
        parts.append(_sample(document, looks, data))
        for key in dict.fromkeys(entry["verdicts"] for entry in document["residual"]):
            parts.append(_around(document, tables[key], looks, copies.get(key)))
    else:
        for entry in document["residual"]:
            parts.append(_section(document, entry, tables[entry["verdicts"]], looks, data))
    parts += [_judgements(document, looks), _models(document, looks), _method(document), _provenance(document)]
    title = escape(_title(document))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _title(document: dict[str, Any]) -> str:
    about = f"sample {document['sample']}, " if document["sample"] is not None else ""
    return f"Unlearning report: {about}{document['title'] or document['data']['name']}"


def _head(document: dict[str, Any]) -> str:
    made = f"{document['created'].replace('T', ' ').replace('+00:00', '')} UTC"
    return (
        f"<h1>{escape(_title(document))}</h1>"
        f'<p class="quiet">{escape(document["run"])} · report made {escape(made)} · RURK Explorer '
        f"{escape(document['made_with']['report_versions']['rurk'])}</p><h2>Question</h2><p>{escape(document['question'])}</p>"
    )


def _answers(document: dict[str, Any], looks: dict[str, Look]) -> str:
    rows = [
        f'<li style="--colour:{looks[answer["method"]].colour}">{_tag(looks[answer["method"]])} '
        f"<b>{escape(looks[answer['method']].title)}</b>, {escape(ATTACKS[answer['attack']].title)}: "
        f"{escape(answer['sentence'])}</li>"
        for answer in document["answers"]
    ]
    notes = "".join(f'<p class="quiet">{escape(note)}</p>' for note in document["notes"])
    return f'<h2>Answer</h2><ul class="answers">{"".join(rows)}</ul>{notes}'


# --- one model under one attack ------------------------------------------------------------------------------


def _section(
    document: dict[str, Any], entry: dict[str, Any], verdicts: Verdicts, looks: dict[str, Look], data: Dataset | None
) -> str:
    look = looks[entry["method"]]
    rows = [s for s in document["samples"] if s["method"] == entry["method"] and s["attack"] == entry["attack"]]
    return "".join(
        [
            f"<h2>{_tag(look)} {escape(look.title)}, {escape(ATTACKS[entry['attack']].title)}</h2>",
            _curve(verdicts, [*dict.fromkeys(["original", entry["method"]])], looks),
            _spread(rows, look),
            _by_radius(entry),
            _gallery(rows, data),
            _ranked(rows, document),
            _whole(document, entry, looks, data),
        ]
    )


def _curve(
    verdicts: Verdicts,
    names: Sequence[str],
    looks: dict[str, Look],
    sample: int | None = None,
    null_band: Sequence[Sequence[float]] | None = None,
) -> str:
    """Copies recognised over τ, of the set or of a sample, with the references' band.

    Args:
        null_band: where one more re-training lies with 95% probability, as shares; else the references' own range.
    """
    places = list(range(len(verdicts.samples))) if sample is None else [verdicts.samples.tolist().index(sample)]
    trials = verdicts.draws * len(places)
    each = verdicts.reference_recognised()[:, places].sum(1)
    lines = [
        Curve(looks[name], 100 * verdicts.recognised(name)[places].sum(0) / trials)
        for name in names
        if name in verdicts.models
    ]
    band = None
    if len(each):
        lines.insert(0, Curve(looks[REFERENCES], 100 * each.mean(0) / trials))
        band = (100 * each.min(0) / trials, 100 * each.max(0) / trials)
    if null_band:
        band = (100 * np.array(null_band[0]), 100 * np.array(null_band[1]))
    what = "all samples to forget" if sample is None else f"sample {sample}"
    figure = curves(
        verdicts.taus.tolist(),
        lines,
        band,
        title="copies recognised (%)",
        label=f"Copies recognised over the radius, {what}",
        top=100.0,
    )
    means = "one more re-training lies in it with 95% probability" if null_band else "it spans the re-trained models"
    see = (
        f"See: a curve above the green band recognises more than retraining would, below it less; {means}."
        if band
        else "See: how far from the samples the models still recognise them. Without a re-trained model nothing says "
        "how much of it is residual."
    )
    return (
        f"<figure>{figure}{_key([line.look for line in lines])}<figcaption>Perturbed copies of {what} that keep their "
        f"class, of {trials:,} at each radius. {see}</figcaption></figure>"
    )


def _spread(rows: Sequence[dict[str, Any]], look: Look) -> str:
    """How the samples lie against the references."""
    values = np.array([row["excess"] for row in rows if row["excess"] is not None], float)
    if not len(values):
        return ""
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    width = nice((high - low) / 40)  # so that 0 is an edge between bins
    edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    figure = histogram(
        values,
        edges,
        colour=look.colour,
        title="copies recognised beyond a re-training (percentage points, all radii together)",
        label="Histogram of the samples by copies recognised beyond a re-training",
    )
    return (
        f"<figure>{figure}<figcaption>One count per sample to forget. See: samples right of the line are recognised "
        "more than a re-training is expected to, left of it less.</figcaption></figure>"
    )


def _by_radius(entry: dict[str, Any]) -> str:
    head = (
        "<tr><th class='num'>τ</th><th class='num'>recognised</th><th class='num'>re-trained, mean</th>"
        "<th class='num'>ratio of means</th><th class='num'>re-trained apart</th>"
        "<th class='num'>mean r̂ (undefined)</th><th class='num'>prevalence</th><th class='num'>disagreement</th></tr>"
    )
    rows = []
    for row in entry["taus"]:
        low, high = row["reference_band"]
        cells = [
            f"{row['tau']:.4g}",
            f"{row['numerator']:,} of {row['trials']:,}",
            _number(row["denominator"], ",.0f"),
            _number(row["ratio_of_means"], ".3f"),
            "–" if low is None else f"{low:.3f} to {high:.3f}",
            f"{_number(row['r_mean'], '.3f')} ({row['r_undefined']})",
            _number(row["prevalence"], ".1%"),
            _number(row["disagreement"], ".1%"),
        ]
        rows.append("<tr>" + "".join(f"<td class='num'>{cell}</td>" for cell in cells) + "</tr>")
    return f"<h3>By radius</h3><div class='wide'><table>{head}{''.join(rows)}</table></div>"


def _gallery(rows: Sequence[dict[str, Any]], data: Dataset | None) -> str:
    if data is None:
        return ""
    tiles = [
        f'<div class="tile"><img src="{_picture(data, row["sample"])}" alt="sample {row["sample"]}">'
        f"{row['sample']}<br>{_excess(row)}</div>"
        for row in rows[:THUMBNAILS]
    ]
    more = f" The first {THUMBNAILS} of {len(rows)}." if len(rows) > THUMBNAILS else ""
    return (
        f'<h3>The samples, strongest evidence first</h3><div class="tiles">{"".join(tiles)}</div>'
        f'<p class="see">Below each picture: its training index, and copies recognised beyond a re-training in '
        f"percentage points.{more}</p>"
    )


def _ranked(rows: Sequence[dict[str, Any]], document: dict[str, Any]) -> str:
    copies = document["settings"]["draws"] * len(document["settings"]["taus"])
    body = "".join(
        f"<tr><td class='num'>{row['sample']}</td><td>{escape(row['class'])}</td>"
        f"<td class='num'>{sum(row['recognised']):,}</td><td class='num'>{_listed(row['references'])}</td>"
        f"{_evidence(row)}</tr>"
        for row in rows[:ROWS]
    )
    more = f"The first {ROWS} of {len(rows)}; report.json has all." if len(rows) > ROWS else ""
    return (
        f"<h3>Strongest evidence for residual knowledge</h3><div class='wide'><table><tr><th class='num'>sample</th>"
        f"<th>class</th><th class='num'>recognised, of {copies:,}</th><th class='num'>each re-trained</th>"
        f"{EVIDENCE_HEAD}</tr>{body}</table></div><p class='see'>{more}</p>"
    )


EVIDENCE_HEAD = (
    "<th class='num'>beyond, points</th><th class='num'>95% interval</th><th class='num'>p</th><th class='num'>q</th>"
    "<th>verdict</th>"
)


def _evidence(row: dict[str, Any]) -> str:
    """Cells: how far beyond a re-training, its interval, p-value and its adjusted one, the verdict."""
    found = row["evidence"]
    interval, p, q = "–", "–", "–"
    if found:
        interval = f"{100 * found['low']:+.1f} to {100 * found['high']:+.1f}"
        side = "forgotten" if found["excess"] < 0 else "residual"
        p, q = f"{found[f'p_{side}']:.2g}", f"{found[f'q_{side}']:.2g}"
    return (
        f"<td class='num'>{_excess(row)}</td><td class='num'>{interval}</td><td class='num'>{p}</td>"
        f"<td class='num'>{q}</td><td>{escape(SAID[row['verdict']])}</td>"
    )


# --- the forget set as a whole -------------------------------------------------------------------------------


def _whole(document: dict[str, Any], entry: dict[str, Any], looks: dict[str, Look], data: Dataset | None) -> str:
    """Radii, membership signals, retained and held-out samples of one model, or the sentence that they are missing."""
    (part,) = (
        one for one in document["whole_set"] if (one["method"], one["attack"]) == (entry["method"], entry["attack"])
    )
    found, look = part["found"], looks[entry["method"]]
    if found is None:
        return f'<h3>The forget set as a whole</h3><p class="quiet">{escape(part["sentence"])}</p>'
    pieces = [_radii(norm, of, look, looks, document["forget"]["count"]) for norm, of in found["radii"].items()]
    pieces.append(_signals(found["membership"], look))
    pieces.append(_retained(found["retained"], document["data"]["classes"], data))
    pieces.append(_unreferenced(found["unreferenced"]))
    missing = "".join(f'<p class="quiet">{escape(sentence)}</p>' for sentence in found["missing"].values())
    return f"<h3>The forget set as a whole</h3>{''.join(pieces)}{missing}"


def _radii(norm: str, found: dict[str, Any], look: Look, looks: dict[str, Look], count: int) -> str:
    share = found["share"]["strong"]
    values = {name: 100 * np.array(of) for name, of in share["models"].items()}
    each = np.array([values[name] for name in values if name.startswith("reference-") and name != look.name])
    lines = [Curve(looks[name], values[name]) for name in dict.fromkeys(["original", look.name])]
    if len(each):
        lines.insert(1, Curve(looks[REFERENCES], each.mean(0)))
    figure = curves(
        share["grid"],
        lines,
        (each.min(0), each.max(0)) if len(each) > 1 else None,
        title="samples whose label is said (%)",
        across=f"{NORMS[norm]}, pixel units: ← brings the label back · takes it away →",
        label=f"Samples whose label is said, over the size of a change, {NORMS[norm]}",
        top=100.0,
        ticks=round_numbers(share["grid"][0], share["grid"][-1], 6),
        marked=5,
        at=0.0,
    )
    return (
        f"<figure>{figure}{_key([line.look for line in lines])}<figcaption>Re-recognition radius: left of 0 the "
        "samples that come back within such a change, right of it those that no change found of that size takes away. "
        "See: above the green band a model holds samples more firmly than re-trained ones do. "
        f"{beyond_words(found, count)}</figcaption></figure>"
    )


SIGNALS = {
    "SVC": ("circle", "dot"),
    "confidence": ("square", "solid"),
    "U-LiRA": ("triangle-up", "dash"),
    "RULI": ("cross", "dashdot"),
}
"""Mark and line of the signals that do not look at radii; they are grey, as they belong to no model."""
GREY = "#7D8796"


def _signals(signals: Sequence[dict[str, Any]] | None, look: Look) -> str:
    """ROC curves and a table of them."""
    if signals is None:
        return ""
    lines, rows = [], []
    for signal in signals:
        name = signal["name"]
        own = name.startswith("radius")
        per_sample = ("star" if look.symbol == "hexagon" else "hexagon", "dash")
        symbol, dash = SIGNALS.get(name, per_sample if "per sample" in name else (look.symbol, "solid"))
        if not own or name.endswith("linf"):
            shown = Look(name, name, "", look.colour if own else GREY, symbol, dash)
            lines.append(Curve(shown, 100 * np.array(signal["curve"][1])))
        low = signal["tpr"][-1]
        behind = f"{signal['inside']} in, {signal['outside']} out" if signal["outside"] else "–"
        rows.append(
            f"<tr><td>{escape(name)}</td><td class='num'>{signal['auc']:.3f}</td>"
            f"<td class='num'>{signal['low']:.3f} to {signal['high']:.3f}</td><td class='num'>{low['tpr']:.1%}"
            f"{'' if low['resolved'] else ' at no false positive'}</td><td class='num'>{behind}</td></tr>"
        )
    axis = [100 * value for value in signals[0]["curve"][0]]
    figure = curves(
        axis,
        lines,
        None,
        title="this model’s samples accused (%)",
        across="re-trained models’ samples accused (%)",
        label="ROC curves of membership signals",
        top=100.0,
        ticks=axis[::20],
        marked=10,
        even=True,
    )
    return (
        f"<figure>{figure}{_key([line.look for line in lines])}<figcaption>Membership signals, the model against "
        "re-trained ones. See: on the line from corner to corner a signal cannot tell them apart; above it the model "
        "is more familiar with the samples, below it less, which is over-forgetting. The radius of re-recognition is "
        "in the model’s colour.</figcaption></figure><div class='wide'><table><tr><th>signal</th>"
        "<th class='num'>AUC</th><th class='num'>95% interval</th><th class='num'>accused at 1% false positives</th>"
        f"<th class='num'>models behind the rule</th></tr>{''.join(rows)}</table></div><p class='see'>Models behind "
        "the rule: “in” saw the samples and unlearned them by this method, with other seeds; “out” never saw them.</p>"
    )


def _retained(found: dict[str, Any] | None, classes: Sequence[str], data: Dataset | None) -> str:
    """Samples that stay and changed, nearest to the forget set first."""
    if found is None:
        return ""
    changed = set(found["changed"])
    rows = [row for row in found["samples"] if row["sample"] in changed]
    words = {row["sample"]: "; ".join(changes(row, found["rate"])) for row in rows}
    tiles = ""
    if data is not None:
        tiles = "".join(
            f'<div class="tile"><img src="{_picture(data, row["sample"])}" alt="sample {row["sample"]}">'
            f"{row['sample']}<br>{round(100 * row['excess']):+d}</div>"
            for row in rows[:THUMBNAILS]
        )
    body = "".join(
        f"<tr><td class='num'>{row['sample']}</td><td>{escape(classes[row['label']])}</td>"
        f"<td class='num'>{row['nearest']}</td><td class='num'>{row['distance']:.3f}</td>"
        f"<td class='num'>{row['recognised']:.0%}</td><td class='num'>{row['expected']:.0%}</td>"
        f"<td class='words'>{escape(words[row['sample']])}</td></tr>"
        for row in rows[:ROWS]
    )
    table = (
        "<div class='wide'><table><tr><th class='num'>sample</th><th>class</th><th class='num'>near</th>"
        "<th class='num'>distance</th><th class='num'>recognised</th><th class='num'>by re-trained</th>"
        f"<th>what changed</th></tr>{body}</table></div>"
    )
    more = f" The first {ROWS} in the table; report.json has all." if len(rows) > ROWS else ""
    return (
        f"<h4>Those who stayed</h4><p>{escape(retained_words(found))}</p>"
        + (f'<div class="tiles">{tiles}</div>' if tiles else "")
        + (table if rows else "")
        + "<p class='see'>Nearest to the forget set first, by the angle between the Original’s features; below each "
        f"picture its training index, and copies recognised beyond a re-training in percentage points.{more}</p>"
    )


def _unreferenced(found: dict[str, Any] | None) -> str:
    """The weaker answer and what it is worth."""
    if found is None:
        return ""
    return f"<h4>Without re-trained models: weaker</h4><p>{escape(' '.join(unreferenced_words(found)))}</p>"


# --- one sample ----------------------------------------------------------------------------------------------


def _sample(document: dict[str, Any], looks: dict[str, Look], data: Dataset | None) -> str:
    """The sample's picture and the counts of every model."""
    sample, rows = document["sample"], document["samples"]
    head = (
        "<tr><th>model</th><th>perturbation</th><th class='num'>recognised, all radii</th>"
        f"<th class='num'>each re-trained</th>{EVIDENCE_HEAD}</tr>"
    )
    body = "".join(
        f"<tr><td>{_tag(looks[row['method']])} {escape(looks[row['method']].title)}</td>"
        f"<td>{escape(ATTACKS[row['attack']].title)}</td><td class='num'>{sum(row['recognised']):,}</td>"
        f"<td class='num'>{_listed([sum(r) for r in row['references']])}</td>{_evidence(row)}</tr>"
        for row in rows
    )
    figure = ""
    if data is not None:
        figure = (
            f'<figure><img src="{_picture(data, sample)}" alt="sample {sample}"><figcaption>Training sample {sample}, '
            f"class “{escape(rows[0]['class'])}”</figcaption></figure>"
        )
    return f"<h2>The sample</h2><div class='sample'>{figure}<div class='wide'><table>{head}{body}</table></div></div>"


def _around(document: dict[str, Any], verdicts: Verdicts, looks: dict[str, Look], found: Copies | None) -> str:
    """One table of verdicts around the sample: curves of all its models, and copies with their marks."""
    names = [name for name in verdicts.models if name not in verdicts.references]
    source = f" on {escape(looks[verdicts.source].title)}" if verdicts.source else ""
    mine = (row for row in document["samples"] if row["attack"] == verdicts.attack and row["method"] in names)
    band = next((row.get("null_band") for row in mine), None)
    return (
        f"<h2>{escape(ATTACKS[verdicts.attack].title)}{source}</h2>"
        f"{_curve(verdicts, names, looks, document['sample'], band)}"
        f"{_copies(found, names, verdicts, looks) if found else ''}"
    )


def _copies(found: Copies, names: Sequence[str], verdicts: Verdicts, looks: dict[str, Look]) -> str:
    """Copies with a mark for every model that recognises them."""
    shown = [REFERENCES, *names[:5]] if verdicts.references else list(names[:6])
    tiles = []
    for i, picture in enumerate(as_pictures(found.images)):
        marks = []
        for name in shown:
            members = verdicts.references if name == REFERENCES else (name,)
            at = [verdicts.models.index(member) for member in members]
            share = float(found.recognised[at, i].mean())
            marks.append(
                f'<svg viewBox="-6 -6 12 12" aria-hidden="true" style="opacity:{0.12 + 0.88 * share:.2f}">'
                f"{mark(looks[name])}</svg>"
            )
        tiles.append(
            f'<div class="tile"><img src="{png_uri(_small(picture))}" alt="copy {i + 1}">{"".join(marks)}</div>'
        )
    return (
        f'<h3>Copies at τ = {found.tau:.4g}</h3><div class="tiles copies">{"".join(tiles)}</div>'
        f"{_key([looks[name] for name in shown])}<p class='see'>A mark is full where "
        "the model still gives the copy the sample’s class and faint where it does not; the one of the re-trained "
        "models is as strong as the share of them that do. The radius is the one at which they differ most.</p>"
    )


# --- what follows every report --------------------------------------------------------------------------------


def _judgements(document: dict[str, Any], looks: dict[str, Look]) -> str:
    if not document["judgements"]:
        return ""
    rows = []
    for found in document["judgements"]:
        look = looks.get(found["method"])
        verdict = found["verdict"].replace("_", "-") or "withdrawn"
        note = f"<blockquote>{escape(found['note'])}</blockquote>" if found["note"] else ""
        rows.append(
            f"<tr><td class='num'>{found['sample']}</td><td>{escape(look.title if look else found['method'])}</td>"
            f"<td>{escape(verdict)}{note}</td><td>{escape(found['author'] or 'nobody named')}</td>"
            f"<td>{escape(found['time'][:16].replace('T', ' '))}</td></tr>"
        )
    return (
        "<h2>Judgements of reviewers</h2><p class='quiet'>In the order they were made; the last one on a sample and "
        "model counts.</p><div class='wide'><table><tr><th class='num'>sample</th><th>model</th>"
        f"<th>verdict and note</th><th>by</th><th>UTC</th></tr>{''.join(rows)}</table></div>"
    )


def _models(document: dict[str, Any], looks: dict[str, Look]) -> str:
    rows = []
    for row in document["models"]:
        if "failed" in row:
            shares = f"<td colspan='3'>{escape(row['failed'])}</td>"
        else:
            names = ("retain_accuracy", "unlearn_accuracy", "test_accuracy")
            shares = "".join(f"<td class='num'>{row[name]:.2%}</td>" for name in names)
        source = f"{escape(row['file'])}<br>file {row['sha256']}<br>" if "file" in row else ""
        weights = f"weights {row['weights_sha256']}" if "weights_sha256" in row else ""
        rows.append(
            f"<tr><td>{_tag(looks[row['name']])} {escape(looks[row['name']].title)}</td>{shares}"
            f"<td class='quiet hash'>{source}{weights}</td></tr>"
        )
    return (
        "<h2>Models</h2><div class='wide'><table><tr><th>model</th><th class='num'>retain</th>"
        f"<th class='num'>unlearn</th><th class='num'>test</th><th>SHA-256</th></tr>{''.join(rows)}</table></div>"
        "<p class='see'>Unlearn accuracy is 1 − accuracy on the forget set, as in the paper.</p>"
    )


def _method(document: dict[str, Any]) -> str:
    attacks = "".join(
        f"<li><b>{escape(ATTACKS[name].title)}</b>: {escape(ATTACKS[name].summary)}.</li>"
        for name in dict.fromkeys(entry["attack"] for entry in document["residual"])
    )
    limits = "".join(f"<li>{escape(sentence)}</li>" for sentence in document["limits"])
    return (
        "<h2>Method</h2><p>Around every sample to forget, perturbed copies are made at each radius τ, the same copies "
        "for all models. A copy is recognised if a model gives it the sample’s own class. What the unlearned model "
        "recognises beyond what models re-trained without the forget set recognise is residual knowledge (Hsu et al., "
        "The Unseen Threat, NeurIPS 2025, arXiv 2601.22359, Eq. 4).</p>"
        f"<ul>{attacks}</ul><h3>Limits</h3><ul>{limits}</ul>"
    )


def _provenance(document: dict[str, Any]) -> str:
    made, data, forget, rerun = (document[name] for name in ("made_with", "data", "forget", "rerun"))
    entries = {
        "Data": f"{data['name']}, {data['train']:,} training and {data['test']:,} test samples, fingerprint "
        f"{data['fingerprint']}; {data['source']}; {data['licence']}",
        "Forget set": f"{forget['count']:,} samples, rule {forget['rule'] or 'none'}, SHA-256 {forget['sha256']}",
        "Made with": ", ".join(f"{name} {version}" for name, version in made["versions"].items()),
        "On": f"{made['device']}, {made['seconds']:.0f} s",
        "Seed": str(made["seed"]),
    }
    if rerun["experiment"] is None:
        entries["Settings"] = json.dumps(document["settings"], ensure_ascii=False)
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in entries.items())
    again = f"<pre>{escape(rerun['command'])}</pre>"
    if rerun["experiment"] is not None:
        text = json.dumps(rerun["experiment"], ensure_ascii=False)
        again += f"<p>with this as experiment.json:</p><pre>{escape(text)}</pre>"
    return (
        f"<h2>Provenance</h2><dl>{listed}</dl><h3>Computing it again</h3>{again}<p class='see'>The same command on the "
        "same kind of device with the same versions gives the same numbers. CPU and GPU make different draws.</p>"
    )


# --- small pieces ---------------------------------------------------------------------------------------------


def _tag(look: Look) -> str:
    return f'<span class="tag" style="background:{look.colour}">{escape(look.letter)}</span>'


def _key(looks: Sequence[Look]) -> str:
    items = "".join(
        f'<span><svg viewBox="-6 -6 12 12" aria-hidden="true">{mark(look)}</svg>{escape(look.title)}</span>'
        for look in looks
    )
    return f'<div class="key">{items}</div>'


def _picture(data: Dataset, sample: int) -> str:
    return png_uri(_small(as_pictures(data.train_images[[sample]])[0]))


def _small(picture: np.ndarray) -> np.ndarray:
    """uint8 H×W×3, reduced where it is large."""
    from PIL import Image

    height, width = picture.shape[:2]
    if max(height, width) > SIDE:
        factor = SIDE / max(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    return picture


def _excess(row: dict[str, Any]) -> str:
    return "–" if row["excess"] is None else f"{row['excess']:+.1f}"


def _listed(counts: Sequence[int]) -> str:
    shown = ", ".join(f"{count:,}" for count in counts[:8])
    return (shown + (", …" if len(counts) > 8 else "")) or "–"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
