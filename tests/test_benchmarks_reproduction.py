"""The page of the paper beside ours: made of runs, added to seed by seed, true with one seed."""

from __future__ import annotations

import json

import pytest

from benchmarks import reproduction, reproduction_page
from rurk_core.compare.targets import plan
from rurk_core.run.experiment import run
from rurk_core.store.store import Store

TINY = {
    "methods": "gd:epochs=1,rurk:epochs=1", "references": 2, "taus": "0,0.0126,0.0314", "draws": 2,
    "train": {"epochs": 1}, "model": "mlp:8", "attacks": "gaussian,fgsm",
}  # fmt: skip


@pytest.mark.slow
def test_a_page_is_made_of_runs_and_grows_with_seeds(tmp_path):
    file, store = tmp_path / "found.json", Store(tmp_path / "store")
    for seed in (7, 131):
        for spec in plan("table_c2", dataset="digits", scale="laptop", seeds=(seed,), overrides=TINY):
            reproduction.keep("table_c2", "laptop", run(spec, store), file)
        said = (tmp_path / "reproduction.md").read_text()
        assert f"{1 if seed == 7 else 2} of 3 seeds" in said and "not run yet: " in said
        assert "undefined, undefined" not in said and "None" not in said and "nan" not in said
    assert [one["seed"] for one in json.loads(file.read_text())["results"]["table_c2"]] == [7, 131]
    assert "| Original |" in said and "gaussian" in said and "fgsm" in said and "± " in said
    assert "<svg xmlns" in (tmp_path / "reproduction-figure2.svg").read_text()
    reproduction.keep("table_c2", "laptop", run(spec, store), file)
    assert len(json.loads(file.read_text())["results"]["table_c2"]) == 2, "a seed that ran again takes its place"


@pytest.mark.slow
def test_the_page_that_is_kept_is_that_of_the_numbers_that_are_kept(tmp_path):
    kept = reproduction_page.DATA
    (tmp_path / kept.name).write_text(kept.read_text(encoding="utf-8"), encoding="utf-8")
    reproduction_page.write(tmp_path / kept.name)
    for made in tmp_path.glob("reproduction*"):
        assert made.read_text() == (kept.parent / made.name).read_text(), made.name
