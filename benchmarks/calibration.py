"""Evidence for single samples against known truth: coverage, false alarms, false discoveries, power.

``python -m benchmarks calibration`` judges 280 synthetic audits and writes docs/calibration.md and its figure.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from rurk_core.evidence.calibration import score_synthetic, synthetic_audit

DOCS = Path(__file__).parents[1] / "docs"

SETTINGS: dict[str, dict] = {
    "8 references, 100 samples": {},
    "3 references": {"references": 3},
    "20 samples": {"samples": 20},
    "400 samples": {"samples": 400},
    "most samples recognised anyway": {"means": (8, 1)},
    "re-trainings agree on little": {"means": (0.5, 0.5), "precision": 0.5},
    "re-trainings better or worse as a whole": {"together": 0.5},
}
"""The last breaks an assumption on purpose."""

MEASURES = {
    "covered": ("true excess in its interval", 0.95),
    "alarms": ("false alarms at p ≤ 0.05", 0.05),
    "false_discoveries": ("false discoveries, list at 5%", 0.05),
    "found": ("planted samples listed", None),
    "wrongly_clear": ("planted samples called clear", None),
}
"""Measure → (what it is called, what it should be: coverage at least, errors at most)."""


def main(audits: int = 40, seed: int = 0) -> None:
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name, setting in SETTINGS.items():
        scores = [score_synthetic(synthetic_audit(rng, **setting)) for _ in range(audits)]
        table[name] = {}
        for measure in MEASURES:
            values = np.array([getattr(one, measure) for one in scores])
            values = values[np.isfinite(values)]
            table[name][measure] = (float(values.mean()), 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5)
    seconds = time.perf_counter() - start
    rows = [
        f"| {name} | " + " | ".join(f"{100 * mean:.1f} ± {100 * reach:.1f}" for mean, reach in found.values()) + " |"
        for name, found in table.items()
    ]
    (DOCS / "calibration.md").write_text(_document(audits, seed, rows))
    (DOCS / "calibration.svg").write_text(figure(table))
    print(f"{audits * len(SETTINGS)} synthetic audits in {seconds:.1f} s, in percent with 95% intervals over audits")
    print("\n".join(rows))


def _document(audits: int, seed: int, rows: list[str]) -> str:
    header = "| audits | " + " | ".join(title for title, _ in MEASURES.values()) + " |"
    lines = "\n".join([header, "| --- |" + " ---: |" * len(MEASURES), *rows])
    return f"""# What the evidence for single samples is worth

Written by `python -m benchmarks calibration`: {audits * len(SETTINGS)} synthetic audits, {audits} of each, seed {seed}.
An audit is a forget set of 100 samples, 8 re-trained models and 100 draws unless the row says otherwise. The truth is
drawn from other laws than the evidence assumes (`rurk_core/calibration.py`), and a fifth of the samples is still
known to the model. In percent, mean over audits ± 95%.

{lines}

![Coverage, errors and power of the evidence](calibration.svg)

See: intervals keep their 95% and lists their 5%; what few references cost is power, not truth. Where re-trainings
disagree about most samples nearly nothing can be listed, whatever the model does. The last row breaks an assumption on
purpose, models that are better or worse as a whole: `rurk calibrate` tests for that on every experiment ("between").

On a real experiment, `rurk calibrate` hands in every re-trained model as "unlearned" (false alarms) and the Original
(power).
"""


def figure(table: dict[str, dict[str, tuple[float, float]]]) -> str:
    """A panel per measure, a row per kind of audit: dot and 95% interval, dashed where it should be."""
    left, panel, gap, step, top = 270, 130, 44, 24, 44
    width, height = left + len(MEASURES) * (panel + gap), top + step * len(table) + 36
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="11" fill="#6b7280" role="img" aria-label="Coverage, errors and power of the evidence">'
    ]
    for number, name in enumerate(table):
        parts.append(f'<text x="{left - 12}" y="{top + step * number + 16}" text-anchor="end">{name}</text>')
    for column, (measure, (title, target)) in enumerate(MEASURES.items()):
        x0 = left + column * (panel + gap)
        low, high = (0.8, 1.0) if measure == "covered" else (0.0, 1.0) if measure == "found" else (0.0, 0.2)

        def at(value: float, x0: int = x0, low: float = low, high: float = high) -> float:
            return x0 + panel * (min(max(value, low), high) - low) / (high - low)

        words = title.split(" ")
        half = -(-len(words) // 2)
        for line, text in enumerate((" ".join(words[:half]), " ".join(words[half:]))):
            parts.append(f'<text x="{x0 + panel / 2}" y="{14 + 13 * line}" text-anchor="middle">{text}</text>')
        bottom = top + step * len(table)
        parts.append(f'<path d="M{x0} {bottom}h{panel}" stroke="#9ca3af"/>')
        for value in (low, (low + high) / 2, high):
            parts.append(f'<text x="{at(value):.1f}" y="{bottom + 14}" text-anchor="middle">{100 * value:g}%</text>')
        if target is not None:
            parts.append(f'<path d="M{at(target):.1f} {top}V{bottom}" stroke="#D55E00" stroke-dasharray="5 4"/>')
        for number, found in enumerate(table.values()):
            mean, reach = found[measure]
            y = top + step * number + 12
            parts.append(
                f'<path d="M{at(mean - reach):.1f} {y}H{at(mean + reach):.1f}" stroke="#0072B2" stroke-width="2"/>'
                f'<circle cx="{at(mean):.1f}" cy="{y}" r="4" fill="#0072B2"/>'
            )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    main()
