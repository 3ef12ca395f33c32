"""The story of an experiment in four beats, as HTML that fits one screen: every word is computed from evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rurk_core.evidence.findings import SAID, Finding, Findings
from rurk_core.evidence.null import NEEDED
from rurk_core.evidence.numbers import signed
from rurk_core.evidence.parts import Parts, parts
from rurk_core.evidence.words import set_words, short_words
from ui.figures.finding import HUES, stack
from ui.figures.look import GREEN, REFERENCES
from ui.figures.sheet import Sheet, make_sheet
from ui.session.evidence import finding_of, findings_of
from ui.session.view import View
from ui.text import escape, number, percent

FEW_COPIES = 16
BINS = 28


@dataclass(frozen=True)
class Story:
    """What is told: the sample in view, the findings of every method under its attack, the parts they play."""

    view: View
    found: dict[str, Findings]
    parts: Parts

    @property
    def finding(self) -> Finding:
        """Of the sample, under the method in view."""
        return finding_of(self.found[self.view.method], self.view.sample)


def story_of(view: View, methods: list[str]) -> Story:
    found = {method: findings_of(view.run, method, view.attack) for method in methods}
    return Story(view, found, parts(found))


def picture(sheet: Sheet, at: int, side: int, alt: str) -> str:
    """A picture of a sheet, scaled by a whole factor where that comes near ``side`` pixels."""
    factor = side / max(sheet.height, sheet.width)
    factor = round(factor) if factor >= 1 and round(factor) <= 1.1 * factor else factor
    wide, high = (round(factor * of) for of in (sheet.width, sheet.height))
    row, column = divmod(at, sheet.columns)
    return (
        f'<span class="rk-picture {sheet.name}" role="img" aria-label="{escape(alt)}" style="width:{wide}px;'
        f"height:{high}px;"
        f"background-size:{sheet.columns * wide}px {sheet.rows * high}px;"
        f'background-position:-{column * wide}px -{row * high}px"></span>'
    )


def excesses(found: Findings) -> tuple[np.ndarray, str]:
    """What every sample has beyond a re-training, and in what; copies recognised where there is no re-training."""
    judged = found.judged
    if judged is not None and not np.isnan(judged.deviate).any():
        return judged.deviate[[one.place for one in found.samples]], "deviations"
    if found.samples[0].excess is not None:
        return np.array([one.excess for one in found.samples]), "% of copies"
    return np.array([100 * one.recognised / one.copies for one in found.samples]), "% of copies"


def histogram(found: Findings, sample: int) -> str:
    """All samples by what they have beyond a re-training, coloured by finding, the sample in view marked."""
    values, unit = excesses(found)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    high = high if high > low else low + 1
    bins = np.clip(((values - low) / (high - low) * BINS).astype(int), 0, BINS - 1)
    stacks = [[sum(bins[i] == b and one.finding == name for i, one in enumerate(found.samples)) for name in SAID]
              for b in range(BINS)]  # fmt: skip
    top = max(map(sum, stacks))
    bars = "".join(
        "<span>"
        + "".join(
            f'<i style="height:{100 * count / top:.1f}%;background:{HUES[name]}" title="{count} {SAID[name]}"></i>'
            for name, count in zip(SAID, counts, strict=True)
            if count
        )
        + "</span>"
        for counts in stacks
    )
    own = float(values[[one.sample for one in found.samples].index(sample)])
    at, zero = (100 * (value - low) / (high - low) for value in (own, 0.0))
    beyond = "recognised" if found.samples[0].excess is None else "beyond a re-training"
    dashed = "none is recognised" if found.samples[0].excess is None else "what a re-training does on average"
    many = "1 sample" if len(values) == 1 else f"{len(values)} samples"
    said = f"{many} by {unit} {beyond}; sample {sample} has {signed(own)}"
    return (
        f'<div class="rk-hist" role="img" aria-label="{escape(said)}">{bars}<u style="left:{zero:.1f}%"></u>'
        f'<b style="left:{at:.1f}%"></b></div><div class="rk-ends"><span>{signed(low)}</span>'
        f"<span>{unit} {beyond}</span><span>{signed(high)}</span></div>"
        f'<div class="rk-ends"><span>▼ this sample · ┆ 0: {dashed}</span></div>'
    )


def first_beat(story: Story) -> str:
    view, finding = story.view, story.finding
    look, n = view.looks[view.method], len(story.found[view.method].samples)
    drawn = ""
    if view.dataset is not None:
        sheet = make_sheet(view.dataset.train_images[[view.sample]])
        alt = f"sample {view.sample}, class {view.classes[view.label]}"
        drawn = f"<style>{sheet.rule}</style>{picture(sheet, 0, 112, alt)}"
    values, _ = excesses(story.found[view.method])
    own = values[[one.sample for one in story.found[view.method].samples].index(view.sample)]
    alike = int((values == own).sum())
    most = "most recognised" if finding.excess is None else "most beyond a re-training"
    if alike == n:
        which = "It is the only one:" if n == 1 else f"All {n:,} show as much:"
    else:
        one = "the one" if alike == 1 else f"one of {alike:,} that are"
        which = f"Of {n:,} it is <b>{one} {most}</b>{', not a usual one' if alike < n / 4 else ''}:"
    asked = "It was to be forgotten" if view.method == "original" else f"{look.label()} was to forget it"
    return (
        f'<div class="rk-fact">{drawn}<p>Training sample {view.sample}, class “{escape(view.classes[view.label])}”. '
        f"{asked}. {which}</p></div>"
        f"{histogram(story.found[view.method], finding.sample)}"
    )


def second_beat(view: View) -> str:
    """Copies of the sample at the radius in view."""
    from rurk_core.perturb.copies import ATTACKS

    what, draws = f"τ = {view.tau:.3g}, {ATTACKS[view.attack].title}", view.verdicts.draws
    said = "1 copy" if draws == 1 else f"{draws} copies"
    if view.dataset is None or ATTACKS[view.attack].uses_model:
        return f"<p>{said}, {escape(what)}.</p>"
    import torch

    from rurk_core.data import to_pixels
    from rurk_core.perturb.copies import copies

    with torch.no_grad():
        moved = copies(
            view.attack,
            to_pixels(view.dataset.train_images[[view.sample]]),
            torch.tensor([view.label]),
            ids=[view.sample],
            tau=view.tau,
            draws=min(FEW_COPIES, view.verdicts.draws),
            seed=view.verdicts.seed,
            classes=len(view.classes),
        )[0]
    sheet = make_sheet(moved)
    shown = "".join(picture(sheet, i, 52, f"copy {i + 1}") for i in range(len(moved)))
    more = f", {len(moved)} of them here" if len(moved) < view.verdicts.draws else ""
    return f'<style>{sheet.rule}</style><div class="rk-copies">{shown}</div><p>{said} ({escape(what)}){more}.</p>'


def third_beat(story: Story) -> str:
    """Who still gives the copies the sample's class: a bar with its number for every model of the story."""
    view, of = story.view, story.view.verdicts.draws
    named = [story.parts.leaves, story.parts.nearest, story.parts.destroys, view.method]
    names = dict.fromkeys(["original", REFERENCES, *filter(None, named)])
    rows = []
    for name in names:
        if name not in view.verdicts.models and not (name == REFERENCES and view.verdicts.references):
            continue
        count = float(view.counts(name)[view.at, view.label])
        look, spread = view.looks[name], ""
        each = view.verdicts.reference_recognised()[:, view.place, view.at]
        if name == REFERENCES and len(each) > 1:
            left, right = 100 * each.min() / of, 100 * each.max() / of
            spread = f'<u style="left:{left:.1f}%;width:{max(1.0, right - left):.1f}%;background:{GREEN}"></u>'
        rows.append(
            f'<tr><td>{look.label()}</td><td><div class="rk-bar"><i style="width:{100 * count / of:.1f}%;'
            f'background:{look.colour}"></i>{spread}</div></td><td class="num"><b>{number(count)}</b> of {of}</td></tr>'
        )
    return (
        f'<table class="rk-table rk-who">{"".join(rows)}</table><p>Copies that each model still takes for '
        f"“{escape(view.classes[view.label])}”. Whether a model is beyond re-training is what the finding says, "
        "not the spread of the bars.</p>"
    )


