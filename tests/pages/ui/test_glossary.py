"""Every term has one plain sentence, and what pages ask for exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ui import glossary

from rurk_core.evidence.findings import SAID

PAGES = Path(__file__).parents[3] / "pages"


@pytest.mark.parametrize("name", glossary.TERMS)
def test_a_term_is_one_short_sentence(name):
    text = glossary.TERMS[name]
    assert name == name.lower() and text[-1] == "." and len(text) < 200


def test_every_finding_is_a_term():
    assert set(SAID.values()) <= set(glossary.TERMS)


def test_a_ratio_alone_is_no_finding():
    assert "finding says" in glossary.TERMS["r̂"] and "is residual knowledge, below" not in glossary.TERMS["r̂"]


def test_html_of_a_term_is_escaped_and_holds_its_sentence():
    html = glossary.term("re-trained", "a <b>word</b>")
    assert "a &lt;b&gt;word&lt;/b&gt;" in html and glossary.help_of("retrained") in html


def test_what_pages_ask_for_exists():
    asked = set()
    for path in PAGES.rglob("*.py"):
        asked |= set(re.findall(r"\b(?:term|help_of)\(\"([^\"]+)\"", path.read_text()))
        asked |= set(re.findall(r"\b(?:term|help_of)\('([^']+)'", path.read_text()))
    assert asked
    for name in asked:
        assert glossary.help_of(name)
