"""docs/reproduction.md from docs/reproduction.json: ``python -m benchmarks.reproduction_page``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from rurk_core.compare.differences import differences
from rurk_core.compare.reproduce import beside
from rurk_core.compare.table import CURVES, compare
from rurk_core.compare.targets import SCALES, TARGETS
from rurk_core.report.looks import Look, looks_of
from rurk_core.report.svg import HEIGHT, WIDTH, Curve, curves, mark
from rurk_core.report.units import tau_title
from rurk_core.run.spec import spec_from_dict

DOCS = Path(__file__).parents[1] / "docs"
DATA = DOCS / "reproduction.json"
HEAD = """# The paper beside ours

Made by `python -m benchmarks reproduction {scale}` from its runs on real images; the numbers lie in `reproduction.json`
beside this page. `rurk reproduce table_c2 --scale {scale}` shows the same in a terminal. Ours stands first, with the
deviation over seeds where there are several, the paper's behind it; = says that a mean over three other seeds of ours
would lie as near in 95% of all cases.
"""
FOLLOWING = ("figure2", "table_c6", "table_c7", "table_c8")
"""Other sides of the runs of table_c2."""
KEY = 5
"""Models in a row of the figure's key."""
SHOWN = 4
"""Radii in a table of this page; the figure has all of them."""


def write(file: Path = DATA) -> None:
    found = json.loads(file.read_text(encoding="utf-8"))
    (file.parent / "reproduction.md").write_text("\n".join(_page(found)) + "\n", encoding="utf-8")
    if "table_c2" in found["results"]:
        figure = _figure(compare(found["results"]["table_c2"]), found["results"]["table_c2"])
        (file.parent / "reproduction-figure2.svg").write_text(figure + "\n", encoding="utf-8")


def _page(found: Mapping[str, Any]) -> Iterator[str]:
    scale, kept, said = found["scale"], found["results"], []
    yield HEAD.format(scale=scale)
    for target in (name for name in ("table_c2", *FOLLOWING, "table_c4", "figure1") if _runs(name) in kept):
        results = kept[_runs(target)]
        comparison = compare(results)
        shown = beside(target, comparison)
        yield f"## {_numbered(target)}: {TARGETS[target].title}\n"
        if target not in FOLLOWING:
            yield from _made(target, scale, results, said)
        if target == "figure2":
            yield "![Mean of ratios over the radius, a line a model](reproduction-figure2.svg)\n"
        yield from _table(shown["lines"])
        yield from _claims(shown["claims"])


def _numbered(target: str) -> str:
    """
    >>> _numbered("table_c2"), _numbered("figure1")
    ('Table C.2', 'Figure 1')
    """
    kind = "Figure" if target.startswith("figure") else "Table"
    number = target.removeprefix(kind.lower()).strip("_").upper()
    return f"{kind} {number[0]}.{number[1:]}" if number[0].isalpha() else f"{kind} {number}"


def _runs(target: str) -> str:
    return "table_c2" if target in FOLLOWING else target


def _made(target: str, scale: str, results: Sequence[Mapping[str, Any]], said: list[str]) -> Iterator[str]:
    """Where it was made, and what differs from the paper beyond what was ``said`` of the tables before."""
    wanted, seeds = SCALES[scale]["seeds"], [result["seed"] for result in results]
    left = [seed for seed in wanted if seed not in seeds]
    first = results[0]
    yield (
        f"{len(seeds)} of {len(wanted)} seeds ({', '.join(map(str, seeds))}"
        + (f"; not run yet: {', '.join(map(str, left))}" if left else "")
        + f") on {first['machine']}, {first['device']}; "
        + ", ".join(f"{name} {version}" for name, version in first["versions"].items())
        + ".\n"
    )
    apart = differences(target, [spec_from_dict(result["spec"]) for result in results], scale)
    yield f"What {'also ' if said else ''}differs from the paper:\n"
    yield from (f"- {sentence}" for sentence in apart if sentence not in said)
    said += apart
    yield ""