def fourth_beat(story: Story, accuracy: dict[str, float]) -> str:
    """One method that leaves, one that destroys, one that does neither, as far as there are such."""
    view, told = story.view, story.parts
    nearest = "Of the others, nearest to a re-training" if told.leaves or told.destroys else "Nearest to a re-training"
    cards = [
        (told.leaves, "Leaves knowledge"),
        (told.destroys, "Forgets too far"),
        (told.nearest, "Not told from a re-training" if told.alike else nearest),
    ]
    cards = [(name, title) for name, title in cards if name]
    if not cards:
        name, found = next(iter(story.found.items()))
        return f"<p>{view.looks[name].label()}: {escape(set_words(found))}</p>"
    drawn = []
    for name, title in cards:
        found = story.found[name]
        test = ""
        if name in accuracy and "references" in accuracy:
            test = f" Test accuracy {percent(accuracy[name])}, of re-trained models {percent(accuracy['references'])}."
        drawn.append(
            f'<div class="rk-card"><h3>{title}</h3><div class="rk-name">{view.looks[name].label()}</div>'
            f"{stack(found.counts())}<p>Of {len(found.samples):,} samples: {escape(short_words(found))}.{test}</p>"
            "</div>"
        )
    return f'<div class="rk-cards">{"".join(drawn)}</div>'


def accuracies_of(result: dict[str, Any]) -> dict[str, float]:
    """Test accuracy of every model, and the mean of the re-trained ones."""
    found = {row["name"]: row["test_accuracy"] for row in result["models"] if "test_accuracy" in row}
    each = [found[row["name"]] for row in result["models"] if row["role"] == "reference" and row["name"] in found]
    return found | ({"references": float(np.mean(each))} if each else {})


def telling(story: Story) -> bool:
    """Whether the evidence can name anything at all."""
    judged = story.found[story.view.method].judged
    return judged is not None and judged.references >= NEEDED


def drawn(story: Story, result: dict[str, Any]) -> str:
    """All four beats."""
    beats = (
        ("A picture to forget", first_beat(story)),
        ("Copies of it, changed a little", second_beat(story.view)),
        ("Who still knows it?", third_beat(story)),
        ("And all samples together?", fourth_beat(story, accuracies_of(result))),
    )
    return '<div class="rk-story">' + "".join(
        f'<section class="rk-beat rk-beat-{at}"><h2><span>{at}</span>{title}</h2>{body}</section>'
        for at, (title, body) in enumerate(beats, 1)
    ) + "</div>"  # fmt: skip
