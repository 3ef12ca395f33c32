"""One colour, one shape and one letter per model, in the app and in reports (Okabe-Ito: safe for the colour-blind)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ..unlearning import METHODS

UNLEARNED = (
    ("#D55E00", "diamond", "solid"),
    ("#CC79A7", "triangle-up", "dashdot"),
    ("#E69F00", "cross", "dot"),
    ("#56B4E9", "star", "longdash"),
    ("#A6761D", "x", "dash"),
    ("#7570B3", "hexagon", "longdashdot"),
)
FILLS = ("#EEDD88", "#99DDFF", "#EE8866", "#BBCC33", "#FFAABB", "#77AADD", "#44BB99", "#DDDDDD", "#AAAA00")
"""Paul Tol's light colours, made to be told apart as areas under dark text; a sample's own class has the first."""
REST = "#C9CDD4"
"""Areas of all further classes."""
REFERENCES = "references"
"""The re-trained models taken together."""


@dataclass(frozen=True)
class Look:
    """How a model is drawn: its name, a letter, a colour, a Plotly marker and a Plotly line style."""

    name: str
    title: str
    letter: str
    colour: str
    symbol: str
    dash: str

    @property
    def ink(self) -> str:
        """The colour of letters on the colour."""
        return "#fff" if self.colour == "#0072B2" else "#000"  # a contrast of at least 4.5:1 on every colour

    def tag(self) -> str:
        """The letter on the colour, as HTML."""
        return f'<span class="rk-tag" style="background:{self.colour};color:{self.ink}">{self.letter}</span>'

    def label(self) -> str:
        """Tag and name, as HTML."""
        return f"{self.tag()} {escape(self.title)}"


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
    for at, row in enumerate(unlearned):
        # beyond six, colours come again with other shapes and lines: 36 that can be told apart
        n, again = len(UNLEARNED), at // len(UNLEARNED)
        colour, symbol, dash = UNLEARNED[at % n][0], UNLEARNED[(at + again) % n][1], UNLEARNED[(at + 2 * again) % n][2]
        key = row.get("method", "")
        title = METHODS[key].title if row["name"] == key and key in METHODS else row["name"]
        if "file" in row:  # an audit: what the file is called says more than its number
            title = Path(row["file"]).stem
        letter = f"U{at + 1}" if len(unlearned) > 1 else "U"
        looks[row["name"]] = Look(row["name"], title, letter, colour, symbol, dash)
    for row in rows:
        if row["role"] == "reference":
            number = row["name"].removeprefix("reference-")
            looks[row["name"]] = Look(row["name"], f"Re-trained {number}", f"R{number}", "#009E73", "square", "dot")
    return looks