def _table(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One table of cells, or one for each perturbation of radii."""
    for attack in dict.fromkeys(line.get("attack", "") for line in lines if "failed" not in line):
        own = [line for line in lines if "failed" not in line and line.get("attack", "") == attack]
        columns = list(dict.fromkeys(_column(line) for line in own))
        if attack:
            picked = {round(i * (len(columns) - 1) / (SHOWN - 1)) for i in range(SHOWN)}
            columns = [name for at, name in enumerate(columns) if at in picked]
            yield f"{CURVES[own[0]['metric']].capitalize()}, {attack}:\n"
        yield f"| model | {' | '.join(columns)} |"
        yield f"| --- |{' --- |' * len(columns)}"
        for title in dict.fromkeys(line["title"] for line in own):
            cells = {_column(line): _cell(line) for line in own if line["title"] == title}
            yield f"| {title} | {' | '.join(cells.get(name, '') for name in columns)} |"
        yield ""
    doubts = [f"{line['title']}: {line['doubt']}" for line in lines if line.get("doubt")]
    if doubts:
        yield f"\\* The paper's Avg. Gap does not follow from its cells. {'; '.join(doubts)}.\n"
    yield from (f"{line['title']}: {line['failed']}\n" for line in lines if "failed" in line)


def _column(line: Mapping[str, Any]) -> str:
    return f"τ = {line['tau']:.3g}" if "tau" in line else f"{line['metric']} ({line['unit']})"


def _cell(line: Mapping[str, Any]) -> str:
    ours = "undefined" if line["ours"] is None else f"{'> ' if line['over'] else ''}{line['ours']:.2f}"
    ours += "" if line["sd"] is None else f" ± {line['sd']:.2f}"
    if line["paper"] is None:
        return ours
    same, doubt = "= " if line["agrees"] else "", "\\*" if line["doubt"] else ""
    return f"{ours} / {same}{'> ' if line['paper_over'] else ''}{line['paper']:.2f}{doubt}"


def _claims(claims: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not claims:
        return
    yield "| the paper says | here | r̂ from – to | radii: so, surely not, of |"
    yield "| --- | --- | --- | --- |"
    for claim in claims:
        for model, at in claim["found"].items():
            span = "undefined" if at["lowest"] is None else f"{at['lowest']:.2f} – {at['highest']:.2f}"
            counts = f"{at['holds']}, {at['fails']}, {at['of']}"
            yield f"| {model}: {claim['says']} | {at['verdict']} | {span} | {counts} |"
    yield ""


def _figure(comparison: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    """The paper's Figure 2 of ours: mean of ratios under random draws, the references' band behind."""
    looks = looks_of(results[0]["models"])
    drawn = [curve for curve in comparison["curves"] if curve["attack"] == "gaussian" and curve["name"] in looks]
    lines = [Curve(looks[curve["name"]], np.array(curve["r_mean"]["mean"], dtype=float)) for curve in drawn]
    band = tuple(np.array(drawn[0]["bands"]["r_mean"][edge], dtype=float) for edge in ("low", "high"))
    svg = curves(
        drawn[0]["taus"], lines, band,  # type: ignore[arg-type]
        title="residual knowledge r̂ (mean of ratios)", across=tau_title("gaussian"),
        label="Mean of ratios over the radius, a line a model", top=2.0,
    )  # fmt: skip
    return _alone(svg, [line.look for line in lines])


def _alone(svg: str, looks: Sequence[Look]) -> str:
    """A figure as a file of its own: with a ground, a style and a key below, five models a row."""
    rows = -(-len(looks) // KEY)
    height = HEIGHT + 20 * rows + 6
    key = "".join(
        mark(look, 20 + WIDTH / KEY * (i % KEY), HEIGHT + 14 + 20 * (i // KEY))
        + f'<text x="{30 + WIDTH / KEY * (i % KEY)}" y="{HEIGHT + 18 + 20 * (i // KEY)}">{escape(look.title)}</text>'
        for i, look in enumerate(looks)
    )
    inside = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        "<style>text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}.zero{stroke:#999}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{inside}{key}</svg>'
    )


if __name__ == "__main__":
    write()
