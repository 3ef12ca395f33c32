"""A user's own methods: one file each, loaded by every process, a broken one named and the others kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rurk_core.cli import main
from rurk_core.unlearning import METHODS
from rurk_core.unlearning.conformance import conform, small_setting
from rurk_core.unlearning.own import PROBLEMS, load_own_methods

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "docs" / "own-method.md").read_text().split("```python\n")[1].split("```")[0]


@pytest.fixture
def registry():
    before, problems = dict(METHODS), dict(PROBLEMS)
    yield
    for found, kept in ((METHODS, before), (PROBLEMS, problems)):
        found.clear()
        found.update(kept)


@pytest.fixture
def folder(tmp_path, registry):
    (tmp_path / "shrink.py").write_text(EXAMPLE)
    return tmp_path


def test_the_documented_example_registers_and_conforms(folder):
    assert load_own_methods(folder) == {}
    method = METHODS["shrink"]
    assert method.origin == str(folder.resolve() / "shrink.py") and len(method.digest) == 16
    assert conform(method, small_setting()) == {}
    assert load_own_methods(folder) == {}, "loading twice is loading once"


def test_a_broken_file_is_named_and_the_others_go_on(folder):
    (folder / "a_syntax.py").write_text("def (")
    (folder / "b_exit.py").write_text("raise SystemExit('bye')")
    (folder / "c_empty.py").write_text("x = 1")
    (folder / "d_taken.py").write_text(EXAMPLE.replace("def shrink(", "def gd("))
    half = EXAMPLE + "\n1 / 0\n"
    (folder / "e_half.py").write_text(half.replace("def shrink(", "def half("))
    gd = METHODS["gd"]
    problems = load_own_methods(folder)
    said = {Path(file).stem: sentence for file, sentence in problems.items()}
    assert "SyntaxError" in said["a_syntax"] and "bye" in said["b_exit"] and "registers no" in said["c_empty"]
    assert "'gd' is taken" in said["d_taken"] and "ZeroDivisionError" in said["e_half"]
    assert len(said) == 5 and "shrink" in METHODS and "half" not in METHODS and METHODS["gd"] is gd


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path, registry):
    (sentence,) = load_own_methods(tmp_path / "nowhere").values()
    assert sentence.startswith("There is no folder")


def test_checks_find_what_is_wrong(folder):
    """The example with the usual mistakes."""
    mute = EXAMPLE.replace("trainable_copy(original)", "original").replace("def shrink(", "def mute(")
    (folder / "mute.py").write_text(mute.replace('report(on_step, 1, 1, size, "shrinking")', "pass"))
    global_ = EXAMPLE.replace("generator=generator", "generator=None").replace("def shrink(", "def global_(")
    (folder / "global_.py").write_text(global_.replace('cost="one forward pass of S_f"', 'cost=""'))
    load_own_methods(folder)
    assert {"original", "progress", "cancel", "nan"} <= conform(METHODS["mute"], small_setting()).keys()
    assert conform(METHODS["global_"], small_setting()).keys() == {"repeatable", "settings"}


@pytest.mark.parametrize("passes", ["1 / 0", "float('nan')", "'many'", "-1.0"])
def test_passes_that_are_no_number_are_named_by_the_check_and_plans_go_on(folder, passes):
    wrong = EXAMPLE.replace("def shrink(", "def wrong(").replace(
        'cost="one', f'passes=lambda config, n_r, n_f, classes: {passes},\n    cost="one'
    )
    (folder / "wrong.py").write_text(wrong)
    load_own_methods(folder)
    method = METHODS["wrong"]
    assert method.cost_on(method.config(), 60, 20, 4) == 3 * 60
    assert conform(method, small_setting()).keys() == {"settings"}


def test_the_commands_know_own_methods(folder, capsys, monkeypatch):
    monkeypatch.setenv("RURK_METHODS", "")
    (folder / "broken.py").write_text("import nothing_like_it")
    assert main(["methods", "--json", "--own-methods", str(folder)]) == 0
    out = capsys.readouterr()
    assert "shrink" in {row["name"] for row in json.loads(out.out)} and "nothing_like_it" in out.err
    assert main(["check-methods", "shrink", "--json"]) == 1
    out = capsys.readouterr()
    assert json.loads(out.out)[0]["passed"] and "broken.py" in out.err


@pytest.mark.slow
def test_another_process_knows_them_by_the_variable(folder):
    code = "from rurk_core.unlearning import METHODS; print(METHODS['shrink'].title)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"RURK_METHODS": str(folder), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == "Shrink"


@pytest.mark.slow
def test_an_own_method_is_a_row_and_its_file_is_part_of_the_key(folder, tmp_path):
    from rurk_core.run.experiment import run
    from rurk_core.run.spec import make_spec
    from rurk_core.store.store import Store

    load_own_methods(folder)
    store = Store(tmp_path / "store")
    spec = make_spec(methods="shrink", references=1, taus="0", draws=1, train={"epochs": 1}, relearn=0)
    first = run(spec, store)
    assert [row["name"] for row in first["models"]][1] == "shrink" and "failed" not in first["models"][1]
    del METHODS["shrink"]
    (folder / "shrink.py").write_text(EXAMPLE + "\n# another version\n")
    load_own_methods(folder)
    second = run(spec, store)
    assert second["key"] != first["key"] and second["models"][1]["key"] != first["models"][1]["key"]
    assert second["models"][0]["key"] == first["models"][0]["key"]
