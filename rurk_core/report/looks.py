"""One colour, one shape and one letter per method, in the app and in reports (Okabe-Ito: safe for the colour-blind)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..run.titles import model_words
from ..unlearning import METHODS

COLOURS = ("#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#A6761D", "#7570B3")
SYMBOLS = ("diamond", "triangle-up", "cross", "star", "x", "hexagon")
DASHES = ("solid", "dashdot", "dot", "longdash", "dash", "longdashdot")
FINDING_HUES = {
    "residual": "#B5402A",
    "over_forgotten": "#3D6FB6",
    "clear": "#2E8B6F",
    "nothing_to_see": "#BCC4D0",
    "cannot_tell": "#5B6575",
}
"""Finding → its colour on every page and in reports; each is said in words beside it too. The two greys, which lie side
by side most, are three times as light as each other."""
FILLS = ("#EEDD88", "#99DDFF", "#EE8866", "#BBCC33", "#FFAABB", "#77AADD", "#44BB99", "#DDDDDD", "#AAAA00")
"""Paul Tol's light colours, made to be told apart as areas under dark text; a sample's own class has the first."""
REST = "#C9CDD4"
"""Areas of all further classes."""
REFERENCES = "references"
"""The re-trained models taken together."""


@dataclass(frozen=True)
class Look:
    """How a model is drawn: its name, a letter or two, a colour, a Plotly marker and a Plotly line style."""

    name: str
    title: str
    letter: str
    colour: str
    symbol: str
    dash: str

    @property
    def ink(self) -> str:
        """The colour of letters on the colour, black or white: the one with more contrast."""
        light = luminance(self.colour)
        return "#fff" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "#000"

    def tag(self) -> str:
        """The letter on the colour, as HTML."""
        return f'<span class="rk-tag" style="background:{self.colour};color:{self.ink}">{escape(self.letter)}</span>'

    @property
    def named(self) -> str:
        """Letter and name in a line of text; a name that is its letter is said once.

        >>> Look("gd", "GD", "GD", "#CC79A7", "circle", "solid").named
        'GD'
        >>> Look("rurk", "RURK", "RU", "#D55E00", "circle", "solid").named
        'RU · RURK'
        """
        return self.title if self.title.replace(" ", "") == self.letter else f"{self.letter} · {self.title}"

    def label(self) -> str:
        """Tag and name, as HTML."""
        return f"{self.tag()} {escape(self.title)}"


def luminance(colour: str) -> float:
    """Relative luminance of #RRGGBB from 0 to 1 (WCAG 2.2).

    >>> luminance("#ffffff"), luminance("#000000")
    (1.0, 0.0)
    """
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def method_look(method: str) -> tuple[str, str, str, str]:
    """(letter, colour, symbol, dash) of a method, whatever else a run holds; of one's own methods by their name.

    >>> method_look("gd")
    ('GD', '#CC79A7', 'triangle-up', 'dashdot')
    """
    known = METHODS.get(method)
    title = known.title if known else method
    letters = "".join([letter for letter in title if letter.isascii() and letter.isalnum()][:2]).upper()
    if known and known.place is not None:
        return (known.letters or letters or "U", *_drawn(known.place))
    at = int(hashlib.sha256(method.encode()).hexdigest()[:8], 16) % 36
    return ((known.letters if known else "") or letters or "U", *_drawn(at))


def _drawn(at: int) -> tuple[str, str, str]:
    """Beyond six, colours come again with other shapes and lines: 36 that can be told apart."""
    n, again = len(COLOURS), at // len(COLOURS)
    return COLOURS[at % n], SYMBOLS[(at + again) % n], DASHES[(at + 2 * again) % n]


def _variant(colour: str, symbol: str, dash: str, turn: int) -> tuple[str, str, str]:
    """The look of a method's second, third, … model of a run: its colour darker, another shape and line."""
    if not turn:
        return colour, symbol, dash
    kept = max(0.35, 0.62**turn)
    darker = "#" + "".join(f"{round(kept * int(colour[i : i + 2], 16)):02X}" for i in (1, 3, 5))
    return (
        darker,
        SYMBOLS[(SYMBOLS.index(symbol) + turn) % len(SYMBOLS)],
        DASHES[(DASHES.index(dash) + turn) % len(DASHES)],
    )


def looks_of(rows: Sequence[dict[str, Any]]) -> dict[str, Look]:
    """The looks of the models of a run, by name, and of its references together.

    Args:
        rows: ``models`` of the result document.
    """
    looks = {"original": Look("original", "Original", "O", "#0072B2", "circle", "solid")}
    count = sum(row["role"] == "reference" for row in rows)
    title = f"Re-trained (mean of {count})" if count > 1 else "Re-trained"
    looks[REFERENCES] = Look(REFERENCES, title, "R", "#009E73", "square", "dash")
    unlearned = [row for row in rows if row["role"] == "unlearned"]
    stems = Counter(Path(row["file"]).stem for row in unlearned if "file" in row)
    taken: Counter[str] = Counter()
    # the model that bears the method's own name has its plain look
    for row in sorted(unlearned, key=lambda row: row["name"] != row.get("method")):
        letter = method_look(row["method"])[0] if row.get("method") else ""
        looks[row["name"]] = _unlearned(row, unlearned.index(row), taken[letter], stems)
        taken[letter] += 1
    ordered = {name: looks[name] for name in ("original", REFERENCES, *(row["name"] for row in unlearned))}
    for row in rows:
        if row["role"] == "reference":
            number = row["name"].removeprefix("reference-")
            ordered[row["name"]] = Look(row["name"], f"Re-trained {number}", f"R{number}", "#009E73", "square", "dot")
    return ordered


def _unlearned(row: dict[str, Any], at: int, turn: int, stems: Counter[str]) -> Look:
    """The look of the ``at``-th unlearned model, before which ``turn`` others of the run have the same letters.

    Args:
        stems: how many files of an audit are called what.
    """
    key, name = row.get("method", ""), row["name"]
    if not key:  # an audit: nobody said how it was made, and what the file is called says more than its number
        stem = Path(row.get("file", name)).stem
        title = f"{stem} · {name}" if stems[stem] > 1 else stem
        return Look(name, title, f"U{at + 1}", *_drawn(at))
    letter, colour, symbol, dash = method_look(key)
    number = str(turn + 1) if turn else ""
    return Look(name, model_words(name), letter + number, *_variant(colour, symbol, dash, turn))
