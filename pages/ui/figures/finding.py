"""How the five findings are drawn: one colour each, the same on every page, and the bar of all samples by finding."""

from __future__ import annotations

from rurk_core.evidence.findings import SAID
from rurk_core.report.looks import FINDING_HUES as HUES

__all__ = ["HUES", "key", "stack"]


def stack(counts: dict[str, int]) -> str:
    """All samples as one bar, a part per finding, as HTML; what it says is in its label."""
    whole = sum(counts.values()) or 1
    said = ", ".join(f"{count} {SAID[name]}" for name, count in counts.items() if count)
    parts = "".join(
        f'<i style="width:{100 * count / whole:.2f}%;background:{HUES[name]}" title="{count} {SAID[name]}"></i>'
        for name, count in counts.items()
        if count
    )
    return f'<div class="rk-findings" role="img" aria-label="{said}">{parts}</div>'


def key() -> str:
    """What the colours mean, as HTML."""
    items = "".join(f'<span><i style="background:{HUES[name]}"></i>{word}</span>' for name, word in SAID.items())
    return f'<div class="rk-key rk-chips">{items}</div>'
