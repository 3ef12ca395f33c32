"""A comparison as text: cells, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .columns import COLUMNS, RETRAIN, Result
from .table import ranks


def cell_text(key: str, cell: Result | None) -> str:
    """ "93.83 ± 0.42" in shown units; "> 30" where re-learning never ended, "> 20.50" where it did for some seeds: such
    a mean has no deviation; "not measured" for None.
    """
    if cell is None:
        return "not measured"
    metric = COLUMNS[key]
    value = f"{metric.scale * cell['mean']:.{metric.digits}f}"
    if cell["over"]:
        return f"> {value.removesuffix('.00')}"
    return value if cell["sd"] is None else f"{value} ± {metric.scale * cell['sd']:.{metric.digits}f}"


def gap_text(key: str, cell: Result | None) -> str:
    """ "+0.42", with "≈" in front where one more re-training lies as near in 95%; "" where there is none."""
    if cell is None or cell["gap"] is None:
        return ""
    metric = COLUMNS[key]
    return f"{'≈ ' if cell['within'] else ''}{metric.scale * cell['gap']:+.{metric.digits}f}"


def flat(comparison: Result) -> list[dict[str, Any]]:
    """The table as one dictionary a row and metric, in shown units, for CSV."""
    lines = []
    for row in comparison["rows"]:
        for key, metric in COLUMNS.items():
            cell = row["cells"][key]
            if cell is None and not row["failed"]:
                continue
            shown = {name: None for name in ("mean", "sd", "low", "high", "gap")}
            if cell is not None:
                low, high = cell["interval"] or (None, None)
                values = {"mean": cell["mean"], "sd": cell["sd"], "low": low, "high": high, "gap": cell["gap"]}
                shown = {n: None if v is None else round(metric.scale * v, 6) for n, v in values.items()}
            lines.append(
                {"model": row["title"], "settings": row["settings"], "metric": metric.title, "unit": metric.unit}
                | shown
                | {
                    "within_references": None if cell is None else cell["within"],
                    "seeds": 0 if cell is None else cell["n"],
                    "over_limit": 0 if cell is None else cell["over"],
                    "failed": "; ".join(f"seed {seed}: {why}" for seed, why in row["failed"].items()),
                }
            )
    return lines


def to_csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """Dictionaries with equal names as CSV; text that a spreadsheet would run as a formula is quoted.

    >>> to_csv([{"a": 1, "b": "=x"}])
    "a,b\\r\\n1,'=x\\r\\n"
    """

    def harmless(value: Any) -> Any:
        # spreadsheets look past blanks, and take what a line break begins for a cell of its own
        risky = isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")
        return f"'{value}" if risky or (isinstance(value, str) and value[:1] in "\t\r\n" and value) else value

    out = io.StringIO()
    if lines:
        writer = csv.writer(out)
        writer.writerow(harmless(str(name)) for name in lines[0])
        writer.writerows([harmless(line[name]) for name in lines[0]] for line in lines)
    return out.getvalue()


def to_latex(comparison: Result) -> str:
    """The table for a paper (booktabs): mean ± standard deviation, best in bold, worst underlined.

    A dagger marks what is no further from Re-train than re-trainings are from each other.
    """
    rows = comparison["rows"]
    shown = [key for key in COLUMNS if any(row["cells"][key] for row in rows)]
    marks = {key: ranks(rows, key) for key in shown}
    heads = [f"{_tex(COLUMNS[key].title)} ({_tex(COLUMNS[key].unit)})" for key in shown]
    seeds = ", ".join(map(str, comparison["seeds"]))
    lines = [
        "% Target of every column but the last ones (costs) is Re-train; bold: nearest to it, underlined: furthest.",
        "% A dagger: as near to Re-train as one more re-training lies in 95% of all cases.",
        f"% {_tex(comparison['dataset']['name'])}, seeds {seeds}; mean and sample standard deviation.",
        f"\\begin{{tabular}}{{l{'r' * len(shown)}}}",
        "\\toprule",
        " & ".join(["Method", *heads]) + " \\\\",
        "\\midrule",
    ]
    for row in rows:
        cells = []
        for key in shown:
            cell = row["cells"][key]
            if cell is None:
                cells.append("diverged" if row["failed"] else "--")
                continue
            text = cell_text(key, cell).replace(" ± ", "$\\pm$").replace("> ", "$>$")
            mark = marks[key].get(row["name"])
            text = f"\\textbf{{{text}}}" if mark == "best" else f"\\underline{{{text}}}" if mark else text
            cells.append(text + ("$^\\dagger$" if cell["within"] else ""))
        lines.append(" & ".join([_tex(row["title"]), *cells]) + " \\\\")
        if row["name"] == RETRAIN:
            lines.append("\\midrule")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


_TEX = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "r̂": "$\\hat{r}$"}
_TEX |= {c: f"\\{c}" for c in "&%$#_{}"} | {"×": "$\\times$", "±": "$\\pm$", "τ": "$\\tau$"}


def _tex(text: str) -> str:
    """Text as LaTeX shows it."""
    return re.sub("|".join(map(re.escape, _TEX)), lambda found: _TEX[found[0]], text)
