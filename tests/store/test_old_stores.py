"""Stores of every format since the first are opened for good; each lies in tests/stores under the day it was made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rurk_core.cli import main
from rurk_core.evidence.case import open_case
from rurk_core.evidence.findings import find
from rurk_core.evidence.words import set_words
from rurk_core.experiment import load_model
from rurk_core.report.document import latest_run, make_report
from rurk_core.store import Store

STORES = sorted((Path(__file__).parents[1] / "stores").iterdir())


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def old(request, tmp_path) -> Store:
    """A copy, to be written to."""
    shutil.copytree(request.param, tmp_path / "store")
    return Store(tmp_path / "store")


def test_it_is_whole_and_its_models_run(old, capsys):
    assert main(["store", "verify", "--store", old.url]) == 0
    for entry in old.list():
        if entry.kind in ("original", "reference", "unlearned"):
            load_model(old, entry.key)


@pytest.mark.slow
def test_its_evidence_says_what_it_lacks(old):
    """Tables of before 2026-11-27 kept no log-odds and no held-out samples."""
    run = latest_run(old)
    result = old.read_json(run, "result.json")
    for entry in result["residual"]:
        found = find(open_case(old, run, method=entry["method"], attack=entry["attack"]))
        sentence = set_words(found)
        if entry["attack"] == "fgsm":
            assert found.judged is None and "did not attack every model in turn" in sentence
        else:
            assert found.judged is not None and len(found.samples) == len(result["forget"]["indices"])
            assert any("kept no log-odds" in missing for missing in found.judged.missing)
    assert "Answer" in make_report(old, run).html


@pytest.mark.parametrize(
    "page", ["overview.py", "neighbourhood.py", "review.py", "compare.py", "embedding.py", "unlearn.py", "forget.py"]
)
def test_every_page_opens_on_it(old, app, page):
    test = app(page, old, run=latest_run(old))
    assert not test.exception and not test.error
