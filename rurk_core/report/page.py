"""A report as one HTML page: style and figures inside, no script, nothing fetched, made to be printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..data import Dataset
from ..evidence.acceptance import RULE
from ..evidence.findings import SAID
from ..evidence.numbers import radii_text, small
from ..evidence.whole_words import changes, retained_words, unreferenced_words
from ..measure.residual import Verdicts
from ..perturb.copies import ATTACKS
from . import figures
from .figures import Copies
from .looks import FINDING_HUES, looks_of

THUMBNAILS = 28
"""Samples shown as pictures in a report on a run."""
ROWS = 12
"""Samples in a table; the document has all."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
HERE = Path(__file__).parent


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Where the template is filled: every value is escaped, and one that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    made.filters |= {"number": number, "listed": listed, "changed": changed, "small": small}
    return made


def page(
    document: dict[str, Any],
    result: dict[str, Any],
    tables: dict[str, Verdicts],
    data: Dataset | None,
    copies: dict[str, Copies],
) -> str:
    """The whole page.

    Args:
        document: of :func:`rurk_core.report.document.make_report`; result: of the run; tables: verdicts by their
            keys; data: for pictures, if it can be had; copies: of the one sample, by keys of verdicts.
    """
    looks = looks_of(result["models"])
    retrained = sum(row["role"] == "reference" and bool(row["key"]) for row in document["models"])
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            d=document | {"copies": _copies_in_all(document)},
            title=title_of(document),
            policy=POLICY,
            style=Markup((HERE / "report.css").read_text(encoding="utf-8")),
            looks=looks,
            attacks=ATTACKS,
            said=SAID,
            hues=FINDING_HUES,
            entries=[_entry(document, entry) for entry in document["residual"]],
            tables=[
                {"attack": tables[key].attack, "source": tables[key].source, "key": key, "copies": copies.get(key)}
                for key in dict.fromkeys(entry["verdicts"] for entry in document["residual"])
            ],
            picture=None if data is None else partial(figures.picture, data),
            curve=lambda of, sample: figures.recognition(
                tables[of.get("verdicts") or of["key"]], [of["method"]] if "method" in of else None, looks, sample
            ),
            spread=lambda rows, name: figures.spread(rows, looks[name]),
            radii=lambda norm, found, name: figures.radii(norm, found, looks[name], looks, document["forget"]["count"]),
            roc=lambda signals, name: figures.roc(signals, looks[name]),
            copies=lambda of: figures.copies_of(of["copies"], tables[of["key"]], looks),
            thumbnails=THUMBNAILS,
            shown=ROWS,
            retained_words=retained_words,
            unreferenced_words=unreferenced_words,
            changes=changes,
            provenance=provenance(document),
            over=radii_text(document["settings"]["taus"]),
            most="most beyond a re-training" if retrained else "most recognised",
            retrained=retrained,
            built=any(ATTACKS[entry["attack"]].uses_model for entry in document["residual"]),
            rerun=json.dumps(document["rerun"]["experiment"], ensure_ascii=False),
            rule_of_acceptance=RULE,
        )
    )


def title_of(document: dict[str, Any]) -> str:
    about = f"sample {document['sample']}, " if document["sample"] is not None else ""
    return f"Unlearning report: {about}{document['title'] or document['data']['name']}"


def _copies_in_all(document: dict[str, Any]) -> int:
    """Copies of a sample at all radii above 0."""
    taus = document["settings"]["taus"]
    return document["settings"]["draws"] * (sum(tau > 0 for tau in taus) or len(taus))


def _entry(document: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    """One model under one attack, with its samples and what was measured of its whole set."""
    mine = (entry["method"], entry["attack"])
    return entry | {
        "rows": [row for row in document["samples"] if (row["method"], row["attack"]) == mine],
        "whole": next(
            (one for one in document["whole_set"] if (one["method"], one["attack"]) == mine), {"found": None}
        ),
    }


def provenance(document: dict[str, Any]) -> dict[str, str]:
    """What the numbers are from, by headings."""
    made, data, forget = (document[name] for name in ("made_with", "data", "forget"))
    many = f"{forget['count']:,} sample{'s' * (forget['count'] != 1)}"
    entries = {
        "Data": f"{data['name']}, {data['train']:,} training and {data['test']:,} test samples, fingerprint "
        f"{data['fingerprint']}; {data['source']}; {data['licence']}",
        "Notes on data": " ".join(document["notes"]),
        "Forget set": f"{many}, rule {forget['rule'] or 'none'}, SHA-256 {forget['sha256']}",
        "Made with": ", ".join(f"{name} {version}" for name, version in made["versions"].items()),
        "Models by": _makers(document["makers"]["entries"]),
        "On": f"{made['device']}, {made['seconds']:.0f} s",
        "Seed": str(made["seed"]),
    }
    if document["rerun"]["experiment"] is None:
        entries["Settings"] = json.dumps(document["settings"], ensure_ascii=False)
    return {name: text for name, text in entries.items() if text}


def _makers(entries: Sequence[dict[str, Any]]) -> str:
    """The models by version and code, the result left out."""
    groups: dict[str, list[str]] = {}
    for made in entries:
        if made["name"] != "the result":
            about = f"{made['rurk']} with torch {made['torch']}, code {made['code'] or 'not noted'}"
            groups.setdefault(about + (" (imported)" if made["origin"] else ""), []).append(made["name"])
    return "; ".join(f"{', '.join(names)}: RURK Explorer {about}" for about, names in groups.items()) or "unknown"


def number(value: float | None, form: str) -> str:
    """A number in a format of Python; a dash where it is undefined."""
    return "–" if value is None else format(value, form)


def listed(counts: Sequence[int]) -> str:
    """The first eight numbers, with commas."""
    shown = ", ".join(f"{count:,}" for count in counts[:8])
    return (shown + (", …" if len(counts) > 8 else "")) or "–"


def changed(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the retained samples that changed."""
    those = set(found["changed"])
    return [row for row in found["samples"] if row["sample"] in those]
