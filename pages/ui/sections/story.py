"""The story of an experiment in four beats, as HTML that fits one screen: every word is computed from evidence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from rurk_core.evidence.findings import SAID, Finding, Findings
from rurk_core.evidence.null import NEEDED
from rurk_core.evidence.numbers import signed
from rurk_core.evidence.parts import Parts, part_words, parts
from rurk_core.evidence.words import planted_words, set_words, short_words
from rurk_core.run.standing import MORE, NOTHING, stands_apart
from ui.figures.finding import HUES, stack
from ui.figures.look import GREEN, REFERENCES
from ui.figures.sheet import Sheet, make_sheet
from ui.session.evidence import finding_of, findings_of
from ui.session.view import View
from ui.text import escape, number, percent

FEW_COPIES = 16
CARDS, LINES, BARS = 3, 3, 7
"""Methods shown as cards, and as lines below them, and models shown as bars, before the others are folded."""
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

    @property
    def order(self) -> list[str]:
        """All methods: those that play a part first, the others as the run has them."""
        told = self.parts
        return [name for name in dict.fromkeys([told.leaves, told.nearest, told.destroys, *self.found]) if name]

    @property
    def retrained(self) -> bool:
        return bool(self.view.verdicts.references)


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
    drawn = planted = ""
    if view.dataset is not None:
        sheet = make_sheet(view.dataset.train_images[[view.sample]])
        alt = f"sample {view.sample}, class {view.classes[view.label]}"
        planted = planted_words(view.dataset.canaries, view.sample, view.classes[view.label])
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
        f"{escape(planted)} {asked}. {which}</p></div>"
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
    """Who still gives the copies the sample's class: a bar with its number for every model that judged them."""
    view = story.view
    names = dict.fromkeys(["original", REFERENCES, *story.order])
    judges = [name for name in names if name in view.verdicts.models or (name == REFERENCES and story.retrained)]
    rows = [_who(view, name) for name in judges]
    shown, rest = rows[:BARS], rows[BARS:]
    return (
        f'<table class="rk-table rk-who">{"".join(shown)}</table>'
        + _folded(f"{len(rest)} more", f'<table class="rk-table rk-who">{"".join(rest)}</table>' if rest else "")
        + f"<p>Copies that each model still takes for “{escape(view.classes[view.label])}”. Whether a model is beyond "
        "re-training is what the finding says, not the spread of the bars.</p>"
    )


def _who(view: View, name: str) -> str:
    of, count = view.verdicts.draws, float(view.counts(name)[view.at, view.label])
    look, spread = view.looks[name], ""
    each = view.verdicts.reference_recognised()[:, view.place, view.at]
    if name == REFERENCES and len(each) > 1:
        left, right = 100 * each.min() / of, 100 * each.max() / of
        spread = f'<u style="left:{left:.1f}%;width:{max(1.0, right - left):.1f}%;background:{GREEN}"></u>'
    return (
        f'<tr><td>{look.label()}</td><td><div class="rk-bar"><i style="width:{100 * count / of:.1f}%;'
        f'background:{look.colour}"></i>{spread}</div></td><td class="num"><b>{number(count)}</b> of {of}</td></tr>'
    )


def _folded(summary: str, body: str) -> str:
    """What there is no room for, behind a click; nothing where there is nothing."""
    return f'<details class="rk-more"><summary>{summary}</summary>{body}</details>' if body else ""


def fourth_beat(story: Story, result: dict[str, Any]) -> str:
    """Every method: three as cards, those that play a part first, and the others a line each, many of them folded."""
    order, accuracy = story.order, accuracies_of(result)
    # that it over-forgets is what its title says
    notes = {
        row["name"]: [note for note in stands_apart(row) if note.startswith((MORE, NOTHING))]
        for row in result["models"]
    }
    cards = "".join(_card(story, name, accuracy, notes.get(name, [])) for name in order[:CARDS])
    rest = order[CARDS:]
    lines = "".join(
        f"<tr><td>{story.view.looks[name].label()}</td><td>{stack(story.found[name].counts())}</td>"
        f"<td><b>{part_words(story.found[name])}</b>: {escape(short_words(story.found[name]))}</td></tr>"
        for name in rest
    )
    lines = f'<table class="rk-table rk-others">{lines}</table>' if rest else ""
    if len(rest) > LINES:
        kinds = Counter(part_words(story.found[name]) for name in rest)
        told = ", ".join(f"{count} × {words[0].lower()}{words[1:]}" for words, count in kinds.most_common())
        lines = _folded(f"{len(rest)} more methods: {told}", lines)
    return f'<div class="rk-cards">{cards}</div>{lines}'


def _card(story: Story, name: str, accuracy: dict[str, float], notes: list[str]) -> str:
    found, told, test = story.found[name], story.parts, ""
    if name in accuracy and "references" in accuracy:
        test = f" Test accuracy {percent(accuracy[name])}, of re-trained models {percent(accuracy['references'])}."
    said = f"Of {len(found.samples):,} samples: {short_words(found)}." if telling(found) else set_words(found)
    said = escape(" ".join([said, *notes]))
    why = {
        told.nearest: f"{'of the others ' if told.leaves or told.destroys else ''}nearest to re-trainings as a set",
        told.destroys: f"{'of the others ' if told.leaves else ''}most over-forgotten",
        told.leaves: "most residual knowledge",
    }
    of_all = f' <span class="rk-quiet">{why[name]}</span>' if name in why and len(story.found) > CARDS else ""
    return (
        f'<div class="rk-card"><h3>{part_words(found)}</h3>'
        f'<div class="rk-name">{story.view.looks[name].label()}{of_all}</div>'
        f"{stack(found.counts())}<p>{said}{test}</p></div>"
    )


def accuracies_of(result: dict[str, Any]) -> dict[str, float]:
    """Test accuracy of every model, and the mean of the re-trained ones."""
    found = {row["name"]: row["test_accuracy"] for row in result["models"] if "test_accuracy" in row}
    each = [found[row["name"]] for row in result["models"] if row["role"] == "reference" and row["name"] in found]
    return found | ({"references": float(np.mean(each))} if each else {})


def telling(found: Findings) -> bool:
    """Whether the evidence can name anything at all."""
    return not found.why and found.judged is not None and found.judged.references >= NEEDED


def drawn(story: Story, result: dict[str, Any]) -> str:
    """All four beats."""
    beats = (
        ("A picture to forget", first_beat(story)),
        ("Copies of it, changed a little", second_beat(story.view)),
        ("Who still knows it?", third_beat(story)),
        ("And all samples together?", fourth_beat(story, result)),
    )
    return '<div class="rk-story">' + "".join(
        f'<section class="rk-beat rk-beat-{at}"><h2><span>{at}</span>{title}</h2>{body}</section>'
        for at, (title, body) in enumerate(beats, 1)
    ) + "</div>"  # fmt: skip
