"""``python -m benchmarks.evidence_bars | python -m benchmarks.calibration``: docs/calibration.md from those rows."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from .evidence_laws import LAWS

TARGET = Path(__file__).parents[1] / "docs" / "calibration.md"
NULL = re.compile(
    r"re-trainings, (?P<name>.+), K = (?P<k>\d+): p ≤ \.05 residual (?P<above>[\d.]+)%, over-forgotten "
    r"(?P<below>[\d.]+)%.* any false list (?P<listed>[\d.]+)% and (?P<gone>[\d.]+)%.*; (?P<audits>\d+) audits"
    r"(?:; interval holds (?P<inside>[\d.]+)%)?"
)
CONTROL = re.compile(
    r"(?P<role>substitute|brittle|null|original), (?P<siblings>\d+) siblings: said to remember (?P<samples>[\d.]+)% of "
    r"samples, sets (?P<sets>[\d.]+)%; any sample in (?P<any>[\d.]+)% of audits"
)
ROLES = {
    "substitute": "models trained with other samples of the class in place of the forget set",
    "brittle": "re-trainings with other augmentation or weight decay",
    "null": "re-trainings",
    "original": "Originals, which saw every sample",
}

INTRODUCTION = """# What the evidence is worth

Written by `python -m benchmarks.evidence_bars | python -m benchmarks.calibration`. On an experiment of one's own
`rurk calibrate` measures the same: every re-trained model is handed in as "unlearned", and the Original.

**The law.** Of every sample each model has a number: the mean log-odds of the sample's label over its perturbed
copies, over all radii above 0. The null is that the unlearned model is one more re-training. Its law comes from K re-
trained models: Student's t around their mean, with the variance of a sample drawn towards that of all samples as far
as they are alike, and fewer degrees of freedom where samples move together. Each re-trained model is then held
against the others, and where these statistics reach further than Student's law says, they are believed. This gives
one prediction interval for one more re-training, a p-value on either side, and lists at a false-discovery rate of 5%
(Benjamini and Hochberg). Below K = 3 nothing is called. What the Original shows under the same law says what there is
to see on a sample; what the model gains on held-out samples of the class is taken off to tell memory of this sample
from knowledge of its class. Under an attack that is built on a model every model is attacked and judges its own
copies.

## Laws that it does not assume

Each audit hands in one more model of the same law, with 100 samples; nothing should be found. p ≤ .05 should be 5%,
lists with anything in them at most 7%, and the interval should hold 95 ± 2%.

"""

BARS = (
    (re.compile(r"interval without 0\.5 in ([\d.]+)%; bar"), 0, 7),
    (re.compile(r"in 4 of 5 cases: listed ([\d.]+)%"), 75, 85),
    (re.compile(r"prediction interval holds one more re-training ([\d.]+)%"), 93, 97),
    (re.compile(r"its interval holds [01] in ([\d.]+)%"), 93, 100),
)
"""Of other rows: the number, and the range it should be in."""

WORDS = """### Memory of a very sample

Held against held-out samples of the class, K = 8. Substitutes and brittle models never saw the samples: what they show
is of the class, or not of the samples at all, and must not be called memory (at most 5% of samples, and of sets).
“Siblings” are further models that saw the samples (`rurk run --members M`).

