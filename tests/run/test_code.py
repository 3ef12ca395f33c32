"""Code decides keys: what it is a digest of, and a changed method that is run again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rurk_core.run import code
from rurk_core.run.code import PACKAGE, ROOTS, code_of, code_of_run, plain_source
from rurk_core.run.stages import RUN
from rurk_core.store.store import Store
from rurk_core.unlearning import METHODS

ROOT = PACKAGE.parent


def test_what_is_said_of_code_does_not_count():
    assert plain_source('"""A module."""\n\n# why\ndef f():\n    "What."\n    return 1  # one\n') == (
        "def f():\n    return 1  # one"
    )
    assert plain_source('x = """text"""') == 'x = """text"""'


def test_every_kind_of_stage_and_every_method_has_a_digest():
    assert set(RUN) <= set(ROOTS)
    for kind, roots in ROOTS.items():
        assert all((PACKAGE / f"{root.replace('.', '/')}.py").is_file() for root in roots), kind
        assert len(code_of(kind)) == 16
    assert len({code_of("unlearned", method) for method in METHODS}) == len(METHODS)


@pytest.fixture
def copy(tmp_path) -> Path:
    """The package, to be changed."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "rurk_core", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("unlearning/methods/gd.py", {"gd"}),
        ("unlearning/base.py", {"gd", "rurk"}),
        ("training/loop.py", {"original", "reference", "gd", "rurk", "relearned"}),
        ("perturb/copies.py", {"rurk", "verdicts"}),
        ("measure/residual.py", {"run"}),
        ("models/resnet9.py", {"original", "reference", "gd", "rurk", "verdicts", "scores", "relearned"}),
        ("report/page.py", set()),
        ("store/index.py", set()),
        ("evidence/law.py", {"wholeset"}),
        ("evidence/words.py", set()),
    ],
)
def test_a_change_reaches_what_it_decides(file, changed, copy, monkeypatch):
    watched = {
        kind: (kind, "") for kind in ("original", "reference", "scores", "relearned", "verdicts", "run", "wholeset")
    }
    watched |= {method: ("unlearned", method) for method in ("gd", "rurk")}
    monkeypatch.setattr(code, "PACKAGE", copy)
    before = {name: code_of(*asked) for name, asked in watched.items()}
    path = copy / file
    for text, wanted in ((path.read_text() + "\n# a remark\n", set()), (path.read_text() + "\nCHANGED = 1\n", changed)):
        path.write_text(text)
        code._digest.cache_clear()
        after = {name: code_of(*asked) for name, asked in watched.items()}
        found = {name for name in watched if before[name] != after[name]}
        assert wanted <= found and (wanted or not found), found
    code._digest.cache_clear()


def test_a_run_depends_on_its_methods():
    assert code_of_run(["gd", "rurk"]) == code_of_run(["rurk", "gd", "gd"]) != code_of_run(["gd"])


RUN_TINY = """
import json, sys
from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store
few = {"references": 1, "taus": "0,0.1", "draws": 3, "relearn": 0, "train": {"epochs": 1}}
spec = make_spec(methods="gd:epochs=1,eu_k:epochs=1", **few)
result = run(spec, Store(sys.argv[1]))
print(json.dumps({"key": result["key"], "models": {row["name"]: row["key"] for row in result["models"]}}))
"""


def tiny(package: Path, store: Path) -> dict:
    environment = os.environ | {"PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN_TINY, str(store)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_changed_method_is_run_again_and_nothing_else(copy, tmp_path):
    """The whole way, with the code of a method really changed: another Original would be trained for no reason."""
    first = tiny(copy, tmp_path / "store")
    method = copy / "unlearning" / "methods" / "gd.py"
    changed = method.read_text().replace("        config,\n", "        GdConfig(epochs=1, lr=config.lr / 2),\n")
    assert changed != method.read_text()
    method.write_text(changed)
    second = tiny(copy, tmp_path / "store")
    assert second["key"] != first["key"]
    apart = {name for name in first["models"] if first["models"][name] != second["models"][name]}
    assert apart == {"gd"}
    store = Store(tmp_path / "store")
    weights = [store.read(found["models"]["gd"], "model.safetensors") for found in (first, second)]
    assert weights[0] != weights[1], "the new code made other weights; the old ones can still be read"
