"""The figures of a report: SVG and pictures with their captions, as markup that is safe to put into the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from ..data import Dataset
from ..evidence.whole_words import beyond_words
from ..measure.radius import NORMS
from ..measure.residual import Verdicts
from .looks import REFERENCES, Look
from .pictures import as_pictures, png_uri
from .svg import Curve, curves, histogram, mark, nice, round_numbers
from .units import PIXELS, tau_title

SIDE = 96
"""Larger pictures are reduced to this."""
SIGNALS = {
    "SVC": ("circle", "dot"),
    "confidence": ("square", "solid"),
    "LiRA": ("triangle-up", "dash"),
    "RMIA": ("cross", "dashdot"),
}
"""Mark and line of the signals that do not look at radii; they are grey, as they belong to no model: light on the
samples themselves, dark on their perturbed copies."""
MARKED = 12
"""Models that have a mark on every copy, at most: three lines of marks."""
GREY, DARK = "#7D8796", "#3B4553"


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


def _figure(svg: str, looks: Sequence[Look], caption: str) -> Markup:
    key = _key(looks) if looks else Markup()
    return Markup("<figure>{}{}<figcaption>{}</figcaption></figure>").format(Markup(svg), key, caption)


def _key(looks: Sequence[Look]) -> Markup:
    items = [
        Markup('<span><svg viewBox="-6 -6 12 12" aria-hidden="true">{}</svg>{}</span>').format(
            Markup(mark(look)), look.title
        )
        for look in looks
    ]
    return Markup('<div class="key">{}</div>').format(Markup().join(items))


def recognition(
    verdicts: Verdicts, names: Sequence[str] | None, looks: dict[str, Look], sample: int | None = None
) -> Markup:
    """Copies recognised over τ, of the set or of a sample, with the span of the re-trained models.

    Args:
        names: models beside the Original; all of the table by default.
    """
    others = [name for name in verdicts.models if name not in verdicts.references] if names is None else names
    names = [*dict.fromkeys(["original", *others])]
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
    what = "all samples to forget" if sample is None else f"sample {sample}"
    figure = curves(
        verdicts.taus.tolist(),
        lines,
        band,
        title="copies recognised (%)",
        across=tau_title(verdicts.attack),
        label=f"Copies recognised over the radius, {what}",
    )
    see = (
        ("The green band spans the re-trained models that there are; whether" if len(each) > 1 else "Whether")
        + " a model is beyond re-training is what the finding says, not the curves."
        if band
        else "Without a re-trained model nothing says how much of it is residual."
    )
    caption = (
        f"Perturbed copies of {what} that keep their class, of {trials:,} at each radius. See: how far from the "
        f"{'sample' if sample is not None else 'samples'} the models still recognise them. {see}"
    )
    return _figure(figure, [line.look for line in lines], caption)


def spread(rows: Sequence[dict[str, Any]], look: Look) -> Markup:
    """How the samples lie against the references."""
    values = np.array([row["excess"] for row in rows if row["excess"] is not None], float)
    if not len(values):
        return Markup()
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    width = nice((high - low) / 40)  # so that 0 is an edge between bins
    edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    figure = histogram(
        values,
        edges,
        colour=look.colour,
        title="copies recognised beyond the re-trained models (percentage points, radii above 0)",
        label="Histogram of the samples by copies recognised beyond the re-trained models",
    )
    return _figure(
        figure,
        [],
        "One count per sample to forget. See: samples right of the line are recognised more than by the re-trained "
        "models on average, left of it less.",
    )


def radii(norm: str, found: dict[str, Any], look: Look, looks: dict[str, Look], count: int) -> Markup:
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
        across=f"{NORMS[norm]}, {PIXELS}: ← brings the label back · takes it away →",
        label=f"Samples whose label is said, over the size of a change, {NORMS[norm]}",
        ticks=round_numbers(share["grid"][0], share["grid"][-1], 6),
        marked=5,
        at=0.0,
    )
    return _figure(
        figure,
        [line.look for line in lines],
        "Re-recognition radius: left of 0 the samples that come back within such a change, right of it those that no "
        "change found of that size takes away. See: above the green band a model holds samples more firmly than the "
        f"re-trained ones do. {beyond_words(found, count)}",
    )


def roc(signals: Sequence[dict[str, Any]], look: Look) -> Markup:
    """ROC curves of membership signals."""
    lines = []
    for signal in signals:
        name = signal["name"]
        own = name.startswith("radius")
        per_sample = ("star" if look.symbol == "hexagon" else "hexagon", "dash")
        base, _, copies = name.partition(", ")
        symbol, dash = SIGNALS.get(base, per_sample if "per sample" in name else (look.symbol, "solid"))
        grey = DARK if copies else GREY
        if not own or name.endswith("linf"):
            shown = Look(name, name, "", look.colour if own else grey, symbol, dash)
            lines.append(Curve(shown, 100 * np.array(signal["curve"][1])))
    axis = [100 * value for value in signals[0]["curve"][0]]
    figure = curves(
        axis,
        lines,
        None,
        title="this model’s samples accused (%)",
        across="re-trained models’ samples accused (%)",
        label="ROC curves of membership signals",
        ticks=axis[::20],
        marked=10,
        even=True,
    )
    return _figure(
        figure,
        [line.look for line in lines],
        "Membership signals, the model against re-trained ones. See: on the line from corner to corner a signal cannot "
        "tell them apart; above it the model is more familiar with the samples, below it less. The radius of "
        "re-recognition is in the model’s colour.",
    )


def copies_of(found: Copies, verdicts: Verdicts, looks: dict[str, Look]) -> Markup:
    """Copies with a mark for every model that recognises them."""
    names = [name for name in verdicts.models if name not in verdicts.references]
    shown = [REFERENCES, *names[: MARKED - 1]] if verdicts.references else names[:MARKED]
    tiles = []
    for i, image in enumerate(as_pictures(found.images)):
        marks = []
        for name in shown:
            members = verdicts.references if name == REFERENCES else (name,)
            at = [verdicts.models.index(member) for member in members]
            share = 0.12 + 0.88 * float(found.recognised[at, i].mean())
            marks.append(
                Markup('<svg viewBox="-6 -6 12 12" aria-hidden="true" style="opacity:{}">{}</svg>').format(
                    f"{share:.2f}", Markup(mark(looks[name]))
                )
            )
        tiles.append(
            Markup('<div class="tile"><img src="{}" alt="copy {}">{}</div>').format(
                png_uri(_small(image)), i + 1, Markup().join(marks)
            )
        )
    tiled = Markup('<div class="tiles copies">{}</div>').format(Markup().join(tiles))
    see = _marks_words(found.tau, verdicts, len(names) - sum(name in shown for name in names))
    return tiled + _key([looks[name] for name in shown]) + Markup('<p class="see">{}</p>').format(see)


def _marks_words(tau: float, verdicts: Verdicts, unmarked: int) -> str:
    """What marks on copies mean, and why this radius is shown."""
    k = len(verdicts.references)
    partly = "; the one of the re-trained models is as strong as the share of them that do" if k > 1 else ""
    why = "at which a model and the re-trained ones differ most" if k else "at which a model recognises most copies"
    if len(verdicts.taus) == 1:
        why = "that was measured"
    without = f" {unmarked} further model{'s have' if unmarked > 1 else ' has'} no mark here." if unmarked else ""
    return (
        "A mark is full where the model still gives the copy the sample’s class and faint where it does not"
        f"{partly}. τ = {tau:.4g} is the radius {why}.{without}"
    )


def picture(data: Dataset, sample: int) -> str:
    """A training sample as a data URI."""
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
