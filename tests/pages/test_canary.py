"""A canary in every text and every number of a result: no page, report or download gives it to a browser as markup."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from rurk_core.compare.table import compare
from rurk_core.compare.texts import flat, to_csv, to_latex
from rurk_core.errors import RurkError
from rurk_core.report.document import make_report
from rurk_core.run.result import FREE, NUMBERS, load_result

TAG = "<i-canary>"
CANARY = f"={TAG}![p](http://canary.example/p)[l](http://canary.example)$x$`x`:red[x]"
KEPT = (
    "key",
    "scores",
    "verdicts",
    "name",
    "role",
    "method",
    "attack",
    "fingerprint",
    "entries",
    "code",
    "format",
    "reference",
)
"""What pages look things up by; a name that is not known there is refused or left out."""


def sung(value: Any, name: str = "", numbers: bool = False) -> Any:
    """The document with the canary in its texts."""
    if isinstance(value, dict):
        return {key: value[key] if key in ("spec", "config", "peers") else sung(value[key], key) for key in value}
    if isinstance(value, list):
        return [sung(item, name) for item in value]
    return CANARY if isinstance(value, str) and name not in (*KEPT, "models") else value


@pytest.fixture
def canary(tiny_store, tiny_run, forge):
    """A store whose result has it in all texts, in notes and in the title."""
    result = sung(tiny_run[1])
    result["notes"] = [CANARY]
    result["spec"] = result["spec"] | {"title": CANARY}
    for row in result["models"]:
        row |= {"notes": [CANARY], "file": CANARY, "sha256": CANARY}
    forge(tiny_store, result["key"], "result.json", result)
    tiny_store.rename(result["key"], CANARY)
    return tiny_store, result


def texts_of(test: Any) -> dict[str, list[str]]:
    """What a page hands to the browser as HTML, and as Markdown."""
    html, markdown = [], []
    for block in (test.main, test.sidebar):
        html += [element.proto.body for element in block.get("html")]
        for kind in ("markdown", "caption", "warning", "error", "info", "success", "title", "header", "subheader"):
            markdown += [str(element.value) for element in getattr(block, kind)]
    return {"html": html, "markdown": markdown}


PAGES = ("overview", "neighbourhood", "forget", "unlearn", "compare", "review", "embedding", "audit")


@pytest.mark.parametrize("page", PAGES)
def test_pages_show_it_as_text(page, canary, app):
    store, result = canary
    test = app(f"{page}.py", store, run=result["key"])
    found = texts_of(test)
    assert not test.error and not test.exception
    if page in ("unlearn", "compare"):
        assert "i-canary" in "".join(found["html"] + found["markdown"]), "the result is not shown"
    assert not [body for body in found["html"] if TAG in body]
    for text in found["markdown"]:
        assert not re.search(r"(?<!\\)!?\[p\]\(http", text), text
        assert not re.search(r"(?<!\\):red\[", text) and not re.search(r"(?<!\\)<i-canary", text), text


def test_reports_show_it_as_text(canary):
    store, result = canary
    for sample in (None, result["forget"]["indices"][0]):
        html = make_report(store, result["key"], sample=sample).html
        assert TAG not in html and "&lt;i-canary&gt;" in html
        assert not re.search(r"<(meta|script|iframe|object|link)[^>]*canary", html)


def test_tables_run_nothing(canary):
    """Spreadsheets run what begins like a formula, also after blanks and in the head of a table."""
    comparison = compare([canary[1]])
    rows = [{CANARY: CANARY, "a": f" \t{CANARY}", "b": "\n@x", "c": -1.5, "d": "－1", "e": "plain - text"}]
    for text in (to_csv(flat(comparison)), to_csv(rows)):
        for line in csv.reader(io.StringIO(text)):
            for cell in line:
                harmless = not cell.lstrip()[:1] or cell.lstrip()[0] not in "=+-@|%＝＋－＠"
                assert harmless or re.fullmatch(r"-?[\d.e+-]+", cell), cell
    assert to_csv(rows).splitlines()[1].endswith("-1.5,'－1,plain - text") or "plain - text" in to_csv(rows)
    assert "$x$" not in to_latex(comparison)


def leaves(value: Any, at: tuple = ()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield (*at, key), held
        yield from leaves(held, (*at, key))


def test_every_number_is_known_to_be_one(tiny_run):
    """Also those of versions to come: a new number in the document must be named."""
    for path, value in leaves(tiny_run[1]):
        if isinstance(value, int | float) and not set(path) & set(FREE):
            assert set(path) & NUMBERS, path


def test_a_text_in_the_place_of_a_number_is_damage(tiny_store, tiny_run, forge):
    """One of each kind, wherever it stands."""
    tried = set()
    for path, value in list(leaves(tiny_run[1])):
        kind = tuple(part for part in path if isinstance(part, str))
        if kind in tried or isinstance(value, bool) or not isinstance(value, int | float) or set(path) & set(FREE):
            continue
        tried.add(kind)
        document = json.loads(json.dumps(tiny_run[1]))
        inner = document
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = CANARY
        forge(tiny_store, document["key"], "result.json", document)
        with pytest.raises(RurkError, match="is no number"):
            load_result(tiny_store, document["key"])
    assert len(tried) > 20