"""


def main(lines: Iterable[str] = sys.stdin) -> None:
    TARGET.write_text(page([line.rstrip() for line in lines]))


def page(lines: Sequence[str]) -> str:
    """The page from the printed rows of :mod:`benchmarks.evidence_bars`."""
    first = next((i for i, line in enumerate(lines) if re.match(r"\w+: \d+ ", line)), len(lines))
    text = INTRODUCTION + "".join(f"* {name}: {what}\n" for name, what in LAWS.items())
    broken: list[str] = []
    text += "\n" + nulls(lines[:first], "a synthetic audit, ", broken)
    real, name = [], ""
    for line in lines[first:]:
        if re.match(r"\w+: \d+ ", line):
            name = line.partition(":")[0]
        real.append((name, line))
    for name in dict.fromkeys(name for name, _ in real):
        mine = [line.strip() for of, line in real if of == name]
        text += f"\n## Real models: {name}\n\nModels: {mine[0].partition(': ')[2]}.\n\n"
        text += "“few”: 10 draws a sample and radius.\n\n" if any(", few," in line for line in mine) else ""
        text += nulls(mine, f"{name}, ", broken)
        other = [line for line in mine[1:] if not NULL.match(line) and not CONTROL.match(line)]
        text += "\n" + "".join(f"* {line}\n" for line in other if not line.startswith("The bank has"))
        broken += [f"{name}, {line}" for line in other if any(missed(line, *bar) for bar in BARS)]
        rows = [found for line in mine if (found := CONTROL.match(line))]
        if rows:
            text += "\n" + WORDS + controls(rows, f"{name}, ", broken)
    text += "\n## Where it breaks\n\nAll rows above that miss what they should have:\n\n"
    return text + ("".join(f"* {line}\n" for line in broken) if broken else "* none\n")


def missed(line: str, pattern: re.Pattern[str], low: float, high: float) -> bool:
    """Whether a row has that number, and out of its range."""
    found = pattern.search(line)
    return found is not None and not low <= float(found[1]) <= high


def nulls(lines: Sequence[str], where: str, broken: list[str]) -> str:
    """A table of what is said of honest re-trainings; rows that miss a bar join ``broken``."""
    rows = ""
    for found in filter(None, (NULL.match(line.strip()) for line in lines)):
        at, k = {n: float(found[n]) for n in ("above", "below", "listed", "gone")}, int(found["k"])
        inside = found["inside"] and float(found["inside"])
        rows += f"| {found['name']} | {k} | {at['above']} / {at['below']} | {at['listed']} / {at['gone']} | "
        rows += ("" if inside is None else f"{inside}") + f" | {found['audits']} |\n"
        if k < 3:  # nothing is called
            continue
        wrong = [
            f"p ≤ .05 in {at[side]}% on the side of {word}"
            for side, word in (("above", "residual knowledge"), ("below", "over-forgetting"))
            if not 4 <= at[side] <= 6
        ]
        wrong += [
            f"a false list of {word} in {at[side]}% of audits"
            for side, word in (("listed", "residual samples"), ("gone", "over-forgotten ones"))
            if at[side] > 7
        ]
        if inside is not None and not 93 <= inside <= 97:
            wrong.append(f"the interval holds {inside}%")
        if wrong:
            broken.append(f"{where}{found['name']}, K = {k}: {'; '.join(wrong)}")
    head = "| re-trainings | K | p ≤ .05, residual / over-forgotten | with a false list | interval holds | audits |\n"
    return head + "| --- | ---: | ---: | ---: | ---: | ---: |\n" + rows


def controls(rows: Sequence[re.Match[str]], where: str, broken: list[str]) -> str:
    """A table of whom memory of a very sample is said."""
    text = "| handed in | siblings | samples | sets | audits with any sample |\n| --- | ---: | ---: | ---: | ---: |\n"
    for row in rows:
        role, siblings, any_ = ROLES[row["role"]], row["siblings"], float(row["any"])
        text += f"| {role} | {siblings} | {row['samples']}% | {row['sets']}% | {any_}% |\n"
        if row["role"] == "original":
            continue
        if float(row["samples"]) > 5 or float(row["sets"]) > 5:
            of = f"memory said of {row['samples']}% of samples, {row['sets']}% of sets"
            broken.append(f"{where}{role}, {siblings} siblings: {of}")
        elif any_ > 7:
            broken.append(f"{where}{role}, {siblings} siblings: memory said of some sample in {any_}% of audits")
    return text


if __name__ == "__main__":
    main()
