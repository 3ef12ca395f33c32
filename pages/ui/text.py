"""Words for people: text as Markdown and HTML show it, shares."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from typing import Any


def plain(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+!|~$:^" else c for c in text)


def escape(text: Any) -> str:
    """Text that HTML shows as it is."""
    return html.escape(str(text))


def percent(share: float) -> str:
    """0.9861 → "98.6%"."""
    return f"{100 * share:.1f}%"


def distinct(words: Sequence[str], more: Sequence[str]) -> list[str]:
    """Words for the options of a selectbox: those that occur twice get ``more`` behind them.

    A selectbox tells its options apart by their words alone: a choice among equal ones comes back as another of them
    with the next interaction.
    """
    often = Counter(words)
    return [word if often[word] == 1 else f"{word} · {extra}" for word, extra in zip(words, more, strict=True)]


def number(value: float) -> str:
    """A count, or a mean of counts with one decimal."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
